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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// The test program is also what runs in place of a container's first process: it joins a network namespace, if it is
// told to, listens, and waits.
const (
	joinVariable   = "COLLECT_TEST_JOIN"
	listenVariable = "COLLECT_TEST_LISTEN"
)

// The network namespace of a process is that of its leading thread, which is main's.
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
		namespace, err := os.Open(filepath.Join("/proc", pid, "ns", "net"))
		if err != nil {
			return err
		}
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
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

// id is a container's ID that begins with text in hexadecimal digits.
func id(text string) string { return (fmt.Sprintf("%x", text) + strings.Repeat("0", 64))[:64] }

// startProcess starts the first process of the container named so: in a network namespace of its own or, if join is not
// 0, that of another process.
func startProcess(t *testing.T, name string, join int, addresses string) (pid int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root makes cgroups")
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), listenVariable+"="+addresses)
	if join != 0 {
		child.Env = append(child.Env, fmt.Sprint(joinVariable, "=", join))
	} else {
		child.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	}
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
	cgroup := cgroupOf(t, id(name))
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Wait()
	})
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(fmt.Sprint(child.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return child.Process.Pid
}

// cgroupOf makes a cgroup of that name, of version 2 or of version 1's controller pids, and removes it after the test.
func cgroupOf(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(hostproc.CgroupFS, name)
	if _, err := os.Stat(filepath.Join(hostproc.CgroupFS, "cgroup.procs")); err != nil {
		path = filepath.Join(hostproc.CgroupFS, "pids", name)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A process may be waited for before the kernel has taken it out of its cgroup (cgroup_task_dead of
		// kernel/cgroup/cgroup.c, since Linux 6.18).
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

// world is an inventory that may lie, and an engine that counts the commands.
type world struct {
	mu         sync.Mutex
	containers []container.Container                          // as kept
	fresh      map[string]func() (container.Container, error) // by ID: what is said when it is asked anew
	exec       func(context.Context, string, io.Writer) error // runs a command in the container of that ID
	refreshed  int
	commands   []string // IDs
}

func (w *world) Containers(context.Context) ([]container.Summary, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []container.Summary
	for _, c := range w.containers {
		if c.State != container.Stopped {
			list = append(list, container.Summary{ID: c.ID, Name: c.Name, Network: c.Network})
		}
	}
	return list, nil
}

func (w *world) Inspect(_ context.Context, id string) (container.Container, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.containers {
		if c.ID == id {
			return c, nil
		}
	}
	return container.Container{}, container.ErrNotFound
}

func (w *world) Refresh(ctx context.Context, id string) (container.Container, error) {
	w.mu.Lock()
	w.refreshed++
	fresh := w.fresh[id]
	w.mu.Unlock()
	if fresh == nil {
		return w.Inspect(ctx, id)
	}
	now, err := fresh()
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.IndexFunc(w.containers, func(c container.Container) bool { return c.ID == id })
	if w.containers[at] = now; err != nil {
		w.containers = slices.Delete(w.containers, at, at+1)
	}
	return now, err
}

func (w *world) Exec(ctx context.Context, id string, _ []string, stdout, _ io.Writer) (int, error) {
	w.mu.Lock()
	w.commands = append(w.commands, id)
	w.mu.Unlock()
	if w.exec == nil {
		return 0, errors.New("not to be run")
	}
	return 0, w.exec(ctx, id, stdout)
}

// ran returns how many commands were run in a container.
func (w *world) ran(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, command := range w.commands {
		if command == id {
			n++
		}
	}
	return n
}

// running is a container of the world.
func running(name string, pid int, network container.NetworkMode) container.Container {
	return container.Container{ID: id(name), Name: "/" + name, PID: pid, Network: network, State: container.Running, StartedAt: time.Unix(1000, 0)}
}

func (w *world) collector(t *testing.T, methods ...Method) *Collector {
	t.Helper()
	proc, err := hostproc.At("/proc")
	if err != nil {
		t.Fatal(err)
	}
	c := New(context.WithoutCancel(t.Context()), w, w, Options{
		Methods: methods, Proc: proc, CgroupFS: hostproc.CgroupFS, Workers: 4, Timeout: 5 * time.Second,
	})
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

// read collects, and returns what is known of each container as "method ports of the namespace; reasons".
func (w *world) read(t *testing.T, c *Collector) map[string]string {
	t.Helper()
	result, err := c.Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]string)
	for _, r := range result.Readings {
		told[r.Container.Name[1:]] = tell(r)
	}
	return told
}

func tell(r Reading) string {
	var ports, reasons []string
	if r.NetNS != nil {
		for _, s := range r.NetNS.Sockets {
			ports = append(ports, fmt.Sprint(s.Local.Port()))
		}
	}
	slices.Sort(ports)
	for _, p := range r.Problems {
		reasons = append(reasons, p.Reason)
	}
	return fmt.Sprintf("%s %s; %s", r.Method, strings.Join(ports, ","), strings.Join(reasons, ", "))
}

func expectRead(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %q, want %q", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
