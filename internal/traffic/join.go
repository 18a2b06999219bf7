package traffic

import (
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// join counts the pending events that belong somewhere.
func (t *Table) join(now time.Time) {
	if t.places == nil {
		t.dropOld(now)
		return
	}
	t.expireHalves(now)
	peers := t.pendingByTuple()
	kept := t.pending[:0]
	for i := range t.pending {
		e := &t.pending[i]
		switch t.count(e, peers) {
		case counted:
		case waits:
			if now.Sub(e.At) <= maxWait {
				kept = append(kept, *e)
				continue
			}
			if e.Protocol == socket.TCP { // one of UDP may have been unused
				t.unattributed++
			}
		case unattributable:
			t.unattributed++
		}
	}
	t.pending = kept
	t.joinAborted(now)
}

// dropOld drops the events that have waited too long for the first snapshot.
func (t *Table) dropOld(now time.Time) {
	t.pending = slices.DeleteFunc(t.pending, func(e socket.Ended) bool {
		isOld := now.Sub(e.At) > maxWait
		if isOld {
			t.unattributed++
		}
		return isOld
	})
}

// tuple is the endpoints of a TCP connection end. Loopback endpoints mean something only with the number of their network namespace.
type tuple struct {
	namespace     int32 // 0 unless local is a loopback address
	local, remote netip.AddrPort
}

func newTuple(namespace int32, local, remote netip.AddrPort) tuple {
	if !local.Addr().IsLoopback() {
		namespace = 0
	}
	return tuple{namespace, local, remote}
}

// pendingByTuple returns which end dialled, by the endpoints of the pending events that say so.
func (t *Table) pendingByTuple() map[tuple]socket.End {
	var peers map[tuple]socket.End
	for i := range t.pending {
		if e := &t.pending[i]; e.DialledBy == socket.UnknownEnd && e.Protocol == socket.TCP {
			peers = make(map[tuple]socket.End)
			break
		}
	}
	if peers == nil {
		return nil
	}
	for i := range t.pending {
		if e := &t.pending[i]; e.DialledBy != socket.UnknownEnd {
			peers[newTuple(e.Namespace, e.Local, e.Remote)] = e.DialledBy
		}
	}
	return peers
}

// result is what became of an event.
type result uint8

const (
	counted        result = iota // or it says nothing
	waits                        // a later snapshot may show where it belongs
	unattributable               // nothing will
)

// count counts an event.
func (t *Table) count(e *socket.Ended, peers map[tuple]socket.End) result {
	key, ok := t.netnsOf(e)
	if !ok {
		return waits
	}
	if !t.counts(key) {
		return counted
	}
	return t.countIn(key, e, peers)
}

// countIn counts an event of a network namespace.
func (t *Table) countIn(key string, e *socket.Ended, peers map[tuple]socket.End) result {
	n, id := t.places.netns[key], connID{key, e.Protocol, e.Local, e.Remote}
	open := t.open[id]
	if open == nil && !n.startedAt.IsZero() && n.startedAt.After(e.At) { // a removed container had the address
		return unattributable
	}
	inbound, ok := t.isInbound(key, e, n, open, peers)
	if !ok {
		return waits
	}
	if e.Protocol == socket.UDP && !inbound && open == nil {
		switch used, ok := t.isUse(n, e); {
		case !ok:
			return waits
		case !used:
			return counted
		}
	}
	delete(t.open, id)
	f := t.flowOf(key, n, e, open, inbound)
	switch {
	case f == nil && t.isListed(key, newFlowKey(inbound, e.Protocol, e.Local, e.Remote)), f != nil && f.dropped:
		return unattributable
	case f != nil:
		f.add(e, open != nil && open.flow == f)
	}
	if e.Outcome == socket.Connected && e.Protocol == socket.TCP {
		t.addReceived(key, f, e, inbound)
	}
	return counted
}

// flowOf returns the flow of an event; nil if it belongs to none, or if its owner is unknown. In the host's network namespace an unknown
// owner has flows too: the map shows who the owner may be.
func (t *Table) flowOf(key string, n *netns, e *socket.Ended, open *openConn, inbound bool) *flow {
	if open != nil && open.flow != nil && open.inbound == inbound {
		return open.flow
	}
	flowKey := newFlowKey(inbound, e.Protocol, e.Local, e.Remote)
	who := n.ownerOf(e, open, inbound)
	if who == unknownOwner && key != hostNetNS || !t.isListed(key, flowKey) {
		return nil
	}
	return t.flowAt(key, flowID{who, flowKey}, e.At)
}

// netnsOf returns the network namespace of an event. The number of a namespace may be of another one by now, so the local address comes
// first. A loopback address is no evidence.
func (t *Table) netnsOf(e *socket.Ended) (key string, ok bool) {
	switch {
	case e.Namespace == socket.OwnNamespace:
		return hostNetNS, true
	case t.places == nil:
		return "", false
	}
	if addr := e.Local.Addr(); !addr.IsLoopback() && e.Outcome != socket.Aborted {
		key, ok = t.places.netnsOf[addr]
		switch {
		case key != "":
			t.netnsByNSID[e.Namespace] = key
			delete(t.askedFor, e.Namespace)
		case !ok: // a new container may have the number
			delete(t.netnsByNSID, e.Namespace)
		}
		return key, key != ""
	}
	key, ok = t.netnsByNSID[e.Namespace]
	return key, ok
}

// isInbound reports whether the end was accepted. ok is false if nothing shows it yet.
func (t *Table) isInbound(key string, e *socket.Ended, n *netns, open *openConn, peers map[tuple]socket.End) (inbound, ok bool) {
	if e.DialledBy != socket.UnknownEnd {
		return e.DialledBy == socket.RemoteEnd, true
	}
	if open != nil {
		return open.inbound, true
	}
	_, listens := n.listenerAt(e.Local.Addr(), e.LocalPort())
	if e.Protocol == socket.UDP {
		return listens, true // the other end is seldom connected, and no kernel counts
	}
	switch peers[newTuple(e.Namespace, e.Remote, e.Local)] {
	case socket.LocalEnd:
		return true, true
	case socket.RemoteEnd:
		return false, true
	case socket.UnknownEnd:
	}
	if other, ok := t.halves[otherEnd(key, e)]; ok {
		return !other.inbound, true
	}
	if listens {
		return true, !t.dialsFromListener(e)
	}
	return false, e.At.Before(t.places.at) // no listener has the port, also in a snapshot after the end
}

// dialsFromListener reports whether the other end has a listener at its port too, so that either may have dialled.
func (t *Table) dialsFromListener(e *socket.Ended) bool {
	n := t.places.netns[t.places.netnsOf[e.Remote.Addr()]]
	if n == nil {
		return false
	}
	_, listens := n.listenerAt(e.Remote.Addr(), e.RemotePort())
	return listens
}

// ownerOf returns the owner of an ended socket: by an earlier snapshot, the only one in its namespace, or the listener's.
func (n *netns) ownerOf(e *socket.Ended, open *openConn, inbound bool) owner {
	if open != nil {
		return open.owner
	}
	if len(n.members) == 1 {
		return n.members[0]
	}
	if inbound {
		if who, ok := n.listenerAt(e.Local.Addr(), e.LocalPort()); ok {
			return who
		}
	}
	return unknownOwner
}
