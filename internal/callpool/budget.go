package callpool

import (
	"sync"
	"time"
)

// Budget bounds the time that one pass spends on calls that time out. Each timeout shortens the following deadlines, so
// any number of hung calls costs about two timeouts.
//
// A slow engine must not count as hung. Even if the budget is spent, a call may take 4 times as long as the slowest
// answer so far. The bounds of that are 1/32 and 1/8 of the timeout.
type Budget struct {
	pool    *Pool
	timeout time.Duration // of a single call

	mu       sync.Mutex
	hungTime time.Duration // spent on calls that timed out, summed over concurrent calls
	slowest  time.Duration // of the answers
}

const (
	// maxTimeouts is how many timeouts each slot may spend on hung calls before deadlines reach their minimum.
	maxTimeouts = 2
	// slowFactor times the slowest answer so far is a deadline that still counts as slow, not as hung.
	slowFactor = 4
	// That deadline is at least timeout/floorDivisor, and at most timeout/ceilingDivisor.
	floorDivisor, ceilingDivisor = 32, 8
)

// NewBudget returns a budget for the calls of one pass. Each call takes at most timeout.
func (p *Pool) NewBudget(timeout time.Duration) *Budget { return &Budget{pool: p, timeout: timeout} }

// do runs fn with the next deadline, and charges its duration to the budget if fn reports that a call hung.
func (b *Budget) do(fn func(deadline time.Time) (hung bool)) {
	start := time.Now()
	hung := fn(start.Add(b.nextTimeout()))
	b.record(time.Since(start), hung)
}

func (b *Budget) nextTimeout() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	timeouts := time.Duration(maxTimeouts * b.pool.concurrency)
	return max(b.timeout-b.hungTime/timeouts, b.timeout/floorDivisor, min(slowFactor*b.slowest, b.timeout/ceilingDivisor))
}

func (b *Budget) record(took time.Duration, hung bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if hung {
		b.hungTime += took
	} else {
		b.slowest = max(b.slowest, took)
	}
}
