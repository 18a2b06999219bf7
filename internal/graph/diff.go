package graph

import (
	"cmp"
	"slices"
	"strings"
)

// Difference is what is not the same in two graphs.
type Difference struct {
	Gone, New []Edge
	Changed   []Change
}

// Edge is a link by names, as it is found again in another graph after its containers were made anew.
type Edge struct {
	Client, Server string // host and name
	Port           uint16
}

// Change is an edge that goes another way, or whose end has another image.
type Change struct {
	Edge
	Was, Is string
}

// Empty reports whether there is none.
func (d Difference) Empty() bool { return len(d.Gone)+len(d.New)+len(d.Changed) == 0 }

// Compare returns what is different in b from a. How many connections there are, when, and which halves of them were
// seen makes no difference.
func Compare(a, b Graph) Difference {
	before, after := edgesOf(a), edgesOf(b)
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
	return cmp.Or(strings.Compare(e.Client, other.Client), strings.Compare(e.Server, other.Server), cmp.Compare(e.Port, other.Port))
}

// edgesOf returns the edges of a graph and how each is: its ways, and the images of its ends.
func edgesOf(g Graph) map[Edge]string {
	index := indexes(g.Nodes)
	ways := make(map[Edge][]string)
	images := make(map[Edge][]string)
	for _, l := range g.Links {
		client, clientKnown := index[l.Client]
		server, serverKnown := index[l.Server]
		if !clientKnown || !serverKnown {
			continue
		}
		from, to := g.Nodes[client], g.Nodes[server]
		edge := Edge{from.path(), to.path(), l.Port}
		if !slices.Contains(ways[edge], l.Via.String()) {
			ways[edge] = append(ways[edge], l.Via.String())
		}
		if pair := described(from.Image) + " to " + described(to.Image); !slices.Contains(images[edge], pair) {
			images[edge] = append(images[edge], pair)
		}
	}
	edges := make(map[Edge]string, len(ways))
	for edge, via := range ways {
		slices.Sort(via)
		slices.Sort(images[edge])
		edges[edge] = strings.Join(via, " and ") + ", " + strings.Join(images[edge], " and ")
	}
	return edges
}

func described(image string) string {
	if image == "" {
		return "no image"
	}
	return image
}

// path is a node's host and name.
func (n Node) path() string {
	switch n.Kind {
	case KindContainer:
		return n.Host + "/" + n.Name
	case KindHost:
		return n.Name
	case KindExternal, KindAmbiguous, KindService, KindProject, KindImage:
	}
	return string(n.Kind) + " " + n.Name
}
