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

// sick is a world of many containers; in those for which took returns 0 a command hangs until the test ends.
func sick(n int, took func(i int) time.Duration) *world {
	w := &world{}
	index := make(map[string]int, n)
	for i := range n {
		it := running(fmt.Sprint(i), 0, "bridge")
		index[it.ID] = i
		w.containers = append(w.containers, it)
	}
	w.exec = func(ctx context.Context, id string, stdout io.Writer) error {
		answer := took(index[id])
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

// However many containers the engine hangs on, they take little longer than two of them; and all that answer are in
// the answer.
func TestManyHang(t *testing.T) {
	const n, quick, timeout = 1000, 40 * time.Millisecond, 5 * time.Second // the world's
	for name, took := range map[string]func(int) time.Duration{
		"all":              func(int) time.Duration { return 0 },
		"every other":      func(i int) time.Duration { return quick * time.Duration(i%2) },
		"all but the last": func(i int) time.Duration { return quick * time.Duration(i/(n-1)) },
		"one in a hundred": func(i int) time.Duration { return quick * time.Duration(min(1, i%100)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sick(n, took)
				c := w.collector(t, Exec)
				began := time.Now()
				told := w.read(t, c)
				bound := patienceCalls*timeout + n/time.Duration(c.Workers)*max(slower*quick, timeout/least)
				if took := time.Since(began); took > bound+time.Millisecond {
					t.Errorf("the answer took %v, not %v", took, bound)
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
				for i := range n {
					got := told[fmt.Sprint(i)]
					if answers := took(i) > 0; answers && got != "exec ; " {
						t.Fatalf("%d: %q", i, got)
					} else if !answers && !strings.HasSuffix(got, "; exec: no answer in time") {
						t.Fatalf("%d, which hangs: %q", i, got)
					}
				}
			})
		})
	}
}

// Beside another container that has no cat, or answers, what hangs in a shared network namespace takes no longer together
// either.
func TestManyHangInNamespaces(t *testing.T) {
	for name, fails := range map[string]bool{"the other has no cat": true, "the other answers": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const pairs = 200
				w := sick(2*pairs, func(int) time.Duration { return 0 })
				index := make(map[string]int)
				for i := range w.containers {
					index[w.containers[i].ID] = i
					if i%2 == 1 {
						w.containers[i].Network = container.NetworkMode("container:" + w.containers[i-1].ID)
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
				bound := patienceCalls*c.Timeout + 2*pairs/time.Duration(c.Workers)*c.Timeout/least
				if took := time.Since(began); took > bound+time.Millisecond {
					t.Errorf("the answer took %v, not %v", took, bound)
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What answers slowly is not taken for what hangs, at the latest as soon as it is known what hangs.
func TestSlowBesideWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hung = 8
		w := sick(40, func(i int) time.Duration {
			if i < hung {
				return 0
			}
			return 4 * time.Second
		})
		c := w.collector(t, Exec)
		w.read(t, c)
		time.Sleep(c.Timeout) // until what was given up has answered
		told := w.read(t, c)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for i := hung; i < len(told); i++ {
			if got := told[fmt.Sprint(i)]; got != "exec ; " {
				t.Errorf("%d: %q", i, got)
			}
		}
	})
}
