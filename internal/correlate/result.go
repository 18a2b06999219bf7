package correlate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// graph returns what was linked, in order.
func (l *linker) graph() graph.Graph {
	order := make([]int32, len(l.nodes))
	for i := range order {
		order[i] = number(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(l.nodes[a].ID, l.nodes[b].ID) })
	g := graph.Graph{Version: graph.Version, Nodes: make([]graph.Node, 0, len(order)), Links: make([]graph.Link, len(l.links))}
	rank := make([]int32, len(order))
	linked := l.linked()
	for i, node := range order {
		rank[node] = number(i)
		if n := l.nodes[node]; !n.Past || linked[node] {
			g.Nodes = append(g.Nodes, n)
		}
	}
	for i, index := range l.inOrder(rank) {
		g.Links[i] = l.links[index].document(l.nodes)
	}
	for addr := range l.hosts {
		l.addresses[addr] = true
	}
	return g.WithPolledAddresses(l.addresses)
}

// linked tells which nodes are in links.
func (l *linker) linked() []bool {
	linked := make([]bool, len(l.nodes))
	for i := range l.links {
		linked[l.links[i].client], linked[l.links[i].server] = true, true
	}
	return linked
}

// inOrder returns the indexes of the links by client, server, port and way. Nodes have ranks. It counts the links of
// each client first, because sorting all at once takes several times as long.
func (l *linker) inOrder(rank []int32) []int32 {
	next := make([]int32, len(rank)+1) // the first place of each client's links
	for i := range l.links {
		next[rank[l.links[i].client]+1]++
	}
	for i := range rank {
		next[i+1] += next[i]
	}
	starts := slices.Clone(next)
	order := make([]int32, len(l.links))
	for i := range l.links {
		client := rank[l.links[i].client]
		order[next[client]] = number(i)
		next[client]++
	}
	for i := range rank {
		slices.SortFunc(order[starts[i]:starts[i+1]], func(x, y int32) int {
			a, b := &l.links[x], &l.links[y]
			return cmp.Or(cmp.Compare(rank[a.server], rank[b.server]), cmp.Compare(a.port, b.port), cmp.Compare(a.via, b.via))
		})
	}
	return order
}

func (l *link) document(nodes []graph.Node) graph.Link {
	seen := time.Unix(0, l.seen).UTC()
	document := graph.Link{
		Client: nodes[l.client].ID, Server: nodes[l.server].ID, Port: l.port, Via: l.via,
		Connections: l.established, Closed: l.closed, Live: l.established > 0, FirstSeen: seen, LastSeen: seen,
	}
	switch {
	case l.clientSeen && l.serverSeen:
		document.Evidence = graph.EvidenceBoth
	case l.clientSeen:
		document.Evidence = graph.EvidenceClient
	default:
		document.Evidence = graph.EvidenceServer
	}
	if l.measured > 0 {
		document.Measured = &graph.Measured{RTTMicroseconds: l.rtt / l.measured, BytesSent: l.sent, BytesReceived: l.received}
	}
	return document
}

// targets returns what became of each target, in order.
func (l *linker) targets(sources []Source) []graph.Target {
	targets := []graph.Target{}
	linked := 0
	for _, source := range sources {
		target := graph.Target{Target: source.Target, State: source.State, Reason: source.Reason, Format: source.Format, LastAnswer: source.LastAnswer.UTC()}
		if other := l.duplicates[source.Target]; other != "" {
			target.State, target.Reason = graph.StateDuplicate, "it answers for the same host as "+other
		} else if source.Host != nil {
			target.Host = l.keys[linked]
			target.Unattributed = source.Host.Invalid + l.unattributed[linked]
			linked++
		}
		if target.Target != "" {
			targets = append(targets, target)
		}
	}
	slices.SortFunc(targets, func(a, b graph.Target) int { return strings.Compare(a.Target, b.Target) })
	return targets
}
