package traffic

import (
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// half is an end of a connection inside the host that waits for its other end to send an event too. What one end sent is exactly what the
// other one received.
type half struct {
	flow     *flow // that counts the end; nil if the end is in none
	complete bool  // the flow has what the end received
	sent     uint64
	received uint64 // about
	inbound  bool   // the end was accepted
	at       time.Time
}

// maxHalves bounds the ends that wait for their other ends: some 5 MB.
const maxHalves = 1 << 14

// strangersPart is the part of the halves that may wait for an address that no snapshot has shown yet.
const strangersPart = 4

// thisEnd identifies an end of a TCP connection inside the host. Only loopback addresses may be in several network namespaces.
func thisEnd(netns string, local, remote netip.AddrPort) connID {
	if !local.Addr().IsLoopback() {
		netns = ""
	}
	return connID{netns, socket.TCP, local, remote}
}

// otherEnd identifies the other end of an event's connection.
func otherEnd(netns string, e *socket.Ended) connID { return thisEnd(netns, e.Remote, e.Local) }

// addReceived adds what an end received to its flow, once its other end reports what it sent, or after maxWait.
func (t *Table) addReceived(netns string, f *flow, e *socket.Ended, inbound bool) {
	if f != nil && !t.isHeard(e.Remote.Addr()) {
		f.Received += e.Received
		if inbound && e.Remote.Addr().IsPrivate() && len(t.halves) < t.max.halves/strangersPart { // it may be a new container
			t.halves[thisEnd(netns, e.Local, e.Remote)] = half{f, true, e.Sent, e.Received, inbound, e.At}
		}
		return
	}
	at, other := thisEnd(netns, e.Local, e.Remote), otherEnd(netns, e)
	h, ok := t.halves[other]
	switch {
	case ok:
		delete(t.halves, other)
		if f != nil {
			f.Received += h.sent
		}
		h.complement(e.Sent)
	case len(t.halves) < t.max.halves:
		t.halves[at] = half{f, false, e.Sent, e.Received, inbound, e.At}
	case f != nil:
		f.Received += e.Received
	}
}

// expireHalves gives up the ends that have waited too long.
func (t *Table) expireHalves(now time.Time) {
	for at, h := range t.halves {
		if now.Sub(h.at) > maxWait {
			delete(t.halves, at)
			h.complement(h.received)
		}
	}
}

// complement adds what the end received to its flow, if that lacks it.
func (h half) complement(received uint64) {
	if h.flow != nil && !h.complete {
		h.flow.Received += received
	}
}
