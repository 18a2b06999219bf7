package web_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// drawn is a map source that a test changes while a page shows it.
type drawn struct {
	mu    sync.Mutex
	graph graph.Graph
	err   error
}

func (d *drawn) Graph(context.Context) (graph.Graph, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.graph, d.err
}

func (d *drawn) set(g graph.Graph, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.graph, d.err = g, err
}

// serve serves a map through the API. It returns the map and the address of the page.
func serve(t testing.TB, g graph.Graph) (served *drawn, address string) {
	t.Helper()
	served, handler := newHandler(g)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return served, server.URL + "/map/"
}

// serveGuarded serves a handler behind the checks of package access. It returns the address of its root without a slash at its end.
func serveGuarded(t testing.TB, options access.Options, handler http.Handler) (address string) {
	t.Helper()
	options.Log = zerolog.Nop()
	guard, err := access.New(options)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := access.Scheme(options.WebConfig)
	if err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := api.NewServer(handler)
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = guard.Serve(listener, server) }()
	return scheme + "://" + listener.Addr().String()
}

// newHandler returns a map and the API that serves it.
func newHandler(g graph.Graph) (*drawn, http.Handler) {
	served := &drawn{graph: g}
	return served, api.New(api.Options{Map: served, Metrics: http.NotFoundHandler(), Version: "test", Log: zerolog.Nop()})
}

// began is the time at which the served links were first seen.
func began() time.Time { return time.Now().UTC().Truncate(time.Second).Add(-30 * time.Minute) }

// container returns a container of a host and project.
func container(host, project, name string) graph.Node {
	full := name
	if project != "" {
		full = project + "-" + name
	}
	return graph.Node{
		ID: "container/" + host + "/" + full, Kind: graph.KindContainer, Host: host, Name: full, Container: host + full, Image: "shop/" + name + ":1",
		Project: project, Service: name, Details: &graph.Details{
			Method: collect.Procfs, Status: snapshotv1.StatusOK, Unused: []snapshotv1.UnusedMethod{},
			Networks:  []snapshotv1.Network{{ID: "n", Name: "shop_default", Addresses: []netip.Addr{netip.MustParseAddr("172.18.0.2")}, Gateways: []netip.Addr{}}},
			Listening: []snapshotv1.Listener{{Endpoint: snapshotv1.Endpoint{Address: "0.0.0.0", Port: 8080}, Published: []snapshotv1.Endpoint{}}},
		},
	}
}

// published returns the container with a published port.
func published(n graph.Node, port uint16) graph.Node {
	details := *n.Details
	details.Listening = []snapshotv1.Listener{{
		Endpoint: snapshotv1.Endpoint{Address: "0.0.0.0", Port: 8080}, Published: []snapshotv1.Endpoint{{Address: "192.0.2.1", Port: port}},
	}}
	n.Details = &details
	return n
}

func external(addr string) graph.Node {
	return graph.Node{ID: "external/" + addr, Kind: graph.KindExternal, Name: addr}
}

// link returns a live link.
func link(client, server graph.Node, port uint16, connections int) graph.Link {
	return graph.Link{
		Client: client.ID, Server: server.ID, Port: port, Via: graph.ViaDirect, Evidence: graph.EvidenceBoth, Connections: connections, Live: true,
		FirstSeen: began(), LastSeen: time.Now().UTC(),
	}
}

// newMap returns the map of a mapper.
func newMap(nodes []graph.Node, links []graph.Link, targets ...graph.Target) graph.Graph {
	slices.SortFunc(nodes, graph.CompareNodes)
	slices.SortFunc(links, func(a, b graph.Link) int { return a.Compare(&b) })
	if targets == nil {
		targets = []graph.Target{{Target: "one:9057", Host: "one", State: graph.StateOK, Format: "snapshot", LastAnswer: time.Now().UTC()}}
	}
	return graph.Graph{Version: graph.Version, Role: graph.RoleMapper, WindowSeconds: 3600, IntervalSeconds: 10, Nodes: nodes, Links: append([]graph.Link{}, links...), Targets: targets}
}

// shop returns a small map with one of each kind of node and link.
func shop() graph.Graph {
	web, api, db, cache := published(container("one", "shop", "web"), 8000), container("one", "shop", "api"), container("one", "shop", "db"), container("one", "shop", "cache")
	job, idle := container("two", "batch", "job"), container("two", "", "idle")
	someone, bank := external("203.0.113.7"), graph.Node{ID: "external/payments", Kind: graph.KindExternal, Name: "payments"}
	sealed := container("two", "", "sealed")
	sealed.Reason, sealed.Details.Method, sealed.Details.Status = "the image has no cat", collect.None, snapshotv1.StatusFailed
	sealed.Details.Listening = []snapshotv1.Listener{}
	past := link(api, cache, 6379, 0)
	past.Live, past.LastSeen = false, time.Now().UTC().Add(-10*time.Minute)
	oneSided := link(job, web, 8080, 3)
	oneSided.Evidence, oneSided.Via = graph.EvidenceClient, graph.ViaPublished
	oneSided.Translation = graph.TranslationConntrack
	fresh := link(api, bank, 443, 2)
	fresh.FirstSeen = time.Now().UTC().Add(-2 * time.Minute)
	measured := link(web, api, 8080, 12)
	measured.Measured = &graph.Measured{RTTMicroseconds: 420, BytesSent: 1234567, BytesReceived: 89}
	outside := link(someone, web, 8080, 1)
	outside.Via = graph.ViaPublished
	return newMap([]graph.Node{web, api, db, cache, job, idle, sealed, someone, bank},
		[]graph.Link{measured, link(api, db, 5432, 4), past, oneSided, fresh, outside},
		graph.Target{Target: "one:9057", Host: "one", State: graph.StateOK, Format: "snapshot", LastAnswer: time.Now().UTC()},
		graph.Target{Target: "two:9057", Host: "two", State: graph.StateOK, Format: "snapshot", LastAnswer: time.Now().UTC()},
		graph.Target{Target: "three:9057", State: graph.StateFailed, Reason: "nothing listens there"})
}

// fleet returns a map of containers with three links each: ten containers in each project, ten projects on each host, and one
// published port in each project.
func fleet(containers int) graph.Graph {
	names := []string{"web", "api", "db", "cache", "queue", "worker", "auth", "mail", "search", "proxy"}
	var nodes []graph.Node
	var links []graph.Link
	for i := range containers {
		host, project := fmt.Sprintf("host%d", i/100), fmt.Sprintf("shop%d", i/10)
		node := container(host, project, names[i%10])
		if i%10 == 0 {
			node = published(node, uint16(8000+i))
		}
		nodes = append(nodes, node)
	}
	for i := range nodes {
		first := i - i%10
		peers := []int{first + (i+1)%10, first + (i+3)%10, (i + 137) % containers}
		for j, peer := range peers {
			if client, server := nodes[i], nodes[peer]; peer != i {
				links = append(links, link(client, server, []uint16{8080, 5432, 6379}[j], i%7+1))
			}
		}
	}
	return newMap(nodes, links)
}
