package mapper

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
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
	// jitter is the random part of the time between polls. It keeps targets that started together from being polled together.
	jitter = 0.1
	// pollSpread is the time over which the first polls are spread.
	pollSpread = time.Second
)

// polledTarget is a daemon that is polled.
type polledTarget struct {
	address
	pollResult    // the latest one, without the snapshot
	host          *correlate.Host
	firstResponse time.Time // as the current host
	lastResponse  time.Time
	polled        bool
	reason        string // why the latest poll failed; empty if it succeeded
	removed       bool   // from the targets
	cancel        context.CancelFunc
}

// updateTargets resolves the targets and starts to poll new ones.
func (m *Mapper) updateTargets(ctx context.Context, polls *sync.WaitGroup) {
	resolved, unresolved := m.resolve(ctx)
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for text, reason := range unresolved {
		if !sameReason(m.unresolved[text], reason) {
			m.log.Warn().Str("target", text).Str("reason", reason).Msg("Cannot resolve a target")
		}
	}
	m.changed = m.changed || !maps.EqualFunc(m.unresolved, unresolved, sameReason)
	m.unresolved = unresolved
	for name, t := range m.targets {
		if _, ok := resolved[name]; !ok && !t.removed {
			t.removed, t.reason = true, "no longer a target"
			t.cancel()
		}
	}
	for name, a := range resolved {
		t := m.targets[name]
		if t != nil && !t.removed {
			if t.address == a {
				continue
			}
			t.cancel() // the password or the server name changed
		}
		if t == nil {
			t = &polledTarget{}
			m.targets[name] = t
		}
		polling, cancel := context.WithCancel(ctx)
		t.address, t.cancel, t.removed, t.reason = a, cancel, false, ""
		m.changed = true
		polls.Go(func() { m.poll(polling, t, a) })
	}
}

// resolve returns the daemons of all targets by name, at most maxTargets, and the reasons of the targets that cannot be resolved.
func (m *Mapper) resolve(ctx context.Context) (resolved map[string]address, unresolved map[string]string) {
	addresses, errs := resolveAll(ctx, m.Targets)
	resolved, unresolved = make(map[string]address), make(map[string]string)
	for text, err := range errs {
		unresolved[text] = err.Error()
	}
	slices.SortFunc(addresses, func(a, b address) int { return strings.Compare(a.name, b.name) })
	for _, a := range addresses {
		if _, duplicate := resolved[a.name]; !duplicate && len(resolved) == maxTargets {
			unresolved[a.name] = fmt.Sprintf("more than %d targets", maxTargets)
			break
		}
		resolved[a.name] = a
	}
	return resolved, unresolved
}

// poll polls one target until ctx ends.
func (m *Mapper) poll(ctx context.Context, t *polledTarget, from address) {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: m.Interval, MaxInterval: maxBackoff * m.Interval, Multiplier: 2, RandomizationFactor: jitter,
	}
	pauses.NextBackOff()                                                    // the first failure doubles the interval
	first := time.Duration(rand.Int64N(int64(min(pollSpread, m.Interval)))) //nolint:gosec // not a secret
	for pause := first; wait.For(ctx, pause) == nil; pause = pauses.NextBackOff() {
		polling, cancel := context.WithTimeout(ctx, m.pollTimeout)
		result, err := m.client.fetch(polling, from, m.previous(t))
		cancel()
		if ctx.Err() != nil {
			return
		}
		m.record(t, result, err)
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

// record stores the result of a poll.
func (m *Mapper) record(t *polledTarget, result pollResult, err error) {
	now := time.Now()
	var host *correlate.Host
	if err == nil && !result.unchanged { // outside the lock: a large snapshot takes time
		host = correlate.NewHost(result.snapshot, result.from, m.previousHost(t), now)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	m.changed = m.changed || !t.polled || !sameReason(reason, t.reason) || err == nil && !result.unchanged
	if !t.polled || !sameReason(reason, t.reason) {
		m.logTarget(t, reason)
	}
	t.polled, t.reason, m.polledAt = true, reason, now
	if err != nil {
		return
	}
	t.lastResponse = now
	if !result.unchanged {
		if !host.IsSameHost(t.host) {
			t.firstResponse = now
		}
		t.host, t.pollResult = host, result
		t.snapshot = snapshotv1.Snapshot{} // host has all that is needed of it
	}
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

// sources returns the latest state of all targets, sorted by name, and drops data older than StaleAfter.
func (m *Mapper) sources(now time.Time) []correlate.Source {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = false
	sources := make([]correlate.Source, 0, len(m.targets)+len(m.unresolved))
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		t := m.targets[name]
		if t.reason != "" && now.Sub(t.lastResponse) > m.StaleAfter {
			t.host, t.pollResult = nil, pollResult{}
			if t.removed {
				delete(m.targets, name)
				continue
			}
		}
		sources = append(sources, t.source())
	}
	for _, text := range slices.Sorted(maps.Keys(m.unresolved)) {
		sources = append(sources, correlate.Source{Target: text, State: graph.StateFailed, Reason: m.unresolved[text]})
	}
	return sources
}

func (t *polledTarget) source() correlate.Source {
	s := correlate.Source{
		Target: t.name, Host: t.host, Format: t.format, LastAnswer: t.lastResponse, FirstAnswer: t.firstResponse,
		State: graph.StateOK, Reason: t.warning,
	}
	switch {
	case t.reason != "" && t.host != nil:
		s.State, s.Reason = graph.StateStale, t.reason
	case t.reason != "":
		s.State, s.Reason = graph.StateFailed, t.reason
	case !t.polled:
		s.State = graph.StatePending
	}
	return s
}
