package daemon

import (
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

// recent remembers connections between collections. The other end of a connection that it closed keeps it for a minute,
// and this end does not.
type recent struct {
	containers map[string]map[ends]remembered // by container ID
	count      int
	last       map[string]snapshot.Container // as last read, by ID
}

type ends struct{ local, remote netip.AddrPort }

type remembered struct {
	snapshot.Connection
	seen time.Time
}

func newRecent() *recent {
	return &recent{containers: make(map[string]map[ends]remembered)}
}

// add adds to containers the connections that were established a moment ago, and remembers those that are now. Of a
// sample, containers that could not be read are as they were read last.
func (r *recent) add(containers []snapshot.Container, sample bool, now time.Time) {
	last := make(map[string]snapshot.Container, len(containers))
	kept := make(map[string]map[ends]remembered, len(containers))
	r.count = 0
	for i := range containers {
		c := &containers[i]
		connections := r.containers[c.ID]
		before, known := r.last[c.ID]
		switch {
		case c.Method != collect.None:
			last[c.ID] = *c
			connections = r.update(connections, c, now)
		case sample && known:
			last[c.ID], *c = before, before
		}
		if len(connections) > 0 {
			kept[c.ID] = connections
			r.count += len(connections)
		}
	}
	r.containers, r.last = kept, last
}

// update brings the remembered connections of a container up to date, and adds those that ended to it.
func (r *recent) update(connections map[ends]remembered, c *snapshot.Container, now time.Time) map[ends]remembered {
	if connections == nil {
		connections = make(map[ends]remembered)
	}
	present := make(map[ends]bool, len(c.Connections))
	for _, connection := range c.Connections {
		key := ends{connection.Local, connection.Remote}
		present[key] = true
		_, known := connections[key]
		if connection.State == socket.Established && (known || r.count+len(connections) < maxRecent) {
			connection.Info = nil
			connections[key] = remembered{connection, now}
		}
	}
	var ended []snapshot.Connection
	for key, connection := range connections {
		switch {
		case now.Sub(connection.seen) > recentFor:
			delete(connections, key)
		case !present[key]:
			connection.State = socket.Close
			ended = append(ended, connection.Connection)
		}
	}
	if len(ended) > 0 { // the list is shared with whoever was told of it before
		c.Connections = append(slices.Clone(c.Connections), ended...)
		slices.SortFunc(c.Connections, snapshot.CompareConnections)
	}
	return connections
}
