package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
	"github.com/PabloL007/outpost/internal/socket"
)

// bindUDPIn binds a UDP socket in a network namespace. The network is udp, udp4 or udp6.
func bindUDPIn(t testing.TB, netns *os.File, network, address string) net.PacketConn {
	t.Helper()
	var conn net.PacketConn
	sockdiagtest.In(t, netns, func() {
		var err error
		if conn, err = new(net.ListenConfig).ListenPacket(context.WithoutCancel(t.Context()), network, address); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// connectUDPIn connects a UDP socket in a network namespace.
func connectUDPIn(t testing.TB, netns *os.File, network, remote string) net.Conn {
	t.Helper()
	var conn net.Conn
	sockdiagtest.In(t, netns, func() {
		var err error
		if conn, err = new(net.Dialer).DialContext(t.Context(), network, remote); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// addUDP opens UDP sockets of each kind in a network namespace, and returns how many.
func addUDP(t *testing.T, netns *os.File) int {
	t.Helper()
	sockets := 6
	bindUDPIn(t, netns, "udp4", "127.0.0.11:5001")
	bindUDPIn(t, netns, "udp", "[::]:5002") // dual-stack
	bindUDPIn(t, netns, "udp6", "[::1]:5003")
	connectUDPIn(t, netns, "udp4", "127.0.0.1:53")
	connectUDPIn(t, netns, "udp6", "[::1]:53")
	sockdiagtest.In(t, netns, func() {
		descriptor, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(descriptor) })
		mapped := netip.MustParseAddr("::ffff:127.0.0.1").As16()
		if err := unix.Connect(descriptor, &unix.SockaddrInet6{Port: 54, Addr: mapped}); err != nil {
			t.Fatal(err)
		}
		if addVXLAN(t) {
			sockets++
		}
	})
	return sockets
}

// addVXLAN makes a device, for which the kernel binds a UDP socket of its own that no process holds. Not every kernel has the module.
func addVXLAN(t *testing.T) bool {
	t.Helper()
	for _, command := range []string{"link add vx0 type vxlan id 5 dstport 4789 local 127.0.0.1", "link set vx0 up"} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Logf("no VXLAN: %v: %s", err, out)
			return false
		}
	}
	return true
}

// printTablesOf answers commands with the files of a process.
func printTablesOf(pid int) func(context.Context, string, io.Writer) error {
	return func(_ context.Context, _ string, stdout io.Writer) error {
		var errs []error
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
			_, writeErr := stdout.Write(text)
			errs = append(errs, err, writeErr)
		}
		return errors.Join(errs...)
	}
}

// comparableSockets returns sockets in one order, those of UDP last, without what only netlink reports.
func comparableSockets(sockets []socket.Socket) []socket.Socket {
	sockets = slices.Clone(sockets)
	for i := range sockets {
		sockets[i].CgroupID = 0
	}
	slices.SortFunc(sockets, func(a, b socket.Socket) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.Local.Compare(b.Local))
	})
	return sockets
}

// readNetNS collects, and returns the network namespace of the only container.
func readNetNS(t *testing.T, c *Collector) *NetNS {
	t.Helper()
	result, err := c.Collect(t.Context(), false)
	if err != nil || len(result.Readings) != 1 || len(result.Readings[0].Problems) > 0 {
		t.Fatalf("%+v, %v", result.Readings, err)
	}
	return result.Readings[0].NetNS
}

func TestAllMethodsReadTheSameUDPSockets(t *testing.T) {
	pid := startProcess(t, "kept", 0, "0.0.0.0:81")
	w := &world{caches: true, containers: []container.Container{running("kept", pid, "bridge")}, exec: printTablesOf(pid)}
	sockets := addUDP(t, sockdiagtest.OpenNetNS(t, pid))
	want := comparableSockets(readNetNS(t, w.collector(t, Procfs)).Sockets)
	if len(want) != 1+sockets || want[0].Protocol != socket.TCP || want[1].Protocol != socket.UDP {
		t.Fatalf("%+v, want one of TCP and %d of UDP", want, sockets)
	}
	expect := func(name string, c *Collector) {
		t.Helper()
		n := readNetNS(t, c)
		if diff := gocmp.Diff(want, comparableSockets(n.Sockets), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" || n.UDPUnread != "" {
			t.Errorf("%s: unread %q (-procfs +%s):\n%s", name, n.UDPUnread, name, diff)
		}
		if !slices.IsSortedFunc(n.Sockets, func(a, b socket.Socket) int { return cmp.Compare(a.Protocol, b.Protocol) }) {
			t.Errorf("%s: UDP before TCP: %+v", name, n.Sockets)
		}
	}
	expect("exec", w.collector(t, Exec))
	expect("sockdiag", w.collector(t, Sockdiag))
	kept := w.collector(t, Sockdiag)
	kept.Following(true)
	for range 3 {
		expect("sockdiag, kept", kept)
	}
	for _, following := range []bool{false, true} {
		lacking := w.collector(t, Sockdiag)
		lacking.Following(following)
		lacking.lacksUDPDiag.Store(true)
		for range 2 {
			expect("sockdiag without udp_diag", lacking)
		}
	}
}

// A container that has UDP sockets alone has them by each method.
func TestUDPSocketsAlone(t *testing.T) {
	pid := startProcess(t, "kept", 0, " ")
	w := &world{caches: true, containers: []container.Container{running("kept", pid, "bridge")}, exec: printTablesOf(pid)}
	bindUDPIn(t, sockdiagtest.OpenNetNS(t, pid), "udp4", "127.0.0.11:5001")
	for _, method := range []Method{Sockdiag, Procfs, Exec} {
		c := w.collector(t, method)
		c.Following(true)
		for range 2 {
			if got := readNetNS(t, c).Sockets; len(got) != 1 || got[0].Protocol != socket.UDP || got[0].Inode == 0 || !got[0].Listening() {
				t.Errorf("%s: %+v", method, got)
			}
		}
	}
}

// A dump fails without the module. It is asked for once. Another failure is asked for again.
func TestKernelWithoutUDPDiag(t *testing.T) {
	pid := startProcess(t, "kept", 0, "0.0.0.0:81")
	w := &world{containers: []container.Container{running("kept", pid, "bridge")}}
	bindUDPIn(t, sockdiagtest.OpenNetNS(t, pid), "udp4", "127.0.0.11:5001")
	c := w.collector(t, Sockdiag)
	process, err := c.Proc.Process(pid, id("kept"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Close() })
	for _, test := range []struct {
		err  error
		asks int
	}{{unix.ENOBUFS, 2}, {sockdiag.ErrNoUDP, 1}} {
		asked := 0
		quota := socket.NewBudget(16, 1).Quota(1)
		for range 2 {
			quota.Release()
			read := newPass(c, nil, false).readUDP(t.Context(), process, hostproc.UDPCounts{IPv4: 1, Known: true}, quota, func(sockdiag.Family) ([]socket.Socket, error) {
				asked++
				for range 9 { // what a failed dump takes is returned
					quota.Take(false)
				}
				return make([]socket.Socket, 9), test.err
			})
			if len(read.sockets) != 1 || read.sockets[0].Local.Port() != 5001 || read.unread != "" || read.isHeard || quota.Exceeded() {
				t.Errorf("%v: %+v", test.err, read)
			}
		}
		if asked != test.asks {
			t.Errorf("%v: asked %d times, want %d", test.err, asked, test.asks)
		}
	}
}

// Sockets of a dump up to a limit stay, with the reason. Those of TCP stay whatever happens.
func TestUnreadUDP(t *testing.T) {
	pid := startProcess(t, "kept", 0, "0.0.0.0:81")
	c := (&world{}).collector(t, Sockdiag)
	process, err := c.Proc.Process(pid, id("kept"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPass(c, nil, false)
	read := p.readUDP(t.Context(), process, hostproc.UDPCounts{}, nil, func(family sockdiag.Family) ([]socket.Socket, error) {
		if family == sockdiag.IPv6 {
			return make([]socket.Socket, 2), sockdiag.ErrTooMany
		}
		return make([]socket.Socket, 3), nil
	})
	if len(read.sockets) != 5 || read.unread != sockdiag.ErrTooMany.Error() || read.isHeard {
		t.Errorf("%+v", read)
	}
	if err := process.Close(); err != nil {
		t.Fatal(err)
	}
	c.lacksUDPDiag.Store(true)
	if read := p.readUDP(t.Context(), process, hostproc.UDPCounts{}, nil, nil); len(read.sockets) > 0 || read.unread == "" || read.isHeard {
		t.Errorf("of a closed process: %+v", read)
	}
}

func TestContainerWithoutTablesOfUDPIsComplete(t *testing.T) {
	const noFile = ": No such file or directory\n"
	tcp, all := procnet.Table{IPv4: true, IPv6: true}, procnet.Table{IPv4: true, IPv6: true, UDP: true, UDP6: true}
	ipv4 := procnet.Table{IPv4: true, UDP: true}
	for name, test := range map[string]struct {
		decoded  procnet.Table
		stderr   string
		complete bool
		unread   bool
	}{
		"all":                     {all, "", true, false},
		"addresses missing":       {all, "cat: /proc/net/if_inet6" + noFile, true, false},
		"no tables of UDP":        {tcp, "cat: /proc/net/udp" + noFile + "cat: /proc/net/udp6" + noFile, true, true},
		"forbidden ones":          {tcp, "cat: /proc/net/udp: Permission denied\ncat: can't open '/proc/net/udp6': Permission denied\n", true, true},
		"no udp6":                 {procnet.Table{IPv4: true, IPv6: true, UDP: true}, "cat: /proc/net/udp6" + noFile, true, true},
		"no IPv6":                 {ipv4, "cat: /proc/net/tcp6" + noFile + "cat: /proc/net/udp6" + noFile, true, false},
		"UDP fails half-way":      {all, "cat: /proc/net/udp: Input/output error\n", true, true},
		"tcp6 fails beside UDP":   {tcp, "cat: /proc/net/tcp6: Input/output error\ncat: /proc/net/udp" + noFile, false, true},
		"no tables of TCP either": {procnet.Table{UDP: true, UDP6: true}, "cat: /proc/net/tcp" + noFile, false, false},
	} {
		status := exitStatus{stderr: test.stderr}
		if test.stderr != "" {
			status.code = 1
		}
		if got := isComplete(test.decoded, status); got != test.complete {
			t.Errorf("%s: complete %v", name, got)
		}
		if got := udpUnread(test.decoded, status); (got != "") != test.unread {
			t.Errorf("%s: unread %q", name, got)
		}
	}
}

// The owners on a shared network include those of UDP sockets. The kernel's own socket has none, which is no problem.
func TestOwnersOfUDPSockets(t *testing.T) {
	pid := startProcess(t, "udp-one", 0, "0.0.0.0:81")
	other := startProcess(t, "udp-two", pid, "0.0.0.0:82")
	w := &world{containers: []container.Container{running("udp-one", pid, "bridge"), running("udp-two", other, container.NetworkMode("container:"+id("udp-one")))}}
	sockets := addUDP(t, sockdiagtest.OpenNetNS(t, pid))
	for _, method := range []Method{Sockdiag, Procfs} {
		result, err := w.collector(t, method).Collect(t.Context(), false)
		if err != nil || len(result.Readings) != 2 {
			t.Fatalf("%+v, %v", result, err)
		}
		for _, r := range result.Readings {
			if len(r.NetNS.Sockets) != 2+sockets || len(r.Problems) > 0 || r.Owned == nil {
				t.Errorf("%s: %d sockets, %v, %+v", method, len(r.NetNS.Sockets), r.Problems, r.Owned)
				continue
			}
			owned := 0
			for _, s := range r.NetNS.Sockets {
				if _, ok := r.Owned.Inodes[s.Inode]; ok {
					owned++
				}
			}
			if owned != 1 { // its listener; this test holds the UDP sockets
				t.Errorf("%s: %s owns %d sockets", method, r.Container.Name, owned)
			}
		}
	}
}

func TestUDPTakesOfTheBudget(t *testing.T) {
	pid := startProcess(t, "kept", 0, "0.0.0.0:81")
	w := &world{caches: true, containers: []container.Container{running("kept", pid, "bridge")}}
	netns := sockdiagtest.OpenNetNS(t, pid)
	for range 50 {
		bindUDPIn(t, netns, "udp4", "127.0.0.1:0")
	}
	for _, method := range []Method{Sockdiag, Procfs} {
		c := w.collector(t, method)
		c.MaxSockets, c.MemoryLimit = 40, 64<<20
		c.Following(true)
		for range 2 {
			result, err := c.Collect(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			n := result.Readings[0].NetNS // at least its own share; the host's namespace may take the rest
			if len(n.Sockets) < 5 || len(n.Sockets) > 40 || !n.Truncated || len(result.Readings[0].Problems) != 1 || n.Sockets[0].Protocol != socket.TCP {
				t.Errorf("%s: %d sockets, truncated %v, %v", method, len(n.Sockets), n.Truncated, result.Readings[0].Problems)
			}
		}
	}
}

// udpLine returns the line of an unconnected socket as sockets of hearingWorld does.
func udpLine(conn net.PacketConn) string { return fmt.Sprint(conn.LocalAddr(), " 0.0.0.0:0 CLOSE") }

func TestUnchangedUDPSocketsAreNotDumped(t *testing.T) {
	w := newHearingWorld(t)
	resolver := bindUDPIn(t, w.netns, "udp4", "127.0.0.11:0")
	peer := connectUDPIn(t, w.netns, "udp4", resolver.LocalAddr().String())
	w.settle(t)
	if err := w.kept().conn.Close(); err != nil { // it cannot dump anything any more
		t.Fatal(err)
	}
	want := []string{listener81, udpLine(resolver), fmt.Sprint(peer.LocalAddr(), " ", resolver.LocalAddr(), " ESTABLISHED")}
	slices.Sort(want)
	w.expectReuses(t, strings.Join(want, "\n"))
}

func TestChangesOfUDPAreDumped(t *testing.T) {
	w := newHearingWorld(t)
	w.settle(t)
	one := bindUDPIn(t, w.netns, "udp4", "127.0.0.11:5001")
	if got := w.sockets(t, w.collector); got != listener81+"\n"+udpLine(one) {
		t.Errorf("a new socket: %s", got)
	}
	w.settle(t)
	_ = one.Close() // from here on the kernel counts as many sockets as before: only the event shows that it is another one
	other := bindUDPIn(t, w.netns, "udp4", "127.0.0.11:5002")
	w.expectSockets(t, listener81+"\n"+udpLine(other))
	w.settle(t)
	_ = other.Close()
	if got := w.sockets(t, w.collector); got != listener81 {
		t.Errorf("a closed socket: %s", got)
	}
}

// A kernel without udp_diag reports no ends of UDP sockets.
func TestUDPSocketsWithoutEventsAreNotReused(t *testing.T) {
	w := newHearingWorld(t)
	conn := bindUDPIn(t, w.netns, "udp4", "127.0.0.11:0")
	w.settle(t)
	if !w.isReused(t) {
		t.Fatal("not reused with udp_diag, so the test shows nothing")
	}
	w.collector.lacksUDPDiag.Store(true)
	another := bindUDPIn(t, w.netns, "udp4", "127.0.0.12:0")
	for range 3 {
		if got := w.sockets(t, w.collector); got != strings.Join([]string{listener81, udpLine(conn), udpLine(another)}, "\n") {
			t.Errorf("%s", got)
		}
		if w.kept().settled != nil {
			t.Error("settled")
		}
	}
}
