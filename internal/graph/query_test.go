package graph_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
)

// queryVectors are the queries of testdata/query.json. The page has the same results for them.
type queryVectors struct {
	Graph graph.Graph
	Valid []struct {
		Query, With  string // With are further parameters
		Nodes, Links []string
	}
	Invalid           []struct{ Query, Error string }
	Monitoring, Other []string // images
}

func readQueryVectors(t testing.TB) (v queryVectors) {
	t.Helper()
	content, err := os.ReadFile("testdata/query.json")
	if err == nil {
		err = json.Unmarshal(content, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// queryResult returns the names of nodes, and links as client > server:port, both in the graph's order.
func queryResult(g graph.Graph) (nodes, links []string) {
	nodes, links = []string{}, []string{}
	names := make(map[string]string)
	for _, n := range g.Nodes {
		nodes = append(nodes, n.Name)
		names[n.ID] = n.Name
	}
	for _, l := range g.Links {
		links = append(links, fmt.Sprintf("%s > %s:%d", names[l.Client], names[l.Server], l.Port))
	}
	return nodes, links
}

func TestQueries(t *testing.T) {
	vectors := readQueryVectors(t)
	for _, test := range vectors.Valid {
		view := graph.View{Unlinked: "show"}
		parameters, err := url.ParseQuery(test.With)
		if err != nil {
			t.Fatal(err)
		}
		parameters.Set("q", test.Query)
		for name := range parameters {
			if err := view.Set(name, parameters.Get(name)); err != nil {
				t.Fatal(err)
			}
		}
		nodes, links := queryResult(view.Apply(vectors.Graph, noon))
		if diff := cmp.Diff([][]string{test.Nodes, test.Links}, [][]string{nodes, links}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.Query, diff)
		}
	}
}

func TestInvalidQueriesAreRejected(t *testing.T) {
	for _, test := range readQueryVectors(t).Invalid {
		if _, err := graph.ParseQuery(test.Query); err == nil || err.Error() != test.Error {
			t.Errorf("%s: %v, want %s", test.Query, err, test.Error)
		}
	}
}

func TestQueriesAreBounded(t *testing.T) {
	for query, want := range map[string]string{
		strings.Repeat("ä", 1000): "", strings.Repeat("a", 1001): "q: more than 1000 characters",
		strings.Repeat("a ", 50): "", strings.Repeat("a ", 51): "q: more than 50 terms",
	} {
		_, err := graph.ParseQuery(query)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%.10q…: %v, want %q", query, err, want)
		}
	}
	var view graph.View
	if err := view.Set("q", "name:"+strings.Repeat("*a", 490)); err != nil {
		t.Fatal(err)
	}
	long := graph.Node{ID: "1", Kind: graph.KindContainer, Name: strings.Repeat("a", 1_000_000) + "b"}
	start := time.Now()
	if got := view.Apply(graph.Graph{Nodes: []graph.Node{long}}, noon); len(got.Nodes) != 0 || time.Since(start) > 5*time.Second {
		t.Errorf("%d nodes after %v", len(got.Nodes), time.Since(start))
	}
}

func TestImagesThatMonitor(t *testing.T) {
	vectors := readQueryVectors(t)
	query, err := graph.ParseQuery("is:monitoring")
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range slices.Concat(vectors.Monitoring, vectors.Other) {
		g := graph.Graph{Nodes: []graph.Node{{ID: "1", Kind: graph.KindContainer, Image: image}}}
		got := len(graph.View{Query: query}.Apply(g, noon).Nodes) == 1
		if want := slices.Contains(vectors.Monitoring, image); got != want {
			t.Errorf("%q: %v, want %v", image, got, want)
		}
	}
}

// FuzzQuery applies any query. A quoted name selects the node with that name.
func FuzzQuery(f *testing.F) {
	vectors := readQueryVectors(f)
	for _, test := range vectors.Valid {
		f.Add(test.Query, "web")
	}
	for _, test := range vectors.Invalid {
		f.Add(test.Query, `a\"b*`)
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	f.Fuzz(func(t *testing.T, text, name string) {
		query, err := graph.ParseQuery(text)
		if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 5000) {
			t.Errorf("%q is more than a short line", err)
		}
		got := graph.View{Query: query}.Apply(vectors.Graph, noon)
		ids := make(map[string]bool)
		for _, n := range got.Nodes {
			ids[n.ID] = true
		}
		for _, l := range got.Links {
			if !ids[l.Client] || !ids[l.Server] {
				t.Errorf("%q: %s or %s is not a node", text, l.Client, l.Server)
			}
		}
		if len(name) > 400 {
			return
		}
		if query, err = graph.ParseQuery(`name:"` + quoted.Replace(name) + `"`); err != nil {
			t.Fatal(err)
		}
		named := graph.Graph{Nodes: []graph.Node{{ID: "1", Kind: graph.KindContainer, Name: name}, {ID: "2", Kind: graph.KindContainer, Name: name + "x"}}}
		if nodes := (graph.View{Query: query}).Apply(named, noon).Nodes; len(nodes) == 0 || nodes[0].ID != "1" {
			t.Errorf("%q selects %v", name, nodes)
		}
	})
}
