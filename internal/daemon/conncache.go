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
	// closedTTL is how long a connection stays in snapshots after the kernel forgot it. The kernel keeps the connections that
	// its own side closed first equally long (TCP_TIMEWAIT_LEN of include/net/tcp.h).
	closedTTL = time.Minute
	// maxCachedConns bounds the cached connections of all containers and of the host, unless fewer fit into the memory limit. They
	// take about 15 MB.
	maxCachedConns = 1 << 16
)

// connCache remembers connections and listeners between collections. The kernel forgets a connection at once on the side that
// did not close it first. An accepted connection looks dialled once its listener closes.
type connCache struct {
	containers map[string]*containerConns // by container ID
	host       hostConns
	size       int // number of connections
	maxSize    int
	maxSockets int // of a snapshot; 0 means any number
	room       int // for closed connections in the current snapshot, if maxSockets is not 0
}

// containerConns are the cached connections and listeners of one container.
type containerConns struct {
	container   snapshot.Container // as last read
	readAt      time.Time
	connections map[connKey]cachedConn
	peak        int                       // the largest size that connections had: a Go map keeps the memory of it
	listenedAt  map[socket.Port]time.Time // when a listener was last seen
}

type connKey struct {
	local, remote netip.AddrPort
	protocol      socket.Protocol
}

func keyOf(c *snapshot.Connection) connKey { return connKey{c.Local, c.Remote, c.Protocol} }

type cachedConn struct {
	snapshot.Connection
	seenAt time.Time
}

// newConnCache returns an empty cache for a daemon that holds at most maxSockets sockets; 0 means any number.
func newConnCache(maxSockets int) *connCache {
	maxSize := maxCachedConns
	if maxSockets > 0 {
		maxSize = min(maxSize, maxSockets)
	}
	return &connCache{containers: make(map[string]*containerConns), host: newHostConns(), maxSize: maxSize, maxSockets: maxSockets}
}

func newContainerConns() containerConns {
	return containerConns{connections: make(map[connKey]cachedConn), listenedAt: make(map[socket.Port]time.Time)}
}

// updateContainers adds recently closed connections to containers and caches their established ones. In a sample, a container that
// was not read gets the sockets of its last reading, unless that is older than closedTTL.
func (c *connCache) updateContainers(containers []snapshot.Container, sample bool, now time.Time) {
	kept, open := make(map[string]*containerConns, len(containers)), openInShared(containers)
	c.size = c.sizeOf(containers) + len(c.host.connections)
	for i := range containers {
		current := &containers[i]
		cached := c.containers[current.ID]
		wasRead := current.Method != collect.None
		switch {
		case wasRead && cached == nil:
			created := newContainerConns()
			cached = &created
		case cached == nil:
			continue
		}
		kept[current.ID] = cached
		switch {
		case wasRead:
			cached.container, cached.readAt = *current, now
			c.size -= len(cached.connections)
			closed := cached.update(current.Listeners, current.Connections, now, c.maxSize-c.size)
			closed = cached.removeMoved(closed, current.Namespace, open)
			if !current.Truncated { // else they may still be open
				current.Connections = withClosed(current.Connections, c.takeRoom(closed))
			}
			c.size += len(cached.connections)
		case sample && now.Sub(cached.readAt) <= closedTTL:
			*current = cached.container
		}
	}
	c.containers = kept
}

// netnsConn is a connection in a network namespace.
type netnsConn struct {
	namespace string
	connKey
}

// openInShared returns the open connections of containers that share a network namespace.
func openInShared(containers []snapshot.Container) map[netnsConn]bool {
	sharing := make(map[string]int)
	for _, c := range containers {
		sharing[c.Namespace]++
	}
	open := make(map[netnsConn]bool)
	for _, c := range containers {
		if sharing[c.Namespace] == 1 {
			continue
		}
		for i := range c.Connections {
			if c.Connections[i].State == socket.Established {
				open[netnsConn{c.Namespace, keyOf(&c.Connections[i])}] = true
			}
		}
	}
	return open
}

// removeMoved removes the connections of closed that are open in another container of the namespace: that was read too late before.
func (c *containerConns) removeMoved(closed []snapshot.Connection, namespace string, open map[netnsConn]bool) []snapshot.Connection {
	return slices.DeleteFunc(closed, func(connection snapshot.Connection) bool {
		key := keyOf(&connection)
		moved := open[netnsConn{namespace, key}]
		if moved {
			delete(c.connections, key)
		}
		return moved
	})
}

// sizeOf returns the number of cached connections of containers.
func (c *connCache) sizeOf(containers []snapshot.Container) (size int) {
	for _, current := range containers {
		if cached := c.containers[current.ID]; cached != nil {
			size += len(cached.connections)
		}
	}
	return size
}

// takeRoom returns as many of closed as the current snapshot has room for.
func (c *connCache) takeRoom(closed []snapshot.Connection) []snapshot.Connection {
	if c.maxSockets == 0 {
		return closed
	}
	n := min(len(closed), max(0, c.room))
	c.room -= n
	return closed[:n]
}

// update caches the established connections, at most maxConns, and returns the recently closed ones.
func (c *containerConns) update(listeners []snapshot.Listener, connections []snapshot.Connection, now time.Time, maxConns int) (closed []snapshot.Connection) {
	c.updateListeners(listeners, now)
	present := c.updateConnections(connections, now, maxConns)
	c.peak = max(c.peak, len(c.connections))
	closed = c.expire(present, now)
	c.shrink()
	return closed
}

// withClosed returns connections and closed, ascending. Earlier snapshots share the list of connections.
func withClosed(connections, closed []snapshot.Connection) []snapshot.Connection {
	if len(closed) == 0 {
		return connections
	}
	all := slices.Concat(connections, closed)
	slices.SortFunc(all, snapshot.CompareConnections)
	return all
}

func (c *containerConns) updateListeners(listeners []snapshot.Listener, now time.Time) {
	for _, listener := range listeners {
		c.listenedAt[socket.NewPort(listener.Local.Port(), listener.Protocol)] = now
	}
	for port, last := range c.listenedAt {
		if now.Sub(last) > closedTTL {
			delete(c.listenedAt, port)
		}
	}
}

// updateConnections caches established connections, completes their direction from the cache, and returns the keys of all.
func (c *containerConns) updateConnections(connections []snapshot.Connection, now time.Time, maxConns int) map[connKey]bool {
	present := make(map[connKey]bool, len(connections))
	for i := range connections {
		connection := &connections[i]
		key := keyOf(connection)
		present[key] = true
		cached, isCached := c.connections[key]
		_, listened := c.listenedAt[socket.NewPort(key.local.Port(), key.protocol)]
		connection.Inbound = connection.Inbound || cached.Inbound || !isCached && listened
		if connection.DialledBy == socket.UnknownEnd && connection.Inode != 0 && connection.Inode == cached.Inode {
			connection.DialledBy = cached.DialledBy // samples do not read it
		}
		if connection.State == socket.Established && (isCached || len(c.connections) < maxConns) {
			c.connections[key] = cachedConn{*connection, now}
		}
	}
	return present
}

// expire drops connections older than closedTTL and returns the remaining ones that are not present, in state CLOSE.
func (c *containerConns) expire(present map[connKey]bool, now time.Time) []snapshot.Connection {
	var closed []snapshot.Connection
	for key, connection := range c.connections {
		switch {
		case now.Sub(connection.seenAt) > closedTTL:
			delete(c.connections, key)
		case !present[key]:
			connection.State, connection.Info = socket.Close, nil
			closed = append(closed, connection.Connection)
		}
	}
	return closed
}

// shrink releases the memory of a map that has become much smaller than its peak: a Go map never shrinks by itself.
func (c *containerConns) shrink() {
	const minPeak, ratio = 64, 4
	if c.peak > minPeak && len(c.connections) < c.peak/ratio {
		smaller := make(map[connKey]cachedConn, len(c.connections))
		maps.Copy(smaller, c.connections)
		c.connections, c.peak = smaller, len(smaller)
	}
}
