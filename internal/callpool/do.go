package callpool

import (
	"context"
	"time"
)

// Do runs fn and waits for its answer within the budget. It starts fn when a slot is free and no call with the same
// key is in flight. The wait for a slot does not count against the budget.
//
// fn gets the pool's lifetime as its context, because it may outlive the caller's wait. Do returns a *TimeoutError if
// fn does not answer in time, or if an abandoned call with the same key is still running. It returns ErrClosed after
// Close.
func Do[T any](ctx context.Context, budget *Budget, key Key, fn func(context.Context) (T, error)) (result T, err error) {
	pool := budget.pool
	if pool.hasAbandoned(key) {
		return result, &TimeoutError{Kind: key.Kind, NotStarted: true}
	}
	release, err := pool.Acquire(ctx)
	if err != nil {
		return result, err
	}
	defer release()
	budget.do(func(deadline time.Time) (hung bool) {
		result, err = DoUntil(ctx, pool, deadline, key, fn)
		return IsTimeout(err)
	})
	return result, err
}

// DoUntil is Do with a deadline in place of a budget. The caller must hold a slot.
func DoUntil[T any](ctx context.Context, pool *Pool, deadline time.Time, key Key, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	timeout := time.Until(deadline)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	late := &TimeoutError{Kind: key.Kind, Waited: timeout}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	call, err := pool.start(ctx, key, timer.C, late, func() {
		value, err := fn(pool.lifetime)
		done <- outcome{value, err}
	})
	if err != nil {
		return zero, err
	}
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done(): // The caller stopped waiting. The call has not exceeded its deadline, so it is not abandoned.
		return zero, ctx.Err()
	case <-timer.C:
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	select {
	case o := <-done: // The call ended between the timer and the lock.
		return o.value, o.err
	default:
		call.abandoned = true
		return zero, late
	}
}

// start waits until no call with the same key is in flight, then runs fn in a goroutine. It fails if ctx ends, if the
// timer fires, if the call in flight was abandoned, or if the pool is closed. When the timer fires it abandons the call
// in flight and returns late.
func (p *Pool) start(ctx context.Context, key Key, timer <-chan time.Time, late *TimeoutError, fn func()) (*call, error) {
	for {
		started, other, err := p.tryStart(key, fn)
		if started != nil || err != nil {
			return started, err
		}
		if p.hasAbandoned(key) {
			return nil, &TimeoutError{Kind: key.Kind, NotStarted: true}
		}
		select {
		case <-other.ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer:
			p.abandon(other)
			return nil, late
		}
	}
}
