package correlate

import (
	"github.com/PabloL007/outpost/internal/graph"
)

// Build runs the cross-host phase on polled hosts and returns the graph of all links. If several targets serve the same
// host, one counts, and the others are reported as duplicates. names names external addresses; it may be nil.
func Build(polled []PolledHost, names *graph.Names) graph.Graph {
	c := newCrossHostCorrelator(polled, names)
	for i := range c.polled {
		c.addLocalLinks(toIndex(i))
	}
	c.addOutboundEnds()
	c.addInboundEnds()
	c.flushUnmatched()
	g := c.graph()
	g.Targets = c.targets(polled)
	return g
}

// crossHostCorrelator is the cross-host phase. Hosts and nodes are known by their indexes.
type crossHostCorrelator struct {
	matcher
	polled       []PolledHost // with a host, each host once
	nodes        nodeTable
	addrs        addrIndex
	duplicates   map[string]string // target by duplicate target
	unattributed []int             // by host: ends without a link, because neither side is known to be the client

	candidates   []candidate
	bySource     func() pending   // by the client's own address; built when first needed
	byHost       func() pending   // by the client's host, for masqueraded connections; built when first needed
	byNetwork    pending          // by a network of the client, for ends to a Swarm virtual IP (VIP)
	networkIndex map[string]int32 // by ID, of the networks in byNetwork
}

func newCrossHostCorrelator(polled []PolledHost, names *graph.Names) *crossHostCorrelator {
	c := &crossHostCorrelator{duplicates: duplicates(polled)}
	for _, p := range polled {
		if p.Host != nil && c.duplicates[p.Target] == "" {
			c.polled = append(c.polled, p)
		}
	}
	c.phase = c
	c.unattributed = make([]int, len(c.polled))
	c.prepare(names)
	for i, p := range c.polled {
		c.nodes.addContainers(toIndex(i))
		c.addrs.addHost(toIndex(i), p.Host)
	}
	return c
}

// prepare allocates tables in their final size: growing them bit by bit costs several times as much.
func (c *crossHostCorrelator) prepare(names *graph.Names) {
	containers, local, outbound, inbound := 0, 0, 0, 0
	for _, p := range c.polled {
		h := p.Host
		containers += len(h.containers)
		local += len(h.localLinks)
		outbound += len(h.unmatchedOutbound)
		inbound += len(h.unmatchedInbound)
	}
	c.nodes = newNodeTable(c.polled, names, containers+containers/8)
	c.addrs = newAddrIndex()
	c.links = linkTable{
		links: make([]link, 0, local+outbound+inbound),
		index: make(map[linkKey]int32, outbound+inbound/2), // most pairs share a link
	}
	c.outbound = make([]outboundEnd, 0, outbound)
	c.hostSourced = make(map[fromHostKey]*hostSourcedEnds)
	c.preparePending(outbound)
}

// addLocalLinks adds the links of a host's local phase.
func (c *crossHostCorrelator) addLocalLinks(host int32) {
	p := c.polled[host]
	for _, l := range p.Host.localLinks {
		l.client = c.nodes.ownerNode(host, ownerID(l.client))
		l.server = c.nodes.ownerNode(host, ownerID(l.server))
		l.lastSeen = p.LastAnswer.UnixNano()
		c.links.links = append(c.links.links, l)
	}
}
