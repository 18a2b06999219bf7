package correlate

import (
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// linkKey identifies a link. Its client and server are owner IDs in the local phase, and node indexes in the cross-host
// phase.
type linkKey struct {
	client, server int32
	port           socket.Port
	via            graph.Via
}

// link is a link and its connections.
type link struct {
	linkKey
	linkStats
	lastSeen int64 // nanoseconds since 1970; zero in the local phase
}

// linkStats counts the connections of a link.
type linkStats struct {
	established, closed      int
	clientSeen, serverSeen   bool
	directionUnknown         bool   // of at least one connection
	attempts                 uint32 // sockets of the client that wait for an answer
	bytesSent, bytesReceived uint64 // by the client
	rttSum, measuredCount    int64  // microseconds, and the number of connections in the sum
	idle                     idleness
	translation              graph.Translation // the best one of its connections
	countedByClient          *counts           // never changed: links of a local phase are copied
	countedByServer          *counts
}

// addClientEnd adds a connection with the measurements of the client's kernel, if there are any.
func (s *linkStats) addClientEnd(closed bool, end *connEnd) {
	s.add(closed, end)
	if m := end.tcpInfo; m != nil {
		s.addMeasured(m.BytesSent, m.BytesReceived, m.RTTMicroseconds)
	}
}

// addServerEnd adds a connection with the measurements of the server's kernel, if there are any. The server received what the client
// sent.
func (s *linkStats) addServerEnd(closed bool, end *connEnd) {
	s.add(closed, end)
	if m := end.tcpInfo; m != nil {
		s.addMeasured(m.BytesReceived, m.BytesSent, m.RTTMicroseconds)
	}
}

// addClientOnly adds a connection with only its outbound end.
func (s *linkStats) addClientOnly(end *connEnd) {
	s.clientSeen = true
	s.translation = max(s.translation, end.translation())
	s.addClientEnd(end.closed, end)
}

// addServerOnly adds a connection with only its inbound end.
func (s *linkStats) addServerOnly(end *connEnd) {
	s.serverSeen = true
	s.translation = max(s.translation, end.translation())
	s.addServerEnd(end.closed, end)
}

// addPair adds a connection with both ends. It is open while either end is open. The client's measurements count, and the
// server's only if the client has none. directionKnown reports whether client is known to have dialled.
func (s *linkStats) addPair(client, server *connEnd, directionKnown bool) {
	s.clientSeen, s.serverSeen = true, true
	s.directionUnknown = s.directionUnknown || !directionKnown
	s.translation = max(s.translation, translationOf(client, server))
	closed := client.closed && server.closed
	if client.tcpInfo != nil {
		s.addClientEnd(closed, client)
		return
	}
	s.addServerEnd(closed, server)
}

func (s *linkStats) addMeasured(sent, received uint64, rtt int64) {
	s.bytesSent += sent
	s.bytesReceived += received
	s.rttSum += rtt
	s.measuredCount++
}

// add counts a connection with the measurements of an end.
func (s *linkStats) add(closed bool, end *connEnd) {
	if closed {
		s.closed++
		return
	}
	s.established++
	s.idle.add(end)
}

// linkTable holds links in the order in which they were added.
type linkTable struct {
	links []link
	index map[linkKey]int32
}

// indexAll indexes the links that were added without their keys. Of equal ones the first counts.
func (t *linkTable) indexAll() {
	for i := range t.links {
		if _, ok := t.index[t.links[i].linkKey]; !ok {
			t.index[t.links[i].linkKey] = toIndex(i)
		}
	}
}

// at returns the link of key, and adds it if it is missing. The pointer is valid until the next call.
func (t *linkTable) at(key linkKey) *link {
	i, ok := t.index[key]
	if !ok {
		i = toIndex(len(t.links))
		t.index[key] = i
		t.links = append(t.links, link{linkKey: key})
	}
	return &t.links[i]
}
