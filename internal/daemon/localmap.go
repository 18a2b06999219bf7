package daemon

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/correlate"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/history"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Snapshotter takes snapshots of one host. A Daemon is one.
type Snapshotter interface {
	// Snapshot takes a snapshot; withTCPInfo adds what the kernel measures of connections.
	Snapshot(ctx context.Context, withTCPInfo bool) (snapshot.Snapshot, error)
	// Sample takes a snapshot with the methods for samples.
	Sample(ctx context.Context) (snapshot.Snapshot, error)
}

// LocalMap is the map of the daemon's own host. It is safe for concurrent use.
type LocalMap struct {
	snapshots Snapshotter
	names     *graph.Names
	history   *history.History
	soon      chan struct{} // has an element if a sample is due before the interval ends

	mu      sync.Mutex
	tracker correlate.Tracker
	host    *correlate.Host // of the latest snapshot
	takenAt time.Time       // of the latest snapshot
}

// NewLocalMap returns a map of the host that snapshots come from. names may be nil.
func NewLocalMap(snapshots Snapshotter, names *graph.Names, past *history.History) *LocalMap {
	return &LocalMap{snapshots: snapshots, names: names, history: past, soon: make(chan struct{}, 1)}
}

// Graph takes a snapshot and returns its links and the past links of the window.
func (m *LocalMap) Graph(ctx context.Context) (graph.Graph, error) {
	taken, err := m.snapshots.Snapshot(ctx, true)
	if err != nil {
		return graph.Graph{}, err
	}
	return m.update(taken), nil
}

// Latest returns the map of the latest snapshot or sample.
func (m *LocalMap) Latest() graph.Graph { return m.history.Latest() }

// minSamplePause is the least time between the end of a sample and the beginning of the next that SampleSoon asks for.
const minSamplePause = time.Second

// SampleSoon makes Run take a sample within a second.
func (m *LocalMap) SampleSoon() {
	select {
	case m.soon <- struct{}{}:
	default:
	}
}

// Run takes a sample every interval until ctx ends.
func (m *LocalMap) Run(ctx context.Context, interval time.Duration) {
	m.history.SetInterval(interval)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	pause := time.NewTimer(0) // after which SampleSoon may cause a sample
	defer pause.Stop()
	var soon chan struct{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
			soon = m.soon
			continue
		case <-ticker.C:
		case <-soon:
		}
		if taken, err := m.snapshots.Sample(ctx); err == nil { // otherwise the next request gets the error
			m.update(taken)
		}
		soon = nil
		pause.Reset(minSamplePause)
	}
}

// update adds a snapshot to the map. Requests that share a snapshot add it once, and an older one changes nothing.
func (m *LocalMap) update(taken snapshot.Snapshot) graph.Graph {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !taken.TakenAt.After(m.takenAt) {
		return m.history.Latest()
	}
	m.takenAt = taken.TakenAt
	now := time.Now()
	m.host = correlate.NewHost(taken.ToV1(), netip.Addr{}, m.host, now)
	built := m.tracker.Build([]correlate.PolledHost{{Host: m.host, State: graph.StateOK, LastAnswer: now, PolledAt: taken.TakenAt}}, m.names)
	built.Role = graph.RoleDaemon
	return m.history.Update(built, now)
}
