package correlate

import "github.com/PabloL007/outpost/internal/graph"

// docker-proxy splits a connection to a published port into two pieces: one from the client to the host, and one from the host
// to the container. Nothing shows which pieces belong together, but there is one piece of each kind for
// each connection. The piece from the client makes the link, and explains one of the others.

// proxyPieces are the pieces of the connections to one published port of a container.
type proxyPieces struct {
	accepted    census     // by docker-proxy, from clients
	clients     census     // of the published port, without such a piece
	dialled     []hostPair // from the host, with both ends
	dialledOnly []*outboundEnd
}

// census counts connections.
type census struct{ open, closed int }

// hostPair is a connection from the host to a container, with both ends.
type hostPair struct{ client, server *connEnd }

// add counts a connection.
func (n *census) add(end *connEnd) {
	if end.isOver() {
		n.closed++
		return
	}
	n.open++
}

// explains reports whether a piece from the host belongs to a counted connection. Each open connection explains one piece. Any
// connection explains all closed pieces, because the client's own end may already be gone.
func (n *census) explains(closed bool) bool {
	if closed {
		return n.any()
	}
	if n.open == 0 {
		return false
	}
	n.open--
	n.closed++ // still there, for closed pieces
	return true
}

func (n *census) any() bool { return n.open+n.closed > 0 }

func (c *localCorrelator) proxyOf(at netnsPort) *proxyPieces {
	p, ok := c.proxies[at]
	if !ok {
		p = &proxyPieces{}
		c.proxies[at] = p
		c.proxyOrder = append(c.proxyOrder, p)
	}
	return p
}

// countProxied counts an end that docker-proxy accepted.
func (c *localCorrelator) countProxied(end *connEnd) {
	if end.proxied != 0 {
		c.proxyOf(end.netnsPort()).accepted.add(end)
	}
}

// flushProxies adds the connections that processes of the host dialled themselves. The cross-host phase decides on those that
// docker-proxy may have dialled: a connection may have begun or ended while the sockets were read, and clients may be elsewhere.
func (c *localCorrelator) flushProxies() {
	for _, p := range c.proxyOrder {
		for _, pair := range p.dialled {
			switch {
			case p.accepted.explains(pair.server.closed):
			case p.accepted.any() || p.clients.any() || pair.server.closed:
				c.leaveDialled(pair.client, *pair.server)
			default:
				c.linkPair(pair.client, pair.server, graph.ViaDirect).addPair(pair.client, pair.server, true)
			}
		}
		for _, out := range p.dialledOnly {
			if !p.accepted.explains(out.closed) && !p.clients.explains(out.closed) {
				c.leaveDialled(out.connEnd, connEnd{
					netns: out.server.netns, owner: ownerID(out.serverID), closed: out.closed, inbound: true,
					local: out.remote, remote: out.local,
				})
			}
		}
	}
}

// leaveDialled leaves a connection that a process of the host dialled to the cross-host phase. server is its other end.
func (c *localCorrelator) leaveDialled(client *connEnd, server connEnd) {
	server.dialler = client
	c.unmatchedInbound = append(c.unmatchedInbound, server)
}
