package collect

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PabloL007/outpost/internal/callpool"
	"github.com/PabloL007/outpost/internal/container"
)

// Hung commands in containers of one network namespace take one timeout together. Meanwhile, a command runs in another of
// these containers.
func TestHungCommandsOfANamespaceShareOneTimeout(t *testing.T) {
	for _, hung := range []int{1, 3, 4} {
		synctest.Test(t, func(t *testing.T) {
			const containers = 4
			owner := running("0", 0, "bridge")
			w := &world{containers: []container.Container{owner}}
			for i := 1; i < containers; i++ {
				w.containers = append(w.containers, running(fmt.Sprint(i), 0, container.NetworkMode("container:"+owner.ID)))
			}
			w.exec = func(ctx context.Context, container string, stdout io.Writer) error {
				for i := range hung {
					if container == id(fmt.Sprint(i)) {
						<-ctx.Done()
						return ctx.Err()
					}
				}
				return printTable(80)(ctx, container, stdout)
			}
			c := w.collector(t, Exec)
			began := time.Now()
			result, err := c.Collect(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			// The second wait is for the owners: a container that hung may only have been slow. Its deadline is shorter by the
			// time already spent.
			hungTime := map[int]time.Duration{1: c.Timeout / 2, 3: c.Timeout * 7 / 8, 4: c.Timeout}[hung]
			want := hungTime + c.Timeout - hungTime/time.Duration(maxTimeouts*c.Workers)
			if hung == containers { // no socket needs an owner
				want = hungTime
			}
			if took != want {
				t.Errorf("%d hang: %v, want %v", hung, took, want)
			}
			read := len(result.Readings[0].NetNS.Sockets) == 1
			if read != (hung < containers) {
				t.Errorf("%d hang: %+v", hung, result.Readings[0])
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The container with the slow command is complete too: its owners are read after the tables came from the other.
func TestSlowCommandLosesOnlyTheRaceForTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, fast := running("slow", 0, "host"), running("fast", 0, "host")
		w := &world{containers: []container.Container{slow, fast}}
		w.exec = func(_ context.Context, container string, stdout io.Writer) error {
			if w.commandsIn(container) == 2 {
				_, err := fmt.Fprintf(stdout, "self 9\n/proc/1 0::/docker/%[1]s\n/proc/9 0::/docker/%[1]s\n/proc/1/fd:\ntotal 0\n", container)
				return err
			}
			if container == slow.ID {
				time.Sleep(2600 * time.Millisecond)
			}
			return printTable(80)(t.Context(), container, stdout)
		}
		c := w.collector(t, Exec)
		expectRead(t, w.read(t, c), map[string]string{"slow": "exec 80; ", "fast": "exec 80; "})
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAtMostFourCommandsHangInANamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{exec: func(ctx context.Context, _ string, _ io.Writer) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		for i := range 60 {
			w.containers = append(w.containers, running(fmt.Sprint(i), 0, "none"))
			w.containers[i].NetworkMode = container.NetworkMode("container:" + id("0"))
		}
		w.containers[0].NetworkMode = "bridge"
		c := w.collector(t, Exec)
		p := newPass(c, nil, false)
		listed, err := w.Containers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		targets := p.inspectAll(t.Context(), listed)
		if _, err := (execSource{}).Read(t.Context(), p, targets); !callpool.IsTimeout(err) || time.Since(began) != c.Timeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := c.Close(t.Context()); err != nil { // waits for the hung commands
			t.Error(err)
		}
		if n := len(w.commands); n != 4 {
			t.Errorf("%d commands", n)
		}
	})
}
