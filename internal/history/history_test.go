package history

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/graph"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// graphAt returns a graph with links from container a to each of servers.
func graphAt(at time.Time, servers ...string) graph.Graph {
	g := graph.Graph{Version: 1, Nodes: []graph.Node{{ID: "a", Kind: graph.KindContainer, Name: "a"}}}
	for _, server := range servers {
		g.Nodes = append(g.Nodes, graph.Node{ID: server, Kind: graph.KindContainer, Name: server})
		g.Links = append(g.Links, graph.Link{Client: "a", Server: server, Port: 80, Connections: 2, Live: true, FirstSeen: at, LastSeen: at})
	}
	return g
}

func describe(g graph.Graph) []string {
	var lines []string
	for _, n := range g.Nodes {
		text := n.ID
		if n.Past {
			text += " past"
		}
		lines = append(lines, text)
	}
	for _, l := range g.Links {
		lines = append(lines, fmt.Sprintf("%s>%s %d %t %d-%d", l.Client, l.Server, l.Connections, l.Live, int(l.FirstSeen.Sub(noon).Minutes()), int(l.LastSeen.Sub(noon).Minutes())))
	}
	return lines
}

// step is an update at a minute with links to servers, and the nodes and links that the history then has.
type step struct {
	minute  int
	servers []string
	want    []string
}

func TestLinksStayForTheWindow(t *testing.T) {
	expectSteps(t, []step{
		{0, []string{"b", "c"}, []string{"a", "b", "c", "a>b 2 true 0-0", "a>c 2 true 0-0"}},
		{10, []string{"c", "d"}, []string{"a", "b past", "c", "d", "a>b 0 false 0-0", "a>c 2 true 0-10", "a>d 2 true 10-10"}},
		{20, nil, []string{"a", "b past", "c past", "d past", "a>b 0 false 0-0", "a>c 0 false 0-10", "a>d 0 false 10-10"}},
		{60, []string{"b"}, []string{"a", "b", "c past", "d past", "a>b 2 true 0-60", "a>c 0 false 0-10", "a>d 0 false 10-10"}},
		{71, []string{"d"}, []string{"a", "b past", "d", "a>b 0 false 0-60", "a>d 2 true 71-71"}},
	})
}

// After the clock is set back by two hours, earlier links stay for one hour, not for three.
func TestClockSetBack(t *testing.T) {
	expectSteps(t, []step{
		{120, []string{"b", "c"}, []string{"a", "b", "c", "a>b 2 true 120-120", "a>c 2 true 120-120"}},
		{0, []string{"c"}, []string{"a", "b past", "c", "a>b 0 false 0-0", "a>c 2 true 0-0"}},
		{50, nil, []string{"a", "b past", "c past", "a>b 0 false 0-0", "a>c 0 false 0-0"}},
		{70, nil, []string{"a"}},
	})
}

// expectSteps applies steps to a history with a window of one hour.
func expectSteps(t *testing.T, steps []step) {
	t.Helper()
	h := New(time.Hour)
	for _, step := range steps {
		at := noon.Add(time.Duration(step.minute) * time.Minute)
		got := h.Update(graphAt(at, step.servers...), at)
		if diff := cmp.Diff(step.want, describe(got)); diff != "" {
			t.Errorf("minute %d (-want +got):\n%s", step.minute, diff)
		}
		if diff := cmp.Diff(got, h.Latest(), cmpopts.IgnoreUnexported(graph.Graph{})); diff != "" {
			t.Errorf("minute %d: Latest differs:\n%s", step.minute, diff)
		}
	}
}

func TestPastLinksAreBounded(t *testing.T) {
	h := New(time.Hour)
	h.maxLinks = 1000
	for step := range 3 {
		var servers []string
		for i := range h.maxLinks / 2 {
			servers = append(servers, fmt.Sprintf("s%d-%06d", step, i))
		}
		at := noon.Add(time.Duration(step) * time.Minute)
		h.Update(graphAt(at, servers...), at)
	}
	end := noon.Add(3 * time.Minute)
	g := h.Update(graphAt(end, "x"), end)
	if len(g.Links) != h.maxLinks+1 || g.Forgotten != h.maxLinks/2 {
		t.Errorf("%d links, %d forgotten", len(g.Links), g.Forgotten)
	}
	if g.Links[0].Server != "s1-000000" {
		t.Errorf("the oldest links must be dropped first: %s stayed", g.Links[0].Server)
	}
	if len(g.Nodes) != h.maxLinks+2 {
		t.Errorf("%d nodes", len(g.Nodes))
	}
}

// A touched link was last seen at the touch.
func TestTouchExtendsLinks(t *testing.T) {
	h := New(time.Hour)
	h.Update(graphAt(noon, "b"), noon)
	h.Touch(noon.Add(90 * time.Minute))
	got := describe(h.Update(graphAt(noon.Add(100*time.Minute)), noon.Add(100*time.Minute)))
	if diff := cmp.Diff([]string{"a", "b past", "a>b 0 false 0-90"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = describe(h.Update(graphAt(noon.Add(110*time.Minute), "b"), noon.Add(110*time.Minute)))
	if diff := cmp.Diff([]string{"a", "b", "a>b 2 true 0-110"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An observed connection end stays in the evidence.
func TestEvidenceAccumulates(t *testing.T) {
	h := New(time.Hour)
	for i, step := range []struct{ observed, want graph.Evidence }{
		{graph.EvidenceClient, graph.EvidenceClient}, {graph.EvidenceServer, graph.EvidenceBoth}, {graph.EvidenceServer, graph.EvidenceBoth},
	} {
		at := noon.Add(time.Duration(i) * time.Minute)
		g := graphAt(at, "b")
		g.Links[0].Evidence = step.observed
		if got := h.Update(g, at).Links[0].Evidence; got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

// A link stays live until it was not seen for three intervals.
func TestLinksStayLiveForThreeIntervals(t *testing.T) {
	h := New(time.Hour)
	h.SetInterval(10 * time.Second)
	h.Update(graphAt(noon, "b"), noon)
	for _, step := range []struct {
		seconds int
		touch   bool
		want    bool
	}{{29, false, true}, {30, false, false}, {31, true, false}, {59, false, false}} {
		at := noon.Add(time.Duration(step.seconds) * time.Second)
		if step.touch { // it confirms no link that is not there
			h.Touch(at)
			continue
		}
		g := h.Update(graphAt(at), at)
		if l := g.Links[0]; l.Live != step.want || l.Connections != 0 || !l.LastSeen.Equal(noon) || g.IntervalSeconds != 10 {
			t.Errorf("after %d s: %+v, interval %g s", step.seconds, l, g.IntervalSeconds)
		}
	}
}

// The history begins with its first graph, again after Reset, and never in the future.
func TestDataSinceIsTheFirstGraph(t *testing.T) {
	h := New(time.Hour)
	minute := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	for _, step := range []struct {
		minute, want int
		reset        bool
	}{{0, 0, true}, {1, 1, true}, {2, 1, false}, {90, 1, false}, {-30, -30, false}, {0, -30, false}} {
		at := minute(step.minute)
		if step.reset {
			h.Reset(graphAt(at, "b"), at)
		} else {
			h.Update(graphAt(at, "b"), at)
		}
		if got := h.Latest().DataSince; !got.Equal(minute(step.want)) {
			t.Errorf("minute %d: data since %s", step.minute, got)
		}
	}
}

// Containers have the time of their first map, and past ones that of the last map with them.
func TestContainersAreDated(t *testing.T) {
	h := New(time.Hour)
	for _, step := range []struct {
		minute  int
		servers []string
		want    string
	}{
		{0, []string{"b"}, "a 0, b 0"},
		{10, []string{"b", "c"}, "a 0, b 0, c 10"},
		{20, []string{"c"}, "a 0, b 0-10, c 10"},
		{30, nil, "a 0, b 0-10, c 10-20"},
		{40, []string{"b"}, "a 0, b 0, c 10-20"},
		{-5, []string{"d"}, "a -5, b -5--5, c -5--5, d -5"}, // the clock was set back
	} {
		at := noon.Add(time.Duration(step.minute) * time.Minute)
		var dates []string
		for _, n := range h.Update(graphAt(at, step.servers...), at).Nodes {
			text := fmt.Sprint(n.ID, " ", int(n.FirstSeen.Sub(noon).Minutes()))
			if n.Past {
				text += fmt.Sprint("-", int(n.LastSeen.Sub(noon).Minutes()))
			}
			dates = append(dates, text)
		}
		if got := strings.Join(dates, ", "); got != step.want {
			t.Errorf("minute %d: %s, want %s", step.minute, got, step.want)
		}
	}
}

// A link with attempts alone is forgotten when they end. A link that had connections becomes past.
func TestUnansweredLinksNeverBecomePast(t *testing.T) {
	h := New(time.Hour)
	h.SetInterval(10 * time.Second)
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	dials := func(seconds int, servers ...string) graph.Graph {
		g := graphAt(at(seconds), servers...)
		for i := range g.Links {
			g.Links[i].Connections, g.Links[i].Attempts, g.Links[i].Unanswered = 0, 3, true
		}
		return g
	}
	h.Update(graphAt(noon, "b"), noon)
	if g := h.Update(dials(10, "b", "c"), at(10)); g.Links[0].Unanswered || !g.Links[1].Unanswered || g.Links[1].Attempts != 3 {
		t.Errorf("%+v", g.Links)
	}
	h.Touch(at(20))
	if g := h.Update(graphAt(at(49)), at(49)); len(g.Links) != 2 || !g.Links[1].Live || !g.Links[1].Unanswered || g.Links[1].Attempts != 0 || !g.Links[1].LastSeen.Equal(at(20)) {
		t.Errorf("%+v", g.Links)
	}
	if g := h.Update(graphAt(at(50)), at(50)); len(g.Links) != 1 || g.Links[0].Server != "b" || g.Links[0].Live || len(g.Nodes) != 2 {
		t.Errorf("%+v", g)
	}
}
