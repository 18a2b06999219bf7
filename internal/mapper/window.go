package mapper

import (
	"slices"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// maxPast bounds how many past links are kept: some 11 MB of them, and 0.4 KB for each container that is gone.
const maxPast = 100_000

// History remembers links for a while after they were seen last. It may be used by several goroutines at once.
type History struct {
	length time.Duration
	most   int // past links

	mu        sync.Mutex
	latest    graph.Graph // with past links
	confirmed time.Time   // when what is there in it was still the same
}

// NewHistory returns a window of a length.
func NewHistory(length time.Duration) *History { return &History{length: length, most: maxPast} }

// Latest returns what Add returned last.
func (w *History) Latest() graph.Graph {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

// Reset takes note of what is linked now, and of nothing before it.
func (w *History) Reset(now graph.Graph) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now.WindowSeconds = int(w.length.Seconds())
	w.latest, w.confirmed = now, time.Time{}
}

// Touch takes note that what Add got last is still so.
func (w *History) Touch(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.confirmed = at.UTC()
}

// Update takes note of what is linked now, and returns it with what was before, as far as the window reaches.
func (w *History) Update(now graph.Graph, at time.Time) graph.Graph {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, links := w.latest.Links, now.Links
	var past []graph.Link
	for i := range links { // both lists are in order
		for len(before) > 0 && before[0].Compare(&links[i]) < 0 {
			past = w.appendPast(past, before[0], now, at)
			before = before[1:]
		}
		if len(before) > 0 && before[0].Compare(&links[i]) == 0 {
			w.continues(&links[i], &before[0], at)
			before = before[1:]
		}
	}
	for _, link := range before {
		past = w.appendPast(past, link, now, at)
	}
	past, forgotten := w.bounded(past)
	nodes := w.latest.Nodes
	now.Links = merged(links, past)
	now.Nodes = withEnds(now.Nodes, past, nodes)
	now.Forgotten = w.latest.Forgotten + forgotten
	now.WindowSeconds = int(w.length.Seconds())
	w.latest, w.confirmed = now, time.Time{}
	return now
}

// continues takes over from a link what is remembered of it: since when it is known, and which halves were seen.
func (w *History) continues(link, before *graph.Link, at time.Time) {
	if at.Sub(w.lastSeen(before, at)) > w.length {
		return
	}
	link.FirstSeen = earlier(before.FirstSeen, link.FirstSeen)
	if before.Evidence != link.Evidence {
		link.Evidence = graph.EvidenceBoth
	}
}

// lastSeen is when a link of the latest map was seen last: now, if the clock says that this is to come, as it does after it
// was set back.
func (w *History) lastSeen(link *graph.Link, now time.Time) time.Time {
	seen := link.LastSeen
	if present := link.Connections+link.Closed > 0; present && w.confirmed.After(seen) {
		seen = w.confirmed
	}
	if seen.After(now) {
		return now.UTC()
	}
	return seen
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// appendPast adds a link that is not there any more, unless that is too long ago or it was mistaken.
func (w *History) appendPast(past []graph.Link, link graph.Link, now graph.Graph, at time.Time) []graph.Link {
	link.LastSeen = w.lastSeen(&link, at)
	link.FirstSeen = earlier(link.FirstSeen, link.LastSeen)
	if at.Sub(link.LastSeen) > w.length || now.Supersedes(link) {
		return past
	}
	link.Connections, link.Closed, link.Live, link.Measured = 0, 0, false, nil
	return append(past, link)
}

// bounded drops the oldest of too many past links.
func (w *History) bounded(past []graph.Link) (kept []graph.Link, forgotten int) {
	if len(past) <= w.most {
		return past, 0
	}
	slices.SortStableFunc(past, func(a, b graph.Link) int { return b.LastSeen.Compare(a.LastSeen) })
	kept = past[:w.most]
	slices.SortFunc(kept, func(a, b graph.Link) int { return a.Compare(&b) })
	return kept, len(past) - w.most
}

// merged merges two lists of links in order.
func merged(a, b []graph.Link) []graph.Link {
	if len(b) == 0 {
		return a
	}
	all := make([]graph.Link, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Compare(&b[0]) < 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// withEnds returns nodes and the ends of past links that are not among them, as they were before, but for their details.
// All are in order.
func withEnds(nodes []graph.Node, past []graph.Link, before []graph.Node) []graph.Node {
	ends := make(map[string]bool)
	for i := range past {
		ends[past[i].Client], ends[past[i].Server] = true, true
	}
	if len(ends) == 0 {
		return nodes
	}
	for i := range nodes {
		delete(ends, nodes[i].ID)
	}
	all := slices.Clone(nodes)
	for _, n := range before {
		if ends[n.ID] {
			n.Past = n.Kind == graph.KindContainer
			n.Details = nil // of which there may be a lot
			all = append(all, n)
		}
	}
	slices.SortFunc(all, graph.CompareNodes)
	return all
}
