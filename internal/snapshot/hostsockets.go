package snapshot

import (
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/socket"
)

// maxHostSockets bounds the listeners, and the connections, of a host's own network namespace in a snapshot.
const maxHostSockets = 10_000

// AttributeHost returns the sockets of the host's network namespace that no container is known to own, and that help to explain
// the connections of containers:
//
//   - connections that the host dialled, except on loopback;
//   - connections that docker-proxy accepted at a published port;
//   - loopback connections to such a port, or to a listener of a container on the host's network.
//
// It returns nil if the namespace was not read.
func AttributeHost(result collect.Result) *HostSockets {
	if result.Host == nil {
		return nil
	}
	h := newHostAttribution(result)
	sockets := &HostSockets{Method: result.Host.Method, Incomplete: result.Host.Incomplete}
	for _, s := range result.Host.Sockets {
		if len(h.owners(s)) > 0 {
			continue
		}
		switch s.State {
		case socket.Listen:
			sockets.Listeners = append(sockets.Listeners, Listener{Local: s.Local, OwnerUnknown: h.ownerUnknown(s)})
		case socket.Established, socket.TimeWait:
			c := newConnection(s, "", h.listeners, result.Host.ReadAt)
			c.OwnerUnknown = h.ownerUnknown(s)
			if h.explains(c) {
				sockets.Connections = append(sockets.Connections, c)
			}
		}
	}
	sockets.sort()
	return sockets
}

// sort sorts the sockets and drops those over maxHostSockets.
func (h *HostSockets) sort() {
	slices.SortFunc(h.Listeners, func(a, b Listener) int { return a.Local.Compare(b.Local) })
	slices.SortFunc(h.Connections, CompareConnections)
	h.Incomplete = h.Incomplete || len(h.Listeners) > maxHostSockets || len(h.Connections) > maxHostSockets
	h.Listeners = h.Listeners[:min(len(h.Listeners), maxHostSockets)]
	h.Connections = h.Connections[:min(len(h.Connections), maxHostSockets)]
}

// hostAttribution knows who may own a socket of the host's network namespace.
type hostAttribution struct {
	readings       []collect.Reading // of the containers on the host's network
	listeners      listenerIndex
	byInode        map[uint64][]int
	allOwnersKnown bool
	published      map[uint16]bool // host ports
}

func newHostAttribution(result collect.Result) *hostAttribution {
	h := &hostAttribution{listeners: indexListeners(result.Host.Sockets), allOwnersKnown: true, published: make(map[uint16]bool)}
	for _, r := range result.Readings {
		if r.NetNS == nil {
			continue
		}
		for _, binding := range r.NetNS.Published {
			h.published[binding.Host.Port()] = true
		}
		if r.NetNS.Host {
			h.readings = append(h.readings, r)
			h.allOwnersKnown = h.allOwnersKnown && allOwnersKnown(r)
		}
	}
	indexes := make([]int, len(h.readings))
	for i := range indexes {
		indexes[i] = i
	}
	h.byInode = ownersByInode(h.readings, indexes)
	return h
}

// owners returns the indexes of the containers that are known to own a socket.
func (h *hostAttribution) owners(s socket.Socket) []int {
	switch {
	case s.Unaccepted() || s.State == socket.TimeWait:
		return listenerOwners(s, h.listeners, h.byInode)
	case s.State == socket.Listen && len(h.byInode[s.Inode]) == 0:
		return h.configured(s.Local.Port())
	}
	return h.byInode[s.Inode]
}

// configured returns the containers with unknown sockets and a port in their configuration. attributeShared gives them the
// listeners of that port.
func (h *hostAttribution) configured(port uint16) []int {
	var owners []int
	for i, r := range h.readings {
		if !allOwnersKnown(r) && isConfigured(r, port) {
			owners = append(owners, i)
		}
	}
	return owners
}

// ownerUnknown reports whether a socket without a known owner may belong to a container. The kernel shows no owner of a closed
// connection. An accepted connection belongs to the owner of the listener.
func (h *hostAttribution) ownerUnknown(s socket.Socket) bool {
	isDialled := s.State == socket.TimeWait && h.listeners.lookup(s) == nil
	return len(h.readings) > 0 && (!h.allOwnersKnown || isDialled)
}

// explains reports whether a connection helps to explain the connections of containers.
func (h *hostAttribution) explains(c Connection) bool {
	switch {
	case c.Inbound:
		return h.published[c.Local.Port()] || c.OwnerUnknown
	case !c.Remote.Addr().IsLoopback():
		return true
	}
	return h.published[c.Remote.Port()] || h.isContainers(c)
}

// isContainers reports whether a listener of a container on the host's network may have accepted the other end of a connection.
func (h *hostAttribution) isContainers(c Connection) bool {
	other := socket.Socket{Local: c.Remote, Remote: c.Local}
	return len(h.readings) > 0 && (!h.allOwnersKnown || len(listenerOwners(other, h.listeners, h.byInode)) > 0)
}
