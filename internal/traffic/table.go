// Package traffic counts the connections of containers and of the host by the events that the kernel sends as sockets end. Samples show
// where the sockets belong.
package traffic

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

const (
	// maxWait is how long an event waits for a snapshot, or for the event of its other end, that shows where it belongs.
	maxWait = 5 * time.Second
	// maxPending bounds the events that wait. They take some 2 MB.
	maxPending = 1 << 14
	// maxFlows bounds the flows. They take some 5 MB. From half of it on, flows that were idle for idleTime are dropped.
	maxFlows = 1 << 14
	idleTime = 10 * time.Minute
	// maxOpen bounds the open connections that are remembered. They take some 8 MB.
	maxOpen = 1 << 15
	// openTime is how long an open connection is remembered after the last snapshot with it. The kernel reports the end of one of a removed
	// container up to 107 s later.
	openTime = 2 * time.Minute
	// goneTime is how long a flow stays after the container with its remote address is gone. Maps show that container for longer.
	goneTime = 90 * time.Second
)

// Table counts connections. It is safe for concurrent use.
type Table struct {
	scope string
	since time.Time

	mu           sync.Mutex
	places       *places        // nil before the first snapshot
	askedFor     map[int32]bool // numbers of network namespaces for which a snapshot was asked for
	netnsByNSID  map[int32]string
	flows        map[flowID]*flow
	open         map[connID]*openConn
	pending      []socket.Ended
	halves       map[connID]half
	losses       uint64
	unattributed uint64
}

// flowID identifies a flow.
type flowID struct {
	owner owner
	snapshot.FlowKey
}

// connID identifies a connection end while it exists.
type connID struct {
	netns         string
	local, remote netip.AddrPort
}

// openConn is a connection end that a snapshot has shown open.
type openConn struct {
	owner   owner
	inbound bool
	flow    *flow // in which it is counted; nil if it is in none
	seenAt  time.Time
	isOld   bool // more than one snapshot has shown it
}

// NewTable returns an empty table for a scope. It counts from now on.
func NewTable(scope string, now time.Time) *Table {
	return &Table{
		scope: scope, since: now, askedFor: make(map[int32]bool), netnsByNSID: make(map[int32]string), flows: make(map[flowID]*flow), open: make(map[connID]*openConn), halves: make(map[connID]half),
	}
}

// Add counts events, and how often the kernel dropped some. It reports whether a snapshot would show more: an event is of a network
// namespace with an unknown address. It does so once for each namespace.
func (t *Table) Add(events []socket.Ended, losses uint64, now time.Time) (wantsSnapshot bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.losses += losses
	for len(events) > 0 {
		n := min(len(events), maxPending)
		t.dropOldest(len(t.pending) + n - maxPending)
		t.pending = append(t.pending, events[:n]...)
		events = events[n:]
		t.join(now)
	}
	return t.askForNamespaces()
}

// dropOldest drops the first pending events. They have waited the longest.
func (t *Table) dropOldest(n int) {
	if n > 0 {
		t.pending = t.pending[:copy(t.pending, t.pending[n:])]
		t.unattributed += uint64(n)
	}
}

// maxAskedFor bounds the network namespaces for which a snapshot was asked for.
const maxAskedFor = 1 << 10

// askForNamespaces reports whether an event waits in a network namespace for which no snapshot was asked for.
func (t *Table) askForNamespaces() (asks bool) {
	for i := range t.pending {
		e := &t.pending[i]
		if _, known := t.netnsOf(e); known || e.Local.Addr().IsLoopback() || t.askedFor[e.Namespace] {
			continue
		}
		if len(t.askedFor) == maxAskedFor {
			clear(t.askedFor)
		}
		t.askedFor[e.Namespace] = true
		asks = true
	}
	return asks
}

// Update learns from a snapshot where sockets belong, and adds the flows to it.
func (t *Table) Update(taken *snapshot.Snapshot, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.places
	t.places = newPlaces(taken)
	t.revertShared(before)
	t.retire(now)
	t.join(now)
	t.addOpen(taken, now)
	t.fill(taken, now)
}

// retire drops the flows of owners that are gone, and those to or from an address that another container has by now. It forgets
// connections that were not seen for openTime.
func (t *Table) retire(now time.Time) {
	owners := map[owner]bool{hostProcesses: true, unknownOwner: true}
	for _, n := range t.places.netns {
		for _, member := range n.members {
			owners[member] = true
		}
	}
	isCrowded := len(t.flows) > maxFlows/2
	for id, f := range t.flows {
		isIdle := isCrowded && now.Sub(f.lastAt) > idleTime
		if !owners[id.owner] || isIdle || !t.keepsHolder(id, f, now) || !t.isListed(f.netns, id.FlowKey) {
			f.dropped = true
			delete(t.flows, id)
		}
	}
	for id, c := range t.open {
		if now.Sub(c.seenAt) > openTime {
			delete(t.open, id)
		}
	}
	for nsid, key := range t.netnsByNSID {
		if t.places.netns[key] == nil {
			delete(t.netnsByNSID, nsid)
		}
	}
}

// revertShared takes back what was counted since the last snapshot in network namespaces that had one owner of sockets then and have several
// now: any of them may have owned the sockets.
func (t *Table) revertShared(before *places) {
	if before == nil {
		return
	}
	for id, f := range t.flows {
		old, now := before.netns[f.netns], t.places.netns[f.netns]
		if old == nil || now == nil || len(old.members) > 1 || len(now.members) == 1 {
			continue
		}
		t.unattributed += f.events() - f.published.events
		if f.published.events == 0 {
			f.dropped = true
			delete(t.flows, id)
			continue
		}
		f.Flow, f.ended, f.failed = f.published.Flow, f.published.ended, f.published.failed
	}
}

// keepsHolder reports whether the remote address of a flow belongs to the same container as before, or has lost it lately.
func (t *Table) keepsHolder(id flowID, f *flow, now time.Time) bool {
	switch holder, isHeld := t.places.holderOf[id.Remote]; {
	case isHeld && holder == f.holder:
		f.goneAt = time.Time{}
		return true
	case isHeld:
		n := t.places.netns[t.places.netnsOf[id.Remote]]
		if f.holder == "" && n != nil && !n.startedAt.After(f.firstAt) { // it is in a snapshot for the first time
			f.holder = holder
			return true
		}
		return false
	case f.holder == "":
		return true
	case f.goneAt.IsZero():
		f.goneAt = now
	}
	return now.Sub(f.goneAt) <= goneTime
}

// flowAt returns the flow of an owner, or nil if there are too many.
func (t *Table) flowAt(netns string, id flowID, at time.Time) *flow {
	f, ok := t.flows[id]
	if !ok {
		if len(t.flows) == maxFlows {
			return nil
		}
		f = &flow{netns: netns, Flow: snapshot.Flow{FlowKey: id.FlowKey}, holder: t.places.holderOf[id.Remote], firstAt: at}
		t.flows[id] = f
	}
	return f
}

// counts reports whether the connections of a network namespace are counted, as far as the scope goes.
func (t *Table) counts(netns string) bool {
	return t.scope == snapshotv1.CountAll || netns == hostNetNS
}

// addOpen remembers the open connections of a snapshot, and counts those that an earlier snapshot had too. A new one may have ended while the
// snapshot was taken, and be counted already.
func (t *Table) addOpen(taken *snapshot.Snapshot, now time.Time) {
	var old []connID
	for i := range taken.Containers {
		c := &taken.Containers[i]
		if key := keyOf(c); t.counts(key) && t.places.netns[key] != nil && !isAlone(c) {
			for j := range c.Connections {
				old = t.addOpenConn(old, key, owner(c.ID), &c.Connections[j], now)
			}
		}
	}
	if sockets := taken.Host.Sockets; sockets != nil {
		for i := range sockets.Connections {
			who := hostProcesses
			if sockets.Connections[i].OwnerUnknown {
				who = unknownOwner
			}
			old = t.addOpenConn(old, hostNetNS, who, &sockets.Connections[i].Connection, now)
		}
	}
	for _, id := range old {
		t.countOpen(id, now)
	}
}

// isAlone reports whether a container has only a loopback interface. Its network namespace has no nsid, so it sends no events.
func isAlone(c *snapshot.Container) bool { return c.NetworkMode == "none" }

// addOpenConn remembers an open connection, and appends it to old if this is the second snapshot with it. Of several containers that list the
// same socket, any may be the owner.
func (t *Table) addOpenConn(old []connID, netns string, who owner, c *snapshot.Connection, now time.Time) []connID {
	if c.State != socket.Established {
		return old
	}
	id := connID{netns, c.Local, c.Remote}
	known, ok := t.open[id]
	switch {
	case !ok && len(t.open) == maxOpen:
	case !ok:
		t.open[id] = &openConn{owner: who, inbound: c.Inbound && c.DialledBy != socket.LocalEnd || c.DialledBy == socket.RemoteEnd, seenAt: now}
	case known.seenAt.Equal(now):
		if known.owner != who {
			known.owner = unknownOwner
		}
	default:
		known.seenAt = now
		if !known.isOld {
			known.isOld = true
			return append(old, id)
		}
	}
	return old
}

// countOpen counts an open connection in its flow.
func (t *Table) countOpen(id connID, now time.Time) {
	c := t.open[id]
	key := newFlowKey(c.inbound, id.local, id.remote)
	if !t.isListed(id.netns, key) || c.owner == unknownOwner && id.netns != hostNetNS {
		return
	}
	if c.flow = t.flowAt(id.netns, flowID{c.owner, key}, now); c.flow != nil {
		c.flow.Opened++
		c.flow.lastAt = now
	}
}

func newFlowKey(inbound bool, local, remote netip.AddrPort) snapshot.FlowKey {
	port := remote.Port()
	if inbound {
		port = local.Port()
	}
	return snapshot.FlowKey{Inbound: inbound, Local: local.Addr(), Remote: remote.Addr(), Port: port}
}

// isListed reports whether a flow says something that no other flow does. The flow of the client counts a connection inside the host. Of the
// host's own connections only those with containers count, and those to other addresses.
func (t *Table) isListed(netns string, key snapshot.FlowKey) bool {
	if !key.Inbound {
		return netns != hostNetNS || !key.Remote.IsLoopback() || t.places.published[key.Port] || t.isContainers(key.Remote, key.Port)
	}
	if t.isHeard(key.Remote) {
		return false
	}
	return netns != hostNetNS || t.scope == snapshotv1.CountAll && (t.places.published[key.Port] || t.isContainers(key.Local, key.Port))
}

// isHeard reports whether the socket at an address sends events too: it is inside the host.
func (t *Table) isHeard(addr netip.Addr) bool {
	_, ofContainer := t.places.netnsOf[addr]
	return addr.IsLoopback() || t.places.local[addr] || ofContainer && t.scope == snapshotv1.CountAll
}

// isContainers reports whether a container listens at an endpoint of the host's network namespace.
func (t *Table) isContainers(addr netip.Addr, port uint16) bool {
	who, ok := t.places.netns[hostNetNS].listenerAt(netip.AddrPortFrom(addr, port))
	return ok && who != hostProcesses && who != unknownOwner
}

// fill adds the flows to a snapshot.
func (t *Table) fill(taken *snapshot.Snapshot, now time.Time) {
	byOwner := make(map[owner][]snapshot.Flow)
	for id, f := range t.flows {
		byOwner[id.owner] = append(byOwner[id.owner], f.publish(now))
	}
	for _, flows := range byOwner {
		slices.SortFunc(flows, func(a, b snapshot.Flow) int { return a.Compare(b.FlowKey) })
	}
	for i := range taken.Containers {
		taken.Containers[i].Flows = byOwner[owner(taken.Containers[i].ID)]
	}
	taken.Host.Flows = slices.Concat(hostFlows(byOwner[hostProcesses], false), hostFlows(byOwner[unknownOwner], true))
	taken.Host.Counting = snapshot.Counting{Scope: t.scope, Since: t.since, Losses: t.losses, Unattributed: t.unattributed}
}

func hostFlows(flows []snapshot.Flow, ownerUnknown bool) []snapshot.HostFlow {
	converted := make([]snapshot.HostFlow, len(flows))
	for i, f := range flows {
		converted[i] = snapshot.HostFlow{Flow: f, OwnerUnknown: ownerUnknown}
	}
	return converted
}

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
			t.unattributed++
		case unattributable:
			t.unattributed++
		}
	}
	t.pending = kept
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

// tuple is the endpoints of a connection end. Loopback endpoints mean something only with the number of their network namespace.
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
		if e := &t.pending[i]; e.DialledBy == socket.UnknownEnd {
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
	n, id := t.places.netns[key], connID{key, e.Local, e.Remote}
	open := t.open[id]
	if open == nil && !n.startedAt.IsZero() && n.startedAt.After(e.At) { // a removed container had the address
		return unattributable
	}
	inbound, ok := t.isInbound(key, e, n, open, peers)
	if !ok {
		return waits
	}
	delete(t.open, id)
	f := t.flowOf(key, n, e, open, inbound)
	switch {
	case f == nil && t.isListed(key, newFlowKey(inbound, e.Local, e.Remote)), f != nil && f.dropped:
		return unattributable
	case f != nil:
		f.add(e, open != nil && open.flow == f)
	}
	if e.Outcome == socket.Connected {
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
	flowKey := newFlowKey(inbound, e.Local, e.Remote)
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
	if addr := e.Local.Addr(); !addr.IsLoopback() {
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
	_, listens := n.listenerAt(e.Local)
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
	_, listens := n.listenerAt(e.Remote)
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
		if who, ok := n.listenerAt(e.Local); ok {
			return who
		}
	}
	return unknownOwner
}
