package graph

import (
	"slices"
	"strings"
)

// A reference names a node by something that outlives its container:
//
//	container/HOST/PROJECT/SERVICE   the container of a service, or the first of several by name
//	container/HOST/NAME              the container with a name
//	ambiguous/HOST/NAME              the node that is one of several containers
//
// The parts are escaped as in IDs. The page writes references in its address. Its file reference.js has the same rules.

// Resolve returns the ID of the node that a reference names. An ID names its node, or the successor of the container that had it. If
// nothing has the reference, Resolve returns it unchanged: it may be the ID of a group.
func (g Graph) Resolve(reference string) string {
	if reference == "" || slices.ContainsFunc(g.Nodes, func(n Node) bool { return n.ID == reference }) {
		return reference
	}
	var found *Node
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if rank := n.referenceRank(reference); rank > 0 && (found == nil || n.precedes(found, rank, found.referenceRank(reference))) {
			found = n
		}
	}
	if found == nil {
		return reference
	}
	return found.ID
}

// precedes reports whether a reference means n rather than other, by the ranks of both: a live container precedes a past one.
func (n *Node) precedes(other *Node, rank, otherRank int) bool {
	switch {
	case rank != otherRank:
		return rank > otherRank
	case n.Past != other.Past:
		return other.Past
	case n.Name != other.Name:
		return n.Name < other.Name
	}
	return n.ID < other.ID
}

// referenceRank returns how well a reference names a node: 3 by the ID of a predecessor, 2 by its service or name, 1 by the name of a
// predecessor, 0 not at all.
func (n *Node) referenceRank(reference string) int {
	switch {
	case n.Kind == KindAmbiguous && reference == NodeID(KindAmbiguous, n.Host, n.Name):
		return 2
	case n.Kind != KindContainer || !strings.HasPrefix(reference, string(KindContainer)+"/"):
		return 0
	case slices.ContainsFunc(n.Predecessors, func(p Predecessor) bool { return n.PredecessorID(p) == reference }):
		return 3
	case n.Name != "" && reference == NodeID(KindContainer, n.Host, n.Name), n.Project != "" && n.Service != "" && reference == NodeID(KindContainer, n.Host, n.Project, n.Service):
		return 2
	case slices.ContainsFunc(n.Predecessors, func(p Predecessor) bool { return reference == NodeID(KindContainer, n.Host, p.Name) }):
		return 1
	}
	return 0
}
