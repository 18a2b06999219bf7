package sockdiag

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
	"github.com/PabloL007/outpost/internal/socket"
)

// inNewNetNS calls do on a thread in a new network namespace, in which loopback is up.
func inNewNetNS(t *testing.T, do func(netns *os.File)) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("requires root to make a network namespace")
	}
	child := exec.CommandContext(t.Context(), "sleep", "1000")
	child.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	netns := sockdiagtest.OpenNetNS(t, child.Process.Pid)
	sockdiagtest.In(t, netns, func() { do(netns) })
}

// openUDP binds a UDP socket, or connects it if the remote address is not empty.
func openUDP(t *testing.T, network, local, remote string) netip.AddrPort {
	t.Helper()
	var conn interface {
		LocalAddr() net.Addr
		Close() error
	}
	var err error
	if remote == "" {
		conn, err = new(net.ListenConfig).ListenPacket(t.Context(), network, local)
	} else {
		conn, err = new(net.Dialer).DialContext(t.Context(), network, remote)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

// connectMapped connects a dual-stack UDP socket to an IPv4 address on loopback.
func connectMapped(t *testing.T, port int) {
	t.Helper()
	descriptor, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(descriptor) })
	err = unix.Connect(descriptor, &unix.SockaddrInet6{Port: port, Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()})
	if err != nil {
		t.Fatal(err)
	}
}

// addVXLAN makes a device, for which the kernel binds a UDP socket of its own. Not every kernel has the module.
func addVXLAN(t *testing.T) bool {
	t.Helper()
	for _, arguments := range [][]string{{"link", "add", "vx0", "type", "vxlan", "id", "5", "dstport", "4789", "local", "127.0.0.1"}, {"link", "set", "vx0", "up"}} {
		if out, err := exec.CommandContext(t.Context(), "ip", arguments...).CombinedOutput(); err != nil {
			t.Logf("no VXLAN: %v: %s", err, out)
			return false
		}
	}
	return true
}

// sorted returns sockets by local port, without their cgroups, which files do not show.
func sorted(sockets []socket.Socket) []socket.Socket {
	sockets = slices.Clone(sockets)
	for i := range sockets {
		sockets[i].CgroupID = 0
	}
	slices.SortFunc(sockets, func(a, b socket.Socket) int { return a.Local.Compare(b.Local) })
	return sockets
}

// inet_diag and /proc/net report the same UDP sockets, by either connection.
func TestUDPDumpMatchesProcNet(t *testing.T) {
	inNewNetNS(t, func(netns *os.File) {
		want := []string{"127.0.0.11:4001 CLOSE", "[::]:4002 CLOSE", "[::1]:4003 CLOSE"}
		openUDP(t, "udp4", "127.0.0.11:4001", "")
		openUDP(t, "udp", "[::]:4002", "")
		openUDP(t, "udp6", "[::1]:4003", "")
		want = append(want, openUDP(t, "udp4", "", "127.0.0.1:53").String()+" ESTABLISHED", openUDP(t, "udp6", "", "[::1]:53").String()+" ESTABLISHED")
		connectMapped(t, 54)
		if addVXLAN(t) {
			want = append(want, "0.0.0.0:4789 CLOSE")
		}
		decoder := procnet.NewDecoder(binary.NativeEndian)
		for _, name := range []string{"udp", "udp6"} {
			text, err := os.ReadFile("/proc/thread-self/net/" + name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = decoder.Write(text)
		}
		files := sorted(decoder.Table().Sockets)
		mapped := 0
		var lines []string
		for _, s := range files {
			if s.Remote == netip.MustParseAddrPort("127.0.0.1:54") && s.State == socket.Established && s.Local.Addr() == netip.MustParseAddr("127.0.0.1") {
				mapped++
				continue
			}
			lines = append(lines, s.Local.String()+" "+s.State.String())
		}
		slices.Sort(want)
		slices.Sort(lines)
		if diff := gocmp.Diff(want, lines); diff != "" || mapped != 1 || decoder.Table().Malformed > 0 {
			t.Errorf("%d mapped ones, %v; files (-want +got):\n%s", mapped, decoder.Table().FirstMalformed, diff)
		}
		conn, err := Open(t.Context(), netns)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		kept, err := Keep(netns)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = kept.Close() })
		for name, dump := range map[string]func(Family) ([]socket.Socket, error){
			"Conn": conn.UDP, "Kept": func(family Family) ([]socket.Socket, error) { return kept.UDP(t.Context(), family, nil) },
		} {
			v4, err4 := dump(IPv4)
			v6, err6 := dump(IPv6)
			if err := errors.Join(err4, err6); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(files, sorted(append(v4, v6...)), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("%s (-files +inet_diag):\n%s", name, diff)
			}
		}
	})
}

// The event of a connected socket has both ends, and that of another one its own port. The cookie is that of a dump.
func TestListenerHearsUDP(t *testing.T) {
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	before, _ := l.EndsIn(socket.OwnNamespace)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		server, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", address)
		if err != nil {
			t.Fatal(err)
		}
		client, err := new(net.Dialer).DialContext(t.Context(), "udp", server.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		at, from := netip.MustParseAddrPort(server.LocalAddr().String()), netip.MustParseAddrPort(client.LocalAddr().String())
		if err := errors.Join(client.Close(), server.Close()); err != nil {
			t.Fatal(err)
		}
		var connected, unconnected *socket.Ended
		await(t, l, func(all []socket.Ended, _ uint64) bool {
			for i, e := range all {
				switch {
				case e.Protocol != socket.UDP:
				case e.Local == from:
					connected = &all[i]
				case e.Local.Port() == at.Port():
					unconnected = &all[i]
				}
			}
			return connected != nil && unconnected != nil
		})
		if connected.Remote != at || connected.Cookie == 0 || connected.Outcome != socket.Connected || connected.Namespace != socket.OwnNamespace {
			t.Errorf("connected: %+v", connected)
		}
		if unconnected.Remote.Port() != 0 || !unconnected.Remote.Addr().IsUnspecified() {
			t.Errorf("unconnected: %+v", unconnected)
		}
	}
	if after, ok := l.EndsIn(socket.OwnNamespace); !ok || after < before+4 {
		t.Errorf("%d ends, then %d", before, after)
	}
}

// A kernel without udp_diag answers with ENOENT. The connection can dump TCP sockets after it.
func TestKernelWithoutUDP(t *testing.T) {
	k := &Kept{wire: &scriptedWire{datagrams: [][]byte{
		netlinkMessage(netlink.Done, 0, 1, errno(unix.ENOENT)),
		netlinkMessage(netlink.Done, 0, 2, errno(0)),
	}}}
	if sockets, err := k.UDP(t.Context(), IPv4, nil); !errors.Is(err, ErrNoUDP) || errors.Is(err, ErrUnsupported) || len(sockets) > 0 {
		t.Errorf("%v, %v", sockets, err)
	}
	if _, err := k.Listeners(t.Context(), nil); err != nil {
		t.Error(err)
	}
	conn := &Conn{ctx: t.Context(), dial: kernel(unix.ENOENT, rows(t, 0, 1))}
	if sockets, err := conn.UDP(IPv6); !errors.Is(err, ErrNoUDP) || len(sockets) > 0 {
		t.Errorf("%v, %v", sockets, err)
	}
	if sockets, err := conn.All(false); len(sockets) != 1 || err != nil {
		t.Errorf("%v, %v", sockets, err)
	}
}

// UDP takes of the same quota as TCP before it. Unconnected sockets keep the reserved share, wherever they are in the dump.
func TestQuotaOfUDP(t *testing.T) {
	row := func(sequence uint32, cookie uint64, s socket.Socket) []byte {
		return netlinkMessage(sockDiagByFamily, 0, sequence, message(t, s, familyIPv4, cookie))
	}
	connected, bound := ends("10.0.0.1:4000", "10.0.0.2:53"), ends("0.0.0.0:53", "0.0.0.0:0")
	bound.State = socket.Close
	w := &scriptedWire{}
	var tcp []byte
	for cookie := range uint64(20) {
		tcp = append(tcp, row(1, cookie, connected)...)
	}
	w.datagrams = [][]byte{append(tcp, netlinkMessage(netlink.Done, 0, 1, errno(0))...)}
	quota := socket.NewBudget(32, 1).Quota(1) // a share of 8, with 2 for listeners, and 24 in common
	k := &Kept{wire: w}
	if sockets, err := k.All(t.Context(), false, quota); err != nil || len(sockets) != 20 {
		t.Fatalf("%d, %v", len(sockets), err)
	}
	var udp []byte
	for cookie := range uint64(30) {
		udp = append(udp, row(2, cookie, connected)...)
	}
	w.datagrams = [][]byte{append(append(udp, row(2, 99, bound)...), netlinkMessage(netlink.Done, 0, 2, errno(0))...)}
	sockets, err := k.UDP(t.Context(), IPv4, quota)
	if err != nil || len(sockets) != 11 || !sockets[10].Listening() || !quota.Exceeded() {
		t.Errorf("%d sockets, %v, exceeded %v", len(sockets), err, quota.Exceeded())
	}
}

func TestUDPInStatesOfTCPIsRejected(t *testing.T) {
	s := ends("10.0.0.1:4000", "10.0.0.2:53")
	s.State = socket.Listen
	if got, _, err := decode(message(t, s, familyIPv4, 9), socket.UDP); !errors.Is(err, errUDPState) || got != (socket.Socket{}) {
		t.Errorf("%+v, %v", got, err)
	}
}
