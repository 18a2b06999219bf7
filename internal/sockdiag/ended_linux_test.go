package sockdiag

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// counters are what an event's tcp_info has.
type counters struct {
	acked, sent, retransmitted, received uint64
	rtt, segmentsIn, unread              uint32
}

// event returns a destroy event of a protocol.
func event(t testing.TB, row socket.Socket, family, protocol byte, c counters) []byte {
	t.Helper()
	info := make([]byte, 232)
	binary.NativeEndian.PutUint64(info[infoBytesAcked:], c.acked)
	binary.NativeEndian.PutUint64(info[infoBytesSent:], c.sent)
	binary.NativeEndian.PutUint64(info[infoBytesRetrans:], c.retransmitted)
	binary.NativeEndian.PutUint64(info[infoBytesReceived:], c.received)
	binary.NativeEndian.PutUint32(info[infoTotalRetrans:], uint32(c.retransmitted/3)) // segments of three bytes
	binary.NativeEndian.PutUint32(info[infoRTT:], c.rtt)
	binary.NativeEndian.PutUint32(info[infoSegsIn:], c.segmentsIn)
	data := message(t, row, family, 9, netlink.Attribute{Type: attributeInfo, Data: info}, netlink.Attribute{Type: attributeProtocol, Data: []byte{protocol}})
	binary.NativeEndian.PutUint32(data[messageReceiveQueue:], c.unread)
	return data
}

func TestDecodeEnded(t *testing.T) {
	v4, v6 := ends("10.0.0.1:4000", "10.0.0.2:80"), ends("[2001:db8::1]:4000", "[2001:db8::2]:80")
	connected := func(by socket.End, received uint64) socket.Ended {
		return socket.Ended{DialledBy: by, Sent: 10, Received: received, Retransmits: 1, RTT: 1500 * time.Microsecond}
	}
	failed := func(outcome socket.Outcome) socket.Ended {
		return socket.Ended{DialledBy: socket.LocalEnd, Outcome: outcome, Retransmits: 1}
	}
	with := func(acked, received uint64, unread uint32) counters {
		return counters{acked: acked, sent: 13, retransmitted: 3, received: received, rtt: 1500, segmentsIn: 5, unread: unread}
	}
	for name, test := range map[string]struct {
		row      socket.Socket
		family   byte
		counters counters
		want     socket.Ended
	}{
		"dialled":                        {v4, familyIPv4, with(12, 20, 0), connected(socket.LocalEnd, 20)},
		"IPv6":                           {v6, familyIPv6, with(12, 20, 0), connected(socket.LocalEnd, 20)},
		"IPv4 as IPv6":                   {v4, familyIPv6, with(12, 20, 0), connected(socket.LocalEnd, 20)},
		"dialled, FIN unread":            {v4, familyIPv4, with(12, 21, 1), connected(socket.LocalEnd, 20)},
		"dialled, data unread":           {v4, familyIPv4, with(12, 20, 2), connected(socket.LocalEnd, 20)},
		"accepted, reset":                {v4, familyIPv4, with(10, 20, 0), connected(socket.RemoteEnd, 20)},
		"accepted, FIN unread":           {v4, familyIPv4, with(10, 21, 1), connected(socket.RemoteEnd, 20)},
		"ambiguous":                      {v4, familyIPv4, with(11, 21, 0), connected(socket.UnknownEnd, 20)},
		"ambiguous, FIN unread":          {v4, familyIPv4, with(11, 21, 1), connected(socket.UnknownEnd, 20)},
		"ambiguous, nothing received":    {v4, familyIPv4, with(11, 0, 1), connected(socket.UnknownEnd, 0)},
		"data lost":                      {v4, familyIPv4, with(4, 21, 0), connected(socket.UnknownEnd, 20)},
		"more acknowledged":              {v4, familyIPv4, with(13, 21, 0), connected(socket.UnknownEnd, 20)},
		"refused":                        {v4, familyIPv4, counters{segmentsIn: 1}, failed(socket.Refused)},
		"unanswered":                     {v4, familyIPv4, counters{}, failed(socket.Unanswered)},
		"accepted, reset without a byte": {v4, familyIPv4, counters{rtt: 1500, segmentsIn: 2}, socket.Ended{DialledBy: socket.RemoteEnd, RTT: 1500 * time.Microsecond}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.Local, test.want.Remote, test.want.Cookie = test.row.Local, test.row.Remote, 9
			if test.counters.retransmitted == 0 {
				test.want.Retransmits = 0
			}
			got, err := decodeEnded(event(t, test.row, test.family, unix.IPPROTO_TCP, test.counters))
			if diff := gocmp.Diff(test.want, got, compare); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestDecodeAborted(t *testing.T) {
	for name, at := range map[string][2]string{
		"port and address alone": {"0.0.0.0:4000", "10.0.0.2:0"},
		"bound":                  {"10.0.0.1:4000", "10.0.0.2:0"},
		"no local address":       {"0.0.0.0:4000", "10.0.0.2:80"},
	} {
		got, err := decodeEnded(event(t, ends(at[0], at[1]), familyIPv4, unix.IPPROTO_TCP, counters{}))
		if err != nil || got.Outcome != socket.Aborted || got.Local.Port() != 4000 || got.Remote.Addr() != netip.MustParseAddr("10.0.0.2") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDecodeEndedUDP(t *testing.T) {
	for name, test := range map[string]struct {
		row    socket.Socket
		family byte
	}{
		"connected":           {ends("10.0.0.1:4000", "10.0.0.2:53"), familyIPv4},
		"connected, IPv6":     {ends("[2001:db8::1]:4000", "[2001:db8::2]:53"), familyIPv6},
		"connected, mapped":   {ends("10.0.0.1:4000", "10.0.0.2:53"), familyIPv6},
		"connected to port 0": {ends("10.0.0.1:4000", "10.0.0.2:0"), familyIPv4},
		"unconnected":         {ends("0.0.0.0:53", "0.0.0.0:0"), familyIPv4},
		"bound, unconnected":  {ends("127.0.0.11:53", "0.0.0.0:0"), familyIPv4},
		"unconnected, IPv6":   {ends("[::]:53", "[::]:0"), familyIPv6},
	} {
		data := message(t, test.row, test.family, 9, netlink.Attribute{Type: attributeProtocol, Data: []byte{unix.IPPROTO_UDP}})
		want := socket.Ended{Protocol: socket.UDP, Local: test.row.Local, Remote: test.row.Remote, Cookie: 9}
		if got, err := decodeEnded(data); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDecodeEndedWithoutConnection(t *testing.T) {
	tcp := func(local, remote string) []byte {
		return event(t, ends(local, remote), familyIPv4, unix.IPPROTO_TCP, counters{})
	}
	for name, data := range map[string][]byte{
		"listener":                 tcp("0.0.0.0:80", "0.0.0.0:0"),
		"unused":                   tcp("10.0.0.1:0", "10.0.0.2:80"),
		"no remote address":        tcp("10.0.0.1:4000", "0.0.0.0:80"),
		"UDP-Lite":                 event(t, ends("10.0.0.1:4000", "10.0.0.2:80"), familyIPv4, unix.IPPROTO_UDPLITE, counters{}),
		"no protocol":              message(t, ends("10.0.0.1:4000", "10.0.0.2:80"), familyIPv4, 9, netlink.Attribute{Type: attributeInfo, Data: make([]byte, 232)}),
		"no attributes, UDP group": message(t, ends("10.0.0.1:4000", "10.0.0.2:80"), familyIPv4, 9),
	} {
		if ended, err := decodeEnded(data); !errors.Is(err, errNoConnection) {
			t.Errorf("%s: %v, %v", name, ended, err)
		}
	}
}

// malformedEvents are no events, but events of something.
func malformedEvents(t testing.TB) map[string][]byte {
	row := ends("10.0.0.1:4000", "10.0.0.2:80")
	good := event(t, row, familyIPv4, unix.IPPROTO_TCP, counters{acked: 2, rtt: 1})
	change := func(at int, value byte) []byte { data := slices.Clone(good); data[at] = value; return data }
	protocol := netlink.Attribute{Type: attributeProtocol, Data: []byte{unix.IPPROTO_TCP}}
	return map[string][]byte{
		"empty": nil, "short": good[:messageSize-1], "attribute cut": good[:messageSize+100], "last attribute cut": good[:len(good)-4],
		"no tcp_info":                 message(t, row, familyIPv4, 9, protocol),
		"kernel before 4.19":          message(t, row, familyIPv4, 9, protocol, netlink.Attribute{Type: attributeInfo, Data: make([]byte, 208)}),
		"unknown family":              change(messageFamily, 1),
		"attribute's length too long": change(messageSize+1, 0xff),
		"attribute of no length":      change(messageSize, 0),
	}
}

func TestDecodeEndedMalformed(t *testing.T) {
	for name, data := range malformedEvents(t) {
		if ended, err := decodeEnded(data); err == nil || errors.Is(err, errNoConnection) || ended != (socket.Ended{}) {
			t.Errorf("%s: %v, %v", name, ended, err)
		}
	}
}

// datagram returns messages of a type, each with the header.
func datagram(kind uint16, bodies ...[]byte) (data []byte) {
	for _, body := range bodies {
		data = binary.NativeEndian.AppendUint32(data, uint32(headerSize+len(body)))
		data = binary.NativeEndian.AppendUint16(data, kind)
		data = append(data, make([]byte, headerSize-6)...)
		data = append(data, body...)
		data = append(data, make([]byte, -len(body)&3)...)
	}
	return data
}

func TestDecodeEvents(t *testing.T) {
	good := event(t, ends("10.0.0.1:4000", "10.0.0.2:80"), familyIPv4, unix.IPPROTO_TCP, counters{acked: 2, rtt: 1})
	listener := event(t, ends("0.0.0.0:80", "0.0.0.0:0"), familyIPv4, unix.IPPROTO_TCP, counters{})
	unbound := event(t, ends("0.0.0.0:0", "0.0.0.0:0"), familyIPv4, unix.IPPROTO_UDP, counters{})
	one := datagram(sockDiagByFamily, good)
	withLength := func(length uint32) []byte {
		data := datagram(sockDiagByFamily, good, good)
		binary.NativeEndian.PutUint32(data[len(one):], length)
		return data
	}
	for name, test := range map[string]struct {
		data   []byte
		events int
		lost   bool
	}{
		"unbound UDP":               {datagram(sockDiagByFamily, unbound), 0, false},
		"unbound UDP, then TCP":     {datagram(sockDiagByFamily, unbound, listener), 0, false},
		"empty":                     {nil, 0, false},
		"one":                       {one, 1, false},
		"three":                     {datagram(sockDiagByFamily, good, good, good), 3, false},
		"unaligned":                 {datagram(sockDiagByFamily, append(slices.Clone(good), 0), good), 2, false},
		"without the last padding":  {datagram(sockDiagByFamily, append(slices.Clone(good), 0))[:headerSize+len(good)+1], 1, false},
		"with a listener":           {datagram(sockDiagByFamily, listener, good), 1, false},
		"another type":              {datagram(unix.NLMSG_NOOP, good, nil), 0, false},
		"a malformed one":           {datagram(sockDiagByFamily, good, good[:messageSize-1], good), 2, true},
		"an empty one":              {datagram(sockDiagByFamily, nil), 0, true},
		"a header cut":              {append(slices.Clone(one), one[:headerSize-1]...), 1, true},
		"a message cut":             {datagram(sockDiagByFamily, good, good)[:2*len(one)-1], 1, true},
		"length 0":                  {withLength(0), 1, true},
		"length below the header's": {withLength(headerSize - 1), 1, true},
		"length beyond the end":     {withLength(uint32(len(one)) + 1), 1, true},
		"greatest length":           {withLength(1<<32 - 1), 1, true},
	} {
		at := time.Unix(1000, 0)
		events, ended, lost := decodeEvents(test.data, 7, at)
		isEnd := test.events > 0 || name == "unbound UDP, then TCP"
		if len(events) != test.events || lost != test.lost || ended != isEnd {
			t.Errorf("%s: %d events, lost %v; want %d, %v", name, len(events), lost, test.events, test.lost)
		}
		for _, e := range events {
			if e.Namespace != 7 || !e.At.Equal(at) || e.Remote != netip.MustParseAddrPort("10.0.0.2:80") {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

func FuzzDecodeEvents(f *testing.F) {
	good := event(f, ends("10.0.0.1:4000", "10.0.0.2:80"), familyIPv4, unix.IPPROTO_TCP, counters{acked: 2, rtt: 1})
	f.Add(datagram(sockDiagByFamily, good, good))
	f.Add(datagram(sockDiagByFamily, event(f, ends("[2001:db8::1]:80", "[2001:db8::2]:4000"), familyIPv6, unix.IPPROTO_TCP, counters{acked: 1, unread: 1})))
	f.Add(datagram(sockDiagByFamily, event(f, ends("0.0.0.0:4000", "10.0.0.2:0"), familyIPv4, unix.IPPROTO_TCP, counters{})))
	f.Add(datagram(sockDiagByFamily, event(f, ends("10.0.0.1:4000", "10.0.0.2:53"), familyIPv4, unix.IPPROTO_UDP, counters{})))
	f.Add(datagram(sockDiagByFamily, event(f, ends("0.0.0.0:0", "0.0.0.0:0"), familyIPv4, unix.IPPROTO_UDP, counters{})))
	f.Add(datagram(sockDiagByFamily, event(f, ends("[::]:53", "[::]:0"), familyIPv6, unix.IPPROTO_UDP, counters{})))
	for _, data := range malformedEvents(f) {
		f.Add(datagram(sockDiagByFamily, data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		events, _, _ := decodeEvents(data, 7, time.Unix(1000, 0))
		if len(events) > len(data)/(headerSize+messageSize) {
			t.Errorf("%d events in %d bytes", len(events), len(data))
		}
		for _, e := range events {
			if e.Protocol == socket.UDP {
				want := socket.Ended{Protocol: socket.UDP, Local: e.Local, Remote: e.Remote, Cookie: e.Cookie, Namespace: 7, At: e.At}
				if e != want || !e.Local.IsValid() || e.Local.Addr().Is4In6() || e.Local.Port() == 0 || !e.Remote.IsValid() {
					t.Errorf("%+v", e)
				}
				continue
			}
			isWhole := !e.Local.Addr().IsUnspecified() && e.Remote.Port() != 0
			if !e.Local.IsValid() || e.Local.Addr().Is4In6() || e.Local.Port() == 0 || e.Remote.Addr().IsUnspecified() || isWhole == (e.Outcome == socket.Aborted) || e.Namespace != 7 || e.RTT < 0 {
				t.Errorf("%+v", e)
			}
		}
	})
}

// The reader must keep up with the kernel: it allocates only the slice of events.
func TestDecodeEventsAllocatesLittle(t *testing.T) {
	data := event(t, ends("10.0.0.1:4000", "10.0.0.2:80"), familyIPv4, unix.IPPROTO_TCP, counters{acked: 2, rtt: 1})
	if n := testing.AllocsPerRun(100, func() { _, _ = decodeEnded(data) }); n > 0 {
		t.Errorf("decodeEnded: %v allocations", n)
	}
	data = datagram(sockDiagByFamily, data)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = decodeEvents(data, 7, time.Time{}) }); n > 1 {
		t.Errorf("decodeEvents: %v allocations", n)
	}
}

func BenchmarkDecodeEnded(b *testing.B) {
	data := event(b, ends("10.0.0.1:4000", "10.0.0.2:80"), familyIPv4, unix.IPPROTO_TCP, counters{acked: 2, rtt: 1})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeEnded(data); err != nil {
			b.Fatal(err)
		}
	}
}
