// Package inventory caches what the engine reports about its containers and networks, and invalidates it by the engine's events.
package inventory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// Engine is the container engine that an Inventory caches.
type Engine interface {
	Containers(ctx context.Context) ([]container.Summary, error)
	Inspect(ctx context.Context, id string) (container.Container, error)
	Networks(ctx context.Context) ([]container.NetworkConfig, error)
	Host(ctx context.Context) (container.Host, error)
	// Follow reports changes after since until ctx or the stream ends.
	Follow(ctx context.Context, since time.Time, started func(), changed func(container.Event)) error
	// EventsBetween returns the changes between two moments.
	EventsBetween(ctx context.Context, since, until time.Time) ([]container.Event, error)
}

const (
	// maxAge is how long anything stays in the cache.
	maxAge = 5 * time.Minute
	// servicesMaxAge is the same for networks with Swarm services.
	servicesMaxAge = 10 * time.Second
)

// Inventory answers like the engine. While it does not follow the engine's events, it passes on every call. It is safe
// for concurrent use.
type Inventory struct {
	engine   Engine
	observer Observer

	mu        sync.Mutex
	following bool
	since     time.Time // all earlier events are applied
	expires   time.Time // when to invalidate the whole cache
	sameClock bool      // the engine uses this machine's clock
	list      *cacheEntry[[]container.Summary]
	networks  *cacheEntry[[]container.NetworkConfig]
	// servicesExpire is when the services of the networks become too old; zero if there are none.
	servicesExpire time.Time
	host           *cacheEntry[container.Host]
	inspected      map[string]*cacheEntry[container.Container] // by ID or name, as the caller wrote it
	// fingerprints are those of the containers in the last list, by ID.
	fingerprints map[string]string
	events       uint64 // applied, without those of health checks
}

// cacheEntry is an answer of the engine. The entry is stored before the call: an event that arrives before the answer
// removes the entry, so that no stale answer is cached.
type cacheEntry[T any] struct {
	value    T
	err      error // container.ErrNotFound, which is an answer too
	answered bool
}

// Observer receives what may have changed. Its functions must not call the inventory.
type Observer struct {
	// Following is called with true once each later change is reported, and with false if changes may be missed.
	Following func(bool)
	// Changed is called with the ID of a container that may have started, ended or changed otherwise, its health excepted.
	Changed func(id string)
}

// Observe sets the observer. Call it before Run.
func (i *Inventory) Observe(observer Observer) { i.observer = observer }

func (o Observer) following(following bool) {
	if o.Following != nil {
		o.Following(following)
	}
}

func (o Observer) changed(event container.Event) {
	if o.Changed != nil && event.ID != "" && !event.Health {
		o.Changed(event.ID)
	}
}

// New returns an inventory that does not follow events yet.
func New(engine Engine) *Inventory {
	i := &Inventory{engine: engine}
	i.clear()
	return i
}

// Containers lists the running containers in the engine's order.
func (i *Inventory) Containers(ctx context.Context) ([]container.Summary, error) {
	if err := i.syncEvents(ctx); err != nil {
		return nil, err
	}
	return cached(i, func() **cacheEntry[[]container.Summary] { return &i.list }, func() ([]container.Summary, error) {
		list, err := i.engine.Containers(ctx)
		if err == nil {
			i.applyList(list)
		}
		return list, err
	})
}

// Events returns the number of events applied so far, without those of health checks. While it stays the same, the stream of events reports no new container.
func (i *Inventory) Events() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.events
}

// Inspect returns one container by ID or name.
func (i *Inventory) Inspect(ctx context.Context, id string) (container.Container, error) {
	if c, err, ok := i.cachedContainer(id); ok {
		return c, err
	}
	return i.Refresh(ctx, id)
}

// Cached is Inspect without a call. It returns false if only the engine knows the container.
func (i *Inventory) Cached(id string) (container.Container, bool) {
	c, err, ok := i.cachedContainer(id)
	return c, ok && err == nil
}

func (i *Inventory) cachedContainer(id string) (c container.Container, err error, ok bool) { //nolint:revive // ok qualifies err
	i.mu.Lock()
	defer i.mu.Unlock()
	entry, ok := i.inspected[id]
	if !ok || !entry.answered {
		return container.Container{}, nil, false
	}
	return entry.value, entry.err, true
}

// Refresh is Inspect without the cache: it always calls the engine.
func (i *Inventory) Refresh(ctx context.Context, id string) (container.Container, error) {
	entry := &cacheEntry[container.Container]{}
	i.mu.Lock()
	if i.following {
		i.inspected[id] = entry
	}
	i.mu.Unlock()
	c, err := i.engine.Inspect(ctx, id)
	i.mu.Lock()
	defer i.mu.Unlock()
	entry.value, entry.err, entry.answered = c, err, err == nil || errors.Is(err, container.ErrNotFound)
	if !entry.answered && i.inspected[id] == entry {
		delete(i.inspected, id)
	}
	return c, err
}

// Networks returns the engine's networks.
func (i *Inventory) Networks(ctx context.Context) ([]container.NetworkConfig, error) {
	i.expireServices(time.Now())
	return cached(i, func() **cacheEntry[[]container.NetworkConfig] { return &i.networks }, func() ([]container.NetworkConfig, error) {
		networks, err := i.engine.Networks(ctx)
		if slices.ContainsFunc(networks, func(n container.NetworkConfig) bool { return len(n.Services) > 0 || n.LoadBalancer.IsValid() }) {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.servicesExpire = time.Now().Add(servicesMaxAge)
		}
		return networks, err
	})
}

// expireServices removes the networks if their services are too old. No event of this engine reports tasks of other hosts.
func (i *Inventory) expireServices(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.servicesExpire.IsZero() && now.After(i.servicesExpire) {
		i.networks, i.servicesExpire = nil, time.Time{}
	}
}

// Host returns information about the engine and its host.
func (i *Inventory) Host(ctx context.Context) (container.Host, error) {
	return cached(i, func() **cacheEntry[container.Host] { return &i.host }, func() (container.Host, error) {
		before := wallClock()
		host, err := i.engine.Host(ctx)
		after := wallClock()
		i.mu.Lock()
		defer i.mu.Unlock()
		i.sameClock = err == nil && !host.Time.Before(before) && !host.Time.After(after)
		return host, err
	})
}

// cached returns the answer in a slot of the inventory, or calls the engine and stores its answer there.
func cached[T any](i *Inventory, slot func() **cacheEntry[T], call func() (T, error)) (T, error) {
	i.mu.Lock()
	if entry := *slot(); entry != nil && entry.answered {
		i.mu.Unlock()
		return entry.value, nil
	}
	entry := &cacheEntry[T]{}
	if i.following {
		*slot() = entry
	}
	i.mu.Unlock()
	value, err := call()
	i.mu.Lock()
	defer i.mu.Unlock()
	entry.value, entry.answered = value, err == nil
	return value, err
}
