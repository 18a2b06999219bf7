package daemon

import (
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
)

// hostConns are the cached connections and listeners of the host's own network namespace.
type hostConns struct {
	containerConns
	sockets      snapshot.HostSockets // as last read
	ownerUnknown map[connKey]bool     // by the last reading with the connection; absent if there was none
}

func newHostConns() hostConns { return hostConns{containerConns: newContainerConns()} }

// update updates the cache with a snapshot. It adds recently closed connections to the containers and to the host.
func (c *connCache) update(taken *snapshot.Snapshot, sample bool, now time.Time) {
	c.room = c.maxSockets - taken.Size()
	c.updateContainers(taken.Containers, sample, now)
	switch sockets := taken.Host.Sockets; {
	case sockets != nil:
		c.size -= len(c.host.connections)
		c.removeOwned(sockets)
		c.host.update(sockets, now, c.maxSize-c.size, c.takeRoom)
		c.size += len(c.host.connections)
	case now.Sub(c.host.readAt) > closedTTL:
		c.host = newHostConns()
	case sample:
		last := c.host.sockets
		taken.Host.Sockets = &last
	}
}

// removeOwned removes connections that a container is, or was, seen to own: from the cache, and those with an unknown owner from
// sockets. The latter have closed since.
func (c *connCache) removeOwned(sockets *snapshot.HostSockets) {
	var sharing []*containerConns
	for _, cached := range c.containers {
		if cached.container.Namespace == sockets.Namespace {
			sharing = append(sharing, cached)
			for key := range cached.connections {
				delete(c.host.connections, key)
			}
		}
	}
	kept := make([]snapshot.HostConnection, 0, len(sockets.Connections))
	for _, connection := range sockets.Connections {
		if !connection.OwnerUnknown || !isOwned(connection.Connection, sharing) {
			kept = append(kept, connection)
		}
	}
	sockets.Connections = kept
}

// isOwned reports whether one of containers was seen to own connection, or the socket that it was before it closed.
func isOwned(connection snapshot.Connection, containers []*containerConns) bool {
	for _, c := range containers {
		cached, ok := c.connections[keyOf(&connection)]
		if ok && (connection.Inode == 0 || connection.Inode == cached.Inode) {
			return true
		}
	}
	return false
}

// update caches the connections of sockets, at most maxConns, and completes sockets from the cache with the closed ones that
// takeRoom returns.
func (h *hostConns) update(sockets *snapshot.HostSockets, now time.Time, maxConns int, takeRoom func([]snapshot.Connection) []snapshot.Connection) {
	h.sockets, h.readAt = *sockets, now
	read := make(map[connKey]bool, len(sockets.Connections))
	listeners, connections := make([]snapshot.Listener, len(sockets.Listeners)), make([]snapshot.Connection, len(sockets.Connections))
	for i, listener := range sockets.Listeners {
		listeners[i].Local, listeners[i].Protocol = listener.Local, listener.Protocol
	}
	for i, connection := range sockets.Connections {
		connections[i] = connection.Connection
		read[keyOf(&connection.Connection)] = connection.OwnerUnknown
	}
	closed := h.containerConns.update(listeners, connections, now, maxConns)
	h.complete(sockets, withClosed(connections, takeRoom(closed)), read)
}

// complete replaces the connections of sockets by connections, which contain closed ones too, with what is known of their owners.
// The kernel shows no owner of a closed connection, so an earlier reading may decide. If sockets are missing, it leaves
// closed ones out: they may be among the missing ones.
func (h *hostConns) complete(sockets *snapshot.HostSockets, connections []snapshot.Connection, read map[connKey]bool) {
	ownerUnknown := make(map[connKey]bool, len(connections))
	completed := make([]snapshot.HostConnection, 0, len(connections))
	for _, connection := range connections {
		key := keyOf(&connection)
		unknown, isRead := read[key]
		if last, isCached := h.ownerUnknown[key]; isCached {
			unknown = last && (unknown || !isRead)
		}
		ownerUnknown[key] = unknown
		if isRead || !sockets.Incomplete {
			completed = append(completed, snapshot.HostConnection{Connection: connection, OwnerUnknown: unknown})
		}
	}
	h.ownerUnknown = ownerUnknown
	sockets.Connections = completed
	if len(completed) > snapshot.MaxHostSockets {
		sockets.Connections, sockets.Incomplete = completed[:snapshot.MaxHostSockets], true
	}
}
