package mapper

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/correlate"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Daemon is what answers for the own host.
type Daemon interface {
	// Snapshot returns what is known of the host now; measured asks for what the kernel has measured of connections too.
	Snapshot(ctx context.Context, measured bool) (snapshot.Snapshot, error)
	// Sample is Snapshot by the ways that cost little.
	Sample(ctx context.Context) (snapshot.Snapshot, error)
}

// LocalMap maps one's own host. It may be used by several goroutines at once.
type LocalMap struct {
	daemon Daemon
	naming *graph.Names
	window *History

	mu    sync.Mutex
	host  *correlate.Host // as it was last
	taken time.Time       // when that was
}

// NewLocalMap returns a map of the daemon's host.
func NewLocalMap(daemon Daemon, naming *graph.Names, window *History) *LocalMap {
	return &LocalMap{daemon: daemon, naming: naming, window: window}
}

// Graph returns the links that there are now, and those of the window.
func (o *LocalMap) Graph(ctx context.Context) (graph.Graph, error) {
	taken, err := o.daemon.Snapshot(ctx, true)
	if err != nil {
		return graph.Graph{}, err
	}
	return o.add(taken), nil
}

// Latest returns the links as they were seen last.
func (o *LocalMap) Latest() graph.Graph { return o.window.Latest() }

// Run samples the host's connections every interval, until ctx ends.
func (o *LocalMap) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if taken, err := o.daemon.Sample(ctx); err == nil { // else the next request is told why
			o.add(taken)
		}
	}
}

func (o *LocalMap) add(taken snapshot.Snapshot) graph.Graph {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !taken.TakenAt.After(o.taken) { // of those who share a snapshot the first has added it
		return o.window.Latest()
	}
	o.taken = taken.TakenAt
	now := time.Now()
	o.host = correlate.NewHost(snapshot.DocumentOf(taken), netip.Addr{}, o.host, now)
	drawn := correlate.Build([]correlate.Source{{Host: o.host, State: graph.StateOK, LastAnswer: now}}, o.naming)
	drawn.Role = graph.RoleDaemon
	return o.window.Update(drawn, now)
}
