package graph

import (
	"cmp"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/socket"
)

// Difference is the difference between two graphs.
type Difference struct {
	Gone, New []Edge
	Changed   []Change
}

// Edge is a link by the names of its ends. Names identify recreated containers, IDs do not.
type Edge struct {
	Client, Server string // host/name of a container, or kind and name
	Port           socket.Port
}

// Change is an edge with another via or another image at an end.
type Change struct {
	Edge
	Was, Is string
}

// Empty reports whether there is no difference.
func (d Difference) Empty() bool { return len(d.Gone)+len(d.New)+len(d.Changed) == 0 }

// Compare returns the changes from a to b. It ignores the numbers and times of connections, the evidence, and links without an answer. A
// container of a that was replaced in b has the name of its successor.
func Compare(a, b Graph) Difference {
	before, after := describeEdges(a, successorPaths(b)), describeEdges(b, nil)
	var d Difference
	for edge, was := range before {
		is, ok := after[edge]
		switch {
		case !ok:
			d.Gone = append(d.Gone, edge)
		case is != was:
			d.Changed = append(d.Changed, Change{edge, was, is})
		}
	}
	for edge := range after {
		if _, ok := before[edge]; !ok {
			d.New = append(d.New, edge)
		}
	}
	slices.SortFunc(d.Gone, Edge.compare)
	slices.SortFunc(d.New, Edge.compare)
	slices.SortFunc(d.Changed, func(a, b Change) int { return a.compare(b.Edge) })
	return d
}

func (e Edge) compare(other Edge) int {
	return cmp.Or(strings.Compare(e.Client, other.Client), strings.Compare(e.Server, other.Server), e.Port.Compare(other.Port))
}

// successorPaths returns the paths of the nodes of g by the IDs of their predecessors.
func successorPaths(g Graph) map[string]string {
	paths := make(map[string]string)
	for _, n := range g.Nodes {
		for _, p := range n.Predecessors {
			paths[n.PredecessorID(p)] = n.path()
		}
	}
	for _, n := range g.Nodes {
		delete(paths, n.ID) // it is back
	}
	return paths
}

// describeEdges returns a description of each edge of a graph: its vias and the images of its ends. paths has the paths of nodes that are
// not their own.
func describeEdges(g Graph, paths map[string]string) map[Edge]string {
	index := indexes(g.Nodes)
	vias := make(map[Edge][]string)
	images := make(map[Edge][]string)
	for _, l := range g.Links {
		client, clientKnown := index[l.Client]
		server, serverKnown := index[l.Server]
		if !clientKnown || !serverKnown || l.Unanswered {
			continue
		}
		from, to := g.Nodes[client], g.Nodes[server]
		edge := Edge{cmp.Or(paths[from.ID], from.path()), cmp.Or(paths[to.ID], to.path()), l.ServerPort()}
		if !slices.Contains(vias[edge], l.Via.String()) {
			vias[edge] = append(vias[edge], l.Via.String())
		}
		if pair := describeImage(from.Image) + " to " + describeImage(to.Image); !slices.Contains(images[edge], pair) {
			images[edge] = append(images[edge], pair)
		}
	}
	edges := make(map[Edge]string, len(vias))
	for edge, via := range vias {
		slices.Sort(via)
		slices.Sort(images[edge])
		edges[edge] = strings.Join(via, " and ") + ", " + strings.Join(images[edge], " and ")
	}
	return edges
}

func describeImage(image string) string {
	if image == "" {
		return "no image"
	}
	return image
}

// path returns the host and name of a node.
func (n Node) path() string {
	switch n.Kind {
	case KindContainer:
		return n.Host + "/" + n.Name
	case KindHost, KindUnknown:
		return n.Name
	case KindExternal, KindAmbiguous, KindService, KindProject, KindImage:
	}
	return string(n.Kind) + " " + n.Name
}
