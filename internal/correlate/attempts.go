package correlate

import (
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// attempt is a server that a container dials without an answer. Its end has no local port. It is in no pair: no server has the other half.
type attempt struct {
	connEnd
	sockets uint32
}

// maxAttemptSockets bounds the sockets of an attempt: a client has no more ports for one endpoint. A document may have any number.
const maxAttemptSockets = 1 << 16

// parseAttempts returns the attempts of containers. namespaces has the network namespace of each container.
func (h *Host) parseAttempts(containers []snapshotv1.Container, namespaces []int32) (attempts []attempt) {
	for i, c := range containers {
		for _, a := range c.Attempts[:min(len(c.Attempts), snapshotv1.MaxAttempts)] {
			remote, ok := parseEndpoint(a.Remote, socket.TCP)
			if !ok || remote.port == 0 || !a.LocalAddress.IsValid() || a.Count < 1 {
				h.invalid++
				continue
			}
			end := connEnd{netns: namespaces[i], owner: ownerID(toIndex(i)), local: endpoint{addr: a.LocalAddress.Unmap()}, remote: remote}
			attempts = append(attempts, attempt{end, uint32(min(a.Count, maxAttemptSockets))})
		}
	}
	return attempts
}

// addAttempts adds the attempts to dial containers of this host, and leaves the others to the cross-host phase.
func (c *localCorrelator) addAttempts(attempts []attempt) {
	for i := range attempts {
		a := &attempts[i]
		d, ok := c.resolveLocally(&a.connEnd)
		switch {
		case !ok:
			c.unmatchedAttempts = append(c.unmatchedAttempts, *a)
		case d.owner >= 0 && int(d.owner) < len(c.containers): // else several containers may be the server
			c.links.at(linkKey{int32(a.owner), int32(d.owner), d.port, d.via}).attempts += a.sockets
		}
	}
}

// addAttempts adds the attempts that lead out of their hosts, or to processes of hosts. It must come after all other ends.
func (c *crossHostCorrelator) addAttempts() {
	c.knownNodes = len(c.nodes.nodes)
	if slices.ContainsFunc(c.polled, func(p PolledHost) bool { return len(p.Host.unmatchedAttempts)+len(p.Host.unmatchedFlows) > 0 }) {
		c.links.indexAll() // an attempt or a flow may belong to a link of a local phase
	}
	for i, p := range c.polled {
		for j := range p.Host.unmatchedAttempts {
			c.addAttempt(toIndex(i), &p.Host.unmatchedAttempts[j])
		}
	}
}

func (c *crossHostCorrelator) addAttempt(host int32, a *attempt) {
	out, server, ok := c.resolveAlone(host, &a.connEnd)
	if !ok {
		return
	}
	l := c.links.at(linkKey{c.nodes.ownerNode(host, out.owner), server, out.port, out.via})
	c.seenBy(l, host).attempts += a.sockets
}

// resolveAlone finds the server of an outbound end that is in no pair. ok is false if the server is uncertain, or if the end waits.
func (c *crossHostCorrelator) resolveAlone(host int32, end *connEnd) (out *outboundEnd, server int32, ok bool) {
	c.outbound = append(c.outbound, outboundEnd{
		connEnd: end, host: host, server: netnsRef{host: unknownHost}, port: end.remote.port, via: graph.ViaDirect,
	})
	i := toIndex(len(c.outbound) - 1)
	c.resolveOutbound(i)
	out = &c.outbound[i]
	if out.matched { // it waits
		return nil, 0, false
	}
	server, ok = c.serverOf(out)
	return out, server, ok && !c.isUncertain(server)
}

// isUncertain reports whether a node stands for several possible ends.
func (c *crossHostCorrelator) isUncertain(node int32) bool {
	kind := c.nodes.nodes[node].Kind
	return kind == graph.KindAmbiguous || kind == graph.KindUnknown
}
