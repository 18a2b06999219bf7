package correlate

import (
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// hostSocketMerge merges the sockets of the host's network namespace that several daemons of one machine report. A daemon takes the sockets
// of other engines' containers for the host's own. So a socket counts as the host's once each other daemon has read while the socket
// was open, and no container of its engine has the socket.
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
	ofEither                // the host or a container
	ofContainer             // a container: the answer of its engine has the socket
)

// Directions of connections and flows in a snapshot.
const (
	directionIn  = "in"
	directionOut = "out"
)

// endpoints identify a socket. A listener has no remote one.
type endpoints struct{ local, remote endpoint }

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
	isStale    bool                     // it does not answer any more; see isLongStale
	sockets    map[endpoints]hostSocket // of no container of its engine
	own        map[endpoints]bool       // of its engine's containers
	hasMembers bool                     // some of these are on the host's network, or were recently
	uncertain  bool                     // not all sockets of those are known
}

// newHostTable returns the table of an answer. readings are those of the target's answers before, now is the time of the latest answer.
func newHostTable(p *PolledHost, readings [2]reading, now time.Time) hostTable {
	t := hostTable{
		isStale: p.isLongStale(now), sockets: make(map[endpoints]hostSocket), own: make(map[endpoints]bool),
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
			if s, ok := listenerEndpoints(l.Endpoint, l.Protocol); ok {
				t.own[s] = true
			}
		}
		for _, x := range c.Connections {
			if s, ok := connectionEndpoints(x); ok {
				t.own[s] = true
			}
		}
	}
	t.addSockets(p.Document.Host.Sockets)
	return t
}

// addSockets adds the sockets that the daemon takes for the host's own; nil if it could not read them.
func (t *hostTable) addSockets(sockets *snapshotv1.HostSockets) {
	if sockets == nil {
		return
	}
	t.isRead = true
	for _, l := range sockets.Listening {
		if s, ok := listenerEndpoints(l.Endpoint, l.Protocol); ok {
			t.sockets[s] = hostSocket{ownerUnknown: l.OwnerUnknown}
		}
	}
	for _, x := range sockets.Connections {
		if s, ok := connectionEndpoints(x.Connection); ok {
			t.sockets[s] = hostSocket{isAccepted: x.Direction == directionIn, isClosed: x.State != "ESTABLISHED", ownerUnknown: x.OwnerUnknown}
		}
	}
}

// listenerEndpoints returns the endpoints of a listener. It reports false for an invalid address.
func listenerEndpoints(at snapshotv1.Endpoint, protocol socket.Protocol) (s endpoints, ok bool) {
	local, ok := parseEndpoint(at, protocol)
	return endpoints{local: local}, ok
}

// connectionEndpoints returns the endpoints of a connection. It reports false for an invalid address.
func connectionEndpoints(c snapshotv1.Connection) (s endpoints, ok bool) {
	local, hasLocal := parseEndpoint(c.Local, c.Protocol)
	remote, hasRemote := parseEndpoint(c.Remote, c.Protocol)
	return endpoints{local, remote}, hasLocal && hasRemote
}

func (s endpoints) isListener() bool { return !s.remote.isValid() }

// merge returns the host's sockets by the answers of all daemons of a machine; nil if none of them reads these. Stale answers do not count if
// there are others. now is the time of the latest answer.
func (m *hostSocketMerge) merge(group []PolledHost, now time.Time) *snapshotv1.HostSockets {
	d := newSocketDecisions(group, m, now)
	isCurrent := slices.ContainsFunc(d.tables, func(t hostTable) bool { return t.isRead && !t.isStale })
	var merged *snapshotv1.HostSockets
	for i, p := range group {
		sockets := p.Document.Host.Sockets
		if sockets == nil || isCurrent && d.tables[i].isStale {
			continue
		}
		if merged == nil {
			merged = &snapshotv1.HostSockets{Method: sockets.Method, Incomplete: true}
		}
		merged.Incomplete = merged.Incomplete && sockets.Incomplete
		for _, l := range sockets.Listening {
			if owner, ok := d.takeListener(i, l); ok {
				l.OwnerUnknown = owner == ofEither
				merged.Listening = append(merged.Listening, l)
			}
		}
		for _, x := range sockets.Connections {
			if owner, ok := d.takeConnection(i, x.Connection); ok {
				merged.Connections = append(merged.Connections, snapshotv1.HostConnection{Connection: x.Connection, OwnerUnknown: owner == ofEither})
			}
		}
	}
	*m = d.hostSocketMerge
	return merged
}

// socketDecisions are those of one merge.
type socketDecisions struct {
	hostSocketMerge
	tables []hostTable
	before map[endpoints]sighting // by the answers before
	taken  map[endpoints]bool
}

func newSocketDecisions(group []PolledHost, before *hostSocketMerge, now time.Time) *socketDecisions {
	d := &socketDecisions{
		hostSocketMerge: hostSocketMerge{known: make(map[endpoints]sighting), readings: make(map[string][2]reading)},
		tables:          make([]hostTable, len(group)), before: before.known, taken: make(map[endpoints]bool),
	}
	for i := range group {
		target := group[i].Target
		d.tables[i] = newHostTable(&group[i], before.readings[target], now)
		d.readings[target] = [2]reading{d.tables[i].reading, d.tables[i].previous}
		for s := range d.tables[i].own {
			d.known[s] = sighting{d.tables[i].ended, ofContainer}
		}
	}
	return d
}

func (d *socketDecisions) takeListener(i int, l snapshotv1.HostListener) (owner socketOwner, ok bool) {
	s, ok := listenerEndpoints(l.Endpoint, l.Protocol)
	if !ok {
		return undecided, false
	}
	return d.take(i, s)
}

func (d *socketDecisions) takeConnection(i int, c snapshotv1.Connection) (owner socketOwner, ok bool) {
	s, ok := connectionEndpoints(c)
	if !ok {
		return undecided, false
	}
	return d.take(i, s)
}

// take returns who has a socket of the i-th table. It reports false if the socket is a container's, is not decided yet, or was taken from
// another table.
func (d *socketDecisions) take(i int, s endpoints) (owner socketOwner, ok bool) {
	if d.taken[s] {
		return undecided, false
	}
	d.taken[s] = true
	owner = d.decide(i, s)
	return owner, owner == ofHost || owner == ofEither
}

// decide returns who has a socket that the i-th table lists, and remembers it.
func (d *socketDecisions) decide(i int, s endpoints) socketOwner {
	if seen, ok := d.known[s]; ok {
		return seen.owner
	}
	seen, ok := d.before[s]
	if isTaken := seen.owner == ofContainer && s.isListener(); !ok || isTaken { // others may listen there after the container
		seen = sighting{first: d.tables[i].ended}
	}
	if seen.owner == undecided || seen.owner == ofEither && !d.tables[i].sockets[s].isClosed {
		seen.owner = d.ownerOf(i, s, seen.first)
	}
	d.known[s] = seen
	d.waiting = d.waiting || seen.owner == undecided
	return seen.owner
}

// ownerOf returns who has a socket that no container's answer has. An accepted connection is that of its listener. On others the tables of
// all other daemons must agree.
func (d *socketDecisions) ownerOf(i int, s endpoints, first time.Time) socketOwner {
	if d.tables[i].sockets[s].isAccepted {
		if owner, ok := d.ownerOfListener(s.local); ok {
			return owner
		}
	}
	owner := ofHost
	for j := range d.tables {
		says := d.ownerBy(&d.tables[j], i, s, first)
		if says == undecided {
			return undecided
		}
		owner = max(owner, says)
	}
	return owner
}

// ownerOfListener returns who has the listener that accepts connections to an endpoint.
func (d *socketDecisions) ownerOfListener(at endpoint) (owner socketOwner, ok bool) {
	for _, addr := range lookupOrder(at.addr) {
		listener := endpoints{local: endpoint{addr, at.port}}
		if seen, ok := d.known[listener]; ok {
			return seen.owner, true
		}
		if i := slices.IndexFunc(d.tables, func(t hostTable) bool { return t.has(listener) }); i >= 0 {
			return d.decide(i, listener), true
		}
	}
	return undecided, false
}

// ownerBy returns who has a socket of the i-th table by another table. That counts if the socket existed while the other daemon read: if it
// lists the socket too, or if the socket was open before and after.
func (d *socketDecisions) ownerBy(t *hostTable, i int, s endpoints, first time.Time) socketOwner {
	if listed, ok := t.sockets[s]; ok {
		if listed.ownerUnknown {
			return ofEither
		}
		return ofHost
	}
	ended, isOpen := d.tables[i].ended, !d.tables[i].sockets[s].isClosed
	existed := isOpen && (t.isWithin(first, ended) || t.previous.isWithin(first, ended))
	isReadSince := !t.began.Before(first)
	switch {
	case (isReadSince || t.isStale) && !t.hasMembers, existed && !t.uncertain:
		return ofHost
	case t.isStale, isReadSince && (!isOpen || t.uncertain):
		return ofEither
	}
	return undecided
}

func (t *hostTable) has(s endpoints) bool {
	_, ok := t.sockets[s]
	return ok
}
