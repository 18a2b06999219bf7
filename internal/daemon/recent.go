package daemon

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

const (
	// recentFor is how long a connection is told of that was established and is not in the kernel's tables any more: as
	// long as the kernel itself keeps those that its own side closed (TCP_TIMEWAIT_LEN of include/net/tcp.h).
	recentFor = time.Minute
	// maxRecent bounds how many connections are remembered: some 15 MB of them.
	maxRecent = 1 << 16
)

// recent remembers connections and listeners between collections: a connection is gone at once at the end that did not
// close it first, and one that was accepted looks like one that was dialled once its listener is closed.
type recent struct {
	containers map[string]*past // by container ID
	count      int              // of connections
}

// past is what is remembered of a container.
type past struct {
	snapshot.Container // as it was read last
	read               time.Time
	connections        map[ends]remembered
	most               int                  // connections that the map has had, and has room for
	listened           map[uint16]time.Time // when there was a listener last, by port
}

type ends struct{ local, remote netip.AddrPort }

type remembered struct {
	snapshot.Connection
	seen time.Time
}

func newRecent() *recent { return &recent{containers: make(map[string]*past)} }

// add adds to containers the connections that were established a moment ago, and remembers those that are now. Of a
// sample, containers that could not be read are as they were read last.
func (r *recent) add(containers []snapshot.Container, sample bool, now time.Time) {
	kept := make(map[string]*past, len(containers))
	r.count = r.held(containers)
	for i := range containers {
		c := &containers[i]
		p := r.containers[c.ID]
		read := c.Method != collect.None
		switch {
		case read && p == nil:
			p = &past{connections: make(map[ends]remembered), listened: make(map[uint16]time.Time)}
		case p == nil:
			continue
		}
		kept[c.ID] = p
		switch {
		case read:
			p.Container, p.read = *c, now
			r.count -= len(p.connections)
			p.update(c, now, maxRecent-r.count)
			r.count += len(p.connections)
		case sample && now.Sub(p.read) <= recentFor:
			*c = p.Container
		}
	}
	r.containers = kept
}

// held returns how many connections of containers are remembered.
func (r *recent) held(containers []snapshot.Container) (count int) {
	for _, c := range containers {
		if p := r.containers[c.ID]; p != nil {
			count += len(p.connections)
		}
	}
	return count
}

// update brings what is remembered of a container up to date, and adds to it the connections that ended. At most so many
// are remembered.
func (p *past) update(c *snapshot.Container, now time.Time, most int) {
	for _, listener := range c.Listeners {
		p.listened[listener.Local.Port()] = now
	}
	for port, last := range p.listened {
		if now.Sub(last) > recentFor {
			delete(p.listened, port)
		}
	}
	present := make(map[ends]bool, len(c.Connections))
	for i := range c.Connections {
		connection := &c.Connections[i]
		key := ends{connection.Local, connection.Remote}
		present[key] = true
		before, known := p.connections[key]
		_, listened := p.listened[key.local.Port()]
		connection.Inbound = connection.Inbound || before.Inbound || !known && listened
		if connection.State == socket.Established && (known || len(p.connections) < most) {
			p.connections[key] = remembered{*connection, now}
		}
	}
	p.most = max(p.most, len(p.connections))
	var ended []snapshot.Connection
	for key, connection := range p.connections {
		switch {
		case now.Sub(connection.seen) > recentFor:
			delete(p.connections, key)
		case !present[key]:
			connection.State, connection.Info = socket.Close, nil
			ended = append(ended, connection.Connection)
		}
	}
	p.shrink()
	if len(ended) > 0 { // the list is shared with whoever was told of it before
		c.Connections = append(slices.Clone(c.Connections), ended...)
		slices.SortFunc(c.Connections, snapshot.CompareConnections)
	}
}

// shrink gives back the room of many connections of which few are left: a map of Go's keeps it.
func (p *past) shrink() {
	const few, share = 64, 4
	if p.most > few && len(p.connections) < p.most/share {
		smaller := make(map[ends]remembered, len(p.connections))
		maps.Copy(smaller, p.connections)
		p.connections, p.most = smaller, len(smaller)
	}
}
