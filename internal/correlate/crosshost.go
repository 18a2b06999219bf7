package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
)

// pairEnds adds the links of the ends on different hosts that have mirrored tuples. A partner has the remote address of an end as
// its local one.
func (c *crossHostCorrelator) pairEnds() {
	c.collectEnds()
	locals := c.localAddrs()
	p := newPairing(len(c.outbound)+len(c.inbound), 0, func(i int32) *connEnd { end, _ := c.end(i); return end })
	for i := range toIndex(len(p.paired)) {
		if end, _ := c.end(i); locals[end.remote.addr] {
			p.add(i)
		}
	}
	for i := range toIndex(len(p.paired)) {
		if j, ok := p.partner(i, c.isLivePair, c.isNearPair, c.isGonePair); ok {
			c.addPair(i, j)
		}
	}
}

// collectEnds collects the ends that the local phases left.
func (c *crossHostCorrelator) collectEnds() {
	for i, p := range c.polled {
		for j := range p.Host.unmatchedOutbound {
			end := &p.Host.unmatchedOutbound[j]
			c.outbound = append(c.outbound, outboundEnd{
				connEnd: end, host: toIndex(i), server: netnsRef{host: unknownHost}, port: end.remote.port, via: graph.ViaDirect,
			})
		}
		for j := range p.Host.unmatchedInbound {
			c.inbound = append(c.inbound, inboundEnd{connEnd: &p.Host.unmatchedInbound[j], host: toIndex(i)})
		}
	}
}

// end returns an end by its index in pairEnds, and its host. The outbound ends come first.
func (c *crossHostCorrelator) end(i int32) (end *connEnd, host int32) {
	if int(i) < len(c.outbound) {
		return c.outbound[i].connEnd, c.outbound[i].host
	}
	in := &c.inbound[int(i)-len(c.outbound)]
	return in.connEnd, in.host
}

// localAddrs returns the local addresses of all ends but loopback.
func (c *crossHostCorrelator) localAddrs() map[netip.Addr]bool {
	locals := make(map[netip.Addr]bool)
	for i := range toIndex(len(c.outbound) + len(c.inbound)) {
		if end, _ := c.end(i); !end.isLoopback() && !locals[end.local.addr] {
			locals[end.local.addr] = true
		}
	}
	return locals
}

func (c *crossHostCorrelator) isLivePair(i, j int32) bool {
	a, _ := c.end(i)
	b, _ := c.end(j)
	return !a.gone && !b.gone && c.isPair(i, j)
}

func (c *crossHostCorrelator) isNearPair(i, j int32) bool {
	return c.isLivePair(i, j) && c.isNear(i, j)
}

func (c *crossHostCorrelator) isGonePair(i, j int32) bool {
	a, _ := c.end(i)
	b, _ := c.end(j)
	return a.gone != b.gone && c.isPair(i, j)
}

// isPair reports whether two ends may belong to one connection between hosts. An address that a host has on a network of its own
// leads to no other host.
func (c *crossHostCorrelator) isPair(i, j int32) bool {
	a, hostA := c.end(i)
	b, hostB := c.end(j)
	_, localA := c.polled[hostA].Host.netnsByAddr[a.remote.addr]
	_, localB := c.polled[hostB].Host.netnsByAddr[b.remote.addr]
	return hostA != hostB && (!localA && !localB || c.isNear(i, j))
}

// isNear reports whether the ends are on one network. Hosts may have equal addresses on separate ones.
func (c *crossHostCorrelator) isNear(i, j int32) bool {
	a, hostA := c.end(i)
	b, hostB := c.end(j)
	return intersect(c.networksOf(netnsRef{hostA, a.netns}), c.networksOf(netnsRef{hostB, b.netns}))
}

// addPair adds the connection of two ends by their indexes in pairEnds.
func (c *crossHostCorrelator) addPair(i, j int32) {
	c.setMatched(i)
	c.setMatched(j)
	a, hostA := c.end(i)
	b, hostB := c.end(j)
	client, server, known := direct(a, b, c.polled[hostA].Host.isServicePort(a), c.polled[hostB].Host.isServicePort(b))
	clientHost, serverHost := hostA, hostB
	if client == b {
		clientHost, serverHost = hostB, hostA
	}
	if !c.isNear(i, j) { // a common network proves nothing about others
		c.prove(a, hostA)
		c.prove(b, hostB)
	}
	c.linkPair(client, clientHost, server, serverHost, pairVia(server), known)
}

func (c *crossHostCorrelator) setMatched(i int32) {
	if int(i) < len(c.outbound) {
		c.outbound[i].matched = true
		return
	}
	c.inbound[int(i)-len(c.outbound)].matched = true
}

// linkPair counts a connection with both ends. Connections between the processes of hosts are in no link.
func (c *crossHostCorrelator) linkPair(client *connEnd, clientHost int32, server *connEnd, serverHost int32, via graph.Via, directionKnown bool) {
	if client.owner == hostProcesses && server.owner == hostProcesses {
		return
	}
	l := c.links.at(linkKey{c.nodes.ownerNode(clientHost, client.owner), c.nodes.ownerNode(serverHost, server.owner), server.local.port, via})
	c.seenBy(l, clientHost, serverHost).addPair(client, server, directionKnown)
}

// seenBy updates when a link was seen last: when the hosts answered.
func (c *crossHostCorrelator) seenBy(l *link, hosts ...int32) *linkStats {
	for _, host := range hosts {
		l.lastSeen = max(l.lastSeen, c.polled[host].LastAnswer.UnixNano())
	}
	return &l.linkStats
}
