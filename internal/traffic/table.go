// Package traffic counts the connections of containers and of the host by the events that the kernel sends as sockets end. Samples show
// where the sockets belong.
package traffic

import (
	"net/netip"
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
	// maxFlows bounds the flows. They take some 14 MB. From half of it on, flows that were idle for idleTime are dropped.
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

// bounds are how many of each kind a table remembers.
type bounds struct{ pending, flows, open, halves int }

// newBounds returns the bounds of a daemon that holds at most maxSockets sockets; 0 means any number. One of each takes about as much
// memory as a socket.
func newBounds(maxSockets int) bounds {
	all := bounds{maxPending, maxFlows, maxOpen, maxHalves}
	if maxSockets > 0 {
		const part = 16
		n := max(1, maxSockets/part)
		all = bounds{min(maxPending, n), min(maxFlows, n), min(maxOpen, n), min(maxHalves, n)}
	}
	return all
}

// Table counts connections. It is safe for concurrent use.
type Table struct {
	scope string
	since time.Time
	max   bounds

	mu           sync.Mutex
	places       *places        // nil before the first snapshot
	askedFor     map[int32]bool // numbers of network namespaces for which a snapshot was asked for
	netnsByNSID  map[int32]string
	flows        map[flowID]*flow
	open         map[connID]*openConn
	pending      []socket.Ended
	aborted      []socket.Ended // like pending
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
	protocol      socket.Protocol
	local, remote netip.AddrPort
}

// NewTable returns an empty table for a scope, of a daemon that holds at most maxSockets sockets; 0 means any number. It counts from now on.
func NewTable(scope string, maxSockets int, now time.Time) *Table {
	return &Table{
		scope: scope, since: now, max: newBounds(maxSockets), askedFor: make(map[int32]bool), netnsByNSID: make(map[int32]string), flows: make(map[flowID]*flow), open: make(map[connID]*openConn), halves: make(map[connID]half),
	}
}

// Add counts events, and how often the kernel dropped some. It reports whether a snapshot would show more: an event is of a network
// namespace with an unknown address. It does so once for each namespace.
func (t *Table) Add(events []socket.Ended, losses uint64, now time.Time) (wantsSnapshot bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.losses += losses
	for len(events) > 0 {
		n := min(len(events), t.max.pending)
		t.wait(events[:n])
		events = events[n:]
		t.join(now)
	}
	return t.askForNamespaces()
}

// wait adds events to those that wait. Beyond the bound it drops those of UDP that have waited, and then the first ones, which have waited the
// longest.
func (t *Table) wait(events []socket.Ended) {
	waiting := len(t.pending)
	for i := range events {
		switch e := &events[i]; {
		case e.Remote.Port() == 0 && e.Protocol == socket.UDP: // it was connected to no peer
		case e.Outcome == socket.Aborted:
			t.aborted = append(t.aborted, *e)
		default:
			t.pending = append(t.pending, *e)
		}
	}
	if len(t.pending) > t.max.pending {
		t.dropUDP(waiting)
	}
	if n := len(t.pending) - t.max.pending; n > 0 {
		t.pending = t.pending[:copy(t.pending, t.pending[n:])]
		t.unattributed += uint64(n)
	}
	if n := len(t.aborted) - t.max.pending; n > 0 {
		t.aborted = t.aborted[:copy(t.aborted, t.aborted[n:])]
	}
}

// maxAskedFor bounds the network namespaces for which a snapshot was asked for.
const maxAskedFor = 1 << 10

// askForNamespaces reports whether an event waits in a network namespace for which no snapshot was asked for.
func (t *Table) askForNamespaces() (asks bool) {
	for _, waiting := range [][]socket.Ended{t.pending, t.aborted} {
		for i := range waiting {
			e := &waiting[i]
			if _, known := t.netnsOf(e); known || e.Local.Addr().IsLoopback() || t.askedFor[e.Namespace] {
				continue
			}
			if len(t.askedFor) == maxAskedFor {
				clear(t.askedFor)
			}
			t.askedFor[e.Namespace] = true
			asks = true
		}
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

// counts reports whether the connections of a network namespace are counted, as far as the scope goes.
func (t *Table) counts(netns string) bool {
	return t.scope == snapshotv1.CountAll || netns == hostNetNS
}
