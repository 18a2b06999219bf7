package collect

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// If a process is gone, the engine's fresh answer decides what the reading says.
func TestGoneProcessIsRechecked(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	restarted := startProcess(t, "it", 0, "127.0.0.1:81")
	stale := running("it", 1<<22+1, "bridge")
	changed := func(change func(*container.Container)) func() (container.Container, error) {
		return func() (container.Container, error) {
			now := stale
			change(&now)
			return now, nil
		}
	}
	refreshes := 0
	for name, test := range map[string]struct {
		fresh func() (container.Container, error)
		want  string
	}{
		"removed":       {func() (container.Container, error) { return container.Container{}, container.ErrNotFound }, ""},
		"stopped":       {changed(func(c *container.Container) { c.State = container.Stopped }), ""},
		"restarting":    {changed(func(c *container.Container) { c.State, c.PID = container.Restarting, 0 }), "none ; the container is restarting"},
		"started again": {changed(func(c *container.Container) { c.PID, c.StartedAt = restarted, time.Unix(2000, 0) }), "sockdiag 81; "},
		"noticed late": {changed(func(c *container.Container) {
			if refreshes++; refreshes > 1 {
				c.State = container.Stopped
			}
		}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{containers: []container.Container{web, stale}, fresh: map[string]func() (container.Container, error){stale.ID: test.fresh}}
			want := map[string]string{"web": "sockdiag 80; "}
			if test.want != "" {
				want["it"] = test.want
			}
			expectRead(t, w.read(t, w.collector(t)), want)
			if len(w.commands) != 0 {
				t.Errorf("%d commands", len(w.commands))
			}
		})
	}
}

// A container that joins a network namespace while it is read is in the result too: its sockets would seem to be the other member's.
func TestContainerThatJoinsMeanwhileIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		mode   container.NetworkMode
		passes int
	}{
		"joined":      {container.NetworkMode("container:" + id("owner")), 2},
		"host":        {"host", 2},
		"of no other": {"bridge", 1},
	} {
		owner, late := running("owner", 0, "bridge"), running("late", 0, test.mode)
		w := &world{containers: []container.Container{owner}}
		w.exec = func(ctx context.Context, of string, stdout io.Writer) error {
			w.mu.Lock()
			if len(w.containers) == 1 {
				w.containers, w.events = append(w.containers, late), w.events+1
			}
			w.mu.Unlock()
			return printTable(80)(ctx, of, stdout)
		}
		readings := w.read(t, w.collector(t, Exec))
		if _, ok := readings["late"]; ok != (test.passes == 2) {
			t.Errorf("%s: %v", name, readings)
		}
		if n := len(slices.DeleteFunc(w.arguments(), func(command []string) bool { return command[0] != "cat" })); n < test.passes {
			t.Errorf("%s: %d commands", name, n)
		}
	}
}
