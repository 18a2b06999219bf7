package graph

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Apply returns the part of g that the view shows at a time. It does not change g.
func (v View) Apply(g Graph, now time.Time) Graph {
	if v.isPast(now) && v.At.Before(g.DataStart(now)) {
		g.Nodes, g.Links = []Node{}, []Link{}
		return g
	}
	v.Node = g.Resolve(v.Node)
	g = v.markChanges(v.atTime(g, now), now)
	g.Links = v.filterLinks(g.Links, now)
	if v.External == "hide" {
		g = dropNodes(g, Node.Unnamed)
	}
	if len(v.Query.nodes.negative) > 0 {
		g = dropNodes(g, v.Query.nodes.excludes)
	}
	if v.Container != "" || v.Host != "" || v.Project != "" || v.Image != "" || v.Node != "" || v.Query.nodes.selectsSome() {
		g = v.neighbourhood(g)
	}
	if v.Unlinked != "" || v.selectsLinks() {
		g = v.dropUnlinked(g)
	}
	return v.group(g)
}

// isPast reports whether the view shows an earlier time than now.
func (v View) isPast(now time.Time) bool { return !v.At.IsZero() && v.At.Before(now) }

// filterLinks returns the links that the view selects by themselves.
func (v View) filterLinks(links []Link, now time.Time) []Link {
	since := v.Since.before(now)
	return slices.DeleteFunc(slices.Clone(links), func(l Link) bool {
		return l.LastSeen.Before(since) || v.Port != 0 && l.Port != v.Port || v.Protocol != "" && l.Protocol.String() != v.Protocol ||
			l.Via == ViaResolver && v.hidesResolver() ||
			v.State != "" && l.Live != (v.State == "live") || !v.Query.links.selects(l) || v.Query.links.excludes(l)
	})
}

// hidesResolver reports whether nothing asks for links to the engine's resolver.
func (v View) hidesResolver() bool { return v.DNS != "show" && len(v.Query.links.positive["via"]) == 0 }

// selectsLinks reports whether the view shows only nodes that have selected links.
func (v View) selectsLinks() bool {
	return v.Port != 0 || v.Protocol != "" || v.State == "past" || v.Query.links.selectsSome()
}

// dropNodes drops nodes and their links.
func dropNodes(g Graph, isDropped func(Node) bool) Graph {
	dropped := make(map[string]bool)
	g.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n Node) bool {
		dropped[n.ID] = isDropped(n)
		return dropped[n.ID]
	})
	g.Links = slices.DeleteFunc(g.Links, func(l Link) bool { return dropped[l.Client] || dropped[l.Server] })
	return g
}

// Unnamed reports whether a node is an external address without a configured name.
func (n Node) Unnamed() bool {
	if n.Kind != KindExternal {
		return false
	}
	_, err := netip.ParseAddr(n.Name)
	return err == nil
}

// neighbourhood keeps the selected nodes and the nodes within v.Depth links of them.
func (v View) neighbourhood(g Graph) Graph {
	distance := v.selectNodes(g.Nodes)
	maxDistance := cmp.Or(v.Depth, 1)
	for depth := range maxDistance {
		reached := make(map[string]int)
		for _, l := range g.Links {
			for _, ends := range [][2]string{{l.Client, l.Server}, {l.Server, l.Client}} {
				if at, ok := distance[ends[0]]; ok && at == depth {
					reached[ends[1]] = depth + 1
				}
			}
		}
		for id, at := range reached {
			if _, ok := distance[id]; !ok {
				distance[id] = at
			}
		}
	}
	isNear := func(id string) bool {
		at, ok := distance[id]
		return ok && at < maxDistance
	}
	g.Links = slices.DeleteFunc(g.Links, func(l Link) bool { return !isNear(l.Client) && !isNear(l.Server) })
	g.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n Node) bool {
		_, ok := distance[n.ID]
		return !ok
	})
	return g
}

// selectNodes returns the IDs of the selected nodes at distance 0. A container name takes precedence over the start of an ID,
// because a name may look like one.
func (v View) selectNodes(nodes []Node) map[string]int {
	name := strings.TrimPrefix(v.Container, "/")
	isNamed := func(n Node) bool { return n.Kind == KindContainer && n.Name == name }
	nameExists := slices.ContainsFunc(nodes, isNamed)
	selected := make(map[string]int)
	for _, n := range nodes {
		byContainer := v.Container == "" || isNamed(n) || !nameExists && n.Container != "" && strings.HasPrefix(n.Container, name)
		if byContainer && (v.Project == "" || n.Project == v.Project) && (v.Host == "" || n.Host == v.Host) &&
			(v.Image == "" || n.Image == v.Image) && (v.Node == "" || n.ID == v.Node || n.isIn(v.Node)) && v.Query.nodes.selects(n) {
			selected[n.ID] = 0
		}
	}
	return selected
}

// dropUnlinked drops nodes without links, as Unlinked describes.
func (v View) dropUnlinked(g Graph) Graph {
	linked := make(map[string]bool, len(g.Nodes))
	for _, l := range g.Links {
		linked[l.Client], linked[l.Server] = true, true
	}
	dropAll := v.Unlinked == "hide" || v.selectsLinks()
	g.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n Node) bool {
		return !linked[n.ID] && (dropAll || n.Past || n.Kind == KindExternal || n.Kind == KindAmbiguous || n.Kind == KindUnknown)
	})
	return g
}
