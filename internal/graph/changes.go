package graph

import (
	"slices"
	"time"
)

// atTime returns g as it was at v.At, if that is earlier than now.
func (v View) atTime(g Graph, now time.Time) Graph {
	if !v.isPast(now) {
		return g
	}
	g.Links = slices.DeleteFunc(slices.Clone(g.Links), func(l Link) bool { return l.FirstSeen.After(v.At) })
	linked, liveAfter := make(map[string]bool, len(g.Nodes)), v.At.Add(-g.livePeriod())
	for i := range g.Links {
		l := &g.Links[i]
		l.Live = l.Live || !l.LastSeen.Before(v.At) || l.LastSeen.After(liveAfter)
		l.Connections, l.Closed, l.Attempts, l.Measured, l.Counters, l.CountsUnknown = 0, 0, 0, nil, nil, true
		linked[l.Client], linked[l.Server] = true, true
	}
	g.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n Node) bool { return n.FirstSeen.After(v.At) && !linked[n.ID] })
	for i := range g.Nodes {
		n := &g.Nodes[i]
		n.Past = n.Past && n.LastSeen.Before(v.At)
		n.undoReplacements(v.At)
	}
	return g
}

// undoReplacements gives a container the image that ran in its place at an earlier time, and only the predecessors before that.
func (n *Node) undoReplacements(at time.Time) {
	later := slices.IndexFunc(n.Predecessors, func(p Predecessor) bool { return p.LastSeen.Before(at) })
	if later < 0 {
		later = len(n.Predecessors)
	}
	if later == 0 {
		return
	}
	n.Image, n.Predecessors = n.Predecessors[later-1].Image, n.Predecessors[later:]
}

// markChanges marks what is new or gone since v.NewSince. Nothing of the first map is new: it may be older.
func (v View) markChanges(g Graph, now time.Time) Graph {
	if v.NewSince.isZero() {
		return g
	}
	since := v.NewSince.before(now)
	isNew := func(firstSeen time.Time) bool { return !firstSeen.Before(since) && firstSeen.After(g.DataSince) }
	g.Links = slices.Clone(g.Links)
	for i := range g.Links {
		l := &g.Links[i]
		l.New = isNew(l.FirstSeen)
		l.Gone = !l.Live && l.Closed == 0 && !l.LastSeen.Before(since)
	}
	g.Nodes = slices.Clone(g.Nodes)
	for i := range g.Nodes {
		n := &g.Nodes[i]
		n.New = n.Kind == KindContainer && isNew(n.FirstSeen)
		n.Gone = n.Past && !n.LastSeen.Before(since)
	}
	return g
}
