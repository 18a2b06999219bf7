package correlate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// graph returns the nodes and links, in the order of the document. Gone containers and servers of attempts without links are left out.
func (c *crossHostCorrelator) graph() graph.Graph {
	nodes := c.nodes.nodes
	order := make([]int32, len(nodes))
	for i := range order {
		order[i] = toIndex(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(nodes[a].ID, nodes[b].ID) })
	g := graph.Graph{Version: graph.Version, Nodes: make([]graph.Node, 0, len(order)), Links: make([]graph.Link, len(c.links.links))}
	rank := make([]int32, len(order))
	linked := c.linkedNodes()
	for i, node := range order {
		rank[node] = toIndex(i)
		if n := nodes[node]; linked[node] || !n.Past && int(node) < c.knownNodes {
			g.Nodes = append(g.Nodes, n)
		}
	}
	for i, index := range c.sortLinks(rank) {
		g.Links[i] = c.links.links[index].document(nodes)
	}
	return g.WithPolledAddresses(c.addrs.takeAll())
}

// linkedNodes reports for each node whether it has links.
func (c *crossHostCorrelator) linkedNodes() []bool {
	linked := make([]bool, len(c.nodes.nodes))
	for i := range c.links.links {
		l := &c.links.links[i]
		linked[l.client], linked[l.server] = true, true
	}
	return linked
}

// sortLinks returns the indexes of the links by client, server, port and via. rank orders the nodes. The links of each
// client are counted first and sorted separately: sorting all links at once takes several times as long.
func (c *crossHostCorrelator) sortLinks(rank []int32) []int32 {
	links := c.links.links
	next := make([]int32, len(rank)+1) // where the next link of each client goes
	for i := range links {
		next[rank[links[i].client]+1]++
	}
	for i := range rank {
		next[i+1] += next[i]
	}
	starts := slices.Clone(next)
	order := make([]int32, len(links))
	for i := range links {
		client := rank[links[i].client]
		order[next[client]] = toIndex(i)
		next[client]++
	}
	for i := range rank {
		slices.SortFunc(order[starts[i]:starts[i+1]], func(x, y int32) int {
			a, b := &links[x], &links[y]
			return cmp.Or(cmp.Compare(rank[a.server], rank[b.server]), a.port.Compare(b.port), cmp.Compare(a.via, b.via))
		})
	}
	return order
}

// document returns a link as the graph shows it. The round-trip time is the mean of the measured connections.
func (l *link) document(nodes []graph.Node) graph.Link {
	seen := time.Unix(0, l.lastSeen).UTC()
	document := graph.Link{
		Client: nodes[l.client].ID, Server: nodes[l.server].ID, Port: l.port.Number(), Protocol: l.port.Protocol(), Via: l.via, Evidence: l.evidence(), Translation: l.documentTranslation(),
		Connections: l.established, Closed: l.closed, Attempts: int(l.attempts), Live: true, DirectionUnknown: l.directionUnknown, FirstSeen: seen, LastSeen: seen,
	}
	if counted := l.counted(); counted != nil {
		document.Counters = &counted.Counters
		document.Closed = max(document.Closed, counted.recent)
		document.Attempts += counted.recentFailed
	}
	document.Unanswered = document.Connections+document.Closed == 0
	if l.measuredCount > 0 {
		document.Measured = &graph.Measured{RTTMicroseconds: l.rttSum / l.measuredCount, BytesSent: l.bytesSent, BytesReceived: l.bytesReceived, IdleSeconds: l.idle.at(l.lastSeen)}
	}
	return document
}

func (s *linkStats) evidence() graph.Evidence {
	switch {
	case s.clientSeen && s.serverSeen:
		return graph.EvidenceBoth
	case s.serverSeen:
		return graph.EvidenceServer
	}
	return graph.EvidenceClient // also of attempts
}

// targets returns the states of all targets, ascending by name. A daemon's own host is no target.
func (c *crossHostCorrelator) targets(polled []PolledHost) []graph.Target {
	targets := []graph.Target{}
	for _, p := range polled {
		target := graph.Target{Target: p.Target, State: p.State, Reason: p.Reason, Format: p.Format, LastAnswer: p.LastAnswer.UTC()}
		if other := c.duplicates[p.Target]; other != "" {
			target.State, target.Reason = graph.StateDuplicate, "it answers for the same host as "+other
		} else if p.Host != nil {
			host := c.hostOf[p.Target]
			target.Host = c.nodes.hosts[host].display
			target.Unattributed = p.Host.invalid
			if c.polled[host].Target == p.Target { // what several daemons leave on one machine counts once
				target.Unattributed += c.unattributed[host]
			}
		}
		if target.Target != "" {
			targets = append(targets, target)
		}
	}
	slices.SortFunc(targets, func(a, b graph.Target) int { return strings.Compare(a.Target, b.Target) })
	return targets
}
