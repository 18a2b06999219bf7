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

	mu     sync.Mutex
	left   map[call]bool // left to themselves
	closed bool
	calls  sync.WaitGroup
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
	return &pending{life: life, cancel: cancel, slots: make(chan struct{}, atOnce), left: make(map[call]bool)}
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
	call    call
	timeout time.Duration
}

func (e *unansweredError) Error() string {
	return fmt.Sprintf("%s: no answer within %v", e.call.kind, e.timeout)
}

// await makes a call as soon as there is a slot, and waits for it, at most for timeout.
func await[T any](ctx context.Context, p *pending, timeout time.Duration, which call, ask func(context.Context) (T, error)) (T, error) {
	var none T
	late := &unansweredError{which, timeout}
	if p.isLeft(which) {
		return none, late
	}
	leave, err := p.enter(ctx)
	if err != nil {
		return none, err
	}
	defer leave()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	if !p.begin(func() {
		value, err := ask(p.life)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.left, which)
		done <- outcome{value, err}
	}) {
		return none, errClosed
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	err = late
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case o := <-done: // it ended just now
		return o.value, o.err
	default:
		p.left[which] = true
		return none, err
	}
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

// begin starts a call on a goroutine of its own, unless p is closed.
func (p *pending) begin(ask func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.calls.Go(ask)
	}
	return !p.closed
}

func (p *pending) isLeft(which call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left[which]
}

func unanswered(err error) bool {
	var e *unansweredError
	return errors.As(err, &e)
}
