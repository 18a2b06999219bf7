// Package history keeps the links of past maps for as long as the window.
package history

import (
	"slices"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// maxPastLinks bounds the past links: they take about 11 MB, and 0.4 KB for each container that is gone.
const maxPastLinks = 100_000

// History merges each new graph with the links seen within the window before it. It is safe for concurrent use.
type History struct {
	window   time.Duration
	maxLinks int // past ones

	mu        sync.Mutex
	interval  time.Duration
	latest    graph.Graph                 // with past links
	began     time.Time                   // when the first graph was stored that is part of the history
	storedAt  time.Time                   // when latest was stored
	touchedAt time.Time                   // when the live links of latest were last confirmed; zero if not since Update
	gone      map[string]goneContainer    // by node ID
	carried   map[linkKey]*graph.Counters // of the links of replaced containers, by the links in their place
}

// New returns an empty history. Links stay in it for the duration of window after they were last seen.
func New(window time.Duration) *History {
	return &History{window: window, maxLinks: maxPastLinks, gone: make(map[string]goneContainer), carried: make(map[linkKey]*graph.Counters)}
}

// LimitLinks bounds the past links further. Call it before the first Update.
func (h *History) LimitLinks(maxLinks int) { h.maxLinks = min(h.maxLinks, maxLinks) }

// SetInterval sets the time between two updates that no request causes. A link stays live for three intervals after it was last seen.
func (h *History) SetInterval(interval time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.interval = interval
}

// Latest returns the graph that Update or Reset stored last.
func (h *History) Latest() graph.Graph {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest
}

// Reset stores current and forgets all past links: the history begins again at now.
func (h *History) Reset(current graph.Graph, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = now.UTC()
	dateNodes(current.Nodes, nil, now.UTC(), now.UTC())
	clear(h.gone)
	clear(h.carried)
	h.store(current, now)
}

// store makes current the latest graph. The caller holds h.mu.
func (h *History) store(current graph.Graph, now time.Time) graph.Graph {
	h.storedAt = now.UTC()
	current.WindowSeconds, current.IntervalSeconds, current.DataSince = int(h.window.Seconds()), h.interval.Seconds(), h.began
	h.latest, h.touchedAt = current, time.Time{}
	return current
}

// Touch records that the live links of the latest graph still exist at now.
func (h *History) Touch(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.touchedAt = now.UTC()
}

// Update adds the past links of the window to current, stores the result and returns it. The links and nodes of current are sorted.
// A container that replaced another one takes its links, see replace.
func (h *History) Update(current graph.Graph, now time.Time) graph.Graph {
	h.mu.Lock()
	defer h.mu.Unlock()
	current = h.replace(current, now)
	h.carry(current.Links)
	previous, links := h.latest.Links, current.Links
	var past []graph.Link
	for i := range links { // both lists are sorted
		for len(previous) > 0 && previous[0].Compare(&links[i]) < 0 {
			past = h.appendPast(past, previous[0], current, now)
			previous = previous[1:]
		}
		if len(previous) > 0 && previous[0].Compare(&links[i]) == 0 {
			h.inherit(&links[i], &previous[0], now)
			previous = previous[1:]
		}
	}
	for _, link := range previous {
		past = h.appendPast(past, link, current, now)
	}
	past, forgotten := h.dropOldest(past)
	nodes, confirmedAt := h.latest.Nodes, h.confirmedAt(now)
	current.Links = mergeLinks(links, past)
	h.dropCarried(current.Links)
	dateNodes(current.Nodes, nodes, confirmedAt, now.UTC())
	current.Nodes = addPastNodes(current.Nodes, past, nodes, confirmedAt)
	current.Forgotten = h.latest.Forgotten + forgotten
	if h.began.IsZero() || h.began.After(now) { // the clock may have been set back
		h.began = now.UTC()
	}
	return h.store(current, now)
}

// confirmedAt returns when the containers of the latest graph were last known to exist.
func (h *History) confirmedAt(now time.Time) time.Time {
	at := h.storedAt
	if h.touchedAt.After(at) {
		at = h.touchedAt
	}
	return earlier(at, now.UTC())
}

// inherit copies the first sighting of previous to link, the evidence of both ends if each showed one of them,
// and the better evidence of a translation.
func (h *History) inherit(link, previous *graph.Link, now time.Time) {
	if now.Sub(h.lastSeen(previous, now)) > h.window {
		return
	}
	link.FirstSeen = earlier(previous.FirstSeen, link.FirstSeen)
	link.Unanswered = link.Unanswered && previous.Unanswered
	if previous.Evidence != link.Evidence {
		link.Evidence = graph.EvidenceBoth
	}
	link.Translation = max(link.Translation, previous.Translation)
}

// lastSeen returns when a link of the latest graph was last seen. A time in the future becomes now: the clock was set back.
func (h *History) lastSeen(link *graph.Link, now time.Time) time.Time {
	seen := link.LastSeen
	if isCurrent := link.Connections+link.Closed+link.Attempts > 0; isCurrent && h.touchedAt.After(seen) {
		seen = h.touchedAt
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

// appendPast appends a link that current lacks, with its last counters, unless it is older than the window or current supersedes it.
func (h *History) appendPast(past []graph.Link, link graph.Link, current graph.Graph, now time.Time) []graph.Link {
	link.LastSeen = h.lastSeen(&link, now)
	link.FirstSeen = earlier(link.FirstSeen, link.LastSeen)
	if now.Sub(link.LastSeen) > h.window || current.Supersedes(link) {
		return past
	}
	link.Connections, link.Closed, link.Attempts, link.Measured = 0, 0, 0, nil
	link.Live = now.Sub(link.LastSeen) < graph.LivePeriod(h.interval)
	if link.Unanswered && !link.Live { // there was no connection
		return past
	}
	return append(past, link)
}

// dropOldest keeps the most recent maxLinks links, sorted, and returns how many it dropped.
func (h *History) dropOldest(past []graph.Link) (kept []graph.Link, dropped int) {
	if len(past) <= h.maxLinks {
		return past, 0
	}
	slices.SortStableFunc(past, func(a, b graph.Link) int { return b.LastSeen.Compare(a.LastSeen) })
	kept = past[:h.maxLinks]
	slices.SortFunc(kept, func(a, b graph.Link) int { return a.Compare(&b) })
	return kept, len(past) - h.maxLinks
}

// mergeLinks merges two sorted lists.
func mergeLinks(a, b []graph.Link) []graph.Link {
	if len(b) == 0 {
		return a
	}
	merged := make([]graph.Link, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Compare(&b[0]) < 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// dateNodes sets when containers were first seen, and past ones last. previous are the nodes of the graph before, which was true until
// confirmedAt. Both lists are sorted.
func dateNodes(nodes, previous []graph.Node, confirmedAt, now time.Time) {
	for i := range nodes {
		n := &nodes[i]
		for len(previous) > 0 && previous[0].ID < n.ID {
			previous = previous[1:]
		}
		if n.Kind != graph.KindContainer {
			continue
		}
		before := graph.Node{FirstSeen: now}
		if len(previous) > 0 && previous[0].ID == n.ID {
			before = previous[0]
		}
		n.FirstSeen = earlier(before.FirstSeen, now)
		if n.Past {
			n.LastSeen = lastSeen(before, confirmedAt)
		}
	}
}

// lastSeen returns when a node of the graph before was last known to exist.
func lastSeen(n graph.Node, confirmedAt time.Time) time.Time {
	if n.Past {
		return earlier(n.LastSeen, confirmedAt)
	}
	return confirmedAt
}

// addPastNodes adds to nodes those nodes of previous that past links refer to, without their details. previous was true until
// confirmedAt. The result is sorted.
func addPastNodes(nodes []graph.Node, past []graph.Link, previous []graph.Node, confirmedAt time.Time) []graph.Node {
	missing := make(map[string]bool)
	for i := range past {
		missing[past[i].Client], missing[past[i].Server] = true, true
	}
	if len(missing) == 0 {
		return nodes
	}
	for i := range nodes {
		delete(missing, nodes[i].ID)
	}
	all := slices.Clone(nodes)
	for _, n := range previous {
		if missing[n.ID] {
			if n.Kind == graph.KindContainer {
				n.LastSeen = lastSeen(n, confirmedAt)
				n.Past, n.FirstSeen = true, earlier(n.FirstSeen, n.LastSeen)
			}
			n.Details = nil // they may be large
			all = append(all, n)
		}
	}
	slices.SortFunc(all, graph.CompareNodes)
	return all
}
