package mapper

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/correlate"
	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// polledTarget is the state of one polled daemon.
type polledTarget struct {
	address
	pollResult  // the latest successful one with new data, without the snapshot
	host        *correlate.Host
	document    *snapshotv1.Snapshot // what host was made of, while another target shares the machine
	firstAnswer time.Time            // as the current host
	lastAnswer  time.Time
	answerBegan time.Time // when the poll of the last answer began
	polled      bool
	reason      string // why its data is not current; empty if the latest poll succeeded
	removed     bool   // from the targets
	cancel      context.CancelFunc
}

// updateTargets resolves the targets, starts to poll new ones, and stops polling those that are gone.
func (m *Mapper) updateTargets(ctx context.Context, polls *sync.WaitGroup) {
	resolved, unresolved := m.resolve(ctx)
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setUnresolved(unresolved)
	for name, t := range m.targets {
		if _, ok := resolved[name]; !ok && !t.removed {
			t.removed, t.reason = true, "no longer a target"
			t.cancel()
		}
	}
	for name, a := range resolved {
		if t := m.targets[name]; t == nil || t.removed || t.address != a {
			m.startPolling(ctx, polls, a)
		}
	}
}

// setUnresolved logs the targets that cannot be resolved for a new reason.
func (m *Mapper) setUnresolved(unresolved map[string]string) {
	for text, reason := range unresolved {
		if !sameReason(m.unresolved[text], reason) {
			m.log.Warn().Str("target", text).Str("reason", reason).Msg("Cannot resolve a target")
		}
	}
	m.changed = m.changed || !maps.EqualFunc(m.unresolved, unresolved, sameReason)
	m.unresolved = unresolved
}

// startPolling polls the daemon at a. It ends an earlier poller of the same target: its password or its server name differs.
func (m *Mapper) startPolling(ctx context.Context, polls *sync.WaitGroup, a address) {
	t := m.targets[a.name]
	switch {
	case t == nil:
		t = &polledTarget{}
		m.targets[a.name] = t
	case !t.removed:
		t.cancel()
	}
	polling, cancel := context.WithCancel(ctx)
	t.address, t.cancel, t.removed, t.reason = a, cancel, false, ""
	m.changed = true
	polls.Go(func() { m.poll(polling, t, a) })
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
		if _, known := resolved[a.name]; !known && len(resolved) == maxTargets {
			unresolved[a.name] = fmt.Sprintf("more than %d targets", maxTargets)
			break
		}
		resolved[a.name] = a
	}
	return resolved, unresolved
}

// polledHosts returns the state of all polled daemons by name, then of unresolved targets by name. It drops data older than
// StaleAfter if the latest poll failed, or if the target was removed.
func (m *Mapper) polledHosts(now time.Time) []correlate.PolledHost {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = false
	hosts := make([]correlate.PolledHost, 0, len(m.targets)+len(m.unresolved))
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		t := m.targets[name]
		if t.reason != "" && now.Sub(t.lastAnswer) > m.StaleAfter {
			t.host, t.document, t.pollResult = nil, nil, pollResult{}
			if t.removed {
				delete(m.targets, name)
				continue
			}
		}
		hosts = append(hosts, t.polledHost())
	}
	for _, text := range slices.Sorted(maps.Keys(m.unresolved)) {
		hosts = append(hosts, correlate.PolledHost{Target: text, State: graph.StateFailed, Reason: m.unresolved[text]})
	}
	return hosts
}

func (t *polledTarget) polledHost() correlate.PolledHost {
	s := correlate.PolledHost{
		Target: t.name, Host: t.host, Document: t.document, Format: t.format, LastAnswer: t.lastAnswer, FirstAnswer: t.firstAnswer, PolledAt: t.answerBegan,
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
