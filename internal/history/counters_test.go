package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
)

// counted is a state with opened connections, by the texts of its links.
type counted struct {
	state
	opened map[string]uint64
}

// updateCounted updates a history with states, one each minute. It returns the opened connections of all links of the last graph.
func updateCounted(h *History, states ...counted) (opened []string) {
	var last graph.Graph
	for i, s := range states {
		now := noon.Add(time.Duration(i) * time.Minute)
		g := s.at(now)
		ids := make(map[string]string)
		for _, n := range s.nodes {
			ids[n.ID] = n.Container
		}
		for j := range g.Links {
			l := &g.Links[j]
			if n, ok := s.opened[fmt.Sprintf("%s>%s %d", ids[l.Client], ids[l.Server], l.Port)]; ok {
				l.Counters = &graph.Counters{Opened: n}
			}
		}
		last = h.Update(g, now)
	}
	ids := make(map[string]string)
	for _, n := range last.Nodes {
		ids[n.ID] = n.Container
	}
	for _, l := range last.Links {
		text := fmt.Sprintf("%s>%s %d", ids[l.Client], ids[l.Server], l.Port)
		if l.Counters != nil {
			text += fmt.Sprint(": ", l.Counters.Opened)
		}
		opened = append(opened, text)
	}
	return opened
}

func TestCounters(t *testing.T) {
	link := "a>d 5432"
	withFirst, withSecond, withThird := []graph.Node{web, first, db}, []graph.Node{web, second, db}, []graph.Node{web, third, db}
	on := func(nodes []graph.Node, opened map[string]uint64, links ...string) counted {
		return counted{state{nodes, links}, opened}
	}
	before := on(withFirst, map[string]uint64{link: 7}, link)
	none := on(withFirst, nil)
	after := func(n uint64) counted { return on(withSecond, map[string]uint64{"b>d 5432": n}, "b>d 5432") }
	withGone := []graph.Node{web, gone(first), second, db}
	for name, test := range map[string]struct {
		states []counted
		want   []string
	}{
		"a past link keeps them":              {[]counted{before, none, none}, []string{"a>d 5432: 7"}},
		"a link that is back has the new":     {[]counted{before, none, on(withFirst, map[string]uint64{link: 2}, link)}, []string{"a>d 5432: 2"}},
		"or none":                             {[]counted{before, none, on(withFirst, nil, link)}, []string{"a>d 5432"}},
		"a successor without its own":         {[]counted{before, on(withSecond, nil)}, []string{"b>d 5432: 7"}},
		"a successor adds its own":            {[]counted{before, after(1)}, []string{"b>d 5432: 8"}},
		"and adds each only once":             {[]counted{before, after(1), after(3), after(4)}, []string{"b>d 5432: 11"}},
		"also after a time without":           {[]counted{before, after(1), on(withSecond, nil), after(4)}, []string{"b>d 5432: 11"}},
		"a successor is not counted":          {[]counted{before, on(withSecond, nil, "b>d 5432")}, []string{"b>d 5432: 7"}},
		"a predecessor is not counted":        {[]counted{on(withFirst, nil, link), after(1), after(2)}, []string{"b>d 5432: 2"}},
		"a successor has a successor":         {[]counted{before, after(1), after(3), on(withThird, map[string]uint64{"c>d 5432": 5}, "c>d 5432")}, []string{"c>d 5432: 15"}},
		"the server is replaced":              {[]counted{on(withFirst, map[string]uint64{"w>a 80": 7}, "w>a 80"), on(withSecond, map[string]uint64{"w>b 80": 2}, "w>b 80")}, []string{"w>b 80: 9"}},
		"the last of what is gone":            {[]counted{before, on(withGone, map[string]uint64{link: 9, "b>d 5432": 1}, link, "b>d 5432"), after(2)}, []string{"b>d 5432: 11"}},
		"the last of a gone successor":        {[]counted{before, after(1), on([]graph.Node{web, gone(second), third, db}, map[string]uint64{"b>d 5432": 3, "c>d 5432": 5}, "b>d 5432", "c>d 5432")}, []string{"c>d 5432: 15"}},
		"the last counters count once":        {[]counted{before, on(withGone, map[string]uint64{link: 9, "b>d 5432": 1}, link, "b>d 5432")}, []string{"b>d 5432: 10"}},
		"what is gone, and no successor yet":  {[]counted{before, on([]graph.Node{web, gone(first), db}, map[string]uint64{link: 9}, link), after(2)}, []string{"b>d 5432: 11"}},
		"both have ended before the last one": {[]counted{before, after(1), on(withThird, nil), on(withThird, nil)}, []string{"c>d 5432: 8"}},
	} {
		if diff := cmp.Diff(test.want, updateCounted(New(time.Hour), test.states...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Readers of an earlier graph do not see the counters of a later one.
func TestCountersOfEarlierGraphsStay(t *testing.T) {
	h := New(time.Hour)
	g := state{[]graph.Node{web, first}, []string{"w>a 80"}}.at(noon)
	g.Links[0].Counters = &graph.Counters{Opened: 7}
	earlier := h.Update(g, noon)
	next := state{[]graph.Node{web, gone(first), second}, []string{"w>a 80", "w>b 80"}}.at(noon.Add(time.Minute))
	for i := range next.Links {
		next.Links[i].Counters = &graph.Counters{Opened: 20}
	}
	if got := h.Update(next, noon.Add(time.Minute)).Links[0].Counters.Opened; got != 40 || earlier.Links[0].Counters.Opened != 7 {
		t.Errorf("%d, and earlier %d", got, earlier.Links[0].Counters.Opened)
	}
}

// What links carry is forgotten with them, and with the history.
func TestCarriedCountersAreBounded(t *testing.T) {
	states := []counted{
		{state{[]graph.Node{web, first, db}, []string{"a>d 5432"}}, map[string]uint64{"a>d 5432": 7}}, {state{[]graph.Node{web, second, db}, nil}, nil},
	}
	for name, forget := range map[string]func(*History){
		"the window": func(h *History) {
			h.Update(state{nodes: []graph.Node{web, second, db}}.at(noon), noon.Add(3*time.Hour))
		},
		"a reset": func(h *History) { h.Reset(graph.Graph{}, noon) },
		"the limit": func(h *History) {
			h.LimitLinks(0)
			h.Update(state{nodes: []graph.Node{web, second, db}}.at(noon), noon.Add(2*time.Minute))
		},
	} {
		h := New(time.Hour)
		if updateCounted(h, slices.Clone(states)...); len(h.carried) != 1 {
			t.Fatalf("%d are carried", len(h.carried))
		}
		if forget(h); len(h.carried) != 0 {
			t.Errorf("after %s %d are carried", name, len(h.carried))
		}
	}
}
