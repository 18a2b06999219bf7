package correlate

import (
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// localCorrelator is the local phase: it matches the connection ends of one host.
type localCorrelator struct {
	*Host
	ends     []connEnd
	links    linkTable
	outbound []outboundEnd
	// proxies are the pieces of proxied connections, and proxyOrder the same in a fixed order.
	proxies    map[netnsPort]*proxyPieces
	proxyOrder []*proxyPieces
	// bySource has the outbound ends with a translated address and a server on this host. All sources but loopback identify
	// the client.
	bySource pending
	// byPort has the same ends by their source port: the host's address may replace the source.
	byPort pending
	// byClient has the outbound ends to unknown addresses, by the client's network namespace. The address may be the Swarm
	// virtual IP (VIP) of a service with a container of this host behind it.
	byClient pending
	// fromHost has the inbound ends with an address of the host as their source, and no other half.
	fromHost []*connEnd
}

// correlateLocally matches the connection ends of one host. It keeps the links, and the ends for the cross-host phase.
func (h *Host) correlateLocally(ends []connEnd, attempts []attempt, flows []flow) {
	c := &localCorrelator{
		Host: h, ends: ends, bySource: newPending(), byPort: newPendingQueues(0), byClient: newPending(),
		proxies: make(map[netnsPort]*proxyPieces),
		links:   linkTable{index: make(map[linkKey]int32)},
	}
	paired := c.pairEnds()
	for i := range ends {
		if !paired[i] && !ends[i].isServer() {
			c.addOutboundEnd(&ends[i])
		}
	}
	for i := range ends {
		if !paired[i] && ends[i].isServer() {
			c.addInboundEnd(&ends[i])
		}
	}
	c.matchPorts()
	c.flushOutbound()
	c.flushProxies()
	c.flushFromHost()
	c.addAttempts(attempts)
	c.addFlows(flows)
	h.localLinks = c.links.links
}

// pairEnds adds the links of all ends with mirrored tuples, and reports which ends have such a partner.
func (c *localCorrelator) pairEnds() []bool {
	p := newPairing(len(c.ends), len(c.ends), func(i int32) *connEnd { return &c.ends[i] })
	for i := range c.ends {
		p.add(toIndex(i))
		c.countProxied(&c.ends[i])
	}
	live := func(i, j int32) bool { return !c.ends[i].gone && !c.ends[j].gone }
	near := func(i, j int32) bool { return live(i, j) && c.sameNetwork(c.ends[i].netns, c.ends[j].netns) }
	once := func(i, j int32) bool { return c.ends[i].gone != c.ends[j].gone }
	for i := range c.ends {
		if j, ok := p.partner(toIndex(i), live, near, once); ok {
			c.addPair(&c.ends[i], &c.ends[j])
		}
	}
	return p.paired
}

// addPair adds a connection with both ends.
func (c *localCorrelator) addPair(a, b *connEnd) {
	client, server, known := direct(a, b, c.isServicePort(a), c.isServicePort(b))
	switch {
	case client.owner == hostProcesses && server.owner == hostProcesses: // no container's connection
	case client.netns == hostNetns && server.netns != hostNetns && !server.isForwarded() && c.mayBeHost(client.owner) && c.hasPublished[server.netnsPort()]:
		p := c.proxyOf(server.netnsPort())
		p.dialled = append(p.dialled, hostPair{client, server})
	default:
		c.linkPair(client, server, pairVia(server)).addPair(client, server, known)
	}
}

// pairVia returns how the client of a pair reached the server. Both know each other's address.
func pairVia(server *connEnd) graph.Via {
	switch {
	case server.proxied != 0, server.dialledAt().isValid() && server.netns != hostNetns:
		return graph.ViaPublished
	case server.isLoopback():
		return graph.ViaLoopback
	case server.netns == hostNetns:
		return graph.ViaHost
	}
	return graph.ViaDirect
}

func (c *localCorrelator) linkPair(client, server *connEnd, via graph.Via) *linkStats {
	return &c.links.at(linkKey{int32(client.owner), int32(server.owner), server.local.port, via}).linkStats
}

// addOutboundEnd resolves the server of an outbound end, and stores the end as pending.
func (c *localCorrelator) addOutboundEnd(end *connEnd) {
	d, listens := c.resolveLocally(end)
	out := outboundEnd{connEnd: end, server: netnsRef{netns: d.netns}, serverID: int32(d.owner), port: d.port, via: d.via, resolved: listens}
	if !listens {
		out.server, out.via = netnsRef{host: unknownHost}, graph.ViaDirect
	}
	c.outbound = append(c.outbound, out)
	i := toIndex(len(c.outbound) - 1)
	switch {
	case !listens && !end.directionUnknown:
		c.byClient.set(clientKey(end.local, end.netns, end.remote.port), i)
	case listens:
		c.bySource.set(sourceKey(end.local, end.netns, d.netnsPort), i)
		if d.via == graph.ViaPublished {
			c.byPort.add(portKey(end.local.port, d.netnsPort), i)
		}
	}
}

// resolveLocally returns the server of an outbound end if it is a container of this host. If the direction is unknown, the server
// must have a listener: an end without one at its remote address may be inbound.
func (c *localCorrelator) resolveLocally(end *connEnd) (d destination, ok bool) {
	if d, ok := c.forwardedTo(end); ok {
		return d, true
	}
	remote := end.remote.addr
	netns, isContainer := c.netnsOf(remote, end)
	switch {
	case c.dialsPublishedService(end): // any host may have its containers
		return d, false
	case end.directionUnknown:
		if !c.isLocalAddr(remote) {
			return d, false
		}
		d, ok = c.resolveHost(end.remote)
		return d, ok && d.owner != hostProcesses
	case remote.IsLoopback():
		return c.resolveLoopback(end.netns, end.remote)
	case isContainer:
		d, _ = c.resolveContainer(netns, end.remote)
		if c.startedAfter(netns, end) {
			d.owner = unknownOwner
		}
		return d, true
	case c.isLocalAddr(remote):
		d, ok = c.resolveHost(end.remote)
		return d, ok && d.owner != hostProcesses
	}
	return c.resolveOwnAddr(end.remote)
}

// sourceKey is the key of a connection in bySource. netns is the network namespace of the end at hand. A loopback source
// means something there only.
func sourceKey(source endpoint, netns int32, server netnsPort) connKey {
	key := connKey{toEndpointKey(source), server.port, scope{client: anywhere, server: netnsRef{netns: server.netns}}}
	if source.addr.IsLoopback() {
		key.client = netns
	}
	return key
}

// portKey is the key of a connection in byPort.
func portKey(port socket.Port, server netnsPort) connKey {
	return connKey{endpointKey{port: port}, server.port, scope{client: anywhere, server: netnsRef{netns: server.netns}}}
}

// clientKey is the key of a connection in byClient. netns is the client's network namespace.
func clientKey(source endpoint, netns int32, port socket.Port) connKey {
	return connKey{toEndpointKey(source), port, scope{client: netns}}
}

// addInboundEnd pairs an inbound end by a translated address, or else finds its client by the source address.
func (c *localCorrelator) addInboundEnd(end *connEnd) {
	source := end.remote.addr
	netns, isContainer := c.netnsOf(source, end)
	switch {
	case c.matchTranslated(c.bySource, sourceKey(end.remote, end.netns, end.netnsPort()), end):
	case isContainer && c.matchTranslated(c.byClient, clientKey(end.remote, netns, end.local.port), end):
	case source.IsLoopback():
		c.addLoopbackServer(end)
	case isContainer && !end.closed && c.mayHaveAccepted(netns, end): // the other end may not have been read yet
		c.unmatchedInbound = append(c.unmatchedInbound, *end)
	case isContainer:
		stats := c.addServerOnly(int32(c.ownerBehind(netns, end)), end, c.inferVia(end, c.isOnNetworkOf(source, netns, end.netns)))
		stats.directionUnknown = stats.directionUnknown || c.mayHaveAccepted(netns, end)
	case c.isLocalAddr(source):
		c.fromHost = append(c.fromHost, end)
	case slices.ContainsFunc(c.ownAddrs[source], func(netns int32) bool { return c.mayHaveAccepted(netns, end) }):
		c.unmatchedInbound = append(c.unmatchedInbound, *end)
	case len(c.ownAddrs[source]) > 0:
		c.addServerOnly(int32(c.clientOf(c.ownAddrs[source])), end, c.inferVia(end, true))
	default:
		c.unmatchedInbound = append(c.unmatchedInbound, *end)
	}
}

// matchTranslated pairs an inbound end with an outbound end that is pending under key.
func (c *localCorrelator) matchTranslated(p pending, key connKey, end *connEnd) bool {
	i, ok := p.takeOpen(key, c.outbound, end)
	if !ok {
		return false
	}
	out := &c.outbound[i]
	out.matched = true
	c.linkPair(out.connEnd, end, out.via).addPair(out.connEnd, end, true)
	return true
}

// matchPorts pairs the inbound ends from the host's addresses with outbound ends from the same port, after all better matches.
func (c *localCorrelator) matchPorts() {
	c.fromHost = slices.DeleteFunc(c.fromHost, func(end *connEnd) bool {
		return c.matchTranslated(c.byPort, portKey(end.remote.port, end.netnsPort()), end)
	})
}

// addLoopbackServer adds a connection that was dialled on the loopback address of the server's network namespace. Ends in the host's, and
// those that docker-proxy accepted there, are left to the cross-host phase: the client may not have been read yet.
func (c *localCorrelator) addLoopbackServer(end *connEnd) {
	if end.isForwarded() || end.netns == hostNetns {
		c.unmatchedInbound = append(c.unmatchedInbound, *end)
		return
	}
	c.addServerOnly(int32(c.clientIn(end.netns)), end, graph.ViaLoopback)
}

// addServerOnly counts a connection with only its inbound end.
func (c *localCorrelator) addServerOnly(client int32, end *connEnd, via graph.Via) *linkStats {
	l := c.links.at(linkKey{client, int32(end.owner), end.local.port, via})
	l.addServerOnly(end)
	return &l.linkStats
}

// flushOutbound counts the connections with only their outbound end, and leaves those without a known server to the cross-host
// phase. An end of a gone container makes no link of its own.
func (c *localCorrelator) flushOutbound() {
	for i := range c.outbound {
		out := &c.outbound[i]
		switch {
		case out.matched:
			continue
		case !out.resolved:
			c.unmatchedOutbound = append(c.unmatchedOutbound, *out.connEnd)
			continue
		case out.via == graph.ViaPublished:
			c.proxyOf(netnsPort{out.server.netns, out.port}).clients.add(out.connEnd)
		case out.via == graph.ViaDirect && c.mayBeHost(out.owner) && c.hasPublished[netnsPort{out.server.netns, out.port}]:
			p := c.proxyOf(netnsPort{out.server.netns, out.port})
			p.dialledOnly = append(p.dialledOnly, out)
			continue
		}
		if !out.gone {
			c.links.at(linkKey{int32(out.owner), out.serverID, out.port, out.via}).addClientOnly(out.connEnd)
		}
	}
}

// flushFromHost leaves the inbound ends from the host's addresses to the cross-host phase, except those that docker-proxy dialled
// for known clients.
func (c *localCorrelator) flushFromHost() {
	for _, end := range c.fromHost {
		if p, ok := c.proxies[end.netnsPort()]; !ok || !p.accepted.explains(end.closed) && !p.clients.explains(end.closed) {
			c.unmatchedInbound = append(c.unmatchedInbound, *end)
		}
	}
}
