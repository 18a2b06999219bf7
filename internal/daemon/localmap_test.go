package daemon

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/history"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// fakeSnapshotter has one container, with a connection while connected.
type fakeSnapshotter struct {
	mu        sync.Mutex
	connected bool
	samples   int
	err       error
}

func (s *fakeSnapshotter) Snapshot(context.Context, bool) (snapshot.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := snapshot.Container{ID: "a", Name: "/a"}
	if s.connected {
		c.Connections = []snapshot.Connection{{
			Local: netip.MustParseAddrPort("172.17.0.2:1"), Remote: netip.MustParseAddrPort("192.0.2.1:443"), State: socket.Established,
		}}
	}
	return snapshot.Snapshot{TakenAt: time.Now(), Containers: []snapshot.Container{c}}, s.err
}

func (s *fakeSnapshotter) Sample(ctx context.Context) (snapshot.Snapshot, error) {
	s.mu.Lock()
	s.samples++
	s.mu.Unlock()
	return s.Snapshot(ctx, false)
}

func (s *fakeSnapshotter) set(connected bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected, s.err = connected, err
}

func TestLocalMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &fakeSnapshotter{connected: true}
		local := NewLocalMap(host, nil, history.New(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { local.Run(ctx, time.Second) })
		time.Sleep(2500 * time.Millisecond)
		host.set(false, nil)
		time.Sleep(time.Second)
		g, err := local.Graph(t.Context())
		if err != nil || len(g.Links) != 1 || !g.Links[0].Live || g.Links[0].LastSeen.Sub(g.Links[0].FirstSeen) != time.Second {
			t.Errorf("%v: a sampled link stays live for three intervals: %+v", err, g.Links)
		}
		time.Sleep(2 * time.Second)
		if g, err = local.Graph(t.Context()); err != nil || len(g.Links) != 1 || g.Links[0].Live {
			t.Errorf("%v: a sampled link becomes past: %+v", err, g.Links)
		}
		if g.Targets == nil || len(g.Targets) != 0 {
			t.Errorf("the local host is not a target: %v", g.Targets)
		}
		if g.Role != graph.RoleDaemon || g.WindowSeconds != 3600 || g.IntervalSeconds != 1 {
			t.Errorf("role %q, window %d s, interval %g s", g.Role, g.WindowSeconds, g.IntervalSeconds)
		}
		down := errors.New("down")
		host.set(true, down)
		time.Sleep(time.Second)
		if _, err := local.Graph(t.Context()); !errors.Is(err, down) {
			t.Errorf("%v", err)
		}
		if latest := local.Latest(); len(latest.Links) != 1 || latest.Links[0].Live {
			t.Errorf("a failed sample changes nothing: %+v", latest.Links)
		}
		cancel()
		running.Wait()
		if host.samples != 6 {
			t.Errorf("%d samples", host.samples)
		}
	})
}

func TestOlderAndSharedSnapshotsChangeNothing(t *testing.T) {
	local := NewLocalMap(&fakeSnapshotter{}, nil, history.New(time.Hour))
	connected := &fakeSnapshotter{connected: true}
	newer, _ := connected.Snapshot(t.Context(), true)
	older, _ := (&fakeSnapshotter{}).Snapshot(t.Context(), true)
	older.TakenAt = newer.TakenAt.Add(-time.Second)
	local.update(newer)
	for _, taken := range []snapshot.Snapshot{older, newer} {
		var g graph.Graph
		if g = local.update(taken); len(g.Links) != 1 || !g.Links[0].Live {
			t.Errorf("%+v", g.Links)
		}
	}
}

// For two minutes the correlation knows the connections of a removed container. The map has them at its successor from the start.
func TestRedeployLeavesNoPastContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := NewLocalMap(&fakeSnapshotter{}, nil, history.New(time.Hour))
		began := time.Now().UTC()
		local.update(connectedTo("old"))
		time.Sleep(10 * time.Second)
		local.update(connectedTo("")) // between stop and start
		time.Sleep(10 * time.Second)
		local.update(connectedTo("new"))
		time.Sleep(10 * time.Second)
		g := local.update(connectedTo("new"))
		if len(g.Nodes) != 2 || len(g.Links) != 1 {
			t.Fatalf("%+v", g)
		}
		predecessor := graph.Predecessor{Container: "old", Name: "db", Image: "image of old", LastSeen: began}
		for _, n := range g.Nodes {
			if n.Past || n.Name == "db" && (n.Container != "new" || len(n.Predecessors) != 1 || n.Predecessors[0] != predecessor) {
				t.Errorf("%+v", n)
			}
		}
		if l := g.Links[0]; !l.Live || !l.FirstSeen.Equal(began) || l.Connections != 1 {
			t.Errorf("%+v, want live since %s", l, began)
		}
	})
}

// connectedTo returns a snapshot of a client, and of a database with an ID to which it is connected. Without an ID it has none.
func connectedTo(id string) snapshot.Snapshot {
	addr, at := netip.MustParseAddr, netip.MustParseAddrPort
	network := func(own string) []container.Network {
		return []container.Network{{ID: "n", Name: "shop", Addresses: []netip.Addr{addr(own)}, Gateways: []netip.Addr{addr("172.18.0.1")}}}
	}
	client := snapshot.Container{ID: "client", Name: "/client", Networks: network("172.18.0.2")}
	if id == "" {
		return snapshot.Snapshot{TakenAt: time.Now(), Containers: []snapshot.Container{client}}
	}
	db := snapshot.Container{ID: id, Name: "/db", Image: "image of " + id, Networks: network("172.18.0.3")}
	db.Listeners = []snapshot.Listener{{Local: at("0.0.0.0:5432")}}
	client.Connections = []snapshot.Connection{{Local: at("172.18.0.2:40000"), Remote: at("172.18.0.3:5432"), State: socket.Established}}
	db.Connections = []snapshot.Connection{{Local: at("172.18.0.3:5432"), Remote: at("172.18.0.2:40000"), State: socket.Established, Inbound: true}}
	return snapshot.Snapshot{TakenAt: time.Now(), Containers: []snapshot.Container{client, db}}
}

// SampleSoon causes a sample at once, and another one a second later at the earliest.
func TestSampleSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &fakeSnapshotter{}
		local := NewLocalMap(host, nil, history.New(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { local.Run(ctx, time.Minute) })
		expect := func(want int, when string) {
			synctest.Wait()
			if host.mu.Lock(); host.samples != want {
				t.Errorf("%d samples %s, want %d", host.samples, when, want)
			}
			host.mu.Unlock()
		}
		expect(0, "at the start")
		local.SampleSoon()
		expect(1, "at once")
		for range 3 {
			local.SampleSoon()
		}
		expect(1, "in the same second")
		time.Sleep(minSamplePause)
		expect(2, "a second later")
		time.Sleep(10 * time.Second)
		expect(2, "without a request")
		cancel()
		running.Wait()
	})
}
