package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// world is an inventory with settable answers, and an engine that records commands.
type world struct {
	mu         sync.Mutex
	containers []container.Container                          // as Inspect returns them
	fresh      map[string]func() (container.Container, error) // by ID: the answers of Refresh
	exec       func(context.Context, string, io.Writer) error // runs a command in the container with this ID
	caches     bool                                           // Cached answers
	refreshed  int
	events     uint64
	commands   []string // IDs of the containers in which they ran
	ran        [][]string
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

func (w *world) Events() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
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

func (w *world) Cached(id string) (container.Container, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.containers, func(c container.Container) bool { return c.ID == id })
	if !w.caches || i < 0 {
		return container.Container{}, false
	}
	return w.containers[i], true
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

func (w *world) Exec(ctx context.Context, id string, command []string, stdout, _ io.Writer) (int, error) {
	w.mu.Lock()
	w.commands = append(w.commands, id)
	w.ran = append(w.ran, command)
	w.mu.Unlock()
	if w.exec == nil {
		return 0, errors.New("unexpected command")
	}
	return 0, w.exec(ctx, id, stdout)
}

// arguments returns the commands that ran, in their order.
func (w *world) arguments() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ran)
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

func (w *world) collector(t testing.TB, methods ...Method) *Collector {
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
