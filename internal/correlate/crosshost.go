package correlate

import "github.com/PabloL007/outpost/internal/graph"

// pairLink returns the link of a pair. If the server was unknown, the inbound end decides the way.
func (c *crossHostCorrelator) pairLink(out *outboundEnd, in inboundEnd) *linkStats {
	via := out.via
	if out.server.host == unknownHost {
		via = c.polled[in.host].Host.inferVia(in.connEnd, via == graph.ViaDirect)
	}
	l := c.links.at(linkKey{c.nodes.ownerNode(out.host, out.owner), c.nodes.ownerNode(in.host, in.owner), in.local.Port(), via})
	return c.seenBy(l, out.host, in.host)
}

// outboundLink returns the link of an unmatched outbound end. An end with an unknown direction needs a known server.
func (c *crossHostCorrelator) outboundLink(out *outboundEnd) *linkStats {
	if out.directionUnknown && !out.resolved {
		c.unattributed[out.host]++
		return nil
	}
	l := c.links.at(linkKey{c.nodes.ownerNode(out.host, out.owner), out.serverID, out.port, out.via})
	return c.seenBy(l, out.host)
}

func (c *crossHostCorrelator) inboundLink(client int32, in inboundEnd, via graph.Via) *linkStats {
	l := c.links.at(linkKey{client, c.nodes.ownerNode(in.host, in.owner), in.local.Port(), via})
	return c.seenBy(l, in.host)
}

// seenBy updates when a link was seen last: when the hosts answered.
func (c *crossHostCorrelator) seenBy(l *link, hosts ...int32) *linkStats {
	for _, host := range hosts {
		l.lastSeen = max(l.lastSeen, c.polled[host].LastAnswer.UnixNano())
	}
	return &l.linkStats
}

// sourceRewritten returns true: any connection out of a host may be masqueraded.
func (c *crossHostCorrelator) sourceRewritten(*outboundEnd) bool { return true }

func (c *crossHostCorrelator) addHostProcessEnd(host int32, in inboundEnd) {
	c.addServerOnly(c.nodes.ownerNode(host, hostProcesses), in, c.polled[in.host].Host.inferVia(in.connEnd, false))
}
