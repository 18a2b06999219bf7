package correlate

import (
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// fromHostKey identifies the connections from one host's addresses to one port of a server.
type fromHostKey struct {
	client int32 // host
	server netnsRef
	port   socket.Port
}

// hostSourcedEnds holds inbound ends with a host's address as their source, without an outbound end. The client is a process
// of that host, or one of its containers: docker-proxy and masquerading replace the source address, and may change the port.
type hostSourcedEnds struct {
	ends    []*inboundEnd
	open    int    // of ends
	clients census // unmatched outbound ends of containers that may belong to ends
}

// addHostSourced keeps an inbound end with an address of the host client as its source until flushUnmatched.
func (c *crossHostCorrelator) addHostSourced(client int32, in *inboundEnd) {
	key := fromHostKey{client, in.netnsRef(), in.local.port}
	sourced, ok := c.hostSourced[key]
	if !ok {
		sourced = &hostSourcedEnds{}
		c.hostSourced[key] = sourced
		c.sourcedOrder = append(c.sourcedOrder, key)
	}
	sourced.ends = append(sourced.ends, in)
	if !in.closed {
		sourced.open++
	}
}

// flushUnmatched counts the ends without a partner.
func (c *crossHostCorrelator) flushUnmatched() {
	for i := range c.outbound {
		if out := &c.outbound[i]; !out.matched {
			c.addClientOnly(out)
		}
	}
	for _, key := range c.sourcedOrder {
		for _, in := range c.hostSourced[key].unexplained() {
			c.addUnexplained(key.client, in)
		}
	}
}

// addClientOnly counts a connection with only its outbound end. An end with an unknown direction needs a known server.
func (c *crossHostCorrelator) addClientOnly(out *outboundEnd) {
	if out.directionUnknown && !out.resolved {
		c.unattributed[out.host]++
		return
	}
	c.explainHostSourced(out)
	server, ok := c.serverOf(out)
	if !ok || out.gone || out.owner == hostProcesses && c.nodes.nodes[server].Kind != graph.KindContainer {
		return
	}
	l := c.links.at(linkKey{c.nodes.ownerNode(out.host, out.owner), server, out.port, out.via})
	c.seenBy(l, out.host).addClientOnly(out.connEnd)
}

// serverOf returns the node of the server of an outbound end. ok is false if it is in no link, or waits for another answer.
func (c *crossHostCorrelator) serverOf(out *outboundEnd) (node int32, ok bool) {
	switch d, dialled := c.dialled[out.connEnd]; {
	case dialled:
		return c.serviceServer(out, d)
	case out.toHost:
		return c.hostServer(out)
	}
	return out.serverID, true
}

// hostServer returns the node of the server behind an address of a host where no container is known to listen. ok is false while
// the end waits for another answer of that host.
func (c *crossHostCorrelator) hostServer(out *outboundEnd) (node int32, ok bool) {
	at := out.server.host
	h := c.polled[at].Host
	switch {
	case !c.isSettled(out.host, at, out.connEnd):
		return 0, false
	case out.listens:
		return out.serverID, true
	case h.hostRead:
		return c.nodes.ownerNode(at, unknownOwner), true
	case h.hostOwnersUnknown:
		return c.nodes.ownerNode(at, h.uncertainOwner), true
	}
	return out.serverID, true
}

// explainHostSourced counts an unmatched outbound end as the client of an inbound end with the address of the client's host, or
// of the server's own host if docker-proxy dialled it.
func (c *crossHostCorrelator) explainHostSourced(out *outboundEnd) {
	if out.server.host == unknownHost {
		return
	}
	own, ok := c.hostSourced[fromHostKey{out.host, out.server, out.port}]
	if ok && (own.clients.open < own.open || out.isOver()) {
		own.clients.add(out.connEnd)
		if !out.isOver() {
			return
		}
	}
	if proxied, ok := c.hostSourced[fromHostKey{out.server.host, out.server, out.port}]; ok && out.via == graph.ViaPublished {
		proxied.clients.add(out.connEnd)
	}
}

// unexplained drops the inbound ends that the clients explain. Their sources are rewritten.
func (s *hostSourcedEnds) unexplained() []*inboundEnd {
	clients := s.clients
	return slices.DeleteFunc(s.ends, func(in *inboundEnd) bool { return clients.explains(in.closed) })
}

// addUnexplained adds an inbound end from an address of the host client that no known socket has dialled. If all sockets of
// containers are known and it is open, a process of that host has dialled it. A closed one may be of a container that does not
// have it any more. docker-proxy may have dialled one from a gateway, for any client.
func (c *crossHostCorrelator) addUnexplained(client int32, in *inboundEnd) {
	h := c.polled[client].Host
	if !c.isSettled(in.host, client, in.connEnd) {
		return
	}
	if client == in.host && (c.waitsForFirstAnswers(in.host, in.connEnd) || !c.isSettled(in.host, c.oldest, in.connEnd)) {
		return // docker-proxy may have dialled it for a client on any host
	}
	owner := hostProcesses
	switch {
	case in.closed || h.hostRead || client == in.host && h.isPrivate(in.remote.addr) || !h.isComplete():
		owner = unknownOwner
	case h.hostOwnersUnknown:
		owner = h.uncertainOwner
	}
	c.addServerOnly(c.nodes.ownerNode(client, owner), in, c.polled[in.host].Host.inferVia(in.connEnd, false))
}

// isComplete reports whether all connections of containers are known.
func (h *Host) isComplete() bool {
	return !slices.ContainsFunc(h.containers[:h.live], func(c container) bool { return !c.complete })
}
