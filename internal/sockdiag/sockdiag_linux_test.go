package sockdiag

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mdlayher/netlink"
	"github.com/mdlayher/netlink/nltest"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// message returns a struct inet_diag_msg followed by attributes.
func message(t testing.TB, row socket.Socket, family byte, cookie uint64, attributes ...netlink.Attribute) []byte {
	t.Helper()
	data := make([]byte, messageSize)
	data[messageFamily], data[messageState] = family, byte(row.State)
	binary.BigEndian.PutUint16(data[messageLocalPort:], row.Local.Port())
	binary.BigEndian.PutUint16(data[messageRemotePort:], row.Remote.Port())
	local, remote := row.Local.Addr().AsSlice(), row.Remote.Addr().AsSlice()
	if family == familyIPv6 {
		l, r := row.Local.Addr().As16(), row.Remote.Addr().As16()
		local, remote = l[:], r[:]
	}
	copy(data[messageLocal:], local)
	copy(data[messageRemote:], remote)
	binary.NativeEndian.PutUint64(data[messageCookie:], cookie)
	binary.NativeEndian.PutUint32(data[messageInode:], uint32(row.Inode))
	encoded, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		t.Fatal(err)
	}
	return append(data, encoded...)
}

func number(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }

func ends(local, remote string) socket.Socket {
	return socket.Socket{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), State: socket.Established, Inode: 7}
}

var compare = gocmp.Options{cmpopts.EquateComparable(netip.AddrPort{})}

func TestDecode(t *testing.T) {
	info := make([]byte, 232)
	binary.NativeEndian.PutUint32(info[infoRTT:], 1500)
	binary.NativeEndian.PutUint32(info[infoLastSent:], 70_500)
	binary.NativeEndian.PutUint32(info[infoLastReceived:], 4_200_000_000)
	binary.NativeEndian.PutUint64(info[infoBytesSent:], 13)
	binary.NativeEndian.PutUint64(info[infoBytesRetrans:], 3)
	binary.NativeEndian.PutUint64(info[infoBytesReceived:], 20)
	withCounters := func(acked, sent, retransmitted uint64) netlink.Attribute {
		info := slices.Clone(info)
		binary.NativeEndian.PutUint64(info[infoBytesAcked:], acked)
		binary.NativeEndian.PutUint64(info[infoBytesSent:], sent)
		binary.NativeEndian.PutUint64(info[infoBytesRetrans:], retransmitted)
		return netlink.Attribute{Type: attributeInfo, Data: info}
	}
	receivedLater := netlink.Attribute{Type: attributeInfo, Data: slices.Clone(info)}
	binary.NativeEndian.PutUint32(receivedLater.Data[infoLastReceived:], 40)
	v4, v6 := ends("10.0.0.1:80", "10.0.0.2:4000"), ends("[2001:db8::1]:80", "[2001:db8::2]:4000")
	with := func(row socket.Socket, change func(*socket.Socket)) socket.Socket { change(&row); return row }
	dialledBy := func(by socket.End) socket.Socket {
		return with(v4, func(s *socket.Socket) {
			s.TCPInfo = &socket.TCPInfo{RTT: 1500 * time.Microsecond, Sent: 10, Received: 20, Idle: 70500 * time.Millisecond, DialledBy: by}
		})
	}
	queued := message(t, v4, familyIPv4, 9, withCounters(10, 10, 0))
	binary.NativeEndian.PutUint32(queued[messageSendQueue:], 1)
	closing := with(v4, func(s *socket.Socket) { s.State = socket.CloseWait })
	closed := with(v4, func(s *socket.Socket) { s.State, s.Inode = socket.TimeWait, 0 })
	expiring := message(t, closed, familyIPv4, 9)
	binary.NativeEndian.PutUint32(expiring[messageExpires:], 57990)
	dialling := with(v4, func(s *socket.Socket) { s.State, s.Retransmits = socket.SynSent, 3 })
	repeated := message(t, dialling, familyIPv4, 9)
	repeated[messageRetransmit] = 3
	late := message(t, v4, familyIPv4, 9) // repeated data of another state
	late[messageRetransmit] = 3
	timed := message(t, v4, familyIPv4, 9) // the timer of another state
	binary.NativeEndian.PutUint32(timed[messageExpires:], 57990)
	for name, test := range map[string]struct {
		data []byte
		want socket.Socket
	}{
		"IPv4":               {message(t, v4, familyIPv4, 9), v4},
		"IPv6":               {message(t, v6, familyIPv6, 9), v6},
		"IPv4 as IPv6":       {message(t, v4, familyIPv6, 9), v4},
		"cgroup":             {message(t, v4, familyIPv4, 9, netlink.Attribute{Type: attributeCgroup, Data: number(1 << 40)}), with(v4, func(s *socket.Socket) { s.CgroupID = 1 << 40 })},
		"unknown":            {message(t, v4, familyIPv4, 9, netlink.Attribute{Type: 99, Data: number(1)}), v4},
		"kernel before 4.19": {message(t, v4, familyIPv4, 9, netlink.Attribute{Type: attributeInfo, Data: info[:208]}), v4},
		"info": {message(t, v4, familyIPv4, 9, netlink.Attribute{Type: attributeInfo, Data: info}), with(v4, func(s *socket.Socket) {
			s.TCPInfo = &socket.TCPInfo{RTT: 1500 * time.Microsecond, Sent: 10, Received: 20, Idle: 70500 * time.Millisecond}
		})},
		"dialled":           {message(t, v4, familyIPv4, 9, withCounters(11, 13, 3)), dialledBy(socket.LocalEnd)},
		"accepted":          {message(t, v4, familyIPv4, 9, withCounters(10, 13, 3)), dialledBy(socket.RemoteEnd)},
		"more acknowledged": {message(t, v4, familyIPv4, 9, withCounters(12, 13, 3)), dialledBy(socket.UnknownEnd)},
		"less acknowledged": {message(t, v4, familyIPv4, 9, withCounters(9, 13, 3)), dialledBy(socket.UnknownEnd)},
		"data in the queue": {queued, dialledBy(socket.UnknownEnd)},
		"not established":   {message(t, closing, familyIPv4, 9, withCounters(11, 10, 0)), with(dialledBy(socket.UnknownEnd), func(s *socket.Socket) { s.State = socket.CloseWait })},
		"received later": {message(t, v4, familyIPv4, 9, receivedLater), with(v4, func(s *socket.Socket) {
			s.TCPInfo = &socket.TCPInfo{RTT: 1500 * time.Microsecond, Sent: 10, Received: 20, Idle: 40 * time.Millisecond}
		})},
		"TIME_WAIT":            {expiring, with(closed, func(s *socket.Socket) { s.Remaining = 57990 * time.Millisecond })},
		"timer of ESTABLISHED": {timed, v4},
		"SYN_SENT":             {repeated, dialling},
		"repeated data":        {late, v4},
	} {
		t.Run(name, func(t *testing.T) {
			row, cookie, err := decode(test.data, socket.TCP)
			if err != nil || cookie != 9 {
				t.Fatalf("cookie %d, %v", cookie, err)
			}
			if diff := gocmp.Diff(test.want, row, compare); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeMalformed(t *testing.T) {
	good := message(t, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, 9, netlink.Attribute{Type: attributeCgroup, Data: number(1)})
	unknown := slices.Clone(good)
	unknown[messageFamily] = 1
	long := slices.Clone(good)
	binary.NativeEndian.PutUint16(long[messageSize:], 0xffff)
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:messageSize-1], "attribute cut": good[:len(good)-1], "attribute header cut": good[:messageSize+2],
		"attribute's length too long": long, "unknown family": unknown,
		"cgroup of four bytes": message(t, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, 9, netlink.Attribute{Type: attributeCgroup, Data: number(1)[:4]}),
	} {
		if row, _, err := decode(data, socket.TCP); err == nil {
			t.Errorf("%s: %v", name, row)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(message(f, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, 9, netlink.Attribute{Type: attributeCgroup, Data: number(1)}))
	f.Add(message(f, ends("[2001:db8::1]:80", "[::]:0"), familyIPv6, 9, netlink.Attribute{Type: attributeInfo, Data: make([]byte, 232)}))
	f.Add(make([]byte, messageSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		if row, _, err := decode(data, socket.UDP); err == nil && (row.Protocol != socket.UDP || row.State != socket.Established && row.State != socket.Close) {
			t.Errorf("%+v", row)
		}
		row, _, err := decode(data, socket.TCP)
		if err != nil {
			if row != (socket.Socket{}) {
				t.Errorf("%v beside %v", row, err)
			}
			return
		}
		if !row.Local.IsValid() || !row.Remote.IsValid() || row.Local.Addr().Is4In6() {
			t.Errorf("%v", row)
		}
	})
}

// answer is the kernel's answer to one request: the datagrams of a dump, each with its messages.
type answer [][]netlink.Message

// kernel returns a dial function. Each connection gets the next answer, or an error in its place. Messages without a
// sequence number get that of the request.
func kernel(answers ...any) func() (*netlink.Conn, error) {
	return func() (*netlink.Conn, error) {
		next := answers[0]
		answers = answers[1:]
		var sequence uint32
		return nltest.Dial(func(requests []netlink.Message) ([]netlink.Message, error) {
			if len(requests) > 0 {
				sequence = requests[0].Header.Sequence
			}
			if err, ok := next.(error); ok {
				return nil, err
			}
			rest, _ := next.(answer)
			if len(rest) == 0 {
				return nil, io.EOF
			}
			next = rest[1:]
			for i, message := range rest[0] {
				rest[0][i].Header.Sequence = cmp.Or(message.Header.Sequence, sequence)
			}
			return rest[0], nil
		}), nil
	}
}

func rows(t testing.TB, flags netlink.HeaderFlags, cookies ...uint64) answer {
	messages := make([]netlink.Message, 0, len(cookies)+1)
	for _, cookie := range cookies {
		data := message(t, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, cookie)
		messages = append(messages, netlink.Message{Header: netlink.Header{Type: 20, Flags: netlink.Multi | flags}, Data: data})
	}
	return answer{append(messages, netlink.Message{Header: netlink.Header{Type: netlink.Done, Flags: netlink.Multi}, Data: make([]byte, 4)})}
}

func TestInconsistentDumpsAreRepeated(t *testing.T) {
	interrupted := func() answer { return rows(t, netlink.DumpInterrupted, 1) }
	late := rows(t, 0, 1)
	late[0][0].Header.Sequence = 1 << 31
	short := answer{{{Header: netlink.Header{Type: 20, Flags: netlink.Multi}, Data: make([]byte, 10)}, {Header: netlink.Header{Type: netlink.Done, Flags: netlink.Multi}, Data: make([]byte, 4)}}}
	for name, test := range map[string]struct {
		answers []any
		rows    int
		err     error
	}{
		"consistent":                   {[]any{rows(t, 0, 1, 2)}, 2, nil},
		"a socket twice":               {[]any{rows(t, 0, 1, 2, 1)}, 2, nil},
		"interrupted once":             {[]any{interrupted(), rows(t, 0, 1, 2)}, 2, nil},
		"interrupted always":           {[]any{interrupted(), interrupted(), interrupted()}, 0, errDumpInterrupted},
		"overrun once":                 {[]any{unix.ENOBUFS, rows(t, 0, 1)}, 1, nil},
		"overrun always":               {[]any{unix.ENOBUFS, unix.ENOBUFS, unix.ENOBUFS}, 0, unix.ENOBUFS},
		"malformed":                    {[]any{short}, 0, errShort},
		"not permitted, not repeated":  {[]any{unix.EPERM}, 0, unix.EPERM},
		"answer to an earlier request": {[]any{late}, 0, errSequence},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&Conn{ctx: t.Context(), dial: kernel(test.answers...)}).All(false)
			if len(got) != test.rows || !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Errorf("%d rows, error %v", len(got), err)
			}
		})
	}
}

// inet_diag and /proc/net report the same sockets of Outpost's own network namespace.
func TestDumpMatchesProcNet(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	if _, err := conn.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(accepted, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}

	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	mine := func(all []socket.Socket) []string {
		var lines []string
		for _, s := range all {
			if s.Local.Port() == port || s.Remote.Port() == port {
				lines = append(lines, strings.Join([]string{s.Local.String(), s.Remote.String(), s.State.String()}, " "))
			}
		}
		slices.Sort(lines)
		return lines
	}
	text, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	decoder := procnet.NewDecoder(binary.NativeEndian)
	_, _ = decoder.Write(text)
	want := mine(decoder.Table().Sockets)
	got, err := dumpNetNS(t.Context(), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, mine(got)); diff != "" || len(want) != 3 {
		t.Errorf("(-proc +inet_diag):\n%s", diff)
	}
	for _, s := range got {
		if s.Remote.Port() == port && (s.TCPInfo == nil || s.TCPInfo.RTT <= 0 || s.TCPInfo.Sent != 1000) {
			t.Errorf("info of the connection that sent 1000 bytes: %+v", s.TCPInfo)
		}
		if s.Local.Port() == port && s.State == socket.Established && (s.TCPInfo == nil || s.TCPInfo.Received != 1000) {
			t.Errorf("info of the connection that received 1000 bytes: %+v", s.TCPInfo)
		}
	}
}

// The kernel's counters tell which end dialled, whatever was sent, and also if both ports listen.
func TestDialledBy(t *testing.T) {
	reuse := func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, controlErr)
	}
	config := net.ListenConfig{Control: reuse}
	config.SetMultipathTCP(false) // inet_diag shows the subflows of MPTCP with other counters
	for _, network := range []string{"127.0.0.1:0", "[::1]:0"} {
		server, err := config.Listen(t.Context(), "tcp", network)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		peer, err := config.Listen(t.Context(), "tcp", network) // the client dials from its port
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = peer.Close() })
		dialer := net.Dialer{LocalAddr: peer.Addr(), Control: reuse}
		dialled, err := dialer.DialContext(t.Context(), "tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dialled.Close() })
		accepted, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = accepted.Close() })
		expectDialledBy(t, dialled, socket.LocalEnd)
		expectDialledBy(t, accepted, socket.RemoteEnd)
		for _, transfer := range []struct {
			from, to net.Conn
			size     int
		}{{dialled, accepted, 1}, {accepted, dialled, 1}, {accepted, dialled, 1 << 20}, {dialled, accepted, 1 << 20}} {
			written := make(chan error, 1)
			go func() {
				_, err := transfer.from.Write(make([]byte, transfer.size))
				written <- err
			}()
			if _, err := io.ReadFull(transfer.to, make([]byte, transfer.size)); err != nil {
				t.Fatal(err)
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			expectDialledBy(t, dialled, socket.LocalEnd)
			expectDialledBy(t, accepted, socket.RemoteEnd)
		}
	}
}

// expectDialledBy waits until the peer has acknowledged everything.
func expectDialledBy(t *testing.T, conn net.Conn, want socket.End) {
	t.Helper()
	var got socket.End
	for deadline := time.Now().Add(10 * time.Second); got == socket.UnknownEnd && time.Now().Before(deadline); {
		all, err := dumpNetNS(t.Context(), nil, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Local.String() == conn.LocalAddr().String() && s.Remote.String() == conn.RemoteAddr().String() {
				got = s.DialledBy()
			}
		}
	}
	if got != want {
		t.Errorf("%v to %v was dialled by end %d, want %d", conn.LocalAddr(), conn.RemoteAddr(), got, want)
	}
}

// inet_diag and /proc/net agree on when a connection closed.
func TestTimeWait(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	dialled, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := errors.Join(accepted.Close(), dialled.Close()); err != nil {
		t.Fatal(err)
	}
	closedAt := func(sockets []socket.Socket) (at time.Time) {
		for _, s := range sockets {
			if s.Local.String() == accepted.LocalAddr().String() && s.Remote.String() == accepted.RemoteAddr().String() {
				at = s.ClosedAt(time.Now())
			}
		}
		return at
	}
	var fromDiag time.Time
	for deadline := time.Now().Add(10 * time.Second); fromDiag.IsZero() && time.Now().Before(deadline); { // the last segments are on their way
		all, err := dumpNetNS(t.Context(), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		fromDiag = closedAt(all)
	}
	text, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	decoder := procnet.NewDecoder(binary.NativeEndian)
	_, _ = decoder.Write(text)
	for source, at := range map[string]time.Time{"inet_diag": fromDiag, "/proc/net/tcp": closedAt(decoder.Table().Sockets)} {
		if at.Before(before.Add(-2*time.Second)) || at.After(time.Now()) {
			t.Errorf("%s: closed at %s, want after %s", source, at, before)
		}
	}
}

func dumpNetNS(ctx context.Context, netns *os.File, withTCPInfo bool) ([]socket.Socket, error) {
	conn, err := Open(ctx, netns)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.All(withTCPInfo)
}

// Listeners returns only listeners, and All works on the same connection afterwards.
func TestListenersThenAll(t *testing.T) {
	var config net.ListenConfig
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := config.Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
	}
	conn, err := Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	listeners, err := conn.Listeners()
	if err != nil || len(listeners) < 2 || slices.ContainsFunc(listeners, func(s socket.Socket) bool { return s.State != socket.Listen }) {
		t.Errorf("%v, %v", listeners, err)
	}
	if all, err := conn.All(false); err != nil || len(all) < len(listeners) {
		t.Errorf("%v, %v", all, err)
	}
}

func TestClosedDescriptorIsAnError(t *testing.T) {
	file, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	if _, err := dumpNetNS(t.Context(), file, false); err == nil {
		t.Error("no error")
	}
}

func TestDumpHonoursDeadline(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	if _, err := dumpNetNS(ctx, nil, false); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func BenchmarkDecode(b *testing.B) {
	data := message(b, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, 9, netlink.Attribute{Type: attributeCgroup, Data: number(1)})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := decode(data, socket.TCP); err != nil {
			b.Fatal(err)
		}
	}
}

// A kernel without the module yields ErrUnsupported, not a file error.
func TestUnsupportedKernel(t *testing.T) {
	for _, errno := range []error{unix.ENOENT, unix.EPROTONOSUPPORT, unix.EOPNOTSUPP} {
		if err := wrapError(errno); !errors.Is(err, ErrUnsupported) || errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if err := wrapError(unix.EPERM); !errors.Is(err, os.ErrPermission) || wrapError(nil) != nil {
		t.Errorf("%v", err)
	}
}

// A repeated dump has the whole quota again.
func TestQuota(t *testing.T) {
	conn := &Conn{ctx: t.Context(), dial: kernel(rows(t, netlink.DumpInterrupted, 1, 2), rows(t, 0, 1, 2, 1, 3), rows(t, 0, 1, 2, 3, 4, 5))}
	quota := socket.NewBudget(4, 1).Quota(1)
	conn.SetQuota(quota)
	if got, err := conn.All(false); len(got) != 3 || err != nil || quota.Exceeded() {
		t.Errorf("%d rows, error %v, exceeded %v", len(got), err, quota.Exceeded())
	}
	_ = conn.Close()
	if got, err := conn.All(false); len(got) != 4 || !errors.Is(err, ErrQuota) || !quota.Exceeded() {
		t.Errorf("%d rows, error %v, exceeded %v", len(got), err, quota.Exceeded())
	}
}

// A listener with a full queue drops further connections, so that a client repeats its SYN.
func TestUnansweredConnectionOfTheKernel(t *testing.T) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(listener) })
	if err := errors.Join(unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(listener, 0)); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(at.(*unix.SockaddrInet4).Port) //nolint:errcheck,forcetypeassert // as bound
	for range 4 {                                 // more than the queue holds
		client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(client) })
		if err := unix.Connect(client, at); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
	unanswered := func(all []socket.Socket) bool {
		return slices.ContainsFunc(all, func(s socket.Socket) bool { return s.Remote.Port() == port && s.Unanswered() })
	}
	for {
		got, err := dumpNetNS(t.Context(), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if unanswered(got) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	decoder := procnet.NewDecoder(binary.NativeEndian)
	_, _ = decoder.Write(text)
	if table := decoder.Table(); !unanswered(table.Sockets) {
		t.Errorf("not in /proc/net/tcp: %v", table.Sockets)
	}
}
