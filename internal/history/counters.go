package history

import (
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// linkKey identifies a link.
type linkKey struct {
	client, server string
	port           socket.Port
	via            graph.Via
}

func keyOf(l *graph.Link) linkKey { return linkKey{l.Client, l.Server, l.ServerPort(), l.Via} }

// search returns the index of a link in sorted links.
func search(links []graph.Link, link *graph.Link) (index int, ok bool) {
	return slices.BinarySearchFunc(links, link, func(l graph.Link, target *graph.Link) int { return l.Compare(target) })
}

// foldLatest folds replaced nodes of the latest graph into their successors. A new container counts from 0, so that its links carry the
// counters of the links in their place. A link that a successor already had carries none.
func (h *History) foldLatest(successors map[string]string, current []graph.Link) {
	h.recount(successors, current)
	before := h.latest.Links
	h.latest = h.latest.Fold(successors)
	for i := range h.latest.Links {
		l := &h.latest.Links[i]
		if l.Counters == nil {
			continue
		}
		if _, existed := search(before, l); !existed {
			h.carried[keyOf(l)] = l.Counters
		}
	}
}

// recount gives the links of replaced nodes in the latest graph the last counters that current has of them.
func (h *History) recount(successors map[string]string, current []graph.Link) {
	isCloned := false
	for i := range current {
		l := &current[i]
		if l.Counters == nil || successors[l.Client] == "" && successors[l.Server] == "" {
			continue
		}
		if at, ok := search(h.latest.Links, l); ok {
			if !isCloned { // readers may have the list
				h.latest.Links, isCloned = slices.Clone(h.latest.Links), true
			}
			h.latest.Links[at].Counters = h.carried[keyOf(l)].With(l.Counters)
		}
	}
}

// carry adds to links the counters of the links that replaced nodes had in their place.
func (h *History) carry(links []graph.Link) {
	if len(h.carried) == 0 {
		return
	}
	for i := range links {
		if carried := h.carried[keyOf(&links[i])]; carried != nil {
			links[i].Counters = carried.With(links[i].Counters)
		}
	}
}

// dropCarried forgets the carried counters of links that are not in the map any more.
func (h *History) dropCarried(links []graph.Link) {
	for key := range h.carried {
		link := graph.Link{Client: key.client, Server: key.server, Port: key.port.Number(), Protocol: key.port.Protocol(), Via: key.via}
		if _, ok := search(links, &link); !ok {
			delete(h.carried, key)
		}
	}
}
