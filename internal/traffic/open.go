package traffic

import (
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// openConn is a connection end that a snapshot has shown open.
type openConn struct {
	owner   owner
	inbound bool
	flow    *flow // in which it is counted; nil if it is in none
	seenAt  time.Time
	isOld   bool // more than one snapshot has shown it
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
	id := connID{netns, c.Protocol, c.Local, c.Remote}
	known, ok := t.open[id]
	switch {
	case !ok && len(t.open) >= t.max.open:
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
	key := newFlowKey(c.inbound, id.protocol, id.local, id.remote)
	if !t.isListed(id.netns, key) || c.owner == unknownOwner && id.netns != hostNetNS {
		return
	}
	if c.flow = t.flowAt(id.netns, flowID{c.owner, key}, now); c.flow != nil {
		c.flow.Opened++
		c.flow.lastAt = now
	}
}
