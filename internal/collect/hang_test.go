package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// newHungWorld has n containers. The command in container i answers after answerTime(i), or hangs until the test ends if
// that is 0.
func newHungWorld(n int, answerTime func(i int) time.Duration) *world {
	w := &world{}
	index := make(map[string]int, n)
	for i := range n {
		it := running(fmt.Sprint(i), 0, "bridge")
		index[it.ID] = i
		w.containers = append(w.containers, it)
	}
	w.exec = func(ctx context.Context, id string, stdout io.Writer) error {
		answer := answerTime(index[id])
		if answer == 0 {
			<-ctx.Done()
			return ctx.Err()
		}
		time.Sleep(answer)
		_, err := io.WriteString(stdout, tcpHeader)
		return err
	}
	return w
}

// Any number of hung containers costs little more than two timeouts, and all others are complete.
func TestManyHungContainersCostTwoTimeouts(t *testing.T) {
	const n, fast, timeout = 1000, 40 * time.Millisecond, 5 * time.Second // the timeout of world.collector
	for name, answerTime := range map[string]func(int) time.Duration{
		"all":              func(int) time.Duration { return 0 },
		"every other":      func(i int) time.Duration { return fast * time.Duration(i%2) },
		"all but the last": func(i int) time.Duration { return fast * time.Duration(i/(n-1)) },
		"one in a hundred": func(i int) time.Duration { return fast * time.Duration(min(1, i%100)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newHungWorld(n, answerTime)
				c := w.collector(t, Exec)
				began := time.Now()
				readings := w.read(t, c)
				bound := maxTimeouts*timeout + n/time.Duration(c.Workers)*max(slowFactor*fast, timeout/floorDivisor)
				if took := time.Since(began); took > bound+time.Millisecond {
					t.Errorf("the collection took %v, want at most %v", took, bound)
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
				for i := range n {
					got := readings[fmt.Sprint(i)]
					if answers := answerTime(i) > 0; answers && got != "exec ; " {
						t.Fatalf("%d: %q", i, got)
					} else if !answers && !strings.HasSuffix(got, "; exec: no answer in time") {
						t.Fatalf("%d, which hangs: %q", i, got)
					}
				}
			})
		})
	}
}

// The same bound holds if each hung container shares its network namespace with a container that answers or
// has no cat.
func TestManyHungContainersInSharedNamespaces(t *testing.T) {
	for name, fails := range map[string]bool{"the other has no cat": true, "the other answers": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const pairs = 200
				w := newHungWorld(2*pairs, func(int) time.Duration { return 0 })
				index := make(map[string]int)
				for i := range w.containers {
					index[w.containers[i].ID] = i
					if i%2 == 1 {
						w.containers[i].NetworkMode = container.NetworkMode("container:" + w.containers[i-1].ID)
					}
				}
				hangs := w.exec
				w.exec = func(ctx context.Context, id string, stdout io.Writer) error {
					switch isFirst := index[id]%2 == 0; {
					case fails && isFirst:
						return errors.New("no cat")
					case !fails && !isFirst:
						_, err := io.WriteString(stdout, tcpHeader)
						return err
					}
					return hangs(ctx, id, stdout)
				}
				c := w.collector(t, Exec)
				began := time.Now()
				w.read(t, c)
				bound := maxTimeouts*c.Timeout + 2*pairs/time.Duration(c.Workers)*c.Timeout/floorDivisor
				if took := time.Since(began); took > bound+time.Millisecond {
					t.Errorf("the collection took %v, want at most %v", took, bound)
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A slow container does not count as hung, at the latest in the second collection: then, commands that hang are known.
func TestSlowContainersBesideHungOnesAreComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hung = 8
		w := newHungWorld(40, func(i int) time.Duration {
			if i < hung {
				return 0
			}
			return 4 * time.Second
		})
		c := w.collector(t, Exec)
		w.read(t, c)
		time.Sleep(c.Timeout) // until the abandoned commands of slow containers have answered
		readings := w.read(t, c)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for i := hung; i < len(readings); i++ {
			if got := readings[fmt.Sprint(i)]; got != "exec ; " {
				t.Errorf("%d: %q", i, got)
			}
		}
	})
}

// The bounds of callpool.Budget: hung calls cost two timeouts, then 1/32 of the timeout or 4 times the slowest answer
// each.
const maxTimeouts, floorDivisor, slowFactor = 2, 32, 4
