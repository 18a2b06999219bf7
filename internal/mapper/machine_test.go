package mapper

import (
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// fakeEngine is the daemon of one of two engines of a machine. Its answer never changes.
type fakeEngine struct {
	down              atomic.Bool
	full, notModified atomic.Int32 // answers
}

func (e *fakeEngine) serve(t *testing.T, container snapshotv1.Container) (url string) {
	document := snapshotv1.Snapshot{
		Version: snapshotv1.Version, TakenAt: time.Now(), Containers: []snapshotv1.Container{container},
		Host: snapshotv1.Host{ID: "engine of " + container.ID, Name: "a", BootID: "boot", AllAddresses: true, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")}},
	}
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case e.down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Header.Get("If-None-Match") == `"1"`:
			e.notModified.Add(1)
			w.WriteHeader(http.StatusNotModified)
		default:
			e.full.Add(1)
			w.Header().Set("ETag", `"1"`)
			respond(t, w, document)
		}
	})
}

// A daemon of a second engine is never in the map without the first one, although the mapper has dropped the first one's answer.
func TestDaemonsOfOneMachineAreNeverApart(t *testing.T) {
	var docker, podman fakeEngine
	web := snapshotv1.Container{
		ID: "web", Name: "/web", Networks: []snapshotv1.Network{{ID: "bridge", Addresses: []netip.Addr{netip.MustParseAddr("172.17.0.2")}}},
		Listening: []snapshotv1.Listener{{Endpoint: snapshotv1.Endpoint{Address: "0.0.0.0", Port: 80}, Published: []snapshotv1.Endpoint{{Address: "0.0.0.0", Port: 8080}}}},
	}
	client := snapshotv1.Container{
		ID: "client", Name: "/client", Networks: []snapshotv1.Network{{ID: "podman", Addresses: []netip.Addr{netip.MustParseAddr("10.88.0.2")}}},
		Connections: []snapshotv1.Connection{{
			Local: snapshotv1.Endpoint{Address: "10.88.0.2", Port: 40000}, Remote: snapshotv1.Endpoint{Address: "10.0.0.5", Port: 8080}, Direction: "out", State: "ESTABLISHED",
		}},
	}
	podman.down.Store(true)
	m := start(t, Options{Targets: parse(t, docker.serve(t, web), podman.serve(t, client))}, time.Minute)
	until(t, m, func(graph.Graph) bool { return docker.notModified.Load() > 2 })
	podman.down.Store(false)
	const want = "a/client > a/web:80 published client 1\n"
	g := until(t, m, func(g graph.Graph) bool { return len(g.Links) > 0 })
	if diff := cmp.Diff(want, graphtest.Lines(g)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Both documents are kept from now on.
	polls := docker.notModified.Load()
	until(t, m, func(graph.Graph) bool { return docker.notModified.Load() > polls+3 && podman.notModified.Load() > 3 })
	if docker.full.Load() > 3 || podman.full.Load() > 2 {
		t.Errorf("%d and %d answers were not conditional", docker.full.Load(), podman.full.Load())
	}
}

// A daemon that does not answer any more holds up no other one of its machine. When it answers again, they are merged.
func TestFailingDaemonOfOneMachine(t *testing.T) {
	var docker, podman fakeEngine
	podman.down.Store(true)
	m := start(t, Options{Targets: parse(t, docker.serve(t, snapshotv1.Container{ID: "web", Name: "/web"}), podman.serve(t, snapshotv1.Container{ID: "client", Name: "/client"}))}, time.Minute)
	until(t, m, func(graph.Graph) bool { return docker.notModified.Load() > 2 })
	docker.down.Store(true)
	isStale := func(g graph.Graph) bool {
		return len(g.Targets) > 0 && (g.Targets[0].State == graph.StateStale || g.Targets[1].State == graph.StateStale)
	}
	until(t, m, isStale)
	podman.down.Store(false)
	until(t, m, func(g graph.Graph) bool { return isStale(g) && len(g.Nodes) == 2 })
	docker.down.Store(false)
	until(t, m, func(g graph.Graph) bool {
		for _, target := range g.Targets {
			if target.State != graph.StateOK || target.Host != "a" {
				return false
			}
		}
		return len(g.Nodes) == 2
	})
}
