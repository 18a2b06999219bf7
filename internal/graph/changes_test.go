package graph_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// history returns a graph since noon in which containers and links came and went. Its minutes are those after noon.
func history() graph.Graph {
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	node := func(name string, first, last int) graph.Node {
		n := graph.Node{ID: name, Kind: graph.KindContainer, Name: name, Project: "p", Image: "image of " + name, FirstSeen: at(first)}
		if last > 0 {
			n.Past, n.LastSeen = true, at(last)
		}
		return n
	}
	link := func(client, server string, first, last int) graph.Link {
		return graph.Link{Client: client, Server: server, Port: 80, Via: graph.ViaDirect, Evidence: graph.EvidenceBoth, FirstSeen: at(first), LastSeen: at(last), Live: last == 60}
	}
	ended := link("web", "queue", 0, 59)
	ended.Closed = 1 // a moment ago
	return graph.Graph{
		Version: graph.Version, WindowSeconds: 3600, DataSince: noon,
		Nodes: []graph.Node{node("cache", 40, 0), node("db", 0, 0), node("idle", 45, 0), node("job", 10, 30), node("old", 0, 20), node("queue", 0, 0), node("web", 0, 0)},
		Links: []graph.Link{
			link("job", "db", 10, 30), link("old", "db", 0, 20), link("web", "cache", 40, 60), link("web", "db", 0, 60), ended,
		},
	}
}

// describeChanges returns the nodes and links of a graph with + for new, - for gone, and ~ for past.
func describeChanges(g graph.Graph) string {
	marks := func(isNew, isGone, isPast bool) (text string) {
		for _, mark := range []struct {
			set  bool
			text string
		}{{isNew, "+"}, {isGone, "-"}, {isPast, "~"}} {
			if mark.set {
				text += mark.text
			}
		}
		return text
	}
	var all []string
	for _, n := range g.Nodes {
		all = append(all, n.Name+marks(n.New, n.Gone, n.Past))
	}
	for _, l := range g.Links {
		all = append(all, fmt.Sprintf("%s>%s%s", l.Client, l.Server, marks(l.New, l.Gone, !l.Live)))
	}
	return strings.Join(all, " ")
}

func TestChangesAreMarked(t *testing.T) {
	for _, test := range []struct{ query, want string }{
		{"", "cache db idle job~ old~ queue web job>db~ old>db~ web>cache web>db web>queue~"},
		{"newSince=25m", "cache+ db idle+ job~ old~ queue web job>db~ old>db~ web>cache+ web>db web>queue~"},
		{"newSince=30m", "cache+ db idle+ job-~ old~ queue web job>db-~ old>db~ web>cache+ web>db web>queue~"},
		{"newSince=2026-01-02T12:00:00Z", "cache+ db idle+ job+-~ old-~ queue web job>db+-~ old>db-~ web>cache+ web>db web>queue~"},
		{"at=2026-01-02T12:35:00Z newSince=2026-01-02T12:05:00Z", "db job+-~ old-~ queue web job>db+-~ old>db-~ web>db web>queue"},
		{"at=2026-01-02T12:15:00Z newSince=2026-01-02T12:05:00Z", "db job+ old queue web job>db+ old>db web>db web>queue"},
		{"newSince=25m group=image", "image of cache+ image of db image of idle+ image of job image of old image of queue image of web " +
			"image/image of job>image/image of db~ image/image of old>image/image of db~ image/image of web>image/image of cache+ " +
			"image/image of web>image/image of db image/image of web>image/image of queue~"},
		{"newSince=25m group=project", "p project/p>project/p+"},
	} {
		var view graph.View
		for word := range strings.FieldsSeq(test.query) {
			name, value, _ := strings.Cut(word, "=")
			if err := view.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
		g := history()
		got := describeChanges(view.Apply(g, noon.Add(time.Hour)))
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.query, got, test.want)
		}
		if describeChanges(g) != describeChanges(history()) {
			t.Errorf("%s changed the graph", test.query)
		}
	}
}

func TestChangesAreColored(t *testing.T) {
	view := graph.View{NewSince: graph.Moment{Ago: 30 * time.Minute}}
	var dot bytes.Buffer
	if err := graph.WriteDOT(&dot, view.Apply(history(), noon.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`n0 [label="cache", color=green];`, `n3 [label="job", color=red];`, `n3 -> n1 [label="80", color=red];`, `n4 -> n1 [label="80", color=gray];`, `n6 -> n0 [label="80", color=green];`} {
		if !strings.Contains(dot.String(), want) {
			t.Errorf("no %s in %s", want, dot.String())
		}
	}
}
