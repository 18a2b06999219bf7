// Package mapper polls daemons and combines their snapshots into one map of present and past links.
package mapper

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/PabloL007/outpost/internal/correlate"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/history"
	"github.com/PabloL007/outpost/internal/wait"
)

// Options configure a Mapper.
type Options struct {
	// MaxBody is the maximum length of an answer in bytes. 0, or more than 64 MiB, means 64 MiB.
	MaxBody int64
	Targets []Target
	// Interval is the time between polls of a target. StaleAfter is how long an unresponsive target stays in the map.
	Interval, StaleAfter time.Duration
	// Transport makes the requests. Nil means NewTransport(nil).
	Transport http.RoundTripper
	// Names gives names to external addresses. It may be nil.
	Names *graph.Names
}

const (
	// maxMapAge is the age at which an unchanged map is rebuilt, so that past links age.
	maxMapAge = time.Minute
	// minMapAge is the minimum time between two builds of the map for requests.
	minMapAge = time.Second
)

// Mapper maps the hosts of many daemons. It is safe for concurrent use.
type Mapper struct {
	Options
	client      *client
	pollTimeout time.Duration
	history     *history.History
	log         zerolog.Logger

	mu         sync.Mutex
	targets    map[string]*polledTarget // by name
	unresolved map[string]string        // the reasons, by the text of the Target
	changed    bool                     // since the map was built
	polledAt   time.Time                // the latest poll of any target

	buildSem *semaphore.Weighted // with one unit; guards builtAt, tracker and primed
	builtAt  time.Time
	tracker  correlate.Tracker
	primed   bool // each target has been polled once
}

// New returns a mapper that keeps past links in past. It polls while Run runs.
func New(options Options, past *history.History, log zerolog.Logger) *Mapper {
	past.SetInterval(options.Interval)
	return &Mapper{
		Options: options, client: newClient(options.Transport, options.MaxBody), history: past, log: log,
		pollTimeout: pollTimeout,
		buildSem:    semaphore.NewWeighted(1),
		targets:     make(map[string]*polledTarget),
	}
}

// Run polls until ctx ends.
func (m *Mapper) Run(ctx context.Context) {
	var polls sync.WaitGroup
	defer m.client.close()
	defer polls.Wait()
	polls.Go(func() { m.updateHistory(ctx) })
	for {
		m.updateTargets(ctx, &polls)
		if wait.For(ctx, m.Interval) != nil {
			return
		}
	}
}

// updateHistory rebuilds the map every interval if something changed, so that the history has links that come and go between
// requests.
func (m *Mapper) updateHistory(ctx context.Context) {
	for wait.For(ctx, m.Interval) == nil {
		if m.buildSem.Acquire(ctx, 1) != nil {
			return
		}
		now := time.Now()
		if m.isChanged() || m.tracker.Waiting() || now.Sub(m.builtAt) > maxMapAge {
			m.rebuild(now)
		} else {
			m.history.Touch(now)
		}
		m.buildSem.Release(1)
	}
}

// isChanged reports whether a rebuild would change the map. The data of an unresponsive target changes by aging.
func (m *Mapper) isChanged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.targets {
		if t.removed || t.reason != "" && t.host != nil {
			return true
		}
	}
	return m.changed
}

// Graph returns the map, at most minMapAge older than the latest responses. It returns the error of ctx if ctx ends first.
func (m *Mapper) Graph(ctx context.Context) (graph.Graph, error) {
	if err := m.buildSem.Acquire(ctx, 1); err != nil {
		return graph.Graph{}, err
	}
	defer m.buildSem.Release(1)
	m.mu.Lock()
	outdated := m.polledAt.After(m.builtAt)
	m.mu.Unlock()
	if now := time.Now(); outdated && now.Sub(m.builtAt) > minMapAge || m.builtAt.IsZero() {
		m.rebuild(now)
	}
	return m.Latest(), nil
}

// Latest returns the map as last built, with the current time of each target's latest response.
func (m *Mapper) Latest() graph.Graph {
	g := m.history.Latest()
	g.Targets = slices.Clone(g.Targets)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, t := range g.Targets {
		if polled, ok := m.targets[t.Target]; ok {
			g.Targets[i].LastAnswer = polled.lastAnswer.UTC()
		}
	}
	return g
}

// rebuild correlates the latest snapshots of all targets. Until each target has been polled once, the history keeps nothing: a process of
// the host may be a container of another engine there. The caller holds buildSem.
func (m *Mapper) rebuild(now time.Time) {
	hosts := m.polledHosts(now)
	built := m.tracker.Build(hosts, m.Names)
	built.Role = graph.RoleMapper
	if m.primed {
		m.history.Update(built, now)
	} else {
		m.history.Reset(built, now)
		m.primed = !slices.ContainsFunc(hosts, func(s correlate.PolledHost) bool { return s.State == graph.StatePending })
	}
	m.builtAt = now
}
