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

// The test program also stands in for the first process of a container. It joins the network namespace of the process in
// joinVariable, if any, listens on the addresses in listenVariable, and waits for the end of its input.
const (
	joinVariable   = "COLLECT_TEST_JOIN"
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

// startProcess starts the first process of a container, listening on addresses. It has a new network namespace, or that of
// process join if this is not 0.
func startProcess(t *testing.T, name string, join int, addresses string) (pid int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("requires root to create cgroups")
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
	cgroup := newCgroup(t, id(name))
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

// newCgroup makes a cgroup, of version 2 or of version 1's controller pids, and removes it after the test.
func newCgroup(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(hostproc.DefaultCgroupMount, name)
	if _, err := os.Stat(filepath.Join(hostproc.DefaultCgroupMount, "cgroup.procs")); err != nil {
		path = filepath.Join(hostproc.DefaultCgroupMount, "pids", name)
	}
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

// world is an inventory with settable answers, and an engine that records commands.
type world struct {
	mu         sync.Mutex
	containers []container.Container                          // as Inspect returns them
	fresh      map[string]func() (container.Container, error) // by ID: the answers of Refresh
	exec       func(context.Context, string, io.Writer) error // runs a command in the container with this ID
	refreshed  int
	commands   []string // IDs of the containers in which they ran
}

func (w *world) Containers(context.Context) ([]container.Summary, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []container.Summary
	for _, c := range w.containers {
		if c.State != container.Stopped {
			list = append(list, container.Summary{ID: c.ID, Name: c.Name, NetworkMode: c.NetworkMode})
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
		return 0, errors.New("unexpected command")
	}
	return 0, w.exec(ctx, id, stdout)
}

// commandsIn returns how many commands ran in a container.
func (w *world) commandsIn(id string) int {
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

// running returns a running container.
func running(name string, pid int, network container.NetworkMode) container.Container {
	return container.Container{ID: id(name), Name: "/" + name, PID: pid, NetworkMode: network, State: container.Running, StartedAt: time.Unix(1000, 0)}
}

func (w *world) collector(t *testing.T, methods ...Method) *Collector {
	t.Helper()
	proc, err := hostproc.OpenAt("/proc")
	if err != nil {
		t.Fatal(err)
	}
	c := New(context.WithoutCancel(t.Context()), w, w, Options{
		Methods: methods, Proc: proc, CgroupFS: hostproc.DefaultCgroupMount, Workers: 4, Timeout: 5 * time.Second,
	})
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

// read collects, and returns a summary of each container by name.
func (w *world) read(t *testing.T, c *Collector) map[string]string {
	t.Helper()
	result, err := c.Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	summaries := make(map[string]string)
	for _, r := range result.Readings {
		summaries[r.Container.Name[1:]] = summarize(r)
	}
	return summaries
}

// summarize returns "method ports of the network namespace; reasons".
func summarize(r Reading) string {
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
