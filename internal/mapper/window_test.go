package mapper

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/graph"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// seen is a map of links from one container to others, at a time.
func seen(at time.Time, servers ...string) graph.Graph {
	g := graph.Graph{Version: 1, Nodes: []graph.Node{{ID: "a", Kind: graph.KindContainer, Name: "a"}}}
	for _, server := range servers {
		g.Nodes = append(g.Nodes, graph.Node{ID: server, Kind: graph.KindContainer, Name: server})
		g.Links = append(g.Links, graph.Link{Client: "a", Server: server, Port: 80, Connections: 2, Live: true, FirstSeen: at, LastSeen: at})
	}
	return g
}

func described(g graph.Graph) []string {
	var words []string
	for _, n := range g.Nodes {
		text := n.ID
		if n.Past {
			text += " past"
		}
		words = append(words, text)
	}
	for _, l := range g.Links {
		words = append(words, fmt.Sprintf("%s>%s %d %t %d-%d", l.Client, l.Server, l.Connections, l.Live, int(l.FirstSeen.Sub(noon).Minutes()), int(l.LastSeen.Sub(noon).Minutes())))
	}
	return words
}

// step is what is linked at a minute, and the map that is drawn of it.
type step struct {
	minute  int
	servers []string
	want    []string
}

func TestWindow(t *testing.T) {
	expectSteps(t, []step{
		{0, []string{"b", "c"}, []string{"a", "b", "c", "a>b 2 true 0-0", "a>c 2 true 0-0"}},
		{10, []string{"c", "d"}, []string{"a", "b past", "c", "d", "a>b 0 false 0-0", "a>c 2 true 0-10", "a>d 2 true 10-10"}},
		{20, nil, []string{"a", "b past", "c past", "d past", "a>b 0 false 0-0", "a>c 0 false 0-10", "a>d 0 false 10-10"}},
		{60, []string{"b"}, []string{"a", "b", "c past", "d past", "a>b 2 true 0-60", "a>c 0 false 0-10", "a>d 0 false 10-10"}},
		{71, []string{"d"}, []string{"a", "b past", "d", "a>b 0 false 0-60", "a>d 2 true 71-71"}},
	})
}

// After the clock was set back by two hours, what was seen before is kept for an hour, not for three.
func TestWindowOfAClockSetBack(t *testing.T) {
	expectSteps(t, []step{
		{120, []string{"b", "c"}, []string{"a", "b", "c", "a>b 2 true 120-120", "a>c 2 true 120-120"}},
		{0, []string{"c"}, []string{"a", "b past", "c", "a>b 0 false 0-0", "a>c 2 true 0-0"}},
		{50, nil, []string{"a", "b past", "c past", "a>b 0 false 0-0", "a>c 0 false 0-0"}},
		{70, nil, []string{"a"}},
	})
}

// expectSteps takes steps with a window of an hour.
func expectSteps(t *testing.T, steps []step) {
	t.Helper()
	w := NewHistory(time.Hour)
	for _, step := range steps {
		at := noon.Add(time.Duration(step.minute) * time.Minute)
		got := w.Update(seen(at, step.servers...), at)
		if diff := cmp.Diff(step.want, described(got)); diff != "" {
			t.Errorf("minute %d (-want +got):\n%s", step.minute, diff)
		}
		if diff := cmp.Diff(got, w.Latest(), cmpopts.IgnoreUnexported(graph.Graph{})); diff != "" {
			t.Errorf("minute %d: the latest is another:\n%s", step.minute, diff)
		}
	}
}

func TestWindowIsBounded(t *testing.T) {
	w := NewHistory(time.Hour)
	w.most = 1000
	for step := range 3 {
		var servers []string
		for i := range w.most / 2 {
			servers = append(servers, fmt.Sprintf("s%d-%06d", step, i))
		}
		at := noon.Add(time.Duration(step) * time.Minute)
		w.Update(seen(at, servers...), at)
	}
	end := noon.Add(3 * time.Minute)
	g := w.Update(seen(end, "x"), end)
	if len(g.Links) != w.most+1 || g.Forgotten != w.most/2 {
		t.Errorf("%d links, %d forgotten", len(g.Links), g.Forgotten)
	}
	if g.Links[0].Server != "s1-000000" {
		t.Errorf("not the oldest were forgotten: %s stayed", g.Links[0].Server)
	}
	if len(g.Nodes) != w.most+2 {
		t.Errorf("%d nodes", len(g.Nodes))
	}
}

// What was confirmed since was there until then.
func TestWindowConfirmed(t *testing.T) {
	w := NewHistory(time.Hour)
	w.Update(seen(noon, "b"), noon)
	w.Touch(noon.Add(90 * time.Minute))
	got := described(w.Update(seen(noon.Add(100*time.Minute)), noon.Add(100*time.Minute)))
	if diff := cmp.Diff([]string{"a", "b past", "a>b 0 false 0-90"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = described(w.Update(seen(noon.Add(110*time.Minute), "b"), noon.Add(110*time.Minute)))
	if diff := cmp.Diff([]string{"a", "b", "a>b 2 true 0-110"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A half that was seen stays seen.
func TestWindowEvidence(t *testing.T) {
	w := NewHistory(time.Hour)
	for i, step := range []struct{ seen, want graph.Evidence }{
		{graph.EvidenceClient, graph.EvidenceClient}, {graph.EvidenceServer, graph.EvidenceBoth}, {graph.EvidenceServer, graph.EvidenceBoth},
	} {
		at := noon.Add(time.Duration(i) * time.Minute)
		g := seen(at, "b")
		g.Links[0].Evidence = step.seen
		if got := w.Update(g, at).Links[0].Evidence; got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}
