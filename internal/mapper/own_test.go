package mapper

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// ownHost is a daemon whose host has a container with a connection, which a sample sees too, or nothing else does.
type ownHost struct {
	mu        sync.Mutex
	connected bool
	samples   int
	err       error
}

func (o *ownHost) Snapshot(context.Context, bool) (snapshot.Snapshot, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := snapshot.Container{ID: "a", Name: "/a"}
	if o.connected {
		c.Connections = []snapshot.Connection{{
			Local: netip.MustParseAddrPort("172.17.0.2:1"), Remote: netip.MustParseAddrPort("192.0.2.1:443"), State: socket.Established,
		}}
	}
	return snapshot.Snapshot{TakenAt: time.Now(), Containers: []snapshot.Container{c}}, o.err
}

func (o *ownHost) Sample(ctx context.Context) (snapshot.Snapshot, error) {
	o.mu.Lock()
	o.samples++
	o.mu.Unlock()
	return o.Snapshot(ctx, false)
}

func (o *ownHost) set(connected bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.connected, o.err = connected, err
}

func TestOwnHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &ownHost{connected: true}
		own := NewLocalMap(host, nil, NewHistory(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { own.Run(ctx, time.Second) })
		time.Sleep(2500 * time.Millisecond)
		host.set(false, nil)
		time.Sleep(time.Second)
		g, err := own.Graph(t.Context())
		if err != nil || len(g.Links) != 1 || g.Links[0].Live || g.Links[0].LastSeen.Sub(g.Links[0].FirstSeen) != time.Second {
			t.Errorf("%v: what was sampled is past: %+v", err, g.Links)
		}
		if g.Targets == nil || len(g.Targets) != 0 {
			t.Errorf("the own host is no target: %v", g.Targets)
		}
		if g.Role != graph.RoleDaemon || g.WindowSeconds != 3600 {
			t.Errorf("role %q, window %d s", g.Role, g.WindowSeconds)
		}
		down := errors.New("down")
		host.set(true, down)
		time.Sleep(time.Second)
		if _, err := own.Graph(t.Context()); !errors.Is(err, down) {
			t.Errorf("%v", err)
		}
		if latest := own.Latest(); len(latest.Links) != 1 || latest.Links[0].Live {
			t.Errorf("a sample that failed changes nothing: %+v", latest.Links)
		}
		cancel()
		running.Wait()
		if host.samples != 4 {
			t.Errorf("%d samples", host.samples)
		}
	})
}

// A snapshot that is older than what is known changes nothing, and one that several requests share is added once.
func TestOwnHostInOrder(t *testing.T) {
	own := NewLocalMap(&ownHost{}, nil, NewHistory(time.Hour))
	connected := &ownHost{connected: true}
	newer, _ := connected.Snapshot(t.Context(), true)
	older, _ := (&ownHost{}).Snapshot(t.Context(), true)
	older.TakenAt = newer.TakenAt.Add(-time.Second)
	own.add(newer)
	for _, taken := range []snapshot.Snapshot{older, newer} {
		var g graph.Graph
		if g = own.add(taken); len(g.Links) != 1 || !g.Links[0].Live {
			t.Errorf("%+v", g.Links)
		}
	}
}
