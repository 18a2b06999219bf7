package sockdiag

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// controlMessage returns a control message.
func controlMessage(level, kind int32, value []byte) []byte {
	data := make([]byte, unix.CmsgSpace(len(value)))
	binary.NativeEndian.PutUint64(data, uint64(unix.CmsgLen(len(value))))
	binary.NativeEndian.PutUint32(data[8:], uint32(level))
	binary.NativeEndian.PutUint32(data[12:], uint32(kind))
	copy(data[unix.CmsgLen(0):], value)
	return data
}

func TestNamespaceOf(t *testing.T) {
	const kind = unix.NETLINK_LISTEN_ALL_NSID
	seven := binary.NativeEndian.AppendUint32(nil, 7)
	right := controlMessage(unix.SOL_NETLINK, kind, seven)
	for name, test := range map[string]struct {
		control []byte
		want    int32
	}{
		"absent":         {nil, socket.OwnNamespace},
		"right":          {right, 7},
		"after another":  {append(controlMessage(unix.SOL_NETLINK, unix.NETLINK_PKTINFO, make([]byte, 8)), right...), 7},
		"short":          {controlMessage(unix.SOL_NETLINK, kind, seven[:3]), socket.OwnNamespace},
		"cut":            {right[:unix.CmsgLen(0)+2], socket.OwnNamespace},
		"header cut":     {right[:8], socket.OwnNamespace},
		"of another":     {controlMessage(unix.SOL_SOCKET, kind, seven), socket.OwnNamespace},
		"another type":   {controlMessage(unix.SOL_NETLINK, unix.NETLINK_PKTINFO, seven), socket.OwnNamespace},
		"the number max": {controlMessage(unix.SOL_NETLINK, kind, []byte{255, 255, 255, 127}), 1<<31 - 1},
	} {
		if got := namespaceOf(test.control); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestIsFromKernel(t *testing.T) {
	for _, test := range []struct {
		from unix.Sockaddr
		want bool
	}{{nil, false}, {&unix.SockaddrUnix{}, false}, {&unix.SockaddrNetlink{Pid: 1}, false}, {&unix.SockaddrNetlink{Groups: 1}, true}} {
		if got := isFromKernel(test.from); got != test.want {
			t.Errorf("%+v: %v", test.from, got)
		}
	}
}

// listen returns a listener in the test's own network namespace. It needs no privilege there.
func listen(t testing.TB) *Listener {
	t.Helper()
	l, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// await receives events until done returns true for all of them.
func await(t testing.TB, l *Listener, done func(all []socket.Ended, losses uint64) bool) (all []socket.Ended) {
	t.Helper()
	timeout := time.After(time.Minute)
	var losses uint64
	for !done(all, losses) {
		select {
		case <-l.More():
		case <-timeout:
			t.Fatalf("%d events and %d losses after a minute", len(all), losses)
		}
		var more uint64
		all, more = l.Receive(all)
		losses += more
	}
	return all
}

// server listens on loopback. MPTCP is off: events have other counters of its subflows.
func server(t testing.TB, address string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// pair returns both ends of a new connection.
func pair(t testing.TB, at net.Listener) (dialled, accepted *net.TCPConn) {
	t.Helper()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := at.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client.(*net.TCPConn), server.(*net.TCPConn) //nolint:errcheck,forcetypeassert // both are of TCP
}

// exchange makes a connection that carries bytes both ways. Either end closes first. It returns the client's endpoint.
func exchange(t testing.TB, at net.Listener, request, response int, serverFirst bool) netip.AddrPort {
	t.Helper()
	dialled, accepted := pair(t, at)
	first, second := dialled, accepted
	if serverFirst {
		first, second = accepted, dialled
	}
	_, err1 := dialled.Write(make([]byte, request))
	_, err2 := io.ReadFull(accepted, make([]byte, request))
	_, err3 := accepted.Write(make([]byte, response))
	_, err4 := io.ReadFull(dialled, make([]byte, response))
	if err := errors.Join(err1, err2, err3, err4, first.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(dialled.LocalAddr().String())
}

// endsBetween returns the events with a port at either end.
func endsBetween(all []socket.Ended, ports ...uint16) (mine []socket.Ended) {
	for _, e := range all {
		for _, port := range ports {
			if e.Local.Port() == port || e.Remote.Port() == port {
				mine = append(mine, e)
			}
		}
	}
	return mine
}

// Each end of 200 connections has one event with the right bytes. Whether Received has the FIN is not certain, so it may be off by one.
func TestListenerHearsBothEnds(t *testing.T) {
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	type traffic struct{ request, response int }
	want := make(map[netip.AddrPort]traffic) // by the client's endpoint
	var ports []uint16
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		at := server(t, address)
		ports = append(ports, netip.MustParseAddrPort(at.Addr().String()).Port())
		for i := range 100 {
			client := exchange(t, at, 1+i, 1000*i, i%2 == 0)
			want[client] = traffic{1 + i, 1000 * i}
		}
	}
	all := await(t, l, func(all []socket.Ended, losses uint64) bool {
		if losses > 0 {
			t.Fatal("events are lost")
		}
		return len(endsBetween(all, ports...)) >= 2*len(want)
	})
	type end struct{ local, remote netip.AddrPort }
	seen := make(map[end]bool)
	for _, e := range endsBetween(all, ports...) {
		sent, received, isClient := 0, 0, false
		if w, ok := want[e.Local]; ok {
			sent, received, isClient = w.request, w.response, true
		} else if w, ok := want[e.Remote]; ok {
			sent, received = w.response, w.request
		}
		if seen[end{e.Local, e.Remote}] || e.Outcome != socket.Connected || e.Namespace != socket.OwnNamespace || e.Sent != uint64(sent) ||
			(e.DialledBy == socket.LocalEnd) != isClient || e.RTT <= 0 || e.Received+1 < uint64(received) || e.Received > uint64(received)+1 {
			t.Errorf("%+v, want %d bytes sent, %d received, dialled %v", e, sent, received, isClient)
		}
		seen[end{e.Local, e.Remote}] = true
	}
	if len(seen) != 2*len(want) {
		t.Errorf("%d ends, want %d", len(seen), 2*len(want))
	}
}

func TestListenerHearsRefusedDial(t *testing.T) {
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	at := server(t, "127.0.0.1:0")
	port := netip.MustParseAddrPort(at.Addr().String()).Port()
	_ = at.Close()
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", at.Addr().String()); !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatal(err)
	}
	all := await(t, l, func(all []socket.Ended, _ uint64) bool { return len(endsBetween(all, port)) > 0 })
	if mine := endsBetween(all, port); len(mine) != 1 || mine[0].Outcome != socket.Refused || mine[0].DialledBy != socket.LocalEnd || mine[0].Remote.Port() != port {
		t.Errorf("%+v", mine)
	}
}

// While add waits, nothing reads the socket. The kernel drops events and says so. Later events arrive.
func TestListenerReportsOverflow(t *testing.T) {
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	if err := unix.SetsockoptInt(l.descriptor, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	at := server(t, "127.0.0.1:0")
	port := netip.MustParseAddrPort(at.Addr().String()).Port()
	var all []socket.Ended
	made := 0
	for losses := uint64(0); losses == 0; { // the kernel's workers may send the events after the lock is free
		func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			for range 100 {
				exchange(t, at, 1, 1, false)
			}
		}()
		made += 200
		all, losses = l.Receive(all)
	}
	if n := len(endsBetween(all, port)); n >= made {
		t.Errorf("a loss is reported, and %d of %d events are there", n, made)
	}
	var clients []uint16
	var later []socket.Ended
	for deadline := time.Now().Add(time.Minute); len(endsBetween(later, clients...)) == 0; { // the small buffer may drop the first ones
		if time.Now().After(deadline) {
			t.Fatal("no event after a loss")
		}
		clients = append(clients, exchange(t, at, 1, 1, false).Port())
		later, _ = l.Receive(later)
	}
}

// The end that aborts its connection loses its other figures. The other end has them.
func TestListenerHearsAborts(t *testing.T) {
	at, l := server(t, "127.0.0.1:0"), listen(t)
	t.Cleanup(func() { _ = l.Close() })
	dialled, accepted := pair(t, at)
	client := netip.MustParseAddrPort(dialled.LocalAddr().String())
	_, err1 := dialled.Write(make([]byte, 10))
	_, err2 := io.ReadFull(accepted, make([]byte, 10))
	if err := errors.Join(err1, err2, dialled.SetLinger(0), dialled.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatal(err)
	}
	_ = accepted.Close()
	var aborted, other *socket.Ended
	await(t, l, func(all []socket.Ended, _ uint64) bool {
		for i, e := range all {
			switch {
			case e.Outcome == socket.Aborted && e.Local.Port() == client.Port() && e.Remote.Addr() == client.Addr():
				aborted = &all[i]
			case e.Remote == client:
				other = &all[i]
			}
		}
		return aborted != nil && other != nil
	})
	if other.Outcome != socket.Connected || other.DialledBy != socket.RemoteEnd || other.Received != 10 {
		t.Errorf("the other end: %+v", other)
	}
}

func TestListenerBoundsUnread(t *testing.T) {
	l := &Listener{maxUnread: maxUnread, more: make(chan struct{}, 1), ended: make(map[int32]uint64)}
	l.add(7, make([]socket.Ended, maxUnread-1), false)
	l.add(7, make([]socket.Ended, 1), false)
	if len(l.unread) != maxUnread || l.losses != 0 {
		t.Fatalf("%d unread, %d losses", len(l.unread), l.losses)
	}
	l.add(7, make([]socket.Ended, 3), false)
	l.add(7, nil, true)
	if all, losses := l.Receive(nil); len(all) != maxUnread || losses != 2 {
		t.Errorf("%d events, %d losses", len(all), losses)
	}
	if all, losses := l.Receive(nil); len(all) != 0 || losses != 0 {
		t.Errorf("%d events, %d losses the second time", len(all), losses)
	}
	if len(l.More()) != 1 {
		t.Error("More has no element")
	}
}

// openDescriptors returns the number of open file descriptors.
func openDescriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestClosedListenerLeavesNothing(t *testing.T) {
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	for range 20 {
		if err := listen(t).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := openDescriptors(t); n > descriptors {
		t.Errorf("%d descriptors before, %d after", descriptors, n)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() { // they have ended, but may be counted still
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
		}
	}
}

// A reader that never finds its socket empty ends too.
func TestCloseEndsBusyReader(t *testing.T) {
	l := listen(t)
	if err := unix.Dup3(l.wake[0], l.descriptor, unix.O_CLOEXEC); err != nil { // Recvmsg on a pipe always fails
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// processCPU returns the processor time that the process has taken.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// connect makes connections that the client resets, so that none stays in TIME_WAIT.
func connect(b *testing.B, at net.Listener, n int) {
	b.Helper()
	for range n {
		dialled, accepted := pair(b, at)
		if err := errors.Join(dialled.SetLinger(0), dialled.Close(), accepted.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListener compares the processor time of a process that makes 10,000 connections with and without a listener.
func BenchmarkListener(b *testing.B) {
	at := server(b, "127.0.0.1:0")
	var without, with time.Duration
	for b.Loop() {
		start := processCPU(b)
		connect(b, at, 10_000)
		without += processCPU(b) - start
		l := listen(b)
		start = processCPU(b)
		connect(b, at, 10_000)
		with += processCPU(b) - start
		_ = l.Close()
	}
	b.ReportMetric(float64(with)/float64(without), "CPU-ratio")
}
