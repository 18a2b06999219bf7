package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// fake is an engine whose containers' names say how often something changed.
type fake struct {
	ahead time.Duration // of the engine's clock

	mu      sync.Mutex
	version int
	mark    string // of a
	another string // container that is listed
	calls   map[string]int
	past    []container.Event
	err     error
	refused error                // of following alone
	stream  chan container.Event // closed to end it
	during  func()               // called while a container is inspected
}

func newFake() *fake { return &fake{calls: make(map[string]int), stream: make(chan container.Event)} }

func (f *fake) call(kind string) (version int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[kind]++
	return f.version, f.err
}

func (f *fake) Containers(context.Context) ([]container.Summary, error) {
	version, err := f.call("list")
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []container.Summary{{ID: "a", Name: fmt.Sprint("/a", version), Fingerprint: f.mark}}
	if f.another != "" {
		list = append(list, container.Summary{ID: f.another, Fingerprint: "another"})
	}
	return append(list, container.Summary{ID: "b", Name: "/b", NetworkMode: "container:x"}), err
}

func (f *fake) Inspect(_ context.Context, id string) (container.Container, error) {
	version, err := f.call("inspect")
	if f.during != nil {
		f.during()
	}
	return container.Container{ID: id, Name: fmt.Sprint("/", id, version)}, err
}

func (f *fake) Host(context.Context) (container.Host, error) {
	_, err := f.call("host")
	return container.Host{Name: "host", Time: time.Now().Add(f.ahead)}, err
}

func (f *fake) Follow(ctx context.Context, _ time.Time, started func(), changed func(container.Event)) error {
	f.mu.Lock()
	f.calls["follow"]++
	stream, err := f.stream, cmp.Or(f.refused, f.err)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	started()
	for {
		select {
		case event, ok := <-stream:
			if !ok {
				return errors.New("cut")
			}
			changed(event)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fake) EventsBetween(ctx context.Context, _, until time.Time) ([]container.Event, error) {
	_, err := f.call("past")
	select {
	case <-time.After(time.Until(until.Add(-f.ahead))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	events := f.past
	f.past = nil
	return events, err
}

func (f *fake) counted() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.calls)
}

// follow runs an inventory until the test ends, and returns what it reported of the stream.
func follow(t *testing.T, f *fake) (*Inventory, func() []error) {
	t.Helper()
	i := New(f)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var reported []error
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.Run(ctx, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			reported = append(reported, err)
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return i, func() []error {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(reported)
	}
}

// poll asks as a collection does, and returns the names.
func poll(t *testing.T, i *Inventory) string {
	t.Helper()
	time.Sleep(time.Second)
	listed, err := i.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, summary := range listed {
		c, err := i.Inspect(t.Context(), summary.ID)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, c.Name)
	}
	if _, err := i.Host(t.Context()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(names)
}

// expect polls and holds the names, and the calls that were made, against what is wanted.
func expect(t *testing.T, i *Inventory, f *fake, names string, calls map[string]int) {
	t.Helper()
	f.mu.Lock()
	f.calls = make(map[string]int)
	f.mu.Unlock()
	if got := poll(t, i); got != names {
		t.Errorf("%s, want %s", got, names)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !maps.Equal(f.calls, calls) {
		t.Errorf("calls %v, want %v", f.calls, calls)
	}
}

func (f *fake) change(events ...container.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.past = append(f.past, events...)
}

var (
	all  = map[string]int{"list": 1, "inspect": 2, "host": 1}
	none = map[string]int{"past": 1}
)

func TestKeepsUntilAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		expect(t, i, f, "[/a0 /b0]", all)
		expect(t, i, f, "[/a0 /b0]", none)

		f.change()
		f.stream <- container.Event{ID: "a"}
		synctest.Wait()
		expect(t, i, f, "[/a1 /b0]", map[string]int{"past": 1, "list": 1, "inspect": 1})
		expect(t, i, f, "[/a1 /b0]", none)

		f.change(container.Event{ID: "b"}) // which the stream has not brought yet
		expect(t, i, f, "[/a1 /b2]", map[string]int{"past": 1, "list": 1, "inspect": 1})
		expect(t, i, f, "[/a1 /b2]", none)

		time.Sleep(refreshAfter)
		f.change()
		expect(t, i, f, "[/a3 /b3]", all)
		expect(t, i, f, "[/a3 /b3]", none)
	})
}

// What was asked for by a name is forgotten with the container that has or had it.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		for _, name := range []string{"x", "/y"} {
			ask := func() string {
				c, err := i.Inspect(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				return c.Name
			}
			before := ask()
			f.change()
			if ask() != before {
				t.Error("not kept")
			}
			f.stream <- container.Event{ID: "other", Names: []string{"z", "x", "y"}}
			synctest.Wait()
			if ask() == before {
				t.Errorf("%s is kept", name)
			}
		}
	})
}

// An answer that may be older than an event is not kept.
func TestEventWhileInspecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		f.during = func() {
			f.during = nil
			f.change()
			f.stream <- container.Event{ID: "a"}
			synctest.Wait()
		}
		if got := poll(t, i); got != "[/a0 /b1]" {
			t.Errorf("%s", got)
		}
		if got := poll(t, i); got != "[/a1 /b1]" {
			t.Errorf("%s", got)
		}
	})
}

func TestStreamIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, reported := follow(t, f)
		poll(t, i)
		f.mu.Lock()
		cut := f.stream
		f.stream, f.err = make(chan container.Event), errors.New("away")
		f.mu.Unlock()
		close(cut)
		synctest.Wait()
		f.mu.Lock()
		f.err = nil // the next try to follow is a second away
		f.mu.Unlock()
		f.change()
		listed, err := i.Containers(t.Context())
		if err != nil || listed[0].Name != "/a1" {
			t.Errorf("%v, %v: kept from before the cut", listed, err)
		}
		f.change()
		if listed, err = i.Containers(t.Context()); err != nil || listed[0].Name != "/a2" {
			t.Errorf("%v, %v: kept without following", listed, err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		expect(t, i, f, "[/a2 /b2]", all)
		expect(t, i, f, "[/a2 /b2]", none)
		if got := fmt.Sprint(reported()); got != "[<nil> cut <nil>]" {
			t.Errorf("reported %s", got)
		}
	})
}

func TestEventsAreNotPermitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.refused = container.ErrForbidden
		i, reported := follow(t, f)
		for range 3 {
			before := f.counted()
			poll(t, i)
			after := f.counted()
			if after["list"]-before["list"] != 1 || after["inspect"]-before["inspect"] != 2 || after["past"] != 0 {
				t.Errorf("calls %v, then %v", before, after)
			}
		}
		if got := reported(); len(got) == 0 || !errors.Is(got[0], container.ErrForbidden) {
			t.Errorf("reported %v", got)
		}
	})
}

func TestFailingCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		poll(t, i)
		f.mu.Lock()
		f.err = fmt.Errorf("past: %w", container.ErrUnreachable)
		f.mu.Unlock()
		time.Sleep(time.Second)
		if _, err := i.Containers(t.Context()); !errors.Is(err, container.ErrUnreachable) {
			t.Errorf("%v", err)
		}
		f.mu.Lock()
		f.err = nil
		f.mu.Unlock()
		expect(t, i, f, "[/a0 /b0]", map[string]int{"past": 1, "list": 1, "inspect": 2, "host": 1})
	})
}

// An engine that goes by another clock is asked for its list each time, and what is inspected is kept as long as the
// list shows that nothing of it has changed.
func TestAnotherClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.ahead = ahead
			i, _ := follow(t, f)
			expect(t, i, f, "[/a0 /b0]", all)
			listAlone := map[string]int{"list": 1}
			expect(t, i, f, "[/a0 /b0]", listAlone)
			f.mark = "started anew"
			f.change()
			expect(t, i, f, "[/a1 /b0]", map[string]int{"list": 1, "inspect": 1})
			expect(t, i, f, "[/a1 /b0]", listAlone)
			// x, whose network b joined, comes, goes and comes again.
			inspect := func(want string) {
				t.Helper()
				if c, err := i.Inspect(t.Context(), "x"); err != nil || c.Name != want {
					t.Errorf("%s, %v; want %s", c.Name, err, want)
				}
			}
			inspect("/x1")
			f.another = "x"
			f.change()
			poll(t, i)
			inspect("/x2")
			f.another = ""
			f.change()
			poll(t, i)
			inspect("/x3")
		})
	}
}

// A clock that is set back under the daemon's eyes lets the engine wait: not for long, and once.
func TestClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		poll(t, i)
		expect(t, i, f, "[/a0 /b0]", none)
		f.ahead = -time.Hour
		f.change()
		began := time.Now()
		if got := poll(t, i); got != "[/a1 /b1]" || time.Since(began) > 3*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		expect(t, i, f, "[/a1 /b1]", map[string]int{"list": 1})
	})
}

// What is neither listed nor joined is forgotten.
func TestForgetsWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		for _, id := range []string{"gone", "x"} {
			if _, err := i.Inspect(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		poll(t, i)
		i.mu.Lock()
		defer i.mu.Unlock()
		if kept := slices.Sorted(maps.Keys(i.inspected)); fmt.Sprint(kept) != "[a b x]" {
			t.Errorf("kept %v", kept)
		}
	})
}

// That there is no such container is kept too, until one of that name is started.
func TestNotFoundIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		f.err = fmt.Errorf("inspect: %w", container.ErrNotFound)
		for range 3 {
			if _, err := i.Inspect(t.Context(), "x"); !errors.Is(err, container.ErrNotFound) {
				t.Errorf("%v", err)
			}
		}
		if n := f.counted()["inspect"]; n != 1 {
			t.Errorf("%d calls", n)
		}
		f.err = nil
		f.stream <- container.Event{ID: "new", Names: []string{"x"}}
		synctest.Wait()
		if c, err := i.Inspect(t.Context(), "x"); err != nil || c.Name != "/x0" {
			t.Errorf("%v, %v", c, err)
		}
	})
}
