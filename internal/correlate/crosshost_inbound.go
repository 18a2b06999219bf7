package correlate

// addInboundEnds adds the ends that the local phases left.
func (c *crossHostCorrelator) addInboundEnds() {
	for i, p := range c.polled {
		for j := range p.Host.unmatchedInbound {
			c.addInboundEnd(inboundEnd{&p.Host.unmatchedInbound[j], toIndex(i)})
		}
	}
}

// addInboundEnd pairs an inbound end, or else finds its client by the source address. The narrowest scope comes first.
func (c *crossHostCorrelator) addInboundEnd(in inboundEnd) {
	source := in.remote.Addr()
	if c.addrs.containers[source] && (c.matchInbound(c.bySource(), keyBySource(in.remote, in.host, in.netnsRef(), in.local.Port()), in) || c.matchOnNetworks(in)) {
		return
	}
	host := c.polled[in.host].Host
	if at, ok := c.onNetworksOf(in.netnsRef(), source); ok {
		c.addServerOnly(c.nodes.clientNode(at), in, host.inferVia(in.connEnd, true))
		return
	}
	if ns, ok := host.netnsByAddr[source]; ok {
		c.addServerOnly(c.nodes.clientNode(netnsRef{in.host, ns}), in, host.inferVia(in.connEnd, true))
		return
	}
	if holder, ok := c.addrs.hosts[source]; ok {
		c.addFromHost(holder, in)
		return
	}
	if holder, ok := c.addrs.routable[source]; ok {
		client := c.nodes.ambiguousNode(source, holder)
		if len(holder.others) == 0 {
			client = c.nodes.clientNode(holder.netnsRef)
		}
		c.addServerOnly(client, in, host.inferVia(in.connEnd, false))
		return
	}
	c.addServerOnly(c.nodes.externalNode(source), in, host.inferVia(in.connEnd, false))
}

// matchOnNetworks pairs an inbound end with an outbound end that has the same source on a network of the server. The client
// dialled an address of no container.
func (c *crossHostCorrelator) matchOnNetworks(in inboundEnd) bool {
	if len(c.networkIndex) == 0 {
		return false
	}
	for _, id := range c.networksOf(in.netnsRef()) {
		if network, ok := c.networkIndex[id]; ok && c.matchInbound(c.byNetwork, networkKey(in.remote, network, in.local.Port()), in) {
			return true
		}
	}
	return false
}

// addFromHost finds the client of an inbound end with a host's address as its source. Masquerading puts the host's address
// in the place of a container's. If several hosts have the address, a pending outbound end identifies the
// client's host.
func (c *crossHostCorrelator) addFromHost(holder addrHolder, in inboundEnd) {
	for _, at := range append([]netnsRef{holder.netnsRef}, holder.others...) {
		if c.matchInbound(c.byHost(), keyByHost(in.remote, at.host, in.netnsRef(), in.local.Port()), in) {
			return
		}
	}
	if len(holder.others) > 0 {
		c.addServerOnly(c.nodes.ambiguousNode(in.remote.Addr(), holder), in, c.polled[in.host].Host.inferVia(in.connEnd, false))
		return
	}
	c.addHostSourced(holder.host, in)
}
