package collect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// pending are the calls to the engine that are under way, at most one of a kind for a container.
//
// A call that takes too long is left to itself instead of being cancelled: closing the connection ends neither
// the process that an exec started nor the engine's wait for a container's lock, so calls made anew would pile
// up inside the engine. Until a call that was left has ended, it is not made again.
type pending struct {
	life   context.Context
	cancel context.CancelFunc

	// slots are as many as containers may be read at once. Waiting for one costs no call its time.
	slots chan struct{}

	mu       sync.Mutex
	underWay map[call]*underWay
	closed   bool
	calls    sync.WaitGroup
}

// underWay is a call that has begun.
type underWay struct {
	ended chan struct{} // closed then
	left  bool          // to itself
}

// call is what is asked of the engine about a container. An exec stands for every command: none is started
// where another one hangs.
type call struct{ kind, container string }

const (
	kindInspect = "inspect"
	kindExec    = "exec"
)

// newPending returns a set of calls that end with life, so many of which are waited for at once.
func newPending(life context.Context, atOnce int) *pending {
	life, cancel := context.WithCancel(life)
	return &pending{life: life, cancel: cancel, slots: make(chan struct{}, atOnce), underWay: make(map[call]*underWay)}
}

// errClosed is the error of a call that is not made any more.
var errClosed = errors.New("closed")

// close cancels all calls and waits for them, but no longer than ctx. No call is made after it.
func (p *pending) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	ended := make(chan struct{})
	go func() {
		p.calls.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("calls to the engine have not ended: %w", ctx.Err())
	}
}

// unansweredError is the error of a call that has not ended in time, or that was not made because an earlier
// one has not ended.
type unansweredError struct {
	call   call
	detail string
}

func (e *unansweredError) Error() string { return e.problem().String() }

// problem has the same reason however long the call was waited for.
func (e *unansweredError) problem() Problem {
	return Problem{Reason: e.call.kind + ": no answer in time", Detail: e.detail}
}

// await makes a call as soon as there is a slot, and waits for it as long as there is patience.
func await[T any](ctx context.Context, p *pending, patience *patience, which call, ask func(context.Context) (T, error)) (answer T, err error) {
	if p.isLeft(which) {
		return answer, &unansweredError{which, leftDetail}
	}
	leave, err := p.enter(ctx)
	if err != nil {
		return answer, err
	}
	defer leave()
	patience.during(func(deadline time.Time) (hung bool) {
		answer, err = answered(ctx, p, deadline, which, ask)
		return unanswered(err)
	})
	return answer, err
}

const leftDetail = "an earlier call has not ended"

// answered makes a call and waits for it until the deadline. The caller has a slot.
func answered[T any](ctx context.Context, p *pending, deadline time.Time, which call, ask func(context.Context) (T, error)) (T, error) {
	var none T
	patience := time.Until(deadline)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	late := &unansweredError{which, fmt.Sprintf("waited for %v", patience.Round(time.Millisecond))}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	mine, err := p.begin(ctx, timer.C, late, func() {
		value, err := ask(p.life)
		done <- outcome{value, err}
	})
	if err != nil {
		return none, err
	}
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done(): // nobody waits any more, which says nothing of the call
		return none, ctx.Err()
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case o := <-done: // it ended just now
		return o.value, o.err
	default:
		mine.left = true
		return none, late
	}
}

// begin starts a call on a goroutine of its own, when the one of its kind that may run has ended. It gives up with the
// context, with late as soon as the timer fires or where the other one was left to itself, and when p is closed.
func (p *pending) begin(ctx context.Context, timer <-chan time.Time, late *unansweredError, ask func()) (*underWay, error) {
	for {
		mine, other, err := p.take(late.call, ask)
		if mine != nil || err != nil {
			return mine, err
		}
		if p.isLeft(late.call) {
			return nil, &unansweredError{late.call, leftDetail}
		}
		select {
		case <-other.ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer:
			p.leave(other)
			return nil, late
		}
	}
}

func (p *pending) leave(other *underWay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	other.left = true
}

// take starts a call unless another one of its kind is under way.
func (p *pending) take(which call, ask func()) (mine, other *underWay, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errClosed
	}
	if other := p.underWay[which]; other != nil {
		return nil, other, nil
	}
	mine = &underWay{ended: make(chan struct{})}
	p.underWay[which] = mine
	p.calls.Go(func() {
		ask()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.underWay, which)
		close(mine.ended)
	})
	return mine, nil, nil
}

// enter waits for a slot. leave gives it back.
func (p *pending) enter(ctx context.Context) (leave func(), err error) {
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pending) isLeft(which call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	call := p.underWay[which]
	return call != nil && call.left
}

// unanswered reports whether an error is that of a call that was waited for and has not ended.
func unanswered(err error) bool {
	var e *unansweredError
	return errors.As(err, &e) && e.detail != leftDetail
}
