package collect

import (
	"sync"
	"time"
)

// patience is how long a round waits for calls of one kind. The more time was spent on calls that were not answered, the
// less the next one gets, so that however many hang they take little longer than two of them; but never less than the
// others take, several times over, within reason: an engine that is slow is not taken for one that hangs.
type patience struct {
	timeout time.Duration // of a single call
	atOnce  int

	mu      sync.Mutex
	spent   time.Duration // on calls that were not answered, of all that are made at once
	slowest time.Duration // of the answers
}

const (
	// patienceCalls is how many calls' time, of those that are made at once, what is not answered may take.
	patienceCalls = 2
	// slower is how many times as long as the slowest answer any other may take, in any case no less than the least part of
	// its time, and no more than the most.
	slower      = 4
	least, most = 32, 8
)

func newPatience(timeout time.Duration, atOnce int) *patience {
	return &patience{timeout: timeout, atOnce: atOnce}
}

// during makes a call, or several of which one answer is enough, that is told until when it may take, and tells whether it
// was waited for what hangs.
func (p *patience) during(call func(deadline time.Time) (hung bool)) {
	began := time.Now()
	hung := call(began.Add(p.share()))
	p.note(time.Since(began), hung)
}

// share returns how long the next call may take.
func (p *patience) share() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := time.Duration(patienceCalls * p.atOnce)
	return max(p.timeout-p.spent/calls, p.timeout/least, min(slower*p.slowest, p.timeout/most))
}

func (p *patience) note(took time.Duration, hung bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if hung {
		p.spent += took
	} else {
		p.slowest = max(p.slowest, took)
	}
}
