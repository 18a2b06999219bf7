package correlate

import (
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// addInboundEnds finds the clients of the inbound ends without a partner.
func (c *crossHostCorrelator) addInboundEnds() {
	for i := range c.inbound {
		if in := &c.inbound[i]; !in.matched && in.dialler == nil {
			in.matched = c.matchSource(in)
		}
	}
	for i := range c.inbound {
		if in := &c.inbound[i]; !in.matched {
			c.addInboundEnd(in)
		}
	}
}

// matchSource pairs an inbound end with an outbound end by the client's own address.
func (c *crossHostCorrelator) matchSource(in *inboundEnd) bool {
	if _, ok := c.balancerOf(in); ok {
		return c.matchOnNetworks(in)
	}
	return c.addrs.containers[in.remote.addr] &&
		(c.matchInbound(c.bySource(), keyBySource(in.remote, in.host, in.netnsRef(), in.local.port), in) || c.matchOnNetworks(in))
}

// addInboundEnd finds the client of an inbound end by the source address. The narrowest scope comes first.
func (c *crossHostCorrelator) addInboundEnd(in *inboundEnd) {
	source := in.remote.addr
	host := c.polled[in.host].Host
	if in.dialler != nil {
		c.addHostDialled(in)
		return
	}
	if source.IsLoopback() {
		c.addFromLoopback(in)
		return
	}
	if at, ok := c.balancerOf(in); ok {
		if !c.addFromIngress(at, in) {
			c.addBalanced(at, in)
		}
		return
	}
	if ns, ok := host.netnsOf(source, in.connEnd); ok {
		c.addFromOwnContainer(ns, in)
		return
	}
	if at, ok := c.onNetworksOf(in.netnsRef(), source); ok {
		c.addFromContainer(at, c.nodes.clientNode(at), in, host.inferVia(in.connEnd, true))
		return
	}
	if host.isLocalAddr(source) {
		c.addFromHost(addrHolder{netnsRef: netnsRef{in.host, hostNetns}}, in)
		return
	}
	if ns, ok := host.holderOf(source, in.connEnd); ok {
		c.addFromOwnContainer(ns, in)
		return
	}
	if holders := host.ownAddrs[source]; len(holders) > 0 {
		at := max(0, slices.IndexFunc(holders, func(ns int32) bool { return host.mayHaveAccepted(ns, in.connEnd) }))
		c.addFromContainer(netnsRef{in.host, holders[at]}, c.nodes.ownerNode(in.host, host.clientOf(holders)), in, host.inferVia(in.connEnd, true))
		return
	}
	if holder, ok := c.addrs.hosts[source]; ok {
		c.addFromHost(holder, in)
		return
	}
	if holder, ok := c.addrs.routable[source]; ok {
		c.addFromHolder(holder, in)
		return
	}
	if node, ok := c.unprovenNode(source, in.host, in.connEnd); ok {
		c.addServerOnly(node, in, host.inferVia(in.connEnd, false))
	}
}

// matchInbound pairs in with an outbound end that is pending under key, and reports whether there is one.
func (c *crossHostCorrelator) matchInbound(p pending, key connKey, in *inboundEnd) bool {
	i, ok := p.takeOpen(key, c.outbound, in.connEnd)
	if !ok {
		return false
	}
	out := &c.outbound[i]
	out.matched = true
	via := out.via
	if _, isService := c.dialled[out.connEnd]; !isService && out.server.host == unknownHost { // the inbound end decides the way
		via = c.polled[in.host].Host.inferVia(in.connEnd, via == graph.ViaDirect)
	}
	c.linkPair(out.connEnd, out.host, in.connEnd, in.host, via, true)
	return true
}

// matchOnNetworks pairs an inbound end with an outbound end that has the same source on a network of the server. The client
// dialled an address of no container.
func (c *crossHostCorrelator) matchOnNetworks(in *inboundEnd) bool {
	if len(c.networkIndex) == 0 {
		return false
	}
	for _, id := range c.networksOf(in.netnsRef()) {
		if network, ok := c.networkIndex[id]; ok && c.matchInbound(c.byNetwork, networkKey(in.remote, network, in.local.port), in) {
			return true
		}
	}
	return false
}

// addFromHolder adds a connection from an address of one or several containers.
func (c *crossHostCorrelator) addFromHolder(holder addrHolder, in *inboundEnd) {
	host := c.polled[in.host].Host
	_, isRoutable := c.addrs.routable[in.local.addr]
	via := host.inferVia(in.connEnd, isRoutable || len(host.ownAddrs[in.local.addr]) > 0)
	if len(holder.others) > 0 {
		c.addServerOnly(c.nodes.ambiguousNode(in.remote.addr, holder), in, via)
		return
	}
	c.addFromContainer(holder.netnsRef, c.nodes.clientNode(holder.netnsRef), in, via)
}

// addFromOwnContainer adds a connection from a network namespace of the server's host.
func (c *crossHostCorrelator) addFromOwnContainer(netns int32, in *inboundEnd) {
	host := c.polled[in.host].Host
	via := host.inferVia(in.connEnd, host.isOnNetworkOf(in.remote.addr, netns, in.netns))
	c.addFromContainer(netnsRef{in.host, netns}, c.nodes.ownerNode(in.host, host.ownerBehind(netns, in.connEnd)), in, via)
}

// addFromContainer adds a connection from the network namespace at, once the other end had a chance to show itself. If both sides listen at
// their ports, only the other end may show which one dialled.
func (c *crossHostCorrelator) addFromContainer(at netnsRef, client int32, in *inboundEnd, via graph.Via) {
	mayHaveAccepted := c.polled[at.host].Host.mayHaveAccepted(at.netns, in.connEnd)
	if !in.closed && (mayHaveAccepted || at.host != in.host) && !c.isSettled(in.host, at.host, in.connEnd) {
		return
	}
	stats := c.addServerOnly(client, in, via)
	stats.directionUnknown = stats.directionUnknown || mayHaveAccepted
}

// addFromHost finds the client of an inbound end with a host's address as its source. Masquerading puts the host's address
// in the place of a container's. If several hosts have the address, a pending outbound end identifies the client's host.
func (c *crossHostCorrelator) addFromHost(holder addrHolder, in *inboundEnd) {
	for _, at := range append([]netnsRef{holder.netnsRef}, holder.others...) {
		if c.matchInbound(c.byHost(), keyByHost(in.remote, at.host, in.netnsRef(), in.local.port), in) {
			return
		}
	}
	if len(holder.others) > 0 {
		c.addServerOnly(c.nodes.ambiguousNode(in.remote.addr, holder), in, c.polled[in.host].Host.inferVia(in.connEnd, false))
		return
	}
	c.addHostSourced(holder.host, in)
}

// addFromLoopback adds a connection that was dialled on the host's loopback address, once the host has been read again.
func (c *crossHostCorrelator) addFromLoopback(in *inboundEnd) {
	host := c.polled[in.host].Host
	if !c.isSettled(in.host, in.host, in.connEnd) {
		return
	}
	c.addServerOnly(c.nodes.ownerNode(in.host, host.hostOwner(in.closed || host.hostOwnersUnknown)), in, pairVia(in.connEnd))
}

// addHostDialled adds a connection that a process of the server's host dialled, if it is still there when the host is read again:
// docker-proxy may have dialled it for a client that was seen too early or too late. A closed one may be docker-proxy's in any
// case, and so may one of UDP: docker-proxy keeps its sockets for 90 seconds (cmd/docker-proxy/udp_proxy_linux.go of moby).
func (c *crossHostCorrelator) addHostDialled(in *inboundEnd) {
	switch {
	case in.closed, in.local.port.Protocol() == socket.UDP:
		c.addHostSourced(in.host, in)
	case c.isSettled(in.host, in.host, in.connEnd):
		c.linkPair(in.dialler, in.host, in.connEnd, in.host, graph.ViaDirect, true)
	}
}

// addServerOnly counts a connection with only its inbound end.
func (c *crossHostCorrelator) addServerOnly(client int32, in *inboundEnd, via graph.Via) *linkStats {
	l := c.links.at(linkKey{client, c.nodes.ownerNode(in.host, in.owner), in.local.port, via})
	stats := c.seenBy(l, in.host)
	stats.addServerOnly(in.connEnd)
	return stats
}
