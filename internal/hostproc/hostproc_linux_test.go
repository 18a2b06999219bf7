package hostproc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

func openProc(t *testing.T) FS {
	t.Helper()
	proc, err := OpenAt("/proc")
	if err != nil {
		t.Fatal(err)
	}
	return proc
}

func self(t *testing.T) *Process {
	t.Helper()
	p, err := openProc(t).Self()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestOpenAcceptsOnlyProc(t *testing.T) {
	if proc, err := Open("/proc"); err != nil || proc.Path() != "/proc" {
		t.Errorf("%v, %v", proc, err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("Open accepted a directory that is not a proc file system")
	}
	if _, err := (FS{}).Self(); !errors.Is(err, ErrNoProcess) || (FS{}).CheckVisibility() == nil {
		t.Errorf("without /proc: %v", err)
	}
	if err := openProc(t).CheckVisibility(); err != nil {
		t.Errorf("%v", err)
	}
	if err := (FS{t.TempDir()}).CheckVisibility(); err == nil || errors.Is(err, ErrHidden) {
		t.Errorf("unmounted: %v", err)
	}
	if _, err := Open("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestForeignProcessIsRejected(t *testing.T) {
	proc := openProc(t)
	if _, err := proc.Process(os.Getpid(), id); !errors.Is(err, ErrForeignProcess) {
		t.Errorf("foreign process: %v", err)
	}
	if _, err := proc.Process(1<<30, id); !errors.Is(err, ErrNoProcess) {
		t.Errorf("no process: %v", err)
	}
}

// Outpost's own process shows a listener in its tables and the same inode among its descriptors.

func TestSelfShowsItsListener(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := self(t)
	decoder := procnet.NewDecoder(binary.NativeEndian)
	if err := p.CopyTables(decoder); err != nil {
		t.Fatal(err)
	}
	sockets, err := p.Sockets(t.Context(), 1<<20)
	if err != nil || sockets.RequiredCapabilities != nil || sockets.Name != "hostproc.test" {
		t.Fatalf("%+v, %v", sockets, err)
	}
	address := netip.MustParseAddrPort(listener.Addr().String())
	isListener := func(s socket.Socket) bool { return s.Local == address && slices.Contains(sockets.Inodes, s.Inode) }
	if !slices.ContainsFunc(decoder.Table().Sockets, isListener) {
		t.Errorf("the listener at %v is missing or not held", address)
	}
	addresses, err := p.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if a.Addr.IsLoopback() {
			t.Errorf("%v", a)
		}
	}
}

func TestNetNSIDIdentifiesNamespace(t *testing.T) {
	own, other := self(t).NetNSID(), startInNetNS(t).NetNSID()
	if own != self(t).NetNSID() || own == other {
		t.Errorf("own %v, other %v", own, other)
	}
}

// startInNetNS starts a process in a separate network namespace.

func startInNetNS(t *testing.T) *Process {
	t.Helper()
	child := exec.CommandContext(t.Context(), "sleep", "1000")
	child.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Getuid() != 0 {
		child.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	}
	if err := child.Start(); err != nil {
		t.Skipf("cannot create a network namespace: %v", err)
	}
	p, err := openProc(t).unverified(fmt.Sprint(child.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Close()
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	return p
}

// sockstat shows that a namespace has no sockets, so not even the header of a table is read.

func TestEmptyTablesAreNotRead(t *testing.T) {
	var text bytes.Buffer
	if err := startInNetNS(t).CopyTables(&text); err != nil || text.Len() != 0 {
		t.Errorf("%q, %v", text.String(), err)
	}
}

// A Process never reads from another process that got the same PID later.

func TestReusedPIDIsNotRead(t *testing.T) {
	pid, end := start(t)
	p, err := openProc(t).unverified(fmt.Sprint(pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	reusePID(t, pid, end)
	if err := p.CopyTables(new(bytes.Buffer)); err == nil {
		t.Error("read the tables of the next process")
	}
	if _, err := p.Sockets(t.Context(), 1<<20); err == nil {
		t.Error("read the sockets of the next process")
	}
	if file, err := p.OpenNetNS(); err == nil {
		_ = file.Close()
		t.Error("opened the namespace of the next process")
	}
}

// start starts a process. end ends it; so does the end of the test.

func start(t *testing.T) (pid int, end func()) {
	t.Helper()
	child := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	t.Cleanup(end)
	return child.Process.Pid, end
}

// reusePID ends a process and starts others until one gets its PID. Other programs may have the PID meanwhile.

func reusePID(t *testing.T, pid int, end func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can choose PIDs")
	}
	end()
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		// The kernel assigns the PID after this one next (kernel/pid_namespace.c).
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(fmt.Sprint(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		next, end := start(t)
		if next == pid {
			return
		}
		end()
	}
	t.Fatalf("no process got the PID %d", pid)
}

// Reading descriptors and processes stops when the context ends or a limit is reached.

func TestReadingDescriptorsIsBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := self(t).Sockets(ctx, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := self(t).Sockets(t.Context(), 1); !errors.Is(err, ErrTooManyDescriptors) {
		t.Errorf("%v", err)
	}
	if _, err := openProc(t).PIDs(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A process is in Outpost's own container if it has Outpost's cgroups and they name no container. A child has them.

func TestSelfContainerProcess(t *testing.T) {
	proc := openProc(t)
	child, _ := start(t)
	p, err := proc.SelfContainerProcess(child)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	pids, err := proc.PIDs(t.Context())
	if err != nil || !slices.Contains(pids[""], child) || !slices.Contains(pids[""], os.Getpid()) {
		t.Errorf("%v, %v", pids, err)
	}
	if _, err := proc.SelfContainerProcess(1 << 30); !errors.Is(err, ErrNoProcess) {
		t.Errorf("%v", err)
	}
}

// tcp6 is not read if the namespace has only an IPv4 listener. It is read for an IPv6 listener, also with MPTCP.

func TestTCP6IsReadOnlyIfNeeded(t *testing.T) {
	for _, test := range []struct {
		network, address string
		mptcp, tcp6      bool
	}{
		{"tcp4", "127.0.0.1:0", false, false}, {"tcp6", "[::1]:0", false, true}, {"tcp6", "[::1]:0", true, true}, {"tcp4", "127.0.0.1:0", true, false},
	} {
		done := make(chan error, 1)
		go func() { done <- listenInNewNetNS(t.Context(), test.network, test.address, test.mptcp, test.tcp6) }()
		if err := <-done; err != nil {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// listenInNewNetNS listens in a network namespace that only this thread uses and that ends with it.

func listenInNewNetNS(ctx context.Context, network, address string, mptcp, wantTCP6 bool) error {
	runtime.LockOSThread() // never unlocked, so that the thread ends with its goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := exec.CommandContext(ctx, "ip", "link", "set", "lo", "up").Run(); err != nil {
		return err
	}
	var config net.ListenConfig
	config.SetMultipathTCP(mptcp)
	listener, err := config.Listen(ctx, network, address)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	proc, err := OpenAt("/proc")
	if err != nil {
		return err
	}
	p, err := proc.unverified("thread-self")
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	decoder := procnet.NewDecoder(binary.NativeEndian)
	if err := p.CopyTables(decoder); err != nil {
		return err
	}
	if table := decoder.Table(); table.IPv6 != wantTCP6 || len(table.Sockets) != 1 {
		return fmt.Errorf("tcp6 read: %v, %v", table.IPv6, table.Sockets)
	}
	return nil
}

// The tables of UDP follow those of TCP, each only if it has rows. A dual-stack socket is in udp6.
func TestUDPTablesAreReadIfNeeded(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root to make a network namespace")
	}
	for _, test := range []struct {
		network, address string
		udp, udp6        bool
	}{{"udp4", "127.0.0.1:0", true, false}, {"udp6", "[::1]:0", false, true}, {"udp", "[::]:0", false, true}} {
		onOtherThread(func() {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Error(err)
				return
			}
			if err := exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").Run(); err != nil {
				t.Error(err)
			}
			conn, err := new(net.ListenConfig).ListenPacket(t.Context(), test.network, test.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			p, err := FS{"/proc"}.unverified("thread-self")
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = p.Close() }()
			for name, copyTables := range map[string]func(io.Writer) error{"all": p.CopyTables, "UDP": p.CopyUDPTables} {
				decoder := procnet.NewDecoder(binary.NativeEndian)
				if err := copyTables(decoder); err != nil {
					t.Error(err)
				}
				table := decoder.Table()
				if len(table.Sockets) != 1 || table.Malformed > 0 || table.UDP != test.udp || table.UDP6 != test.udp6 || table.IPv4 || table.IPv6 {
					t.Errorf("%s of %s: %+v", name, test.network, table)
					continue
				}
				if s := table.Sockets[0]; s.Protocol != socket.UDP || !s.Listening() || s.Local.Port() != netip.MustParseAddrPort(conn.LocalAddr().String()).Port() {
					t.Errorf("%s of %s: %+v", name, test.network, s)
				}
			}
		})
	}
}
