package collect

import (
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
