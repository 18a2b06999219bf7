package hostproc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

func ownProc(t *testing.T) FS {
	t.Helper()
	root, err := OpenAt("/proc")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func self(t *testing.T) *Process {
	t.Helper()
	p, err := ownProc(t).Self()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestFind(t *testing.T) {
	if root, err := Open("/proc"); err != nil || root.Path() != "/proc" {
		t.Errorf("%v, %v", root, err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a directory is taken for a proc file system")
	}
	if _, err := (FS{}).Self(); !errors.Is(err, ErrNoProcess) || (FS{}).CheckVisibility() == nil {
		t.Errorf("without any: %v", err)
	}
	if err := ownProc(t).CheckVisibility(); err != nil {
		t.Errorf("%v", err)
	}
	if err := (FS{t.TempDir()}).CheckVisibility(); err == nil || errors.Is(err, ErrHidden) {
		t.Errorf("not mounted any more: %v", err)
	}
	if _, err := Open("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

const id = "4f5c000000000000000000000000000000000000000000000000000000000a1b"

func TestIDsIn(t *testing.T) {
	const inner = "9999000000000000000000000000000000000000000000000000000000000a1b"
	for cgroups, want := range map[string][]string{
		"0::/docker/" + id + "\n":                                         {id},
		"0::/system.slice/docker-" + id + ".scope\n":                      {id},
		"12:memory:/docker/" + id + "\n11:cpu:/docker/" + id + "\n0::/\n": {id},
		"4:memory:/../" + id + "\n":                                       {id},
		"0::/docker/" + id + "/init.scope\n":                              {id},
		"0::/docker/" + id + "/docker/" + inner:                           {id, inner},
		"0::/docker/" + id[:63] + "\n":                                    nil,
		"0::/docker/" + id + "0\n":                                        nil,
		"0::/docker/0" + id + "\n":                                        nil,
		"0::/docker/" + strings.ToUpper(id) + "\n":                        nil,
		"0::/docker/x" + id + "\n":                                        nil,
		"0::/docker/" + id + ".scope.d\n":                                 nil,
		"0::/user.slice\n":                                                nil,
		"":                                                                nil,
	} {
		if got := idsIn(cgroups); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", cgroups, got, want)
		}
	}
}

func FuzzIDsIn(f *testing.F) {
	f.Add("0::/docker/" + id + "\n")
	f.Add("4:memory:/../" + id + "/system.slice/docker-" + id + ".scope")
	f.Fuzz(func(t *testing.T, cgroups string) {
		for _, got := range idsIn(cgroups) {
			if len(got) != 64 || !strings.Contains(cgroups, got) {
				t.Errorf("%q", got)
			}
		}
		if path, err := (&Process{cgroups: cgroups}).cgroupOf(id); err == nil && !strings.Contains(path, id) {
			t.Errorf("%q", path)
		}
	})
}

func TestCgroupOf(t *testing.T) {
	for cgroups, want := range map[string]struct {
		path string
		err  error
	}{
		"0::/docker/" + id + "\n":                    {"/docker/" + id, nil},
		"0::/docker/" + id + "/init.scope\n":         {"/docker/" + id, nil},
		"0::/system.slice/docker-" + id + ".scope\n": {"/system.slice/docker-" + id + ".scope", nil},
		"0::/system.slice/docker-" + id + ".scope/a": {"/system.slice/docker-" + id + ".scope", nil},
		"0::/../" + id + "\n":                        {"", ErrCgroupNamespace},
		"1:cpu:/docker/" + id + "\n0::/\n":           {"", ErrCgroupV1},
		"0::/\n":                                     {"", ErrCgroupNamespace}, // Outpost's own
		"":                                           {"", ErrCgroupV1},
	} {
		path, err := (&Process{cgroups: cgroups}).cgroupOf(id)
		if path != want.path || !errors.Is(err, want.err) {
			t.Errorf("%q: %q, %v", cgroups, path, err)
		}
	}
}

func TestProcessOfAnother(t *testing.T) {
	root := ownProc(t)
	if _, err := root.Process(os.Getpid(), id); !errors.Is(err, ErrForeignProcess) {
		t.Errorf("a process that is not the container's: %v", err)
	}
	if _, err := root.Process(1<<30, id); !errors.Is(err, ErrNoProcess) {
		t.Errorf("no process: %v", err)
	}
}

// What is read of one's own process: the listener, and that it is one's own.
func TestSelf(t *testing.T) {
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
	held, err := p.Sockets(t.Context(), 1<<20)
	if err != nil || held.RequiredCapabilities != nil || held.Name != "hostproc.test" {
		t.Fatalf("%+v, %v", held, err)
	}
	at := netip.MustParseAddrPort(listener.Addr().String())
	isIt := func(s socket.Socket) bool { return s.Local == at && slices.Contains(held.Inodes, s.Inode) }
	if !slices.ContainsFunc(decoder.Table().Sockets, isIt) {
		t.Errorf("no listener of one's own at %v", at)
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

func TestNamespace(t *testing.T) {
	mine, other := self(t).NetNSID(), inNamespace(t).NetNSID()
	if mine != self(t).NetNSID() || mine == other {
		t.Errorf("own %v, another %v", mine, other)
	}
}

// inNamespace starts a process in a network namespace of its own.
func inNamespace(t *testing.T) *Process {
	t.Helper()
	child := exec.CommandContext(t.Context(), "sleep", "1000")
	child.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Getuid() != 0 {
		child.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	}
	if err := child.Start(); err != nil {
		t.Skipf("no network namespace can be made: %v", err)
	}
	p, err := ownProc(t).unverified(fmt.Sprint(child.Process.Pid))
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

// An empty namespace is known to be empty by sockstat: not even a header is read.
func TestEmptyNamespaceIsNotRead(t *testing.T) {
	var text bytes.Buffer
	if err := inNamespace(t).CopyTables(&text); err != nil || text.Len() != 0 {
		t.Errorf("%q, %v", text.String(), err)
	}
}

// Whoever gets the number of a process that ended, nothing of it is read through the old one.
func TestNumberUsedAgain(t *testing.T) {
	pid, end := start(t)
	p, err := ownProc(t).unverified(fmt.Sprint(pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	useAgain(t, pid, end)
	if err := p.CopyTables(new(bytes.Buffer)); err == nil {
		t.Error("the tables of the next process are read")
	}
	if _, err := p.Sockets(t.Context(), 1<<20); err == nil {
		t.Error("the sockets of the next process are read")
	}
	if file, err := p.OpenNetNS(); err == nil {
		_ = file.Close()
		t.Error("the namespace of the next process is opened")
	}
}

// start starts a process that ends with the test, or before.
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

// useAgain ends the process pid, which end does, and starts others until one has its number, which other programs may have
// had meanwhile.
func useAgain(t *testing.T, pid int, end func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root chooses numbers")
	}
	end()
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		// The kernel gives the number after this one next (kernel/pid_namespace.c).
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(fmt.Sprint(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		another, end := start(t)
		if another == pid {
			return
		}
		end()
	}
	t.Fatalf("no process got the number %d", pid)
}

func TestCgroupIDsBelow(t *testing.T) {
	directory := t.TempDir()
	if err := os.MkdirAll(filepath.Join(directory, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "cgroup.procs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ids, err := cgroupIDsBelow(directory); err != nil || len(ids) != 3 {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestDecodeCapabilities(t *testing.T) {
	got, err := decodeCapabilities("Name:\tit\nCapPrm:\t0000000000000000\nCapEff:\t0000000000280000\nCapBnd:\t000001ffffffffff\n")
	if err != nil || !got.Has(SysPtrace) || !got.Has(SysAdmin) || got.Has(DACReadSearch) {
		t.Errorf("%x, %v", got, err)
	}
	for _, text := range []string{"", "CapEff:\n", "CapEff:\tx\n", "CapEff:\t10000000000000000\n", "CapPrm:\t0\n"} {
		if got, err := decodeCapabilities(text); err == nil || got != 0 {
			t.Errorf("%q: %x, %v", text, got, err)
		}
	}
}

func TestLack(t *testing.T) {
	for want, lacking := range map[string]string{
		"CAP_SYS_PTRACE is missing":                          Capabilities(0).ExplainDenial(SysPtrace),
		"CAP_SYS_PTRACE and CAP_SYS_ADMIN are missing":       Capabilities(0).ExplainDenial(SysPtrace, SysAdmin),
		"CAP_SYS_ADMIN is missing":                           Capabilities(1<<SysPtrace).ExplainDenial(SysPtrace, SysAdmin),
		"CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE are missing": Capabilities(1<<SysAdmin).ExplainDenial(DACReadSearch, SysPtrace),
	} {
		if lacking != want {
			t.Errorf("%s, want %s", lacking, want)
		}
	}
	if text := Capabilities(1 << SysPtrace).ExplainDenial(SysPtrace); strings.Contains(text, "missing") || !strings.Contains(text, "AppArmor") {
		t.Errorf("nothing is missing: %s", text)
	}
}

func TestHides(t *testing.T) {
	for options, want := range map[string]bool{
		"rw": false, "rw,hidepid=0": false, "rw,hidepid=off": false, "rw,hidepid=1": true, "rw,hidepid=invisible": true, "rw,hidepid=ptraceable": true,
		"rw,gid=5,hidepid=2": true, "rw,gid=7,hidepid=2": false, "rw,hidepid=2,gid=8": false, "": false, "rw,gid=x,hidepid=2": true,
	} {
		if got := hides(strings.Split(options, ","), 7, []int{8, 9}); got != want {
			t.Errorf("%s: %v", options, got)
		}
	}
	const mounts = `21 26 0:20 / /proc rw,relatime - proc proc rw
not a mount
22 26 0:21 / /host/proc ro,relatime shared:9 - proc proc rw,gid=5,hidepid=invisible
23 26 0:22 / /a\040b rw - proc proc rw,hidepid=1
24 26 0:22 / /cut rw -
`
	for path, want := range map[string]string{"/proc": "rw", "/host/proc/": "rw,gid=5,hidepid=invisible", "/a b": "rw,hidepid=1", "/cut": "", "/else": ""} {
		if got := strings.Join(mountOptions(mounts, path), ","); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// Descriptors are looked at no longer than they may be.
func TestSocketsInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := self(t).Sockets(ctx, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := self(t).Sockets(t.Context(), 1); !errors.Is(err, ErrTooManyDescriptors) {
		t.Errorf("%v", err)
	}
	if _, err := ownProc(t).PIDs(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A process is a companion if its cgroups are Outpost's own and name no container; a child's are.
func TestCompanion(t *testing.T) {
	root := ownProc(t)
	child, _ := start(t)
	p, err := root.SelfContainerProcess(child)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	pids, err := root.PIDs(t.Context())
	if err != nil || !slices.Contains(pids[""], child) || !slices.Contains(pids[""], os.Getpid()) {
		t.Errorf("%v, %v", pids, err)
	}
	if _, err := root.SelfContainerProcess(1 << 30); !errors.Is(err, ErrNoProcess) {
		t.Errorf("%v", err)
	}
}

// A namespace whose one listener is of IPv4 has no tcp6 to read; one of IPv6, of MPTCP too, is read.
func TestTablesThatAreRead(t *testing.T) {
	for _, test := range []struct {
		network, address string
		mptcp, tcp6      bool
	}{
		{"tcp4", "127.0.0.1:0", false, false}, {"tcp6", "[::1]:0", false, true}, {"tcp6", "[::1]:0", true, true}, {"tcp4", "127.0.0.1:0", true, false},
	} {
		done := make(chan error, 1)
		go func() { done <- listenAlone(t.Context(), test.network, test.address, test.mptcp, test.tcp6) }()
		if err := <-done; err != nil {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// listenAlone listens in a network namespace of the thread's own, which ends with it.
func listenAlone(ctx context.Context, network, address string, mptcp, wantTCP6 bool) error {
	runtime.LockOSThread() // and never unlocked
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
	root, err := OpenAt("/proc")
	if err != nil {
		return err
	}
	p, err := root.unverified("thread-self")
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

func FuzzStatus(f *testing.F) {
	f.Add("Name:\toutpost\nCapEff:\t00000000a80425fb\n")
	f.Add("CapEff:\tffffffffffffffffffff\n")
	f.Add("CapEff:")
	f.Fuzz(func(t *testing.T, status string) {
		if capabilities, err := decodeCapabilities(status); err == nil && capabilities != 0 && !strings.Contains(status, "CapEff:") {
			t.Errorf("%x of %q", capabilities, status)
		}
		hides(strings.Split(status, ","), 1, []int{2})
	})
}
