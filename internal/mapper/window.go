package mapper

import (
	"slices"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// maxPast bounds how many past links are kept: some 50 MB of them.
const maxPast = 100_000

// Window remembers links for a while after they were seen last. It may be used by several goroutines at once.
type Window struct {
	length time.Duration
	most   int // past links

	mu        sync.Mutex
	round     int
	links     map[graph.Key]remembered
	nodes     map[string]graph.Node // of links
	forgotten int
	latest    graph.Graph
}

type remembered struct {
	graph.Link
	round int // in which it was seen last
}

// NewWindow returns a window of a length.
func NewWindow(length time.Duration) *Window {
	return &Window{length: length, most: maxPast, links: make(map[graph.Key]remembered), nodes: make(map[string]graph.Node)}
}

// Latest returns what Add returned last.
func (w *Window) Latest() graph.Graph {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

// Add takes note of what is linked now, and returns it with what was before, as far as the window reaches.
func (w *Window) Add(now graph.Graph, at time.Time) graph.Graph {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.round++
	links := make([]graph.Link, len(now.Links))
	for i, link := range now.Links {
		key := link.Key()
		if before, ok := w.links[key]; ok && at.Sub(before.LastSeen) <= w.length && before.FirstSeen.Before(link.FirstSeen) {
			link.FirstSeen = before.FirstSeen
		}
		w.links[key] = remembered{link, w.round}
		links[i] = link
	}
	past := w.past(at)
	now.Links = merged(links, past)
	now.Nodes = w.withPast(now.Nodes, past)
	now.Forgotten = w.forgotten
	w.latest = now
	return now
}

// past returns the links that are not there any more, in order, and drops those that are too old or too many.
func (w *Window) past(at time.Time) []graph.Link {
	var past []graph.Link
	for key, link := range w.links {
		switch {
		case link.round == w.round:
		case at.Sub(link.LastSeen) > w.length:
			delete(w.links, key)
		default:
			link.Connections, link.Closed, link.Live, link.Measured = 0, 0, false, nil
			past = append(past, link.Link)
		}
	}
	if excess := len(past) - w.most; excess > 0 {
		slices.SortFunc(past, func(a, b graph.Link) int { return a.LastSeen.Compare(b.LastSeen) })
		for _, link := range past[:excess] {
			delete(w.links, link.Key())
		}
		past = past[excess:]
		w.forgotten += excess
	}
	slices.SortFunc(past, func(a, b graph.Link) int { return a.Key().Compare(b.Key()) })
	return past
}

// merged merges two lists of links in order.
func merged(a, b []graph.Link) []graph.Link {
	if len(b) == 0 {
		return a
	}
	all := make([]graph.Link, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Key().Compare(b[0].Key()) < 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// withPast returns nodes and those ends of past links that are not among them, and remembers the ends of links.
func (w *Window) withPast(nodes []graph.Node, past []graph.Link) []graph.Node {
	known := make(map[string]graph.Node, len(nodes))
	for _, n := range nodes {
		known[n.ID] = n
	}
	var gone []graph.Node
	for _, link := range past {
		for _, id := range []string{link.Client, link.Server} {
			if _, ok := known[id]; ok {
				continue
			}
			n := w.nodes[id]
			n.Past = n.Kind != graph.KindExternal
			known[id] = n
			gone = append(gone, n)
		}
	}
	w.nodes = known
	if len(gone) == 0 {
		return nodes
	}
	all := append(slices.Clone(nodes), gone...)
	slices.SortFunc(all, graph.CompareNodes)
	return all
}
