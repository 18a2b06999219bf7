package inventory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// clear empties the cache. The caller holds i.mu, unless i is new.
func (i *Inventory) clear() {
	i.list, i.networks, i.host, i.fingerprints = nil, nil, nil, nil
	i.inspected = make(map[string]*cacheEntry[container.Container])
}

// applyEvent removes everything from the cache that an event may have changed. The list has no health.
func (i *Inventory) applyEvent(event container.Event) {
	i.observer.changed(event)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.invalidate(event)
	if event.Health {
		return
	}
	i.list = nil
	i.events++
	if event.Network {
		i.networks = nil
	}
}

// invalidate removes one container from the inspected ones. The caller holds i.mu.
func (i *Inventory) invalidate(event container.Event) {
	maps.DeleteFunc(i.inspected, func(key string, entry *cacheEntry[container.Container]) bool {
		return key == event.ID || entry.value.ID == event.ID || slices.Contains(event.Names, strings.TrimPrefix(key, "/"))
	})
}

// applyList removes containers with a new fingerprint, and those that have left the list. It keeps the rest if they are
// listed, or if a listed container joined their network.
func (i *Inventory) applyList(listed []container.Summary) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fingerprints, inUse := make(map[string]string, len(listed)), make(map[string]bool, len(listed))
	for _, c := range listed {
		fingerprints[c.ID], inUse[c.ID] = c.Fingerprint, true
		if i.fingerprints[c.ID] != c.Fingerprint {
			i.invalidate(container.Event{ID: c.ID, Names: []string{strings.TrimPrefix(c.Name, "/")}})
		}
		if joined, ok := c.NetworkMode.JoinedContainer(); ok {
			inUse[joined] = true
		}
	}
	for id := range i.fingerprints {
		if _, listed := fingerprints[id]; !listed {
			i.invalidate(container.Event{ID: id})
		}
	}
	i.fingerprints = fingerprints
	maps.DeleteFunc(i.inspected, func(key string, _ *cacheEntry[container.Container]) bool { return !inUse[key] })
}

// eventsTimeout bounds the wait for past events. The engine returns them without delay, unless its clock is behind:
// then it waits until its clock reaches the end of the requested period.
const eventsTimeout = time.Second

// syncEvents applies the events that the stream may not have delivered yet, so that the next answer contains a
// container that has just started. If the engine uses another clock, it discards the list instead, and applyList finds
// the changes.
func (i *Inventory) syncEvents(ctx context.Context) error {
	now := wallClock()
	i.mu.Lock()
	byEvents, since := i.following && i.sameClock, i.since
	switch {
	case !i.following:
	case now.After(i.expires) || !now.After(since): // the latter if the clock was set back
		i.clear()
		i.since, i.expires, byEvents = now, now.Add(maxAge), false
	case !i.sameClock:
		i.list = nil
	}
	i.mu.Unlock()
	if !byEvents {
		return nil
	}
	events, err := i.eventsBetween(ctx, since, now)
	if err != nil {
		i.mu.Lock()
		i.clear()
		i.since = now
		i.mu.Unlock()
		if errors.Is(err, container.ErrUnreachable) {
			return err
		}
		return nil // the cache is empty, so the engine answers
	}
	for _, event := range events {
		i.applyEvent(event)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.since.Equal(since) {
		i.since = now
	}
	return nil
}

// eventsBetween returns past events. A timeout means that the engine uses another clock.
func (i *Inventory) eventsBetween(ctx context.Context, since, until time.Time) ([]container.Event, error) {
	bounded, cancel := context.WithTimeout(ctx, eventsTimeout)
	defer cancel()
	events, err := i.engine.EventsBetween(bounded, since, until)
	if bounded.Err() != nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.sameClock = false
	}
	return events, err
}
