package correlate

import (
	"net/netip"
	"sync"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// candidate is a server to which an outbound end may lead. An ambiguous address has several.
type candidate struct {
	outbound int32 // index
	port     socket.Port
	server   netnsRef
}

// preparePending prepares the tables of pending ends. bySource and byHost are built when an inbound end first needs them,
// since few inputs need both.
func (c *crossHostCorrelator) preparePending(outbound int) {
	c.candidates = make([]candidate, 0, outbound)
	c.bySource = sync.OnceValue(func() pending { return c.pendingCandidates((*connEnd).unchanged, keyBySource) })
	c.byHost = sync.OnceValue(func() pending { return c.pendingCandidates((*connEnd).source, keyByHost) })
	c.byNetwork = newPendingQueues(0)
	c.networkIndex = make(map[string]int32)
}

// pendingCandidates returns the candidates by a key of the outbound end and its source.
func (c *crossHostCorrelator) pendingCandidates(source func(*connEnd) endpoint, key func(source endpoint, host int32, server netnsRef, port socket.Port) connKey) pending {
	p := newPendingQueues(len(c.candidates))
	for _, candidate := range c.candidates {
		out := &c.outbound[candidate.outbound]
		p.add(key(source(out.connEnd), out.host, candidate.server, candidate.port), candidate.outbound)
	}
	return p
}

// keyBySource is the key of a connection with an unchanged source.
func keyBySource(source endpoint, _ int32, server netnsRef, port socket.Port) connKey {
	return connKey{toEndpointKey(source), port, scope{anywhere, server}}
}

// keyByHost is the key of a masqueraded connection. Its source may be any address of the client's host. The port is known by the host's
// translations, else it is kept if it is free.
func keyByHost(source endpoint, host int32, server netnsRef, port socket.Port) connKey {
	return connKey{endpointKey{port: source.port}, port, scope{host, server}}
}

// networkKey is the key of a connection in byNetwork: a source means something on its network only.
func networkKey(source endpoint, network int32, port socket.Port) connKey {
	return connKey{toEndpointKey(source), port, scope{client: network}}
}

// internNetwork returns the index of a network.
func (c *crossHostCorrelator) internNetwork(id string) int32 {
	network, ok := c.networkIndex[id]
	if !ok {
		network = toIndex(len(c.networkIndex))
		c.networkIndex[id] = network
	}
	return network
}

// addOutboundEnds finds the servers of the outbound ends without a partner.
func (c *crossHostCorrelator) addOutboundEnds() {
	for i := range c.outbound {
		if !c.outbound[i].matched {
			c.resolveOutbound(toIndex(i))
		}
	}
}

// resolveOutbound finds the server of an outbound end by its remote address. The narrowest scope comes first.
func (c *crossHostCorrelator) resolveOutbound(i int32) {
	out := &c.outbound[i]
	addr, client := out.remote.addr, netnsRef{out.host, out.netns}
	own := c.polled[out.host].Host
	if c.resolveService(i) {
		return
	}
	if at, ok := c.onNetworksOf(client, addr); ok {
		c.addCandidate(i, at)
		return
	}
	if addr.IsLoopback() || own.isLocalAddr(addr) {
		c.addCandidate(i, netnsRef{out.host, hostNetns})
		if addr.IsLoopback() {
			out.via = graph.ViaLoopback
		}
		return
	}
	if ns, ok := own.holderOf(addr, out.connEnd); ok { // on a network that the client is not on
		c.addCandidate(i, netnsRef{out.host, ns})
		return
	}
	if holder, ok := c.addrs.hosts[addr]; ok {
		c.addCandidates(i, holder, graph.ViaHost)
		return
	}
	if holder, ok := c.addrs.routable[addr]; ok {
		c.addCandidates(i, holder, graph.ViaDirect)
		return
	}
	if out.directionUnknown {
		return
	}
	node, ok := c.unprovenNode(addr, out.host, out.connEnd)
	if !ok {
		out.matched = true // it waits
		return
	}
	out.serverID = node
	if network, ok := c.networkWith(client, out.local.addr); ok {
		c.byNetwork.set(networkKey(out.local, c.internNetwork(network), out.port), i)
	}
}

// addCandidates adds the holders of an address as candidates. With several the server is ambiguous until an inbound end
// identifies it.
func (c *crossHostCorrelator) addCandidates(i int32, holder addrHolder, via graph.Via) {
	c.addCandidate(i, holder.netnsRef)
	if len(holder.others) == 0 {
		return
	}
	for _, other := range holder.others {
		c.addCandidate(i, other)
	}
	out := &c.outbound[i]
	out.toHost = false
	out.serverID, out.server, out.port, out.via = c.nodes.ambiguousNode(out.remote.addr, holder), netnsRef{host: unknownHost}, out.remote.port, via
}

// addCandidate adds the server that the remote address means in a network namespace. If the direction is unknown, the server
// must have a listener: an end without one at its remote address may be inbound.
func (c *crossHostCorrelator) addCandidate(i int32, at netnsRef) {
	out := &c.outbound[i]
	d, listens := c.polled[at.host].Host.resolve(at.netns, out.remote)
	if out.directionUnknown && !listens {
		return
	}
	out.resolved = true
	out.server, out.serverID = netnsRef{at.host, d.netns}, c.nodes.ownerNode(at.host, d.owner)
	out.port, out.via = d.port, d.via
	out.toHost, out.listens = d.owner == hostProcesses, listens
	c.candidates = append(c.candidates, candidate{i, out.port, out.server})
}

// networksOf returns the IDs of the networks of a network namespace.
func (c *crossHostCorrelator) networksOf(at netnsRef) []string {
	return c.polled[at.host].Host.namespaces[at.netns].networkIDs
}

// onNetworksOf returns the network namespace with an address on a network of from, on any host.
func (c *crossHostCorrelator) onNetworksOf(from netnsRef, addr netip.Addr) (netnsRef, bool) {
	for _, network := range c.networksOf(from) {
		if at, ok := c.addrs.networks[networkAddr{network, addr}]; ok {
			return at, true
		}
	}
	return netnsRef{}, false
}

// networkWith returns the network on which a network namespace has an address.
func (c *crossHostCorrelator) networkWith(at netnsRef, addr netip.Addr) (network string, ok bool) {
	for _, network := range c.networksOf(at) {
		if owner, ok := c.addrs.networks[networkAddr{network, addr}]; ok && owner == at {
			return network, true
		}
	}
	return "", false
}

// unprovenNode returns the node of the other side of an end of a host by its address, which no host has. It is external, or
// ambiguous if it may be a container of another host: that would show the other half, unless it is closed or was not read
// completely. ok is false while the end waits for another answer of that host, or for the first answer of a host.
func (c *crossHostCorrelator) unprovenNode(addr netip.Addr, host int32, end *connEnd) (node int32, ok bool) {
	if c.waitsForFirstAnswers(host, end) {
		return 0, false
	}
	holder, held := c.addrs.unproven[addr]
	if !held || end.gone {
		return c.nodes.externalNode(addr), true
	}
	for _, at := range append([]netnsRef{holder.netnsRef}, holder.others...) {
		switch {
		case at.host == host: // it would have been found there
		case end.closed || !c.isRead(at):
			return c.nodes.ambiguousNode(addr, holder), true
		case !c.isSettled(host, at.host, end):
			return 0, false
		}
	}
	return c.nodes.externalNode(addr), true
}

// isRead reports whether all connections of the container with a namespace's addresses are known.
func (c *crossHostCorrelator) isRead(at netnsRef) bool {
	h := c.polled[at.host].Host
	primary := h.namespaces[at.netns].primary
	return primary >= 0 && h.containers[primary].complete
}
