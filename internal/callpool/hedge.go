package callpool

import (
	"context"
	"slices"
	"sync"
	"time"
)

// In the last 1/hedgeDivisor of the time only a failed call starts another one: any other answer would come too late.
const hedgeDivisor = 8

// Hedge makes the same call for several candidates until one succeeds, all within one deadline of the budget and in one
// slot. It starts with the first candidate. It starts the next one when a call fails, or beside it when half of the
// remaining time passes without an answer. A call without an answer starts no other once less than 1/8 of the time is left.
//
// Hedge returns the first success, or the first error if all calls fail. It passes each failed answer to onFailure, one
// at a time. candidates must not be empty.
func Hedge[C comparable, T any](
	ctx context.Context, budget *Budget, candidates []C,
	call func(ctx context.Context, deadline time.Time, candidate C) (T, error), onFailure func(candidate C, partial T, err error),
) (result T, err error) {
	release, err := budget.pool.Acquire(ctx)
	if err != nil {
		return result, err
	}
	defer release()
	budget.do(func(deadline time.Time) (hung bool) {
		h := hedge[C, T]{
			deadline: deadline, minWait: time.Until(deadline) / hedgeDivisor, call: call, onFailure: onFailure,
			answers: make(chan answer[C, T], len(candidates)),
		}
		ctx, cancel := context.WithCancel(ctx)
		defer h.running.Wait()
		defer cancel()
		result, err = h.run(ctx, candidates)
		return h.hung
	})
	return result, err
}

// hedge is the state of one Hedge.
type hedge[C comparable, T any] struct {
	deadline  time.Time
	minWait   time.Duration // below it only a failure starts another call
	call      func(context.Context, time.Time, C) (T, error)
	onFailure func(C, T, error)
	inFlight  []C  // in the order of their start
	hung      bool // a call timed out, or a later call answered first
	answers   chan answer[C, T]
	running   sync.WaitGroup
}

type answer[C comparable, T any] struct {
	candidate C
	value     T
	err       error
}

func (h *hedge[C, T]) run(ctx context.Context, candidates []C) (result T, firstErr error) {
	for more := true; more || len(h.inFlight) > 0; more = len(candidates) > 0 && time.Until(h.deadline) > 0 {
		if more {
			h.start(ctx, candidates[0])
			candidates = candidates[1:]
		}
		a, ok := h.next(len(candidates) > 0)
		if !ok {
			continue // with the next candidate beside the calls in flight
		}
		h.hung = h.hung || IsTimeout(a.err) || a.err == nil && h.inFlight[0] != a.candidate
		h.inFlight = slices.DeleteFunc(h.inFlight, func(c C) bool { return c == a.candidate })
		if a.err == nil {
			return a.value, nil
		}
		h.onFailure(a.candidate, a.value, a.err)
		if firstErr == nil {
			firstErr = a.err
		}
	}
	return result, firstErr
}

// next waits for an answer. If there are more candidates, it waits for half of the remaining time at most.
func (h *hedge[C, T]) next(more bool) (a answer[C, T], ok bool) {
	var late <-chan time.Time
	if more && time.Until(h.deadline) > h.minWait {
		timer := time.NewTimer(time.Until(h.deadline) / 2)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case a = <-h.answers:
		return a, true
	case <-late:
		return a, false
	}
}

func (h *hedge[C, T]) start(ctx context.Context, candidate C) {
	h.inFlight = append(h.inFlight, candidate)
	h.running.Go(func() {
		value, err := h.call(ctx, h.deadline, candidate)
		h.answers <- answer[C, T]{candidate, value, err}
	})
}
