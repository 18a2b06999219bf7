package mapper

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	"github.com/PabloL007/outpost/internal/history"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// snapshotFrom returns the snapshot of a host with one container that is connected to an external address.
func snapshotFrom(host string) snapshotv1.Snapshot {
	return snapshotv1.Snapshot{
		Version: snapshotv1.Version, TakenAt: time.Now(),
		Host: snapshotv1.Host{ID: "engine of " + host, Name: host},
		Containers: []snapshotv1.Container{{ID: "id of " + host, Name: "/web", Connections: []snapshotv1.Connection{{
			Local: snapshotv1.Endpoint{Address: "172.17.0.2", Port: 40000}, Remote: snapshotv1.Endpoint{Address: "192.0.2.1", Port: 443},
			Direction: "out", State: "ESTABLISHED",
		}}}},
	}
}

func respond(t testing.TB, w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		t.Error(err)
	}
}

// serve starts a daemon with handler and returns its URL.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// healthy starts a daemon that responds with a snapshot.
func healthy(t testing.TB, host string) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { respond(t, w, snapshotFrom(host)) })
}

// start runs a mapper that polls every 50 ms.
func start(t testing.TB, options Options, timeout time.Duration) *Mapper {
	t.Helper()
	options.Interval = 50 * time.Millisecond
	if options.StaleAfter == 0 {
		options.StaleAfter = time.Hour
	}
	m := New(options, history.New(time.Hour), zerolog.Nop())
	m.pollTimeout = timeout
	run(t, m)
	return m
}

func run(t testing.TB, m *Mapper) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { m.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
}

func parse(t testing.TB, texts ...string) []Target {
	t.Helper()
	targets, err := ParseTargets(texts)
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

// until waits until the latest map fulfils condition.
func until(t testing.TB, m *Mapper, condition func(g graph.Graph) bool) graph.Graph {
	t.Helper()
	deadline := time.Now().Add(time.Minute) // the race detector is slow
	for {
		g := m.Latest()
		if condition(g) {
			return g
		}
		if time.Now().After(deadline) {
			t.Fatalf("timeout; targets: %+v", g.Targets)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func targetIn(g graph.Graph, name string) graph.Target {
	for _, target := range g.Targets {
		if target.Target == name {
			return target
		}
	}
	return graph.Target{}
}

// A reason that differs only in numbers and quoted text is logged once, and does not change the map.
func TestVaryingReasonIsLoggedOnce(t *testing.T) {
	var polls atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `{"error":"trouble %d at %x"}`, polls.Add(1), time.Now().UnixNano())
	})
	var log syncBuffer
	m := New(Options{Targets: parse(t, url), Interval: 20 * time.Millisecond, StaleAfter: time.Hour}, history.New(time.Hour), zerolog.New(&log))
	run(t, m)
	g := until(t, m, func(g graph.Graph) bool { return targetIn(g, url).State == graph.StateFailed })
	for polls.Load() < 5 {
		time.Sleep(10 * time.Millisecond)
	}
	if n := strings.Count(log.String(), "Polling the daemon failed"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	if key := graph.ReasonKey(targetIn(g, url).Reason); key != "responds N Internal Server Error" {
		t.Errorf("%q", key)
	}
}

// syncBuffer is a log that is safe for concurrent use.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestUnresponsiveTargetIsStaleThenDropped(t *testing.T) {
	var down atomic.Bool
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		respond(t, w, snapshotFrom("h"))
	})
	m := start(t, Options{Targets: parse(t, url), StaleAfter: 700 * time.Millisecond}, time.Second)
	state := func(want graph.State) graph.Graph {
		t.Helper()
		return until(t, m, func(g graph.Graph) bool { return targetIn(g, url).State == want })
	}
	if g := state(graph.StateOK); g.Role != graph.RoleMapper || g.WindowSeconds == 0 {
		t.Errorf("role %q, window %d s", g.Role, g.WindowSeconds)
	}
	down.Store(true)
	g := state(graph.StateStale)
	if n := g.Nodes[0]; !n.Stale || !g.Links[0].Live || targetIn(g, url).Reason != "responds 500 Internal Server Error" {
		t.Errorf("%+v", g)
	}
	g = state(graph.StateFailed)
	if g.Links[0].Live || !slices.ContainsFunc(g.Nodes, func(n graph.Node) bool { return n.Past }) {
		t.Errorf("links of a dropped target must be past: %+v", g)
	}
	down.Store(false)
	if g = state(graph.StateOK); !g.Links[0].Live || g.Nodes[0].Past || g.Nodes[0].Stale {
		t.Errorf("%+v", g)
	}
}

// Until all targets were polled, the address of a host that is not yet polled makes no external node. Other links of such maps do not become
// past: here, that of a host's process, which is a container of another engine there.
func TestHistoryStartsAfterAllTargetsArePolled(t *testing.T) {
	one, two := snapshotFrom("one"), snapshotFrom("one")
	at := func(address string, port uint16) snapshotv1.Endpoint {
		return snapshotv1.Endpoint{Address: address, Port: port}
	}
	own := snapshotv1.Connection{Local: at("172.17.0.1", 40001), Remote: at("172.17.0.2", 80), Direction: "out", State: "ESTABLISHED"}
	for _, s := range []*snapshotv1.Snapshot{&one, &two} {
		s.Host.Addresses, s.Host.BootID = []netip.Addr{netip.MustParseAddr("10.77.0.11")}, "boot"
	}
	one.Host.Sockets = &snapshotv1.HostSockets{Connections: []snapshotv1.HostConnection{{Connection: own}}}
	web := &one.Containers[0]
	web.Networks = []snapshotv1.Network{{ID: "bridge", Addresses: []netip.Addr{netip.MustParseAddr("172.17.0.2")}, Gateways: []netip.Addr{netip.MustParseAddr("172.17.0.1")}}}
	web.Listening = []snapshotv1.Listener{{Endpoint: at("0.0.0.0", 80)}}
	web.Connections = append(web.Connections, snapshotv1.Connection{Local: at("172.17.0.2", 80), Remote: at("172.17.0.1", 40001), Direction: "in", State: "ESTABLISHED"})
	two.Host.ID = "engine of two"
	two.Containers = []snapshotv1.Container{{ID: "id of agent", Name: "/agent", NetworkMode: "host", Connections: []snapshotv1.Connection{own}}}

	m := New(Options{Interval: time.Hour, StaleAfter: time.Hour}, history.New(time.Hour), zerolog.Nop())
	m.targets["one"], m.targets["two"] = &polledTarget{address: address{name: "one"}}, &polledTarget{address: address{name: "two"}}
	for _, step := range []struct {
		name     string
		response snapshotv1.Snapshot
		want     string
	}{
		{"one", one, "one > one/web:80 direct both 1\n"},
		{"two", two, "one/agent > one/web:80 direct both 1\none/web > external 192.0.2.1:443 direct client 1\n"},
	} {
		m.record(t.Context(), m.targets[step.name], answer{pollResult: pollResult{snapshot: step.response}, ended: time.Now()})
		m.targets[step.name].document = &step.response
		m.rebuild(time.Now())
		if got := graphtest.Lines(m.Latest()); got != step.want {
			t.Errorf("after %s: %s", step.name, got)
		}
	}
}

// A poll may end after its target was removed. Its result is dropped; otherwise the target would be ok forever.
func TestPollThatEndsAfterRemovalChangesNothing(t *testing.T) {
	m := New(Options{Interval: time.Hour, StaleAfter: time.Hour}, history.New(time.Hour), zerolog.Nop())
	ctx, cancel := context.WithCancel(t.Context())
	target := &polledTarget{address: address{name: "one"}, cancel: cancel}
	m.targets["one"] = target
	m.updateTargets(t.Context(), nil)
	m.record(ctx, target, answer{pollResult: pollResult{snapshot: snapshotFrom("one")}, ended: time.Now()})
	if !target.removed || target.reason == "" || target.host != nil {
		t.Errorf("%+v", target)
	}
}

// Run leaves no goroutines.
func TestRunEndsAllGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { respond(t, w, snapshotFrom("h")) }))
	m := New(Options{Targets: parse(t, server.URL), Interval: 10 * time.Millisecond, StaleAfter: time.Hour}, history.New(time.Hour), zerolog.Nop())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	m.Run(ctx)
	server.Close()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}
