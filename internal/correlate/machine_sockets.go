package correlate

import (
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// hostSocketMerge merges the sockets of the host's network namespace that several daemons of one machine report. A daemon takes the sockets
// of the other engines' containers for those of the host. So a socket is the host's if it is in no container of any engine, and each other
// daemon has read since.
type hostSocketMerge struct {
	hosts   map[endpoints]int // the host's sockets by the latest answers, and the first answer that has each
	waiting bool              // some sockets wait for another answer
}

// directionIn is the direction of an accepted connection in a snapshot.
const directionIn = "in"

// endpoints are those of a connection, as the daemons write them. A listener has no remote one.
type endpoints struct{ local, remote snapshotv1.Endpoint }

// hostTable is what one daemon knows of the sockets in the host's network namespace.
type hostTable struct {
	read         bool               // it could read them
	sockets      map[endpoints]bool // of no container of its engine, and whether that is uncertain
	own          map[endpoints]bool // of its engine's containers
	uncertain    bool               // not all sockets of those on the host's network are known
	began, ended time.Time          // of the reading
}

func newHostTable(p *PolledHost) hostTable {
	t := hostTable{sockets: make(map[endpoints]bool), own: make(map[endpoints]bool), began: p.PolledAt, ended: p.LastAnswer}
	for _, c := range p.Document.Containers {
		if c.NetworkMode != networkModeHost {
			continue
		}
		t.uncertain = t.uncertain || isIncomplete(c)
		for _, l := range c.Listening {
			t.own[endpoints{local: l.Endpoint}] = true
		}
		for _, x := range c.Connections {
			t.own[endpoints{x.Local, x.Remote}] = true
		}
	}
	sockets := p.Document.Host.Sockets
	if sockets == nil {
		return t
	}
	t.read = true
	for _, l := range sockets.Listening {
		t.sockets[endpoints{local: l.Endpoint}] = l.OwnerUnknown
	}
	for _, x := range sockets.Connections {
		t.sockets[endpoints{x.Local, x.Remote}] = x.OwnerUnknown
	}
	return t
}

// lookup returns the value of a socket. That of its listener stands for an accepted connection.
func lookup(sockets map[endpoints]bool, s endpoints, accepted bool) (value, ok bool) {
	value, ok = sockets[s]
	for _, address := range []string{s.local.Address, "0.0.0.0", "::"} {
		if !ok && accepted {
			value, ok = sockets[endpoints{local: snapshotv1.Endpoint{Address: address, Port: s.local.Port}}]
		}
	}
	return value, ok
}

// merge returns the host's sockets by the answers of all daemons of a machine; nil if none of them reads these.
func (m *hostSocketMerge) merge(group []PolledHost) *snapshotv1.HostSockets {
	tables := make([]hostTable, len(group))
	for i := range group {
		tables[i] = newHostTable(&group[i])
	}
	var merged *snapshotv1.HostSockets
	next := hostSocketMerge{hosts: make(map[endpoints]int)}
	for i, p := range group {
		sockets := p.Document.Host.Sockets
		if sockets == nil {
			continue
		}
		if merged == nil {
			merged = &snapshotv1.HostSockets{Method: sockets.Method, Incomplete: true}
		}
		merged.Incomplete = merged.Incomplete && sockets.Incomplete
		for _, l := range sockets.Listening {
			if unknown, ok := next.add(tables, i, endpoints{local: l.Endpoint}, false, m.hosts); ok {
				merged.Listening = append(merged.Listening, snapshotv1.HostListener{Endpoint: l.Endpoint, OwnerUnknown: unknown})
			}
		}
		for _, x := range sockets.Connections {
			if unknown, ok := next.add(tables, i, endpoints{x.Local, x.Remote}, x.Direction == directionIn, m.hosts); ok {
				merged.Connections = append(merged.Connections, snapshotv1.HostConnection{Connection: x.Connection, OwnerUnknown: unknown})
			}
		}
	}
	*m = next
	return merged
}

// verdict is what the answers of all daemons say of a socket.
type verdict int

const (
	ofHost verdict = iota
	ofContainer
	undecided
)

// add adds a socket that the daemon of the i-th table takes for the host's, unless an earlier table has it. It reports whether it did, and
// whether a container may own the socket. before are the host's sockets by the answers before.
func (m *hostSocketMerge) add(tables []hostTable, i int, s endpoints, accepted bool, before map[endpoints]int) (ownerUnknown, ok bool) {
	if first, added := m.hosts[s]; added && first != i {
		return false, false
	}
	v, ownerUnknown := judge(tables, i, s, accepted, before)
	if other := (endpoints{s.remote, s.local}); v == ofHost && tables[i].lists(other) { // neither end of a connection comes without the other
		if w, _ := judge(tables, i, other, !accepted, before); w == undecided {
			v = undecided
		}
	}
	switch v {
	case undecided:
		m.waiting = true
	case ofHost:
		m.hosts[s] = i
	}
	return ownerUnknown, v == ofHost
}

// judge decides on a socket that the i-th table has. An older answer of another daemon may lack a container that owns it.
func judge(tables []hostTable, i int, s endpoints, accepted bool, before map[endpoints]int) (v verdict, ownerUnknown bool) {
	for j := range tables {
		t := &tables[j]
		if _, owns := lookup(t.own, s, accepted); owns {
			return ofContainer, false
		}
		unknown, listed := lookup(t.sockets, s, accepted)
		ownerUnknown = ownerUnknown || unknown || !t.read && t.uncertain
		if j != i && !listed && t.began.Before(tables[i].ended) {
			v = undecided
		}
	}
	if _, was := before[s]; was {
		v = ofHost
	}
	return v, ownerUnknown
}

func (t *hostTable) lists(s endpoints) bool {
	_, ok := t.sockets[s]
	return ok
}
