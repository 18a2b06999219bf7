package graph_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
)

// TestResolve has the references of testdata/reference.json. The page resolves them to the same nodes, and writes those of "refer".
func TestResolve(t *testing.T) {
	var vectors struct {
		Nodes          []graph.Node
		Resolve, Refer map[string]string
	}
	content, err := os.ReadFile("testdata/reference.json")
	if err == nil {
		err = json.Unmarshal(content, &vectors)
	}
	if err != nil {
		t.Fatal(err)
	}
	g := graph.Graph{Nodes: vectors.Nodes}
	for reference, want := range vectors.Resolve {
		slices.Reverse(g.Nodes) // the order does not matter
		if got := g.Resolve(reference); got != want {
			t.Errorf("%q: %q, want %q", reference, got, want)
		}
	}
	for id, reference := range vectors.Refer {
		if got := g.Resolve(reference); got != id {
			t.Errorf("%q: %q, want %q", reference, got, id)
		}
	}
	view := graph.View{Node: "container/one/web.1.x"}
	if got := view.Apply(g, noon); len(got.Nodes) != 1 || got.Nodes[0].Container != "t2" {
		t.Errorf("the view of a reference: %v", got.Nodes)
	}
}
