package graph

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// View is what somebody wants to see of a graph. The zero value shows all.
type View struct {
	Project string
	Host    string
	// Container is a name, with or without its slash, or the beginning of an ID.
	Container string
	// Depth is how many links away from what is picked is shown; 0 counts as 1.
	Depth int
	// Since drops the links that were seen last before it; Within those that were seen last longer ago than that.
	Since  time.Time
	Within time.Duration
	// External is what becomes of external addresses without a name: "hide", "group", or else they are shown.
	External string
	// Group is what containers are put together by: "service", "project", "host" or "image".
	Group string
}

// Options are the names that Set knows.
func Options() []string {
	return []string{"container", "depth", "external", "group", "host", "project", "since"}
}

const deepest = 100

// Set sets one thing by its name; an empty value means nothing. The error says what is accepted.
func (v *View) Set(name, value string) error {
	if value == "" {
		return nil
	}
	switch name {
	case "project":
		v.Project = value
	case "host":
		v.Host = value
	case "container":
		v.Container = value
	case "depth":
		depth, err := strconv.Atoi(value)
		if err != nil || depth < 1 || depth > deepest {
			return fmt.Errorf("depth=%q: want a whole number from 1 to %d", value, deepest)
		}
		v.Depth = depth
	case "since":
		return v.setSince(value)
	case "external":
		return choose(name, value, &v.External, "group", "hide", "show")
	case "group":
		return choose(name, value, &v.Group, "container", "service", "project", "host", "image")
	default:
		return fmt.Errorf("unknown parameter %q: want one of %s", name, strings.Join(Options(), ", "))
	}
	return nil
}

func (v *View) setSince(value string) (err error) {
	if v.Within, err = time.ParseDuration(value); err == nil && v.Within > 0 {
		return nil
	}
	if v.Since, err = time.Parse(time.RFC3339, value); err != nil {
		return fmt.Errorf("since=%q: want a duration such as 10m, or a time such as 2026-01-02T15:04:05Z", value)
	}
	return nil
}

func choose(name, value string, set *string, from ...string) error {
	if !slices.Contains(from, value) {
		return fmt.Errorf("%s=%q: want %s or %s", name, value, strings.Join(from[:len(from)-1], ", "), from[len(from)-1])
	}
	*set = value
	return nil
}

// Apply returns what the view shows of g, at a time.
func (v View) Apply(g Graph, now time.Time) Graph {
	if v.Within > 0 {
		v.Since = now.Add(-v.Within)
	}
	g.Links = slices.DeleteFunc(slices.Clone(g.Links), func(l Link) bool { return l.LastSeen.Before(v.Since) })
	if v.External == "hide" {
		g = withoutExternals(g)
	}
	if v.Project != "" || v.Host != "" || v.Container != "" {
		g = v.around(g)
	}
	return v.grouped(g)
}

func withoutExternals(g Graph) Graph {
	hidden := make(map[string]bool)
	g.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n Node) bool {
		hidden[n.ID] = n.Unnamed()
		return n.Unnamed()
	})
	g.Links = slices.DeleteFunc(g.Links, func(l Link) bool { return hidden[l.Client] || hidden[l.Server] })
	return g
}

// Unnamed reports whether a node is an external address to which nobody gave a name.
func (n Node) Unnamed() bool {
	if n.Kind != KindExternal {
		return false
	}
	_, err := netip.ParseAddr(n.Name)
	return err == nil
}

// around returns what is picked and what is linked with it, over so many links.
func (v View) around(g Graph) Graph {
	distance := v.picked(g.Nodes)
	for depth := range cmp.Or(v.Depth, 1) {
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
	near := func(id string) bool {
		at, ok := distance[id]
		return ok && at < cmp.Or(v.Depth, 1)
	}
	g.Links = slices.DeleteFunc(g.Links, func(l Link) bool { return !near(l.Client) && !near(l.Server) })
	g.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n Node) bool {
		_, ok := distance[n.ID]
		return !ok
	})
	return g
}

// picked returns the nodes that are picked themselves, at distance 0. A name goes before the beginning of an ID, which may
// look like one.
func (v View) picked(nodes []Node) map[string]int {
	name := strings.TrimPrefix(v.Container, "/")
	named := func(n Node) bool { return n.Kind == KindContainer && n.Name == name }
	exists := slices.ContainsFunc(nodes, named)
	picked := make(map[string]int)
	for _, n := range nodes {
		byContainer := v.Container == "" || named(n) || !exists && n.Container != "" && strings.HasPrefix(n.Container, name)
		if byContainer && (v.Project == "" || n.Project == v.Project) && (v.Host == "" || n.Host == v.Host) {
			picked[n.ID] = 0
		}
	}
	return picked
}

// grouped puts nodes together, and the links between them.
func (v View) grouped(g Graph) Graph {
	if (v.Group == "" || v.Group == "container") && v.External != "group" {
		return g
	}
	into := make(map[string]string)
	groups := make(map[string]Node)
	for _, n := range g.Nodes {
		group := v.groupOf(n)
		into[n.ID] = group.ID
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
	links := slices.Clone(g.Links)
	for i, l := range links {
		links[i].Client, links[i].Server = into[l.Client], into[l.Server]
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
	g.Links = merged
	return g
}

// groupOf returns the group of a node, or the node itself where it is in none.
func (v View) groupOf(n Node) Node {
	if v.External == "group" && n.Unnamed() {
		return Node{ID: NodeID(KindExternal), Kind: KindExternal, Name: "external"}
	}
	switch isContainer := n.Kind == KindContainer; {
	case v.Group == "service" && n.Service != "":
		return Node{ID: NodeID(KindService, n.Project, n.Service), Kind: KindService, Name: n.Service, Project: n.Project, Service: n.Service, Image: n.Image, Host: n.Host}
	case v.Group == "project" && n.Project != "":
		return Node{ID: NodeID(KindProject, n.Project), Kind: KindProject, Name: n.Project, Project: n.Project, Host: n.Host}
	case v.Group == "image" && isContainer:
		return Node{ID: NodeID(KindImage, n.Image), Kind: KindImage, Name: n.Image, Image: n.Image, Host: n.Host}
	case v.Group == "host" && n.Host != "" && n.Kind != KindAmbiguous:
		return Node{ID: NodeID(KindHost, n.Host), Kind: KindHost, Name: n.Host, Host: n.Host, Stale: n.Stale}
	}
	return n
}

// with returns a group with one more member: what all have in common.
func (n Node) with(other Node) Node {
	if n.Host != other.Host {
		n.Host = ""
	}
	if n.Image != other.Image {
		n.Image = ""
	}
	n.Stale = n.Stale || other.Stale
	return n
}

// Compare orders links by what tells them apart.
func (l *Link) Compare(other *Link) int {
	return cmp.Or(strings.Compare(l.Client, other.Client), strings.Compare(l.Server, other.Server),
		cmp.Compare(l.Port, other.Port), cmp.Compare(l.Via, other.Via))
}

// with returns the connections of two links as those of one.
func (l Link) with(other Link) Link {
	if l.Evidence != other.Evidence {
		l.Evidence = EvidenceBoth
	}
	l.Measured = l.Measured.with(l.Connections, other.Measured, other.Connections)
	l.Connections += other.Connections
	l.Closed += other.Closed
	l.Live = l.Live || other.Live
	if other.FirstSeen.Before(l.FirstSeen) {
		l.FirstSeen = other.FirstSeen
	}
	if other.LastSeen.After(l.LastSeen) {
		l.LastSeen = other.LastSeen
	}
	return l
}

func (m *Measured) with(connections int, other *Measured, others int) *Measured {
	switch {
	case m == nil:
		return other
	case other == nil:
		return m
	}
	weight, total := int64(connections), max(int64(connections)+int64(others), 1)
	return &Measured{
		RTTMicroseconds: (m.RTTMicroseconds*weight + other.RTTMicroseconds*int64(others)) / total,
		BytesSent:       m.BytesSent + other.BytesSent,
		BytesReceived:   m.BytesReceived + other.BytesReceived,
	}
}

// CompareNodes orders nodes.
func CompareNodes(a, b Node) int { return strings.Compare(a.ID, b.ID) }
