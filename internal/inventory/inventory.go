// Package inventory keeps what the engine says of its containers, as long as its events do not say that it has changed.
package inventory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// Engine is what an Inventory asks of a container engine.
type Engine interface {
	Containers(ctx context.Context) ([]container.Summary, error)
	Inspect(ctx context.Context, id string) (container.Container, error)
	Host(ctx context.Context) (container.Host, error)
	// Follow reports changes from since on until ctx or the stream ends.
	Follow(ctx context.Context, since time.Time, started func(), changed func(container.Event)) error
	// Past returns the changes between two moments.
	EventsBetween(ctx context.Context, since, until time.Time) ([]container.Event, error)
}

const (
	// refreshAfter is how long something is kept without being asked for anew.
	refreshAfter = 5 * time.Minute
	// firstRetry and lastRetry are how long after the stream of events ended it is asked for again.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// pastTimeout is how long past events are waited for. They are at hand; but an engine whose clock is behind waits
	// until it shows the time up to which it was asked.
	pastTimeout = time.Second
)

// Inventory answers as the engine would. As long as it does not follow the engine's events, it asks the engine each
// time. It may be used by several goroutines at once.
type Inventory struct {
	engine Engine

	mu        sync.Mutex
	following bool
	since     time.Time // all events before it were taken note of
	refresh   time.Time // when to ask for everything anew
	sameClock bool      // the engine goes by this machine's
	list      *kept[[]container.Summary]
	host      *kept[container.Host]
	inspected map[string]*kept[container.Container] // by what was asked for: ID or name
	marks     map[string]string                     // of the containers in the last list, by ID
}

// kept is an answer of the engine. It is put in its place before the engine is asked: an event that comes before the
// answer takes it away, so that what may be out of date is kept by nobody.
type kept[T any] struct {
	value T
	err   error // container.ErrNotFound, which is an answer too
	known bool
}

// New returns an inventory that does not follow any events yet.
func New(engine Engine) *Inventory {
	i := &Inventory{engine: engine}
	i.forget()
	return i
}

// Run follows the engine's events until ctx ends, again after each end of their stream. It reports to ended why one
// ended, and nil when one has begun.
func (i *Inventory) Run(ctx context.Context, ended func(error)) {
	retry := firstRetry
	for ctx.Err() == nil {
		begun := wallClock()
		err := i.engine.Follow(ctx, begun, func() {
			i.begin(begun)
			ended(nil)
		}, i.changed)
		i.end()
		if ctx.Err() != nil {
			return
		}
		ended(err)
		if wallClock().Sub(begun) > lastRetry {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// wallClock is the time by the clock that the engine has too, which may be set back.
func wallClock() time.Time { return time.Now().Round(0) }

func (i *Inventory) begin(since time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forget()
	i.following, i.since, i.refresh, i.sameClock = true, since, since.Add(refreshAfter), false
}

func (i *Inventory) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.following = false
	i.forget()
}

func (i *Inventory) forget() {
	i.list, i.host, i.inspected, i.marks = nil, nil, make(map[string]*kept[container.Container]), nil
}

// changed forgets what an event makes doubtful.
func (i *Inventory) changed(event container.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.list = nil
	i.doubt(event)
}

// doubt forgets what was inspected of one container.
func (i *Inventory) doubt(event container.Event) {
	maps.DeleteFunc(i.inspected, func(asked string, c *kept[container.Container]) bool {
		return asked == event.ID || c.value.ID == event.ID || slices.Contains(event.Names, strings.TrimPrefix(asked, "/"))
	})
}

// Containers lists the running containers in the engine's order.
func (i *Inventory) Containers(ctx context.Context) ([]container.Summary, error) {
	if err := i.catchUp(ctx); err != nil {
		return nil, err
	}
	return ask(i, func() **kept[[]container.Summary] { return &i.list }, func() ([]container.Summary, error) {
		list, err := i.engine.Containers(ctx)
		if err == nil {
			i.compare(list)
		}
		return list, err
	})
}

// Inspect returns one container, by ID or name.
func (i *Inventory) Inspect(ctx context.Context, id string) (container.Container, error) {
	i.mu.Lock()
	if known, ok := i.inspected[id]; ok && known.known {
		i.mu.Unlock()
		return known.value, known.err
	}
	i.mu.Unlock()
	return i.Refresh(ctx, id)
}

// Refresh is Inspect that asks the engine in any case.
func (i *Inventory) Refresh(ctx context.Context, id string) (container.Container, error) {
	place := &kept[container.Container]{}
	i.mu.Lock()
	if i.following {
		i.inspected[id] = place
	}
	i.mu.Unlock()
	c, err := i.engine.Inspect(ctx, id)
	i.mu.Lock()
	defer i.mu.Unlock()
	place.value, place.err, place.known = c, err, err == nil || errors.Is(err, container.ErrNotFound)
	if !place.known && i.inspected[id] == place {
		delete(i.inspected, id)
	}
	return c, err
}

// Host returns what the engine tells of itself.
func (i *Inventory) Host(ctx context.Context) (container.Host, error) {
	return ask(i, func() **kept[container.Host] { return &i.host }, func() (container.Host, error) {
		asked := wallClock()
		host, err := i.engine.Host(ctx)
		answered := wallClock()
		i.mu.Lock()
		defer i.mu.Unlock()
		i.sameClock = err == nil && !host.Time.Before(asked) && !host.Time.After(answered)
		return host, err
	})
}

// ask returns what is kept in a place, or what the engine says and is then kept there.
func ask[T any](i *Inventory, place func() **kept[T], engine func() (T, error)) (T, error) {
	i.mu.Lock()
	if known := *place(); known != nil && known.known {
		i.mu.Unlock()
		return known.value, nil
	}
	mine := &kept[T]{}
	if i.following {
		*place() = mine
	}
	i.mu.Unlock()
	value, err := engine()
	i.mu.Lock()
	defer i.mu.Unlock()
	mine.value, mine.known = value, err == nil
	return value, err
}

// compare forgets the containers that the list shows to be others than they were, and those that are not in it, unless
// another one joined their network.
func (i *Inventory) compare(listed []container.Summary) {
	i.mu.Lock()
	defer i.mu.Unlock()
	marks, wanted := make(map[string]string, len(listed)), make(map[string]bool, len(listed))
	for _, c := range listed {
		marks[c.ID], wanted[c.ID] = c.Fingerprint, true
		if i.marks[c.ID] != c.Fingerprint {
			i.doubt(container.Event{ID: c.ID, Names: []string{strings.TrimPrefix(c.Name, "/")}})
		}
		if target, ok := c.NetworkMode.JoinedContainer(); ok {
			wanted[target] = true
		}
	}
	for id := range i.marks {
		if _, still := marks[id]; !still {
			i.doubt(container.Event{ID: id})
		}
	}
	i.marks = marks
	maps.DeleteFunc(i.inspected, func(asked string, _ *kept[container.Container]) bool { return !wanted[asked] })
}

// catchUp takes note of the events that the stream may not have brought yet: a container that was started a moment
// ago has to be in the next answer. An engine that has another clock is asked for its list instead, of which compare
// makes what is needed.
func (i *Inventory) catchUp(ctx context.Context) error {
	now := wallClock()
	i.mu.Lock()
	byEvents, since := i.following && i.sameClock, i.since
	switch {
	case !i.following:
	case now.After(i.refresh) || !now.After(since): // or the clock was set back
		i.forget()
		i.since, i.refresh, byEvents = now, now.Add(refreshAfter), false
	case !i.sameClock:
		i.list = nil
	}
	i.mu.Unlock()
	if !byEvents {
		return nil
	}
	events, err := i.past(ctx, since, now)
	if err != nil {
		i.mu.Lock()
		i.forget()
		i.since = now
		i.mu.Unlock()
		if errors.Is(err, container.ErrUnreachable) {
			return err
		}
		return nil // then the engine is asked for all of it
	}
	for _, event := range events {
		i.changed(event)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.since.Equal(since) {
		i.since = now
	}
	return nil
}

// past asks for past events. An engine that has them only later is one of another clock.
func (i *Inventory) past(ctx context.Context, since, until time.Time) ([]container.Event, error) {
	bounded, cancel := context.WithTimeout(ctx, pastTimeout)
	defer cancel()
	events, err := i.engine.EventsBetween(bounded, since, until)
	if bounded.Err() != nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.sameClock = false
	}
	return events, err
}
