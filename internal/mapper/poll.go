package mapper

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/PabloL007/outpost/internal/correlate"
	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/wait"
)

const (
	// pollTimeout bounds one poll. A daemon needs time for many containers that only exec can read, or for a hundred thousand
	// connections.
	pollTimeout = 30 * time.Second
	// maxBackoff is the maximum time between polls of a failing target, in intervals.
	maxBackoff = 8
	// jitter is the random part of the time between polls. It spreads the polls of targets that started together.
	jitter = 0.1
	// pollSpread is the time over which the first polls are spread.
	pollSpread = time.Second
)

// poll polls one target until ctx ends.
func (m *Mapper) poll(ctx context.Context, t *polledTarget, from address) {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: m.Interval, MaxInterval: maxBackoff * m.Interval, Multiplier: 2, RandomizationFactor: jitter,
	}
	pauses.NextBackOff()                                                    // the first failure doubles the interval
	first := time.Duration(rand.Int64N(int64(min(pollSpread, m.Interval)))) //nolint:gosec // not a secret
	for pause := first; wait.For(ctx, pause) == nil; pause = pauses.NextBackOff() {
		polling, cancel := context.WithTimeout(ctx, m.pollTimeout)
		started := time.Now()
		result, err := m.client.fetch(polling, from, m.previous(t))
		cancel()
		m.record(ctx, t, answer{result, started, time.Now(), err})
		if err == nil {
			pauses.Reset()
		}
	}
}

// previous returns the latest result of a target.
func (m *Mapper) previous(t *polledTarget) pollResult {
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.pollResult
}

func (m *Mapper) previousHost(t *polledTarget) *correlate.Host {
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.host
}

// answer is the outcome of one poll.
type answer struct {
	pollResult
	began, ended time.Time
	err          error
}

// record stores an answer of a target, unless ctx ended meanwhile: then the target was removed, or its address changed.
func (m *Mapper) record(ctx context.Context, t *polledTarget, a answer) {
	if a.err != nil || a.unchanged {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.store(ctx, t, a, nil)
		return
	}
	host := correlate.NewHost(a.snapshot, a.from, m.previousHost(t), a.ended) // outside the lock: a large snapshot takes time
	isShared := m.lockWithDocuments(ctx, t, host)
	defer m.mu.Unlock()
	m.store(ctx, t, a, host)
	if isShared && ctx.Err() == nil {
		t.document = &a.snapshot
	}
}

// store stores an answer, with the host of a changed one. The caller holds m.mu.
func (m *Mapper) store(ctx context.Context, t *polledTarget, a answer, host *correlate.Host) {
	if ctx.Err() != nil { // updateTargets ends it under the lock
		return
	}
	reason := ""
	if a.err != nil {
		reason = a.err.Error()
	}
	m.changed = m.changed || !t.polled || !sameReason(reason, t.reason) || host != nil
	if !t.polled || !sameReason(reason, t.reason) {
		m.logTarget(t, reason)
	}
	t.polled, t.reason, m.polledAt = true, reason, a.ended
	if a.err != nil {
		return
	}
	t.lastAnswer, t.answerBegan = a.ended, a.began
	if host == nil {
		return
	}
	if !host.IsSameHost(t.host) {
		t.firstAnswer = a.ended
	}
	t.host, t.document, t.pollResult = host, nil, a.pollResult
	t.snapshot = snapshotv1.Snapshot{} // host has all that is needed of it
}

// sameReason reports whether two reasons have the same cause. Numbers and quoted text may differ at each poll.
func sameReason(a, b string) bool { return graph.ReasonKey(a) == graph.ReasonKey(b) }

func (m *Mapper) logTarget(t *polledTarget, reason string) {
	if reason == "" {
		m.log.Info().Str("target", t.name).Msg("The daemon responds")
		return
	}
	m.log.Warn().Str("target", t.name).Str("reason", reason).Msg("Polling the daemon failed")
}
