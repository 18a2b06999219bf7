// Package callpool bounds calls that may hang or fail. It bounds how many callers wait at once and for how long, how
// soon a failed call is repeated, and how much output a command returns.
package callpool

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/PabloL007/outpost/internal/wait"
)

// Pool runs calls to the engine, at most one per Key at a time.
//
// A call that exceeds its deadline is abandoned, not cancelled. Closing its connection ends neither the process of an
// exec nor the engine's wait for a container's lock. Repeated calls would pile up inside the engine. So no call starts
// while an abandoned call with the same key is still running.
//
// A Pool is safe for concurrent use. Close it after use.
type Pool struct {
	// Failures remembers failed calls, so that they are not repeated at each collection.
	Failures *FailureCache

	lifetime    context.Context
	cancel      context.CancelFunc
	concurrency int
	sem         *semaphore.Weighted

	mu       sync.Mutex
	inFlight map[Key]*call
	closed   bool
	running  sync.WaitGroup
}

// Key identifies calls that must not run at the same time.
type Key struct {
	Kind string // what is called, for texts: "inspect", "exec"
	ID   string // of the container
}

// call is a call in flight.
type call struct {
	ended     chan struct{} // closed when the call ends
	abandoned bool
}

// New returns a pool with concurrency slots. A slot belongs to the caller, not to the call: an abandoned call runs on
// without one, and Hedge makes several calls in one. All calls are cancelled when lifetime ends.
func New(lifetime context.Context, concurrency int) *Pool {
	lifetime, cancel := context.WithCancel(lifetime)
	return &Pool{
		Failures: NewFailureCache(), lifetime: lifetime, cancel: cancel, concurrency: concurrency,
		sem: semaphore.NewWeighted(int64(concurrency)), inFlight: make(map[Key]*call),
	}
}

// Close rejects new calls, cancels those in flight and waits for them until ctx ends.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	if err := wait.Group(ctx, &p.running); err != nil {
		return fmt.Errorf("wait for calls to the engine: %w", err)
	}
	return nil
}

// Acquire waits for a free slot. The caller must call release once. It returns the error of ctx if ctx ends first.
func (p *Pool) Acquire(ctx context.Context) (release func(), err error) {
	if err := p.sem.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { p.sem.Release(1) }, nil
}

// tryStart starts fn in a goroutine. If a call with the same key is in flight, it returns that one as other instead.
func (p *Pool) tryStart(key Key, fn func()) (started, other *call, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	if other := p.inFlight[key]; other != nil {
		return nil, other, nil
	}
	started = &call{ended: make(chan struct{})}
	p.inFlight[key] = started
	p.running.Go(func() {
		fn()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.inFlight, key)
		close(started.ended)
	})
	return started, nil, nil
}

func (p *Pool) abandon(c *call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.abandoned = true
}

// hasAbandoned reports whether an abandoned call with this key is still running.
func (p *Pool) hasAbandoned(key Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	call := p.inFlight[key]
	return call != nil && call.abandoned
}
