package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// translation is a connection with endpoints that the host's kernel rewrites.
type translation struct {
	client, dialled endpoint // as the client knows them
	server, source  endpoint // as the server knows them
}

// endPair are the two endpoints that one end knows.
type endPair struct{ local, remote endpoint }

// ingressKey identifies a connection from Swarm's load balancer of a host. The load balancer keeps the port of the source if it is free.
type ingressKey struct {
	network    string
	target     socket.Port // port of the containers
	sourcePort socket.Port
}

// translations are those of one host. A table of the kernel has each pair of endpoints once. Of repeated ones the first counts.
type translations struct {
	byClient, byServer map[endPair]*translation
	udp                []*translation          // in the order of the document
	ingress            map[ingressKey]endpoint // clients of Swarm services; invalid if several may be meant
}

// newTranslations returns the translations that a host may report: it translates to and from its own addresses only. So a daemon
// cannot claim the connections of other hosts.
func (h *Host) newTranslations(reported []snapshotv1.Translation) translations {
	t := translations{
		byClient: make(map[endPair]*translation, len(reported)), byServer: make(map[endPair]*translation, len(reported)),
		ingress: make(map[ingressKey]endpoint),
	}
	for _, r := range reported {
		parsed, ok := parseTranslation(r)
		if !ok || !h.mayTranslate(&parsed) {
			h.invalid++
			continue
		}
		if r.Protocol == socket.UDP {
			t.udp = append(t.udp, &parsed)
		}
		addFirst(t.byClient, endPair{parsed.client, parsed.dialled}, &parsed)
		addFirst(t.byServer, endPair{parsed.server, parsed.source}, &parsed)
		if !parsed.isForwarded() {
			continue
		}
		for _, port := range h.swarm.published[parsed.dialled.port] {
			t.addIngress(ingressKey{port.network, port.target, parsed.source.port}, parsed.client)
		}
	}
	return t
}

func addFirst(all map[endPair]*translation, key endPair, t *translation) {
	if _, taken := all[key]; !taken {
		all[key] = t
	}
}

func (t *translations) addIngress(key ingressKey, client endpoint) {
	if other, taken := t.ingress[key]; taken && other != client {
		client = endpoint{}
	}
	t.ingress[key] = client
}

// parseTranslation reports false for an invalid translation.
func parseTranslation(r snapshotv1.Translation) (t translation, ok bool) {
	for _, end := range []struct {
		to   *endpoint
		from snapshotv1.Endpoint
	}{{&t.client, r.Client}, {&t.dialled, r.Dialled}, {&t.server, r.Server}, {&t.source, r.Source}} {
		at, ok := parseEndpoint(end.from, r.Protocol)
		if !ok || at.port.Number() == 0 {
			return t, false
		}
		*end.to = at
	}
	return t, t.isForwarded() || t.isMasqueraded()
}

// isForwarded reports whether the dialled endpoint is rewritten.
func (t *translation) isForwarded() bool { return t.dialled != t.server }

// isMasqueraded reports whether the source is rewritten.
func (t *translation) isMasqueraded() bool { return t.source != t.client }

// mayTranslate reports whether the rewritten endpoints are the host's own.
func (h *Host) mayTranslate(t *translation) bool {
	isOwn := func(addr netip.Addr) bool { return addr.IsLoopback() || h.isLocalAddr(addr) }
	return (!t.isForwarded() || isOwn(t.dialled.addr)) && (!t.isMasqueraded() || isOwn(t.source.addr))
}

// translate sets what the host's translations say of its ends. A server's end then names its true client.
func (h *Host) translate(ends []connEnd) {
	if len(h.translations.byServer) == 0 {
		return
	}
	for i := range ends {
		end := &ends[i]
		if end.proxied != 0 || end.directionUnknown {
			continue
		}
		pair := endPair{end.local, end.remote}
		if t, ok := h.translations.byServer[pair]; ok && end.role != roleClient {
			end.nat, end.role, end.remote = t, roleServer, t.client
			continue
		}
		if t, ok := h.translations.byClient[pair]; ok && end.role != roleServer {
			end.nat, end.role = t, roleClient
		}
	}
}

// translatedUDP returns the ends of UDP that only the host's translations show. A server has no socket for each of its clients, and many
// clients have a socket without a peer. The table keeps a connection for a while after its last datagram, so the ends count as closed.
func (h *Host) translatedUDP(ends []connEnd) (added []connEnd) {
	if len(h.translations.udp) == 0 {
		return nil
	}
	known := make(map[endPair]bool)
	for i := range ends {
		if end := &ends[i]; end.nat != nil {
			known[endPair{end.local, end.remote}] = true
		}
	}
	for _, t := range h.translations.udp {
		if netns, ok := h.netnsByAddr[t.server.addr]; ok && !known[endPair{t.server, t.client}] {
			if owner, listens := h.listenerAt(netns, t.server); listens {
				added = append(added, connEnd{netns: netns, owner: owner, inbound: true, role: roleServer, closed: true, local: t.server, remote: t.client, nat: t})
			}
		}
		if netns, ok := h.netnsByAddr[t.client.addr]; ok && !known[endPair{t.client, t.dialled}] {
			added = append(added, connEnd{netns: netns, owner: h.clientIn(netns), role: roleClient, closed: true, local: t.client, remote: t.dialled, nat: t})
		}
	}
	return added
}

// dialledAt returns what the client of a server's end dialled instead of the end's own endpoint; invalid if it dialled that, or if it is
// unknown.
func (e *connEnd) dialledAt() endpoint {
	if e.nat == nil || e.role != roleServer || !e.nat.isForwarded() {
		return endpoint{}
	}
	return e.nat.dialled
}

// leadsTo returns the server behind the remote endpoint of a client's end; invalid if nothing translates it.
func (e *connEnd) leadsTo() endpoint {
	if e.nat == nil || e.role != roleClient || !e.nat.isForwarded() {
		return endpoint{}
	}
	return e.nat.server
}

// source returns the end's endpoint as the server sees it.
func (e *connEnd) source() endpoint {
	if e.nat != nil && e.role == roleClient {
		return e.nat.source
	}
	return e.local
}

// unchanged returns the end's own endpoint.
func (e *connEnd) unchanged() endpoint { return e.local }

// isForwarded reports whether the client dialled a port of the host instead of the end's own.
func (e *connEnd) isForwarded() bool { return e.proxied != 0 || e.dialledAt().isValid() }

// translationOf returns what shows that two ends are of one connection.
func translationOf(client, server *connEnd) graph.Translation {
	switch isSource := server.remote == client.local || server.remote == client.source(); {
	case !isSource:
		return graph.TranslationInferred
	case client.nat != nil || server.nat != nil:
		return graph.TranslationConntrack
	case server.proxied != 0:
		return graph.TranslationProxy
	case client.remote != server.local:
		return graph.TranslationInferred
	}
	return 0
}

// translation returns what shows the other side of a single end.
func (e *connEnd) translation() graph.Translation {
	switch {
	case e.nat != nil:
		return graph.TranslationConntrack
	case e.proxied != 0:
		return graph.TranslationProxy
	}
	return 0
}

// documentTranslation returns what shows the other sides of the connections of a link. A published port is always translated.
func (l *link) documentTranslation() graph.Translation {
	if l.translation == 0 && l.via == graph.ViaPublished {
		return graph.TranslationInferred
	}
	return l.translation
}

// forwardedTo returns the container of this host to which a translation leads an outbound end.
func (h *Host) forwardedTo(end *connEnd) (d destination, ok bool) {
	server := end.leadsTo()
	netns, ok := h.holderOf(server.addr, end)
	if !ok || !server.isValid() {
		return d, false
	}
	d, _ = h.resolveContainer(netns, server)
	d.via = graph.ViaPublished
	return d, true
}

// ingressClient returns the client outside of an inbound end from Swarm's load balancer at an address. The table of the load balancer's
// host has the connection before the load balancer.
func (c *crossHostCorrelator) ingressClient(at networkAddr, in *inboundEnd) (client endpoint, ok bool) {
	host, known := c.balancers[at]
	if !known || host == unknownHost {
		return client, false
	}
	key := ingressKey{at.network, in.local.port, in.remote.port}
	client = c.polled[host].Host.translations.ingress[key]
	_, isHost := c.addrs.hosts[client.addr]
	return client, client.isValid() && !isHost && !c.addrs.containers[client.addr] && !client.addr.IsLoopback()
}

// addFromIngress adds an inbound end from a load balancer with a known client outside, and reports whether there is one.
func (c *crossHostCorrelator) addFromIngress(at networkAddr, in *inboundEnd) bool {
	client, ok := c.ingressClient(at, in)
	if !ok {
		return false
	}
	if node, ok := c.unprovenNode(client.addr, in.host, in.connEnd); ok {
		stats := c.addServerOnly(node, in, graph.ViaPublished)
		stats.translation = graph.TranslationConntrack
	}
	return true
}
