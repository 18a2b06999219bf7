package graph

import (
	"cmp"
	"slices"
	"strings"
)

// maxOpenNodes is the number of nodes above which an opened group divides into smaller groups. The page uses the same number.
const maxOpenNodes = 60

// groupLevels are the levels of groups, the largest first.
var groupLevels = []Kind{KindExternal, KindHost, KindProject, KindService, KindImage}

// finerLevels are the levels into which an opened group divides.
var finerLevels = map[Kind][]Kind{
	KindHost:    {KindProject, KindService, KindImage},
	KindProject: {KindService, KindImage},
}

// groupAt returns the group of a node at a level; false if the node has none.
func (n Node) groupAt(level Kind) (Node, bool) {
	switch level {
	case KindExternal:
		return Node{ID: NodeID(KindExternal), Kind: KindExternal, Name: "external"}, n.Unnamed()
	case KindHost:
		return Node{ID: NodeID(KindHost, n.Host), Kind: KindHost, Name: n.Host, Host: n.Host, Stale: n.Stale}, n.Host != "" && n.Kind != KindAmbiguous && n.Kind != KindUnknown
	case KindProject:
		return Node{ID: NodeID(KindProject, n.Project), Kind: KindProject, Name: n.Project, Project: n.Project, Host: n.Host}, n.Project != ""
	case KindService:
		return Node{
			ID: NodeID(KindService, n.Project, n.Service), Kind: KindService, Name: n.Service, Project: n.Project, Service: n.Service, Image: n.Image,
			Host: n.Host,
		}, n.Service != ""
	case KindImage:
		return Node{ID: NodeID(KindImage, n.Image), Kind: KindImage, Name: n.Image, Image: n.Image, Host: n.Host}, n.Kind == KindContainer && n.Image != ""
	case KindContainer, KindAmbiguous, KindUnknown:
	}
	return Node{}, false
}

// isIn reports whether a group with the ID may contain the node.
func (n Node) isIn(id string) bool {
	return slices.ContainsFunc(groupLevels, func(level Kind) bool {
		group, ok := n.groupAt(level)
		return ok && group.ID == id
	})
}

// groupOf returns the group that the view shows in place of a node, or the node itself. sizes are the numbers of nodes by group IDs.
func (v View) groupOf(n Node, sizes map[string]int) Node {
	if len(v.Closed) > 0 {
		for _, level := range groupLevels {
			if group, ok := n.groupAt(level); ok && slices.Contains(v.Closed, group.ID) {
				return group
			}
		}
	}
	group, ok := n.groupAt(Kind(v.Group))
	if v.External == "group" && n.Unnamed() {
		group, ok = n.groupAt(KindExternal)
	}
	for ok && slices.Contains(v.Open, group.ID) {
		group, ok = n.finerGroup(group, sizes)
	}
	if !ok {
		return n
	}
	return group
}

// finerGroup returns the next group of a node inside an opened group; false if the node is shown by itself.
func (n Node) finerGroup(opened Node, sizes map[string]int) (Node, bool) {
	if sizes[opened.ID] <= maxOpenNodes {
		return Node{}, false
	}
	for _, level := range finerLevels[opened.Kind] {
		if group, ok := n.groupAt(level); ok && sizes[group.ID] > 1 {
			return group, true
		}
	}
	return Node{}, false
}

// groupSizes counts the nodes of all possible groups.
func groupSizes(nodes []Node) map[string]int {
	sizes := make(map[string]int)
	for _, n := range nodes {
		for _, level := range groupLevels {
			if group, ok := n.groupAt(level); ok {
				sizes[group.ID]++
			}
		}
	}
	return sizes
}

// group merges nodes into groups, and the links between them.
func (v View) group(g Graph) Graph {
	if (v.Group == "" || v.Group == "container") && v.External != "group" && len(v.Closed) == 0 {
		return g
	}
	var sizes map[string]int
	if len(v.Open) > 0 {
		sizes = groupSizes(g.Nodes)
	}
	groupIDs := make(map[string]string)
	groups := make(map[string]Node)
	for _, n := range g.Nodes {
		group := v.groupOf(n, sizes)
		group.New, group.Gone = n.New, n.Gone
		groupIDs[n.ID] = group.ID
		if other, ok := groups[group.ID]; ok {
			group = other.with(group)
		}
		groups[group.ID] = group
	}
	g.Nodes = make([]Node, 0, len(groups))
	for _, group := range groups {
		g.Nodes = append(g.Nodes, group)
	}
	slices.SortFunc(g.Nodes, CompareNodes)
	g.Links = mergeLinks(g.Links, groupIDs)
	return g
}

// mergeLinks returns the links between groups.
func mergeLinks(links []Link, groupIDs map[string]string) []Link {
	links = slices.Clone(links)
	for i, l := range links {
		links[i].Client, links[i].Server = groupIDs[l.Client], groupIDs[l.Server]
	}
	slices.SortStableFunc(links, func(a, b Link) int { return a.Compare(&b) })
	merged := links[:0]
	for _, l := range links {
		if last := len(merged) - 1; last >= 0 && merged[last].Compare(&l) == 0 {
			merged[last] = merged[last].with(l)
			continue
		}
		merged = append(merged, l)
	}
	return merged
}

// with returns a group with one more member. The group keeps what all members have in common.
func (n Node) with(other Node) Node {
	if n.Host != other.Host {
		n.Host = ""
	}
	if n.Image != other.Image {
		n.Image = ""
	}
	n.Stale = n.Stale || other.Stale
	n.New, n.Gone = n.New && other.New, n.Gone && other.Gone
	return n
}

// Compare orders links by client, server, port, protocol and via, which identify a link.
func (l *Link) Compare(other *Link) int {
	return cmp.Or(strings.Compare(l.Client, other.Client), strings.Compare(l.Server, other.Server),
		l.ServerPort().Compare(other.ServerPort()), cmp.Compare(l.Via, other.Via))
}

// with merges the connections of two links.
func (l Link) with(other Link) Link {
	if l.Evidence != other.Evidence {
		l.Evidence = EvidenceBoth
	}
	l.Translation = max(l.Translation, other.Translation)
	idle := l.idleWith(other)
	l.Measured = l.Measured.with(l.Connections, other.Measured, other.Connections)
	if l.Measured != nil {
		measured := *l.Measured // which a link before the merge may share
		measured.IdleSeconds = idle
		l.Measured = &measured
	}
	l.Counters = l.Counters.With(other.Counters)
	l.Connections += other.Connections
	l.Closed += other.Closed
	l.Attempts += other.Attempts
	l.Unanswered = l.Unanswered && other.Unanswered
	l.Live = l.Live || other.Live
	l.New = l.New || other.New
	l.Gone = l.Gone || other.Gone
	l.DirectionUnknown = l.DirectionUnknown || other.DirectionUnknown
	if other.FirstSeen.Before(l.FirstSeen) {
		l.FirstSeen = other.FirstSeen
	}
	if other.LastSeen.After(l.LastSeen) {
		l.LastSeen = other.LastSeen
	}
	return l
}

func (m *Measured) with(connections int, other *Measured, otherConnections int) *Measured {
	switch {
	case m == nil:
		return other
	case other == nil:
		return m
	}
	weight, total := int64(connections), max(int64(connections)+int64(otherConnections), 1)
	return &Measured{
		RTTMicroseconds: (m.RTTMicroseconds*weight + other.RTTMicroseconds*int64(otherConnections)) / total,
		BytesSent:       m.BytesSent + other.BytesSent,
		BytesReceived:   m.BytesReceived + other.BytesReceived,
	}
}

// CompareNodes orders nodes by ID.
func CompareNodes(a, b Node) int { return strings.Compare(a.ID, b.ID) }
