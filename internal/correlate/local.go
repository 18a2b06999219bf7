package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// localCorrelator is the local phase: it matches the connection ends of one host.
type localCorrelator struct {
	*Host
	matcher
	// bySource has the outbound ends with a server on this host. All sources but loopback identify the client.
	bySource pending
	// byClient has the outbound ends to unknown addresses, by the client's network namespace. The address may be the Swarm
	// virtual IP (VIP) of a service with a container of this host behind it.
	byClient pending
}

// correlateLocally matches the connection ends of containers. It keeps the links, and the ends for the cross-host phase.
// namespaces has the network namespace of each container.
func (h *Host) correlateLocally(containers []snapshotv1.Container, namespaces []int32) {
	ends := h.parseEnds(containers, namespaces)
	c := &localCorrelator{
		Host: h, bySource: newPending(), byClient: newPending(),
		matcher: matcher{
			outbound:    make([]outboundEnd, 0, len(ends)),
			hostSourced: make(map[fromHostKey]*hostSourcedEnds),
			links:       linkTable{index: make(map[linkKey]int32)},
		},
	}
	c.phase = c
	for i := range ends {
		if !ends[i].inbound {
			c.addOutboundEnd(&ends[i])
		}
	}
	for i := range ends {
		if ends[i].inbound {
			c.addInboundEnd(&ends[i])
		}
	}
	c.flushUnmatched()
	h.localLinks = c.links.links
}

// addOutboundEnd resolves the server of an outbound end, and stores the end as pending.
func (c *localCorrelator) addOutboundEnd(end *connEnd) {
	out := outboundEnd{connEnd: end, server: netnsRef{host: unknownHost}, via: graph.ViaDirect}
	d, ok := c.resolveLocally(end)
	if !ok {
		i := c.addOutbound(out)
		if !end.directionUnknown {
			c.byClient.set(clientKey(end.local, end.netns, end.remote.Port()), i)
		}
		return
	}
	out.server, out.serverID, out.port, out.via, out.resolved = netnsRef{netns: d.netns}, int32(d.owner), d.port, d.via, true
	i := c.addOutbound(out)
	if d.owner == hostProcesses { // their inbound ends are not in the snapshot
		return
	}
	key := sourceKey(end.local, end.netns, d.netnsPort)
	if j, taken := c.bySource.first[key]; taken && c.outbound[j].via == graph.ViaDirect {
		return // One source port to two addresses of one server: the direct connection comes first.
	}
	c.bySource.set(key, i)
}

// resolveLocally returns the server of an outbound end if it is on this host. If the direction is unknown, the server must
// have a listener: an end without one at its remote address may be inbound.
func (c *localCorrelator) resolveLocally(end *connEnd) (d destination, ok bool) {
	remote := end.remote.Addr()
	netns, isContainer := c.netnsOf(remote, end.netns)
	switch {
	case end.directionUnknown:
		if !c.isLocalAddr(remote) {
			return d, false
		}
		d, ok = c.resolveHost(end.remote)
		return d, ok && d.owner != hostProcesses
	case remote.IsLoopback():
		return c.resolveLoopback(end.netns, end.remote), true
	case isContainer:
		d, _ = c.resolveContainer(netns, end.remote)
		return d, true
	case c.isLocalAddr(remote):
		d, _ = c.resolveHost(end.remote)
		return d, true
	}
	return d, false
}

// sourceKey is the key of a connection in bySource. netns is the network namespace of the end at hand. A loopback source
// means something there only.
func sourceKey(source netip.AddrPort, netns int32, server netnsPort) connKey {
	key := connKey{toEndpointKey(source), server.port, scope{client: anywhere, server: netnsRef{netns: server.netns}}}
	if source.Addr().IsLoopback() {
		key.client = netns
	}
	return key
}

// clientKey is the key of a connection in byClient. netns is the client's network namespace.
func clientKey(source netip.AddrPort, netns int32, port uint16) connKey {
	return connKey{toEndpointKey(source), port, scope{client: netns}}
}

// addInboundEnd pairs an inbound end, or else finds its client by the source address.
func (c *localCorrelator) addInboundEnd(end *connEnd) {
	in := inboundEnd{connEnd: end}
	if c.matchInbound(c.bySource, sourceKey(end.remote, end.netns, end.netnsPort()), in) {
		return
	}
	source := end.remote.Addr()
	netns, isContainer := c.netnsOf(source, end.netns)
	switch {
	case isContainer && c.matchInbound(c.byClient, clientKey(end.remote, netns, end.local.Port()), in):
	case source.IsLoopback():
		c.addServerOnly(int32(c.loopbackClient(end.netns)), in, graph.ViaLoopback)
	case isContainer:
		c.addServerOnly(int32(c.clientIn(netns)), in, c.inferVia(end, true))
	case c.isLocalAddr(source):
		c.addHostSourced(in.host, in)
	default:
		c.unmatchedInbound = append(c.unmatchedInbound, *end)
	}
}

// loopbackClient returns the owner of a connection that was dialled on the loopback address of a network namespace.
func (h *Host) loopbackClient(netns int32) ownerID {
	if netns == hostNetns {
		return hostProcesses
	}
	return h.clientIn(netns)
}

func (c *localCorrelator) pairLink(out *outboundEnd, in inboundEnd) *linkStats {
	return &c.links.at(linkKey{int32(out.owner), int32(in.owner), in.local.Port(), out.via}).linkStats
}

// outboundLink leaves an end without a server on this host to the cross-host phase.
func (c *localCorrelator) outboundLink(out *outboundEnd) *linkStats {
	if !out.resolved {
		c.unmatchedOutbound = append(c.unmatchedOutbound, *out.connEnd)
		return nil
	}
	return &c.links.at(linkKey{int32(out.owner), out.serverID, out.port, out.via}).linkStats
}

func (c *localCorrelator) inboundLink(client int32, in inboundEnd, via graph.Via) *linkStats {
	return &c.links.at(linkKey{client, int32(in.owner), in.local.Port(), via}).linkStats
}

// sourceRewritten reports whether the port is published: on one host only docker-proxy and masquerading for published ports replace a container's source.
func (c *localCorrelator) sourceRewritten(out *outboundEnd) bool {
	return out.via == graph.ViaPublished
}

func (c *localCorrelator) addHostProcessEnd(_ int32, in inboundEnd) {
	c.addServerOnly(int32(hostProcesses), in, c.inferVia(in.connEnd, false))
}
