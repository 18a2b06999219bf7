package graph_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
)

// A container that replaced another one under another name calls the same services: no link is gone or new, but the image changed.
func TestCompareFollowsReplacements(t *testing.T) {
	task := func(id, name, image string) graph.Node {
		return graph.Node{ID: graph.NodeID(graph.KindContainer, "one", id), Kind: graph.KindContainer, Host: "one", Container: id, Name: name, Image: image}
	}
	db, before, after := task("d", "db", "db:1"), task("a", "api.1.x", "api:1"), task("b", "api.1.y", "api:2")
	after.Predecessors = []graph.Predecessor{{Container: "a", Name: "api.1.x", Image: "api:1", LastSeen: time.Now()}}
	link := func(client graph.Node) []graph.Link {
		return []graph.Link{{Client: client.ID, Server: db.ID, Port: 5432, Via: graph.ViaDirect}}
	}
	got := graph.Compare(graph.Graph{Nodes: []graph.Node{before, db}, Links: link(before)}, graph.Graph{Nodes: []graph.Node{after, db}, Links: link(after)})
	want := graph.Difference{Changed: []graph.Change{{
		Edge: graph.Edge{Client: "one/api.1.y", Server: "one/db", Port: 5432}, Was: "direct, api:1 to db:1", Is: "direct, api:2 to db:1",
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Links that become the same link are merged. A link between two nodes that became one is dropped, but not a link of a node to itself.
func TestFoldMergesLinks(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	link := func(client, server string, connections int, minutes time.Duration, evidence graph.Evidence) graph.Link {
		at := noon.Add(minutes * time.Minute)
		return graph.Link{Client: client, Server: server, Port: 80, Evidence: evidence, Connections: connections, Live: connections > 0, FirstSeen: at, LastSeen: at}
	}
	g := graph.Graph{Nodes: []graph.Node{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}, Links: []graph.Link{
		link("a", "a", 1, 0, graph.EvidenceBoth), link("a", "c", 2, 1, graph.EvidenceClient), link("b", "a", 1, 2, graph.EvidenceBoth),
		link("b", "c", 3, 5, graph.EvidenceServer), link("d", "a", 4, 4, graph.EvidenceBoth),
	}}
	got := g.Fold(map[string]string{"a": "b"})
	merged := link("b", "c", 5, 1, graph.EvidenceBoth)
	merged.LastSeen = noon.Add(5 * time.Minute)
	want := []graph.Link{link("b", "b", 1, 0, graph.EvidenceBoth), merged, link("d", "b", 4, 4, graph.EvidenceBoth)}
	if diff := cmp.Diff(want, got.Links); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Nodes) != 3 || len(g.Nodes) != 4 || g.Links[1].Client != "a" {
		t.Errorf("nodes %v; the graph itself: %v", got.Nodes, g)
	}
}
