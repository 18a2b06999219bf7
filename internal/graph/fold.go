package graph

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Predecessor is a container that another one has replaced.
type Predecessor struct {
	Container string `json:"container"` // its ID
	Name      string `json:"name"`
	Image     string `json:"image,omitempty"`
	// LastSeen is when it was last in a current snapshot, by the clock of the process that built the map.
	LastSeen time.Time `json:"lastSeen"`
}

// PredecessorID returns the node ID that a predecessor of n had: both were on the same host.
func (n Node) PredecessorID(p Predecessor) string {
	return n.HostPrefix() + idPart.Replace(p.Container)
}

// HostPrefix returns the beginning of the ID that the containers of the host of n have in common.
func (n Node) HostPrefix() string { return n.ID[:strings.LastIndexByte(n.ID, '/')+1] }

// Fold returns g with nodes replaced: successors has the IDs of nodes by those of the nodes that they replace. The links
// of a replaced node become links of its successor. It does not change g.
func (g Graph) Fold(successors map[string]string) Graph {
	renamed := make(map[string]string, len(successors))
	kept := make([]Node, 0, len(g.Nodes))
	var ambiguous []Node
	for _, n := range g.Nodes {
		if successor, ok := successors[n.ID]; ok {
			renamed[n.ID] = successor
		} else if n.Kind == KindAmbiguous && slices.ContainsFunc(n.Candidates, func(id string) bool { return successors[id] != "" }) {
			successor := n.foldCandidates(successors)
			renamed[n.ID] = successor.ID
			ambiguous = append(ambiguous, successor)
		} else {
			kept = append(kept, n)
		}
	}
	if len(renamed) == 0 {
		return g
	}
	g.Nodes = addMissing(kept, ambiguous)
	g.Links = foldLinks(g.Links, renamed)
	return g
}

// foldCandidates returns an ambiguous node with successors as its candidates. If one remains, it returns only the ID of that.
func (n Node) foldCandidates(successors map[string]string) Node {
	candidates := make([]string, len(n.Candidates))
	for i, id := range n.Candidates {
		candidates[i] = cmp.Or(successors[id], id)
	}
	slices.Sort(candidates)
	n.Candidates = slices.Compact(candidates)
	if n.ID = NodeID(KindAmbiguous, n.Candidates...); len(n.Candidates) == 1 {
		n.ID = n.Candidates[0]
	}
	return n
}

// addMissing adds to sorted nodes the ambiguous ones with several candidates, unless there is a node with that ID.
func addMissing(nodes, ambiguous []Node) []Node {
	for _, n := range ambiguous {
		if i, ok := slices.BinarySearchFunc(nodes, n, CompareNodes); !ok && len(n.Candidates) > 1 {
			nodes = slices.Insert(nodes, i, n)
		}
	}
	return nodes
}

// foldLinks returns sorted links with renamed ends, sorted and merged. A link between two nodes that became one is dropped.
func foldLinks(links []Link, renamed map[string]string) []Link {
	kept := make([]Link, 0, len(links))
	var moved []Link
	for _, l := range links {
		client, isOldClient := renamed[l.Client]
		server, isOldServer := renamed[l.Server]
		if !isOldClient && !isOldServer {
			kept = append(kept, l)
			continue
		}
		wasLoop := l.Client == l.Server
		l.Client, l.Server = cmp.Or(client, l.Client), cmp.Or(server, l.Server)
		if wasLoop || l.Client != l.Server {
			moved = append(moved, l)
		}
	}
	slices.SortStableFunc(moved, func(a, b Link) int { return a.Compare(&b) })
	return mergeSorted(kept, moved)
}

// mergeSorted merges two sorted lists of links. Links with the same key become one.
func mergeSorted(a, b []Link) []Link {
	merged := make([]Link, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var next Link
		if len(b) == 0 || len(a) > 0 && a[0].Compare(&b[0]) <= 0 {
			next, a = a[0], a[1:]
		} else {
			next, b = b[0], b[1:]
		}
		if last := len(merged) - 1; last >= 0 && merged[last].Compare(&next) == 0 {
			merged[last] = merged[last].with(next)
			continue
		}
		merged = append(merged, next)
	}
	return merged
}
