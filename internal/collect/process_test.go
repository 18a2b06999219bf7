package collect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/hostproc"
)

// The test program also stands in for the first process of a container. It joins the network namespace of the process in
// joinVariable, if any. It mounts the file in mountVariable, if any, as a container's /etc/hostname. It listens on the addresses in listenVariable, and waits for the end of its input.
const (
	joinVariable   = "COLLECT_TEST_JOIN"
	mountVariable  = "COLLECT_TEST_MOUNT"
	listenVariable = "COLLECT_TEST_LISTEN"
)

// /proc/<pid>/ns/net shows the network namespace of the main thread, so main must run on it.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if addresses := os.Getenv(listenVariable); addresses != "" {
		if err := listenAndWait(addresses); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func listenAndWait(addresses string) error {
	if pid := os.Getenv(joinVariable); pid != "" {
		netns, err := os.Open(filepath.Join("/proc", pid, "ns", "net"))
		if err != nil {
			return err
		}
		if err := unix.Setns(int(netns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
	}
	if path := os.Getenv(mountVariable); path != "" {
		private := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		if err := errors.Join(private, unix.Mount(path, "/etc/hostname", "", unix.MS_BIND, "")); err != nil {
			return err
		}
	}
	var held []any
	for address := range strings.FieldsSeq(addresses) {
		var config net.ListenConfig
		listener, err := config.Listen(context.Background(), "tcp4", address)
		if err != nil {
			return err
		}
		held = append(held, listener)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(held)
	return nil
}

// id returns a container ID that begins with text in hexadecimal digits.
func id(text string) string { return (fmt.Sprintf("%x", text) + strings.Repeat("0", 64))[:64] }

// startProcess starts the first process of a container, listening on addresses. It joins the network namespace of process
// join, or gets a new one if join is 0.
func startProcess(t testing.TB, name string, join int, addresses string) (pid int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("requires root to create cgroups")
	}
	newCgroup(t, id(name))
	return startAnother(t, name, join, addresses)
}

// startAnother starts another process of a container that startProcess started.
func startAnother(t testing.TB, name string, join int, addresses string) (pid int) {
	t.Helper()
	variables, flags := []string{fmt.Sprint(joinVariable, "=", join)}, uintptr(0)
	if join == 0 {
		variables, flags = nil, unix.CLONE_NEWNET
	}
	pid, ready := startChild(t, addresses, flags, variables...)
	if err := os.WriteFile(filepath.Join(cgroupPath(id(name)), "cgroup.procs"), []byte(fmt.Sprint(pid)), 0); err != nil {
		t.Fatal(err)
	}
	ready()
	return pid
}

// startProcessWithoutCgroup starts the first process of a container of an engine without cgroups.
func startProcessWithoutCgroup(t *testing.T, name, addresses string) (pid int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("requires root to mount")
	}
	path := filepath.Join(t.TempDir(), "containers", id(name), "hostname")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	pid, ready := startChild(t, addresses, unix.CLONE_NEWNET|unix.CLONE_NEWNS, mountVariable+"="+path)
	ready()
	return pid
}

// startChild starts a process that ends with the test. ready waits until it listens.
func startChild(t testing.TB, addresses string, flags uintptr, variables ...string) (pid int, ready func()) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(append(os.Environ(), listenVariable+"="+addresses), variables...)
	child.SysProcAttr = &unix.SysProcAttr{Cloneflags: flags}
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Wait()
	})
	return child.Process.Pid, func() {
		t.Helper()
		if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// cgroupPath returns the path of a cgroup, of version 2 or of version 1's controller pids.
func cgroupPath(name string) string {
	if _, err := os.Stat(filepath.Join(hostproc.DefaultCgroupMount, "cgroup.procs")); err != nil {
		return filepath.Join(hostproc.DefaultCgroupMount, "pids", name)
	}
	return filepath.Join(hostproc.DefaultCgroupMount, name)
}

// newCgroup makes a cgroup, returns its path, and removes it after the test.
func newCgroup(t testing.TB, name string) (path string) {
	t.Helper()
	path = cgroupPath(name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Since Linux 6.18, a process may leave its cgroup only after Wait has returned (cgroup_task_dead in
		// kernel/cgroup/cgroup.c).
		err := os.Remove(path)
		for deadline := time.Now().Add(10 * time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(deadline); err = os.Remove(path) {
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return path
}
