package history

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
)

// deployed returns a container of a host. full is project/service/name, or only a name.
func deployed(host, id, full string) graph.Node {
	n := graph.Node{ID: graph.NodeID(graph.KindContainer, host, id), Kind: graph.KindContainer, Host: host, Container: id, Image: "image-" + id}
	if parts := strings.Split(full, "/"); len(parts) == 3 {
		n.Project, n.Service, n.Name = parts[0], parts[1], parts[2]
	} else {
		n.Name = full
	}
	return n
}

// gone returns the container as correlate reports it shortly after it went.
func gone(n graph.Node) graph.Node {
	n.Past = true
	return n
}

// state is a graph of nodes and links. A link is "client>server port", by container IDs.
type state struct {
	nodes []graph.Node
	links []string
}

func (s state) at(now time.Time) graph.Graph {
	g := graph.Graph{Version: 1, Nodes: slices.Clone(s.nodes)}
	ids := make(map[string]string)
	for _, n := range s.nodes {
		ids[n.Container] = n.ID
	}
	for _, text := range s.links {
		var l graph.Link
		ends, port, _ := strings.Cut(text, " ")
		client, server, _ := strings.Cut(ends, ">")
		l.Client, l.Server, l.Connections, l.Live, l.FirstSeen, l.LastSeen = ids[client], ids[server], 1, true, now, now
		_, _ = fmt.Sscan(port, &l.Port)
		l.Evidence = graph.EvidenceBoth
		g.Links = append(g.Links, l)
	}
	slices.SortFunc(g.Nodes, graph.CompareNodes)
	slices.SortFunc(g.Links, func(a, b graph.Link) int { return a.Compare(&b) })
	return g
}

// summary returns a line for each node, with its predecessors and when they were last seen, and one for each link. Times are minutes.
func summary(g graph.Graph) []string {
	names := make(map[string]string)
	var lines []string
	for _, n := range g.Nodes {
		names[n.ID] = n.Container
		if n.Kind == graph.KindAmbiguous {
			names[n.ID] = "ambiguous " + strings.Join(n.Candidates, " ")
		}
		text := names[n.ID]
		if n.Past {
			text += " past"
		}
		for _, p := range n.Predecessors {
			text += fmt.Sprintf(", replaced %s %s %s at %d", p.Container, p.Name, p.Image, minute(p.LastSeen))
		}
		lines = append(lines, text)
	}
	for _, l := range g.Links {
		lines = append(lines, fmt.Sprintf("%s>%s %d live=%t %d-%d", names[l.Client], names[l.Server], l.Port, l.Live, minute(l.FirstSeen), minute(l.LastSeen)))
	}
	return lines
}

func minute(at time.Time) int { return int(at.Sub(noon).Minutes()) }

// expectLast updates a history with states, one each minute, and compares the last graph.
func expectLast(t *testing.T, want []string, states ...state) {
	t.Helper()
	h := New(time.Hour)
	var last graph.Graph
	for i, s := range states {
		now := noon.Add(time.Duration(i) * time.Minute)
		last = h.Update(s.at(now), now)
	}
	if diff := cmp.Diff(want, summary(last)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var (
	web    = deployed("one", "w", "shop/web/shop-web-1")
	db     = deployed("one", "d", "shop/db/shop-db-1")
	first  = deployed("one", "a", "shop/api/shop-api-1")
	second = deployed("one", "b", "shop/api/shop-api-1")
	third  = deployed("one", "c", "shop/api/shop-api-1")
)

// A container takes over the links of a gone container with its name, at both ends. A new link of its own is new.
func TestReplacedContainerIsFolded(t *testing.T) {
	old := state{[]graph.Node{web, first, db}, []string{"w>a 80", "a>d 5432"}}
	between := state{[]graph.Node{web, db}, nil}
	expectLast(t, []string{
		"b, replaced a shop-api-1 image-a at 0", "d", "w",
		"b>d 5432 live=true 0-2", "b>d 6379 live=true 2-2", "w>b 80 live=false 0-0",
	}, old, between, state{[]graph.Node{web, second, db}, []string{"b>d 5432", "b>d 6379"}})
}

// A link of a replaced container was last seen when the latest graph was last confirmed.
func TestTouchExtendsReplacedLinks(t *testing.T) {
	h := New(time.Hour)
	h.Update(state{[]graph.Node{web, first}, []string{"w>a 80"}}.at(noon), noon)
	h.Touch(noon.Add(5 * time.Minute))
	now := noon.Add(6 * time.Minute)
	want := []string{"b, replaced a shop-api-1 image-a at 5", "w", "w>b 80 live=false 0-5"}
	if diff := cmp.Diff(want, summary(h.Update(state{[]graph.Node{web, second}, nil}.at(now), now))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// For two minutes the correlation still knows a gone container. Its links are those of its successor, without connections.
func TestGoneContainerOfCurrentGraphIsFolded(t *testing.T) {
	old := state{[]graph.Node{web, first, db}, []string{"w>a 80", "a>d 5432"}}
	expectLast(t, []string{
		"b, replaced a shop-api-1 image-a at 0", "d", "w",
		"b>d 5432 live=true 0-2", "w>b 80 live=false 0-2",
	}, old,
		state{[]graph.Node{web, gone(first), second, db}, []string{"w>a 80", "a>d 5432"}},
		state{[]graph.Node{web, gone(first), second, db}, []string{"w>a 80", "b>d 5432"}})
}

func TestChainOfReplacementsIsFolded(t *testing.T) {
	states := []state{
		{[]graph.Node{web, first}, []string{"w>a 80"}},
		{[]graph.Node{web, second, gone(first)}, []string{"w>a 80", "w>b 80"}},
		{[]graph.Node{web, third, gone(first), gone(second)}, []string{"w>a 80", "w>b 80"}},
	}
	expectLast(t, []string{"c, replaced b shop-api-1 image-b at 1, replaced a shop-api-1 image-a at 0", "w", "w>c 80 live=false 0-2"}, states...)
}

// Containers of a service replace one each, also with other names.
func TestServiceIsReplacedOneToOne(t *testing.T) {
	old1, old2 := deployed("one", "o1", "shop/api/api.1.x"), deployed("one", "o2", "shop/api/api.2.x")
	new1, new2, new3 := deployed("one", "n1", "shop/api/api.1.y"), deployed("one", "n2", "shop/api/api.2.y"), deployed("one", "n3", "shop/api/api.3.y")
	elsewhere := deployed("two", "e1", "shop/api/api.4.y")
	expectLast(t, []string{
		"n1, replaced o1 api.1.x image-o1 at 0", "n2, replaced o2 api.2.x image-o2 at 0", "n3", "w", "e1",
		"w>n1 80 live=false 0-0", "w>n2 80 live=false 0-0", "w>n3 80 live=true 1-1",
	}, state{[]graph.Node{web, old1, old2}, []string{"w>o1 80", "w>o2 80"}}, state{[]graph.Node{web, new1, new2, new3, elsewhere}, []string{"w>n3 80"}})
}

func TestWhatIsNoReplacement(t *testing.T) {
	r1, r2, r3 := deployed("one", "r1", "shop/api/shop-api-1"), deployed("one", "r2", "shop/api/shop-api-2"), deployed("one", "r3", "shop/api/shop-api-3")
	once := deployed("one", "once", "shop/api/shop-api-run-0f3a")
	other, otherHost := deployed("one", "o", "shop/cache/shop-cache-1"), deployed("two", "t", "shop/api/shop-api-3")
	before := state{[]graph.Node{r1, r2, r3}, []string{"r1>r3 80"}}
	for name, test := range map[string]struct {
		states []state
		want   []string
	}{
		"scaling down":              {[]state{before, {[]graph.Node{r1, r2}, nil}}, []string{"r1", "r2", "r3 past", "r1>r3 80 live=false 0-0"}},
		"scaling up":                {[]state{{[]graph.Node{r1, r2}, nil}, {[]graph.Node{r1, r2, r3}, nil}}, []string{"r1", "r2", "r3"}},
		"up first, down then":       {[]state{{[]graph.Node{r1, r2}, []string{"r1>r2 80"}}, {[]graph.Node{r1, r2, r3}, nil}, {[]graph.Node{r1, r3}, nil}}, []string{"r1", "r2 past", "r3", "r1>r2 80 live=false 0-0"}},
		"another service":           {[]state{before, {[]graph.Node{r1, r2, other}, nil}}, []string{"o", "r1", "r2", "r3 past", "r1>r3 80 live=false 0-0"}},
		"another host":              {[]state{before, {[]graph.Node{r1, r2, otherHost}, nil}}, []string{"r1", "r2", "r3 past", "t", "r1>r3 80 live=false 0-0"}},
		"a command of the service":  {[]state{before, {[]graph.Node{r1, r2, once}, nil}}, []string{"once", "r1", "r2", "r3 past", "r1>r3 80 live=false 0-0"}},
		"the same container again":  {[]state{before, {[]graph.Node{r1, r2}, nil}, before}, []string{"r1", "r2", "r3", "r1>r3 80 live=true 0-2"}},
		"the first graph after all": {[]state{before}, []string{"r1", "r2", "r3", "r1>r3 80 live=true 0-0"}},
	} {
		t.Run(name, func(t *testing.T) { expectLast(t, test.want, test.states...) })
	}
}

// A predecessor that is started again is a container of its own. Its former links stay with the container that replaced it.
func TestPredecessorComesBack(t *testing.T) {
	start := state{[]graph.Node{web, first}, []string{"w>a 80"}}
	replaced := state{[]graph.Node{web, second}, []string{"w>b 80"}}
	t.Run("after its successor", func(t *testing.T) {
		expectLast(t, []string{"a", "b past, replaced a shop-api-1 image-a at 0", "w", "w>a 80 live=true 2-3", "w>b 80 live=false 0-1"},
			start, replaced, start, state{[]graph.Node{web, first, gone(second)}, []string{"w>a 80"}})
	})
	t.Run("beside its successor", func(t *testing.T) {
		expectLast(t, []string{"a", "b", "w", "w>a 80 live=true 2-2", "w>b 80 live=true 0-2"},
			start, replaced, state{[]graph.Node{web, first, second}, []string{"w>a 80", "w>b 80"}})
	})
}

// A node that may be one of several containers follows their replacement.
func TestAmbiguousNodeIsFolded(t *testing.T) {
	ambiguous := func(of graph.Node) graph.Node {
		ids := []string{of.ID, db.ID}
		slices.Sort(ids)
		return graph.Node{ID: graph.NodeID(graph.KindAmbiguous, ids...), Kind: graph.KindAmbiguous, Candidates: ids, Container: "x"}
	}
	expectLast(t, []string{
		"ambiguous container/one/b container/one/d", "b, replaced a shop-api-1 image-a at 0", "d", "w",
		"w>ambiguous container/one/b container/one/d 80 live=true 0-1", "w>b 80 live=true 0-1",
	}, state{[]graph.Node{web, first, db, ambiguous(first)}, []string{"w>x 80", "w>a 80"}}, state{[]graph.Node{web, second, db, ambiguous(second)}, []string{"w>x 80", "w>b 80"}})
}

func TestPredecessorsAndGoneContainersAreBounded(t *testing.T) {
	h := New(time.Hour)
	h.LimitLinks(100)
	var last graph.Graph
	for i := range 300 {
		now := noon.Add(time.Duration(i) * time.Second)
		last = h.Update(state{[]graph.Node{deployed("one", fmt.Sprintf("%03d", i), "web"), deployed("one", "x"+fmt.Sprint(i), fmt.Sprint("random-", i))}, nil}.at(now), now)
	}
	if n := last.Nodes[0]; len(n.Predecessors) != maxPredecessors || n.Predecessors[0].Container != "298" || n.Predecessors[9].Container != "289" {
		t.Errorf("predecessors: %v", n.Predecessors)
	}
	if len(h.gone) > 100 || len(h.gone) < 70 {
		t.Errorf("%d gone containers are remembered", len(h.gone))
	}
}

// BenchmarkUpdate updates the history of 5,000 containers with 20,000 live and as many past links. In half of the updates of "redeploys" a
// project of ten containers is redeployed.
func BenchmarkUpdate(b *testing.B) {
	for name, every := range map[string]int{"steady": 0, "redeploys": 2} {
		b.Run(name, func(b *testing.B) {
			h := New(time.Hour)
			graphs := make([]graph.Graph, 8)
			for i := range graphs {
				graphs[i] = fleet(i, every)
			}
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				g := graphs[i%len(graphs)]
				g.Nodes, g.Links = slices.Clone(g.Nodes), slices.Clone(g.Links)
				b.StartTimer()
				h.Update(g, noon.Add(time.Duration(i)*time.Second))
			}
		})
	}
}

// fleet returns a graph of 5,000 containers. In every second graph, other links are live.
func fleet(step, every int) graph.Graph {
	var s state
	for i := range 5000 {
		id := fmt.Sprintf("%064d", i)
		if every > 0 && i < 10 {
			id = fmt.Sprintf("%060d-%03d", i, step/every)
		}
		s.nodes = append(s.nodes, deployed(fmt.Sprint("host", i/100), id, fmt.Sprintf("p%d/s%d/p%d-s%d-1", i/10, i, i/10, i)))
	}
	for i := range 20_000 {
		s.links = append(s.links, fmt.Sprintf("%s>%s %d", s.nodes[i%5000].Container, s.nodes[(i*7+1)%5000].Container, 8000+i/5000+10*(step%2)))
	}
	return s.at(noon)
}
