package correlate

import (
	"math"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// flow counts the connections of one end. Its end has no port on the client's side. It is in no pair: of the two ends of a connection inside
// one host, the daemon lists the client's only.
type flow struct {
	connEnd
	counts
}

// counts are the figures of a flow, seen from the client.
type counts struct {
	graph.Counters
	recent, recentFailed int // within the last minute
}

// plus returns the sum of two figures. c may be nil.
func (c *counts) plus(other *counts) *counts {
	if c == nil {
		return other
	}
	return &counts{*c.With(&other.Counters), c.recent + other.recent, c.recentFailed + other.recentFailed}
}

// isRecent reports whether a connection ended, or a dial failed, within the last minute.
func (c *counts) isRecent() bool { return c.recent+c.recentFailed > 0 }

// maxRecent bounds the figures of the last minute. A document may have any numbers.
const maxRecent = 1 << 30

// parseFlow returns the flow of a document. It reports false for an invalid one.
func parseFlow(f snapshotv1.Flow, netns int32, owner ownerID) (flow, bool) {
	local, remote := f.LocalAddress.Unmap(), f.RemoteAddress.Unmap()
	if !local.IsValid() || !remote.IsValid() || f.Port == 0 || f.Direction != directionIn && f.Direction != directionOut ||
		f.Recent < 0 || f.Protocol > socket.UDP || f.RecentFailed < 0 || f.RTTMicroseconds < 0 || f.MinRTTMicroseconds < 0 || f.Refused > math.MaxUint64-f.Unanswered {
		return flow{}, false
	}
	parsed := flow{connEnd{netns: netns, owner: owner, closed: true}, counts{
		graph.Counters{
			Opened: f.Opened, Failed: f.Refused + f.Unanswered, Refused: f.Refused, BytesSent: f.BytesSent, BytesReceived: f.BytesReceived,
			Retransmits: f.Retransmits, RTTMicroseconds: f.RTTMicroseconds, MinRTTMicroseconds: f.MinRTTMicroseconds,
		},
		min(f.Recent, maxRecent), min(f.RecentFailed, maxRecent),
	}}
	port, anyPort := socket.NewPort(f.Port, f.Protocol), socket.NewPort(0, f.Protocol)
	if f.Direction == directionOut {
		parsed.role, parsed.local, parsed.remote = roleClient, endpoint{local, anyPort}, endpoint{remote, port}
		return parsed, true
	}
	parsed.role, parsed.inbound = roleServer, true
	parsed.local, parsed.remote = endpoint{local, port}, endpoint{remote, anyPort}
	parsed.BytesSent, parsed.BytesReceived = f.BytesReceived, f.BytesSent
	return parsed, true
}

// parseFlows returns the flows of containers and of the host. namespaces has the network namespace of each container.
func (h *Host) parseFlows(document snapshotv1.Host, containers []snapshotv1.Container, namespaces []int32) (flows []flow) {
	add := func(f snapshotv1.Flow, netns int32, owner ownerID) {
		parsed, ok := parseFlow(f, netns, owner)
		if !ok {
			h.invalid++
			return
		}
		flows = append(flows, parsed)
	}
	for i, c := range containers {
		for _, f := range c.Flows {
			add(f, namespaces[i], ownerID(toIndex(i)))
		}
	}
	for _, f := range document.Flows {
		add(f.Flow, hostNetns, h.hostOwner(f.OwnerUnknown))
	}
	return flows
}

// addFlows counts the flows to containers of this host, and leaves those to or from elsewhere to the cross-host phase.
func (c *localCorrelator) addFlows(flows []flow) {
	for i := range flows {
		f := &flows[i]
		if f.inbound {
			c.addInboundFlow(f)
			continue
		}
		d, ok := c.resolveLocally(&f.connEnd)
		switch {
		case !ok:
			c.unmatchedFlows = append(c.unmatchedFlows, *f)
		case d.owner < 0 && d.via != graph.ViaResolver: // of a container that is gone
		case d.via == graph.ViaDirect && c.mayBeHost(f.owner) && c.hasPublished[d.netnsPort]: // docker-proxy may dial for other clients
		default:
			c.links.count(linkKey{int32(f.owner), int32(d.owner), d.port, d.via}, f)
		}
	}
}

// addInboundFlow leaves a flow to the cross-host phase. docker-proxy accepts for the container behind a published port.
func (c *localCorrelator) addInboundFlow(f *flow) {
	if f.netns == hostNetns && c.mayBeHost(f.owner) {
		d, ok := c.publishedAt(f.local)
		if !ok || d.owner < 0 || int(d.owner) >= len(c.containers) {
			return
		}
		f.proxied = f.local.port.Number()
		f.netns, f.owner, f.local = d.netns, d.owner, endpoint{f.local.addr, d.port}
	}
	c.unmatchedFlows = append(c.unmatchedFlows, *f)
}

// count adds the figures of a flow to a link. A flow without recent connections makes no link of its own. It returns the link, or nil.
func (t *linkTable) count(key linkKey, f *flow) *link {
	if _, ok := t.index[key]; !ok && !f.isRecent() {
		return nil
	}
	l := t.at(key)
	if f.inbound {
		l.serverSeen = true
		l.countedByServer = l.countedByServer.plus(&f.counts)
	} else {
		l.clientSeen = true
		l.countedByClient = l.countedByClient.plus(&f.counts)
	}
	return l
}

// counted returns the figures of a link: those of the client, or else those of the server.
func (s *linkStats) counted() *counts {
	if s.countedByClient != nil {
		return s.countedByClient
	}
	return s.countedByServer
}

// addFlows counts the flows that lead out of their hosts or come from elsewhere. It must come after all ends and attempts.
func (c *crossHostCorrelator) addFlows() {
	for i, p := range c.polled {
		for j := range p.Host.unmatchedFlows {
			if f := &p.Host.unmatchedFlows[j]; f.inbound {
				c.addInboundFlow(toIndex(i), f)
			} else {
				c.addOutboundFlow(toIndex(i), f)
			}
		}
	}
}

func (c *crossHostCorrelator) addOutboundFlow(host int32, f *flow) {
	out, server, ok := c.resolveAlone(host, &f.connEnd)
	if !ok || f.owner == hostProcesses && c.nodes.nodes[server].Kind != graph.KindContainer {
		return
	}
	c.count(linkKey{c.nodes.ownerNode(host, f.owner), server, out.port, out.via}, f, host)
}

func (c *crossHostCorrelator) count(key linkKey, f *flow, host int32) {
	if l := c.links.count(key, f); l != nil {
		c.seenBy(l, host)
	}
}

// addInboundFlow counts a flow from elsewhere. The client's host counts the flows of its own clients, if it counts any.
func (c *crossHostCorrelator) addInboundFlow(host int32, f *flow) {
	source, h := f.remote.addr, c.polled[host].Host
	in := inboundEnd{connEnd: &f.connEnd, host: host}
	if _, ok := c.balancerOf(&in); ok || h.isLocalAddr(source) {
		return
	}
	if _, ok := c.addrs.hosts[source]; ok { // one of its containers or processes
		return
	}
	at, ok := c.onNetworksOf(in.netnsRef(), source)
	via := h.inferVia(&f.connEnd, ok)
	if holder, held := c.addrs.routable[source]; !ok && held {
		at, ok = holder.netnsRef, true
		if len(holder.others) > 0 {
			return
		}
	}
	var client int32
	switch {
	case ok && c.polled[at.host].Host.countsAll:
		return
	case ok:
		client = c.nodes.clientNode(at)
	default:
		if client, ok = c.unprovenNode(source, host, &f.connEnd); !ok || c.isUncertain(client) {
			return
		}
	}
	c.count(linkKey{client, c.nodes.ownerNode(host, f.owner), f.local.port, via}, f, host)
}
