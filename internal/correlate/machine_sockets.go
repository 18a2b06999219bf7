package correlate

import (
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// hostSocketMerge merges the sockets of the host's network namespace that several daemons of one machine report. A daemon takes the sockets
// of other engines' containers for the host's own. So a socket counts as the host's once each other daemon has been read after the socket
// was first seen, and no container of its engine has the socket.
type hostSocketMerge struct {
	known    map[endpoints]sighting // the sockets in the latest answers
	readings map[string][2]reading  // the latest one and the one before, by target
	waiting  bool                   // some sockets wait for another answer
}

// reading is when a daemon read the sockets of one answer.
type reading struct{ began, ended time.Time }

// isWithin reports whether a reading took place between two moments.
func (r reading) isWithin(first, last time.Time) bool {
	return !r.began.Before(first) && !r.ended.After(last)
}

// sighting is what the answers so far say of a socket.
type sighting struct {
	first time.Time // when a daemon first answered with it
	owner socketOwner
}

// socketOwner is who has a socket of the host's network namespace. The first answer that decides it stays.
type socketOwner int

const (
	undecided   socketOwner = iota
	ofHost                  // a process of the host
	ofContainer             // a container: the answer of its engine has the socket
	ofEither                // the host or a container
)

// directionIn is the direction of an accepted connection in a snapshot.
const directionIn = "in"

// endpoints identify a socket. A listener has no remote one.
type endpoints struct{ local, remote netip.AddrPort }

// hostSocket is a socket that a daemon takes for the host's own.
type hostSocket struct {
	isAccepted, isClosed bool
	ownerUnknown         bool
}

// hostTable is what one daemon knows of the sockets in the host's network namespace.
type hostTable struct {
	reading
	previous   reading
	isRead     bool                     // it could read them
	isStale    bool                     // it does not answer any more
	sockets    map[endpoints]hostSocket // of no container of its engine
	own        map[endpoints]bool       // of its engine's containers
	hasMembers bool                     // some of these are on the host's network, or were recently
	uncertain  bool                     // not all sockets of those are known
}

// newHostTable returns the table of an answer. readings are those of the target's answers before.
func newHostTable(p *PolledHost, readings [2]reading) hostTable {
	t := hostTable{
		isStale: p.State == graph.StateStale, sockets: make(map[endpoints]hostSocket), own: make(map[endpoints]bool),
		hasMembers: slices.ContainsFunc(p.Host.gone, func(c goneContainer) bool { return c.onHost }),
		reading:    reading{p.PolledAt, p.LastAnswer}, previous: readings[0],
	}
	if t.reading == readings[0] {
		t.previous = readings[1]
	}
	onHost := make(map[string]bool)
	for _, member := range p.Host.namespaces[hostNetns].members {
		onHost[p.Host.containers[member].ID] = true
	}
	for _, c := range p.Document.Containers {
		if !onHost[graph.Truncate(c.ID)] {
			continue
		}
		t.hasMembers, t.uncertain = true, t.uncertain || isIncomplete(c)
		for _, l := range c.Listening {
			t.own[listenerEndpoints(l.Endpoint)] = true
		}
		for _, x := range c.Connections {
			t.own[connectionEndpoints(x)] = true
		}
	}
	if sockets := p.Document.Host.Sockets; sockets != nil {
		t.isRead = true
		for _, l := range sockets.Listening {
			t.sockets[listenerEndpoints(l.Endpoint)] = hostSocket{ownerUnknown: l.OwnerUnknown}
		}
		for _, x := range sockets.Connections {
			t.sockets[connectionEndpoints(x.Connection)] = hostSocket{
				isAccepted: x.Direction == directionIn, isClosed: x.State != "ESTABLISHED", ownerUnknown: x.OwnerUnknown,
			}
		}
	}
	return t
}

// listenerEndpoints returns the endpoints of a listener. An invalid address becomes the zero value.
func listenerEndpoints(at snapshotv1.Endpoint) endpoints {
	local, _ := parseEndpoint(at)
	return endpoints{local: local}
}

func connectionEndpoints(c snapshotv1.Connection) endpoints {
	local, _ := parseEndpoint(c.Local)
	remote, _ := parseEndpoint(c.Remote)
	return endpoints{local, remote}
}

// merge returns the host's sockets by the answers of all daemons of a machine; nil if none of them reads these. Only answers of daemons
// that still answer count, if there are any.
func (m *hostSocketMerge) merge(group []PolledHost) *snapshotv1.HostSockets {
	tables := make([]hostTable, len(group))
	next := hostSocketMerge{known: make(map[endpoints]sighting), readings: make(map[string][2]reading)}
	for i := range group {
		tables[i] = newHostTable(&group[i], m.readings[group[i].Target])
		next.readings[group[i].Target] = [2]reading{tables[i].reading, tables[i].previous}
	}
	isCurrent := slices.ContainsFunc(tables, func(t hostTable) bool { return t.isRead && !t.isStale })
	for i := range tables {
		for s := range tables[i].own {
			next.known[s] = sighting{tables[i].ended, ofContainer}
		}
	}
	var merged *snapshotv1.HostSockets
	added := make(map[endpoints]bool)
	for i, p := range group {
		sockets := p.Document.Host.Sockets
		if sockets == nil || isCurrent && tables[i].isStale {
			continue
		}
		if merged == nil {
			merged = &snapshotv1.HostSockets{Method: sockets.Method, Incomplete: true}
		}
		merged.Incomplete = merged.Incomplete && sockets.Incomplete
		selects := func(s endpoints) (ownerUnknown, ok bool) {
			if added[s] {
				return false, false
			}
			added[s] = true
			owner := next.decide(tables, i, s, m.known)
			if other := (endpoints{s.remote, s.local}); owner == ofHost && tables[i].has(other) && next.decide(tables, i, other, m.known) == undecided {
				return false, false // both ends come together
			}
			return owner == ofEither, owner == ofHost || owner == ofEither
		}
		for _, l := range sockets.Listening {
			if unknown, ok := selects(listenerEndpoints(l.Endpoint)); ok {
				merged.Listening = append(merged.Listening, snapshotv1.HostListener{Endpoint: l.Endpoint, OwnerUnknown: unknown})
			}
		}
		for _, x := range sockets.Connections {
			if unknown, ok := selects(connectionEndpoints(x.Connection)); ok {
				merged.Connections = append(merged.Connections, snapshotv1.HostConnection{Connection: x.Connection, OwnerUnknown: unknown})
			}
		}
	}
	*m = next
	return merged
}

func (t *hostTable) has(s endpoints) bool {
	_, ok := t.sockets[s]
	return ok
}

// decide returns who has a socket that the i-th table lists, and remembers it. before is what was known by the answers before.
func (m *hostSocketMerge) decide(tables []hostTable, i int, s endpoints, before map[endpoints]sighting) socketOwner {
	if now, ok := m.known[s]; ok {
		return now.owner
	}
	seen, ok := before[s]
	if !ok {
		seen.first = tables[i].ended
	}
	if seen.owner == undecided {
		seen.owner = m.judge(tables, i, s, seen.first, before)
	}
	m.known[s] = seen
	m.waiting = m.waiting || seen.owner == undecided
	return seen.owner
}

// judge decides on a socket that no container's answer has. An accepted connection is that of its listener. Of another socket, the answer of
// another daemon counts if the socket existed while it was read: if that daemon lists it too, or if it was open before and after.
func (m *hostSocketMerge) judge(tables []hostTable, i int, s endpoints, first time.Time, before map[endpoints]sighting) socketOwner {
	socket, owner := tables[i].sockets[s], ofHost
	if socket.isAccepted {
		for _, addr := range lookupOrder(s.local.Addr()) {
			listener := endpoints{local: netip.AddrPortFrom(addr, s.local.Port())}
			if known, ok := m.known[listener]; ok {
				return known.owner
			}
			if at := slices.IndexFunc(tables, func(t hostTable) bool { return t.has(listener) }); at >= 0 {
				return m.decide(tables, at, listener, before)
			}
		}
	}
	for j := range tables {
		t := &tables[j]
		if listed, ok := t.sockets[s]; ok && listed.ownerUnknown {
			owner = ofEither
		}
		if j == i || t.has(s) || t.isStale && !t.hasMembers {
			continue
		}
		isReadSince := !t.began.Before(first)
		existed := !socket.isClosed && (t.isWithin(first, tables[i].ended) || t.previous.isWithin(first, tables[i].ended))
		switch {
		case isReadSince && !t.hasMembers, existed && !t.uncertain:
		case socket.isClosed, t.isStale, isReadSince && t.uncertain, tables[i].ended.Sub(first) > maxWait:
			owner = ofEither
		default:
			return undecided
		}
	}
	return owner
}
