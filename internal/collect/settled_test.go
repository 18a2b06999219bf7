package collect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
	"github.com/PabloL007/outpost/internal/socket"
)

// hearingWorld is a container that listens on port 81, beside a collector that hears the ends of its sockets.
type hearingWorld struct {
	*world
	collector *Collector
	netns     *os.File
	differed  atomic.Int64
}

func newHearingWorld(t testing.TB) *hearingWorld {
	t.Helper()
	w := &hearingWorld{world: &world{caches: true, containers: []container.Container{running("kept", startProcess(t, "kept", 0, "0.0.0.0:81"), "bridge")}}}
	w.netns = sockdiagtest.OpenNetNS(t, w.containers[0].PID)
	sockdiagtest.AssignNSID(t, w.netns)
	w.collector = w.world.collector(t, Sockdiag)
	w.collector.Differed = func() { w.differed.Add(1) }
	w.collector.Following(true)
	w.collector.HearEnds(startHearing(t))
	return w
}

func startHearing(t testing.TB) EndsIn {
	t.Helper()
	listener, err := sockdiag.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.EndsIn
}

// sockets returns the container's sockets, one in a line.
func (w *hearingWorld) sockets(t *testing.T, c *Collector) string {
	t.Helper()
	result, err := c.Collect(t.Context(), false)
	if err != nil || len(result.Readings) != 1 || len(result.Readings[0].Problems) > 0 {
		t.Fatalf("%+v, %v", result.Readings, err)
	}
	var lines []string
	for _, s := range result.Readings[0].NetNS.Sockets {
		lines = append(lines, fmt.Sprint(s.Local, " ", s.Remote, " ", s.State))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// expectSockets collects until the answer is want. The kernel reports ends in the background.
func (w *hearingWorld) expectSockets(t *testing.T, want string) {
	t.Helper()
	waitFor(t, want, func() bool { return w.sockets(t, w.collector) == want })
}

func (w *hearingWorld) kept() *keptProcess { return w.collector.kept.byID[id("kept")] }

// settle collects until the next answer needs no dump.
func (w *hearingWorld) settle(t *testing.T) {
	t.Helper()
	waitFor(t, "a settled dump", func() bool {
		w.sockets(t, w.collector)
		return w.kept().settled != nil
	})
	w.kept().settled.reuses = 0
}

// isReused reports whether the next answer comes without a dump.
func (w *hearingWorld) isReused(t *testing.T) bool {
	t.Helper()
	before := 0
	if s := w.kept().settled; s != nil {
		before = s.reuses
	}
	w.sockets(t, w.collector)
	s := w.kept().settled
	return s != nil && s.reuses == before+1
}

// expectReuses expects the same sockets until the next dump, which proves them.
func (w *hearingWorld) expectReuses(t *testing.T, want string) {
	t.Helper()
	for range maxReuses {
		if got := w.sockets(t, w.collector); got != want {
			t.Fatalf("%s", got)
		}
	}
	if w.isReused(t) {
		t.Error("the dump was never proven")
	}
	if n := w.differed.Load(); n != 0 {
		t.Errorf("%d differences", n)
	}
}

const listener81 = "0.0.0.0:81 0.0.0.0:0 LISTEN"

// listen listens in the container's network namespace, without MPTCP: its sockets are not counted as others.
func (w *hearingWorld) listen(t testing.TB, address string) net.Listener {
	t.Helper()
	return listenIn(t, w.netns, address)
}

func listenIn(t testing.TB, netns *os.File, address string) net.Listener {
	t.Helper()
	var listener net.Listener
	sockdiagtest.In(t, netns, func() {
		var config net.ListenConfig
		config.SetMultipathTCP(false)
		var err error
		if listener, err = config.Listen(context.WithoutCancel(t.Context()), "tcp4", address); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// connection is both ends of a connection inside the container.
type connection struct{ client, server *net.TCPConn }

// connect opens a connection in the container's network namespace.
func (w *hearingWorld) connect(t testing.TB, to net.Listener) connection {
	t.Helper()
	return connectIn(t, w.netns, to)
}

// connectIn opens a connection from a network namespace. Both ends abort it when they close: TIME_WAIT would last a minute.
func connectIn(t testing.TB, netns *os.File, to net.Listener) connection {
	t.Helper()
	var client net.Conn
	sockdiagtest.In(t, netns, func() {
		var dialer net.Dialer
		dialer.SetMultipathTCP(false)
		var err error
		if client, err = dialer.DialContext(t.Context(), "tcp4", to.Addr().String()); err != nil {
			t.Error(err)
		}
	})
	server, err := to.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := connection{client.(*net.TCPConn), server.(*net.TCPConn)} //nolint:errcheck // both are of TCP
	for _, end := range []*net.TCPConn{c.client, c.server} {
		_ = end.SetLinger(0)
		t.Cleanup(func() { _ = end.Close() })
	}
	return c
}

func (c connection) close() { _, _ = c.client.Close(), c.server.Close() }

func (c connection) lines() []string {
	client, server := c.client.LocalAddr(), c.server.LocalAddr()
	return []string{fmt.Sprint(client, " ", server, " ESTABLISHED"), fmt.Sprint(server, " ", client, " ESTABLISHED")}
}

// lines returns the sockets as sockets does.
func lines(listeners []net.Listener, connections ...connection) string {
	all := []string{listener81}
	for _, l := range listeners {
		all = append(all, fmt.Sprint(l.Addr(), " 0.0.0.0:0 LISTEN"))
	}
	for _, c := range connections {
		all = append(all, c.lines()...)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// A closed netlink socket cannot dump anything: an answer through it comes without a dump.
func TestUnchangedSocketsAreNotDumped(t *testing.T) {
	w := newHearingWorld(t)
	at := w.listen(t, "127.0.0.1:82")
	open := w.connect(t, at)
	w.settle(t)
	if err := w.kept().conn.Close(); err != nil {
		t.Fatal(err)
	}
	opened := w.collector.kept.opened.Load()
	w.expectReuses(t, lines([]net.Listener{at}, open))
	if n := w.collector.kept.opened.Load(); n != opened {
		t.Errorf("%d openings", n-opened)
	}
}

func TestChangesAreDumped(t *testing.T) {
	w := newHearingWorld(t)
	w.settle(t)
	at := w.listen(t, "127.0.0.1:82")
	if got := w.sockets(t, w.collector); got != lines([]net.Listener{at}) {
		t.Errorf("a new listener: %s", got)
	}
	w.settle(t)
	one := w.connect(t, at)
	if got := w.sockets(t, w.collector); got != lines([]net.Listener{at}, one) {
		t.Errorf("a new connection: %s", got)
	}
	// From here on the kernel counts as many sockets as before. Only the events show that they are others.
	w.settle(t)
	one.close()
	other := w.connect(t, at)
	w.expectSockets(t, lines([]net.Listener{at}, other))
	w.settle(t)
	_ = at.Close()
	another := w.listen(t, "127.0.0.1:83")
	w.expectSockets(t, lines([]net.Listener{another}, other))
}

// The peer resets a connection, and another one begins. No socket ends, and the kernel counts as many.
func TestConnectionAfterAReset(t *testing.T) {
	w := newHearingWorld(t)
	outside := w.connectOutside(t)
	at := w.listen(t, "10.213.7.2:82")
	one := connectIn(t, outside, at)
	w.settle(t)
	_ = one.client.Close()
	if _, err := one.server.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatal(err)
	}
	other := connectIn(t, outside, at)
	if got, want := w.sockets(t, w.collector), lines([]net.Listener{at})+"\n"+other.lines()[1]; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// connectOutside returns a network namespace with a veth to the container's. Their addresses are 10.213.7.1 and 10.213.7.2.
func (w *hearingWorld) connectOutside(t *testing.T) *os.File {
	t.Helper()
	outside := sockdiagtest.OpenNetNS(t, startProcess(t, "outside", 0, "0.0.0.0:80"))
	ip := func(netns *os.File, command string) {
		t.Helper()
		sockdiagtest.In(t, netns, func() {
			if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(command)...).CombinedOutput(); err != nil {
				t.Errorf("ip %s: %v: %s", command, err, out)
			}
		})
	}
	ip(outside, fmt.Sprint("link add outer type veth peer name inner netns ", w.containers[0].PID))
	for device, netns := range map[string]*os.File{"outer": outside, "inner": w.netns} {
		ip(netns, "address add "+map[string]string{"outer": "10.213.7.1/24", "inner": "10.213.7.2/24"}[device]+" dev "+device)
		ip(netns, "link set "+device+" up")
	}
	return outside
}

// The other side closes its direction alone: no socket ends. Whether the kernel counts the connection depends on its version.
func TestHalfClosedConnectionDisappears(t *testing.T) {
	w := newHearingWorld(t)
	at := w.listen(t, "127.0.0.1:82")
	open := w.connect(t, at)
	w.settle(t)
	if err := open.server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for n := 0; w.sockets(t, w.collector) != lines([]net.Listener{at}); n++ {
		if n > maxReuses {
			t.Fatal("the connection is still listed")
		}
	}
	if w.isReused(t) {
		t.Error("a dump that lacks sockets was reused")
	}
}

func TestUnnoticedChangeIsFoundAndCounted(t *testing.T) {
	w := newHearingWorld(t)
	w.settle(t)
	w.kept().settled.sockets[0].Inode++ // as if the listener were another one by now
	for n := 0; w.differed.Load() == 0; n++ {
		if n > maxReuses {
			t.Fatal("the change was never found")
		}
		w.sockets(t, w.collector)
	}
	for range 2 * maxReuses {
		w.sockets(t, w.collector)
	}
	if n := w.differed.Load(); n != 1 {
		t.Errorf("%d differences, want 1", n)
	}
}

func TestNothingIsReusedWithoutEvents(t *testing.T) {
	w := newHearingWorld(t)
	w.settle(t)
	if !w.isReused(t) {
		t.Fatal("not reused with events, so the test shows nothing")
	}
	w.collector.HearEnds(func(int32) (uint64, bool) { return 0, false })
	if w.isReused(t) {
		t.Error("reused although the namespace is not heard")
	}
	w.collector.HearEnds(startHearing(t))
	w.settle(t)
	w.collector.HearEnds(nil)
	if w.isReused(t) {
		t.Error("reused although nothing is heard")
	}
}

// What the kernel measures of connections changes while the connections stay.
func TestMeasuredConnectionsAreDumped(t *testing.T) {
	w := newHearingWorld(t)
	open := w.connect(t, w.listen(t, "127.0.0.1:82"))
	w.settle(t)
	if _, err := open.client.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the bytes", func() bool {
		result, err := w.collector.Collect(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(result.Readings[0].NetNS.Sockets, func(s socket.Socket) bool { return s.TCPInfo != nil && s.TCPInfo.Received == 100 })
	})
	if w.settle(t); !w.isReused(t) {
		t.Error("an answer without measurements was not reused")
	}
}

func TestSettledSocketsAreBounded(t *testing.T) {
	w := newHearingWorld(t)
	w.settle(t)
	if n := w.collector.kept.settled.Load(); n != 1 {
		t.Errorf("%d sockets, want 1", n)
	}
	w.collector.kept.maxSettled = 1
	at := w.listen(t, "127.0.0.1:82")
	w.sockets(t, w.collector)
	if w.kept().settled != nil || w.collector.kept.settled.Load() != 0 {
		t.Errorf("%d sockets stay, the limit is 1", w.collector.kept.settled.Load())
	}
	_ = at.Close()
	w.settle(t)
	w.collector.Changed(id("kept"))
	if n := w.collector.kept.settled.Load(); n != 0 {
		t.Errorf("%d sockets of an ended container", n)
	}
}

func TestReusedSocketsCountForTheQuota(t *testing.T) {
	listener := socket.Socket{State: socket.Listen}
	s := &settled{sockets: slices.Repeat([]socket.Socket{listener}, 4)}
	budget := socket.NewBudget(3, 1)
	if sockets, ok := s.reuse(budget.Quota(1)); ok {
		t.Errorf("%d sockets, the budget is 3", len(sockets))
	}
	quota := socket.NewBudget(4, 1).Quota(1)
	if sockets, ok := s.reuse(quota); !ok || len(sockets) != 4 || quota.Take(true) {
		t.Errorf("%d sockets, %v", len(sockets), ok)
	}
}

func TestUnstableSocketsAreNotReused(t *testing.T) {
	at := netip.MustParseAddrPort("10.0.0.1:80")
	for name, test := range map[string]struct {
		socket socket.Socket
		want   bool
	}{
		"listener":   {socket.Socket{Local: at, State: socket.Listen}, true},
		"accepted":   {socket.Socket{Local: at, State: socket.Established, Inode: 1}, true},
		"unaccepted": {socket.Socket{Local: at, State: socket.Established}, false},
		"dialling":   {socket.Socket{Local: at, State: socket.SynSent, Inode: 1}, false},
		"closed":     {socket.Socket{Local: at, State: socket.TimeWait}, false},
	} {
		if got := isStable([]socket.Socket{{State: socket.Listen}, test.socket}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whatever sockets do, an answer is the truth as soon as the kernel has reported the ends.
func TestReusedDumpsFollowRandomChanges(t *testing.T) {
	w := newHearingWorld(t)
	bare := w.world.collector(t, Sockdiag)
	random := rand.New(rand.NewPCG(1, 2))
	var listeners []net.Listener
	var open []connection
	steps := []func(){
		func() { listeners = append(listeners, w.listen(t, "127.0.0.1:0")) },
		func() { open = append(open, w.connect(t, listeners[random.IntN(len(listeners))])) },
		func() {
			if n := len(open); n > 0 {
				open[n-1].close()
				open = open[:n-1]
			}
		},
		func() {
			if n := len(listeners); n > 1 {
				_ = listeners[0].Close()
				listeners = listeners[1:]
			}
		},
		func() { w.sockets(t, w.collector) },
	}
	steps[0]()
	for range 60 {
		for range 1 + random.IntN(4) {
			steps[random.IntN(len(steps))]()
		}
		want := lines(listeners, open...)
		w.expectSockets(t, want)
		if got := w.sockets(t, bare); got != want {
			t.Fatalf("a bare dump: %s, want %s", got, want)
		}
	}
}
