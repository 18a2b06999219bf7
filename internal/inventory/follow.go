package inventory

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// minRetryDelay and maxRetryDelay bound the pause between the end of the stream of events and the next attempt to
// follow it. The pause doubles with each attempt.
const (
	minRetryDelay = time.Second
	maxRetryDelay = time.Minute
)

// Run follows the engine's events until ctx ends, again after each end of the stream. It reports each end to ended with
// its cause, and each beginning with nil.
func (i *Inventory) Run(ctx context.Context, ended func(error)) {
	retry := &backoff.ExponentialBackOff{InitialInterval: minRetryDelay, Multiplier: 2, MaxInterval: maxRetryDelay}
	for ctx.Err() == nil {
		began := wallClock()
		err := i.engine.Follow(ctx, began, func() {
			i.startFollowing(began)
			i.observer.following(true)
			ended(nil)
		}, i.applyEvent)
		i.observer.following(false)
		i.stopFollowing()
		if ctx.Err() != nil {
			return
		}
		ended(err)
		if wallClock().Sub(began) > maxRetryDelay {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// wallClock returns the wall clock, which may be set back. The engine's timestamps use it too.
func wallClock() time.Time { return time.Now().Round(0) }

func (i *Inventory) startFollowing(since time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.clear()
	i.following, i.since, i.expires, i.sameClock = true, since, since.Add(maxAge), false
}

func (i *Inventory) stopFollowing() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.following = false
	i.clear()
}
