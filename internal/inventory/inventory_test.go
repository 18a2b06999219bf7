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

// fake is an engine. The number in a container's name counts the changes so far.
type fake struct {
	ahead time.Duration // of the engine's clock

	mu          sync.Mutex
	version     int
	fingerprint string // of container a
	extraID     string // an additional container in the list
	services    []container.Service
	calls       map[string]int
	past        []container.Event
	err         error
	followErr   error                // of Follow only
	stream      chan container.Event // closed to end it
	onInspect   func()               // called during Inspect
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
	list := []container.Summary{{ID: "a", Name: fmt.Sprint("/a", version), Fingerprint: f.fingerprint}}
	if f.extraID != "" {
		list = append(list, container.Summary{ID: f.extraID, Fingerprint: "extra"})
	}
	return append(list, container.Summary{ID: "b", Name: "/b", NetworkMode: "container:x"}), err
}

func (f *fake) Inspect(_ context.Context, id string) (container.Container, error) {
	version, err := f.call("inspect")
	if f.onInspect != nil {
		f.onInspect()
	}
	return container.Container{ID: id, Name: fmt.Sprint("/", id, version)}, err
}

func (f *fake) Networks(context.Context) ([]container.NetworkConfig, error) {
	version, err := f.call("networks")
	return []container.NetworkConfig{{Name: fmt.Sprint(version), Services: f.services}}, err
}

func (f *fake) Host(context.Context) (container.Host, error) {
	_, err := f.call("host")
	return container.Host{Name: "host", Time: time.Now().Add(f.ahead)}, err
}

func (f *fake) Follow(ctx context.Context, _ time.Time, started func(), changed func(container.Event)) error {
	f.mu.Lock()
	f.calls["follow"]++
	stream, err := f.stream, cmp.Or(f.followErr, f.err)
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

func (f *fake) callCounts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.calls)
}

// follow runs an inventory until the test ends. The function returns what Run reported.
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

// collect makes the calls of a collection, and returns the containers' names.
func collect(t *testing.T, i *Inventory) string {
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

// expect collects, and compares the names and the calls of the engine.
func expect(t *testing.T, i *Inventory, f *fake, names string, calls map[string]int) {
	t.Helper()
	f.mu.Lock()
	f.calls = make(map[string]int)
	f.mu.Unlock()
	if got := collect(t, i); got != names {
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
	allCalls   = map[string]int{"list": 1, "inspect": 2, "host": 1}
	onlyEvents = map[string]int{"past": 1}
)

func TestCacheIsKeptUntilAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		expect(t, i, f, "[/a0 /b0]", allCalls)
		expect(t, i, f, "[/a0 /b0]", onlyEvents)

		f.change()
		f.stream <- container.Event{ID: "a"}
		synctest.Wait()
		expect(t, i, f, "[/a1 /b0]", map[string]int{"past": 1, "list": 1, "inspect": 1})
		expect(t, i, f, "[/a1 /b0]", onlyEvents)

		f.change(container.Event{ID: "b"}) // not delivered by the stream yet
		expect(t, i, f, "[/a1 /b2]", map[string]int{"past": 1, "list": 1, "inspect": 1})
		expect(t, i, f, "[/a1 /b2]", onlyEvents)

		time.Sleep(maxAge)
		f.change()
		expect(t, i, f, "[/a3 /b3]", allCalls)
		expect(t, i, f, "[/a3 /b3]", onlyEvents)
	})
}

// A change of health costs one call: only the details of its container are read again.
func TestHealthInvalidatesOneContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		expect(t, i, f, "[/a0 /b0]", allCalls)
		before := i.Events()
		f.change()
		f.stream <- container.Event{ID: "a", Names: []string{"a"}, Health: true}
		synctest.Wait()
		expect(t, i, f, "[/a1 /b0]", map[string]int{"past": 1, "inspect": 1})
		f.change(container.Event{ID: "b", Health: true}) // not delivered by the stream yet
		expect(t, i, f, "[/a1 /b2]", map[string]int{"past": 1, "inspect": 1})
		expect(t, i, f, "[/a1 /b2]", onlyEvents)
		if i.Events() != before {
			t.Error("a change of health counts as a possible new container")
		}
	})
}

// Networks stay cached until an event says that the engine's networks changed.
func TestNetworksAreKeptUntilTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		expectNetworks := func(want string) {
			t.Helper()
			networks, err := i.Networks(t.Context())
			if err != nil || len(networks) != 1 || networks[0].Name != want {
				t.Errorf("%v, %v; want %s", networks, err, want)
			}
		}
		collect(t, i)
		expectNetworks("0")
		for _, change := range []struct {
			event container.Event
			want  string
		}{{container.Event{ID: "a"}, "0"}, {container.Event{Network: true}, "2"}, {container.Event{ID: "a", Network: true}, "3"}} {
			f.change()
			f.stream <- change.event
			synctest.Wait()
			expectNetworks(change.want)
		}
		f.change(container.Event{Network: true}) // not delivered by the stream yet
		collect(t, i)
		expectNetworks("4")
		f.change()
		time.Sleep(maxAge)
		collect(t, i)
		expectNetworks("5")
	})
}

// No event of the engine reports the Swarm tasks of other hosts.
func TestNetworksWithServicesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.services = []container.Service{{Name: "web"}}
		i, _ := follow(t, f)
		for _, step := range []struct {
			after time.Duration
			calls int
		}{{0, 1}, {servicesMaxAge, 1}, {1, 2}, {servicesMaxAge, 2}} {
			time.Sleep(step.after)
			if _, err := i.Networks(t.Context()); err != nil || f.callCounts()["networks"] != step.calls {
				t.Errorf("after %s: %v, %v", step.after, err, f.callCounts())
			}
		}
	})
}

// A container inspected by name is invalidated by an event of a container that has or had that name.
func TestEventInvalidatesNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		for _, name := range []string{"x", "/y"} {
			inspect := func() string {
				c, err := i.Inspect(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				return c.Name
			}
			before := inspect()
			f.change()
			if inspect() != before {
				t.Error("not cached")
			}
			f.stream <- container.Event{ID: "other", Names: []string{"z", "x", "y"}}
			synctest.Wait()
			if inspect() == before {
				t.Errorf("%s is still cached", name)
			}
		}
	})
}

// An answer that may be older than an event is not cached.
func TestEventDuringInspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		f.onInspect = func() {
			f.onInspect = nil
			f.change()
			f.stream <- container.Event{ID: "a"}
			synctest.Wait()
		}
		if got := collect(t, i); got != "[/a0 /b1]" {
			t.Errorf("%s", got)
		}
		if got := collect(t, i); got != "[/a1 /b1]" {
			t.Errorf("%s", got)
		}
	})
}

func TestEndOfStreamClearsCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, reported := follow(t, f)
		collect(t, i)
		f.mu.Lock()
		previous := f.stream
		f.stream, f.err = make(chan container.Event), errors.New("unavailable")
		f.mu.Unlock()
		close(previous)
		synctest.Wait()
		f.mu.Lock()
		f.err = nil // the next attempt to follow is one second later
		f.mu.Unlock()
		f.change()
		listed, err := i.Containers(t.Context())
		if err != nil || listed[0].Name != "/a1" {
			t.Errorf("%v, %v: cached from before the end", listed, err)
		}
		f.change()
		if listed, err = i.Containers(t.Context()); err != nil || listed[0].Name != "/a2" {
			t.Errorf("%v, %v: cached without following", listed, err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		expect(t, i, f, "[/a2 /b2]", allCalls)
		expect(t, i, f, "[/a2 /b2]", onlyEvents)
		if got := fmt.Sprint(reported()); got != "[<nil> cut <nil>]" {
			t.Errorf("reported %s", got)
		}
	})
}

func TestWithoutEventsNothingIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.followErr = container.ErrForbidden
		i, reported := follow(t, f)
		for range 3 {
			before := f.callCounts()
			collect(t, i)
			after := f.callCounts()
			if after["list"]-before["list"] != 1 || after["inspect"]-before["inspect"] != 2 || after["past"] != 0 {
				t.Errorf("calls %v, then %v", before, after)
			}
		}
		if got := reported(); len(got) == 0 || !errors.Is(got[0], container.ErrForbidden) {
			t.Errorf("reported %v", got)
		}
	})
}

func TestUnreachableEngineFailsSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		collect(t, i)
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

// If the engine uses another clock, each call requests its list. An inspected container stays cached while its
// fingerprint in the list is unchanged.
func TestForeignClockUsesFingerprints(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.ahead = ahead
			i, _ := follow(t, f)
			expect(t, i, f, "[/a0 /b0]", allCalls)
			onlyList := map[string]int{"list": 1}
			expect(t, i, f, "[/a0 /b0]", onlyList)
			f.fingerprint = "restarted"
			f.change()
			expect(t, i, f, "[/a1 /b0]", map[string]int{"list": 1, "inspect": 1})
			expect(t, i, f, "[/a1 /b0]", onlyList)
			// Container b joined the network of x, which starts, stops and starts again.
			inspect := func(want string) {
				t.Helper()
				if c, err := i.Inspect(t.Context(), "x"); err != nil || c.Name != want {
					t.Errorf("%s, %v; want %s", c.Name, err, want)
				}
			}
			inspect("/x1")
			f.extraID = "x"
			f.change()
			collect(t, i)
			inspect("/x2")
			f.extraID = ""
			f.change()
			collect(t, i)
			inspect("/x3")
		})
	}
}

// After its clock is set back the engine delays its answer once, for a bounded time.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		collect(t, i)
		expect(t, i, f, "[/a0 /b0]", onlyEvents)
		f.ahead = -time.Hour
		f.change()
		began := time.Now()
		if got := collect(t, i); got != "[/a1 /b1]" || time.Since(began) > 3*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		expect(t, i, f, "[/a1 /b1]", map[string]int{"list": 1})
	})
}

// A container that is neither listed nor joined is removed from the cache.
func TestGoneContainersAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		for _, id := range []string{"gone", "x"} {
			if _, err := i.Inspect(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		collect(t, i)
		i.mu.Lock()
		defer i.mu.Unlock()
		if cached := slices.Sorted(maps.Keys(i.inspected)); fmt.Sprint(cached) != "[a b x]" {
			t.Errorf("cached %v", cached)
		}
	})
}

// ErrNotFound is cached too, until a container of that name starts.
func TestNotFoundIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		i, _ := follow(t, f)
		f.err = fmt.Errorf("inspect: %w", container.ErrNotFound)
		for range 3 {
			if _, err := i.Inspect(t.Context(), "x"); !errors.Is(err, container.ErrNotFound) {
				t.Errorf("%v", err)
			}
		}
		if n := f.callCounts()["inspect"]; n != 1 {
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
