package correlate

import "github.com/PabloL007/outpost/internal/graph"

// unknownHost is the host of an outbound end's server until its inbound end is found.
const unknownHost int32 = -1

// netnsRef is a network namespace of a host. Both are indexes.
type netnsRef struct{ host, netns int32 }

// outboundEnd is the client's end of a connection, and what the phase knows of the server.
type outboundEnd struct {
	*connEnd       // belongs to a Host or to the local phase; never changed
	host     int32 // the client's
	server   netnsRef
	serverID int32  // as in linkKey
	port     uint16 // on which the server listens, whatever port the client dialled
	via      graph.Via
	resolved bool // the remote address belongs to a server of this phase
	matched  bool // the inbound end was found
}

// inboundEnd is the server's end of a connection.
type inboundEnd struct {
	*connEnd
	host int32 // the server's
}

// netnsRef returns the network namespace of the server.
func (in inboundEnd) netnsRef() netnsRef { return netnsRef{in.host, in.netns} }

// phase is what the local and the cross-host phase do differently.
type phase interface {
	// pairLink returns the link of a connection with both ends.
	pairLink(out *outboundEnd, in inboundEnd) *linkStats
	// outboundLink returns the link of an outbound end without an inbound end. It returns nil if the end makes no link in
	// this phase.
	outboundLink(out *outboundEnd) *linkStats
	// inboundLink returns the link of an inbound end without an outbound end. client is as in linkKey.
	inboundLink(client int32, in inboundEnd, via graph.Via) *linkStats
	// sourceRewritten reports whether the server may see the host's address in place of the client's.
	sourceRewritten(out *outboundEnd) bool
	// addHostProcessEnd counts an inbound end that a process of a host dialled.
	addHostProcessEnd(host int32, in inboundEnd)
}

// matcher pairs the outbound and inbound ends of connections. Each phase adds all of its outbound ends first.
type matcher struct {
	phase       phase
	links       linkTable
	outbound    []outboundEnd
	hostSourced map[fromHostKey]*hostSourcedEnds
}

// fromHostKey identifies the connections from one host's addresses to one port of a server.
type fromHostKey struct {
	client int32 // host
	server netnsRef
	port   uint16
}

// hostSourcedEnds holds inbound ends with a host's address as their source, without an outbound end. The client is a process
// of that host, or one of its containers: docker-proxy and masquerading replace the source address, and may change the port.
type hostSourcedEnds struct {
	ends    []inboundEnd
	clients int // unmatched outbound ends of the host's containers to the same port
}

// addOutbound adds an outbound end and returns its index.
func (m *matcher) addOutbound(out outboundEnd) int32 {
	m.outbound = append(m.outbound, out)
	return toIndex(len(m.outbound) - 1)
}

// matchInbound pairs in with an outbound end that is pending under key, and reports whether there is one.
func (m *matcher) matchInbound(p pending, key connKey, in inboundEnd) bool {
	i, ok := p.take(key, m.outbound)
	if ok {
		m.pair(&m.outbound[i], in)
	}
	return ok
}

// pair counts a connection with both ends.
func (m *matcher) pair(out *outboundEnd, in inboundEnd) {
	out.matched = true
	m.phase.pairLink(out, in).addPair(out.connEnd, in.connEnd)
}

// addServerOnly counts a connection with only its inbound end. client is as in linkKey.
func (m *matcher) addServerOnly(client int32, in inboundEnd, via graph.Via) {
	stats := m.phase.inboundLink(client, in, via)
	stats.serverSeen = true
	stats.addServerEnd(in.closed, in.tcpInfo)
}

// addHostSourced keeps an inbound end with an address of the host client as its source until flushUnmatched.
func (m *matcher) addHostSourced(client int32, in inboundEnd) {
	key := fromHostKey{client, in.netnsRef(), in.local.Port()}
	sourced, ok := m.hostSourced[key]
	if !ok {
		sourced = &hostSourcedEnds{}
		m.hostSourced[key] = sourced
	}
	sourced.ends = append(sourced.ends, in)
}

// flushUnmatched counts the ends without a partner.
func (m *matcher) flushUnmatched() {
	for i := range m.outbound {
		if out := &m.outbound[i]; !out.matched {
			m.addClientOnly(out)
		}
	}
	for key, sourced := range m.hostSourced {
		for _, in := range sourced.unexplained() {
			m.phase.addHostProcessEnd(key.client, in)
		}
	}
}

// addClientOnly counts a connection with only its outbound end.
func (m *matcher) addClientOnly(out *outboundEnd) {
	stats := m.phase.outboundLink(out)
	if stats == nil {
		return
	}
	stats.clientSeen = true
	stats.addClientEnd(out.closed, out.tcpInfo)
	if !m.phase.sourceRewritten(out) {
		return
	}
	if sourced, ok := m.hostSourced[fromHostKey{out.host, out.server, out.port}]; ok {
		sourced.clients++
	}
}

// unexplained drops one open inbound end for each client: it is that client's, with a rewritten source. If there are
// clients it drops all closed ends too, because the client's own end may already be gone. The rest belongs to processes of
// the host.
func (s *hostSourcedEnds) unexplained() []inboundEnd {
	if s.clients == 0 {
		return s.ends
	}
	var rest []inboundEnd
	clients := s.clients
	for _, in := range s.ends {
		switch {
		case in.closed:
		case clients > 0:
			clients--
		default:
			rest = append(rest, in)
		}
	}
	return rest
}
