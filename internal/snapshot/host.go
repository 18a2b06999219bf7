package snapshot

import (
	"cmp"
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/socket"
)

// MaxHostSockets bounds the listeners, and the connections, of HostSockets.
const MaxHostSockets = 10_000

// AttributeHost returns the sockets of the host's own network namespace that Attribute gives to no container. Of the connections
// it returns these, so that the document stays small:
//
//   - dialled ones to another address than a loopback one
//   - accepted ones at a port that the engine publishes, which are docker-proxy's
//   - dialled ones over loopback to a published port, or to a listener of a container
//   - those that may be a container's
//
// It returns nil if the namespace was not read.
func AttributeHost(result collect.Result) *HostSockets {
	if result.Host == nil {
		return nil
	}
	h := newHostAttribution(result)
	all := result.Host.Sockets
	var listeners, connections []int // indexes: a copy of each socket would take much more memory
	for i, s := range all {
		switch {
		case s.Listening() && !isSender(s) && !h.isContainers(s):
			listeners = append(listeners, i)
		case (s.State == socket.Established || s.State == socket.TimeWait) && !isPortless(s) && h.selects(s) && !h.isContainers(s):
			connections = append(connections, i)
		}
	}
	sockets := &HostSockets{Namespace: result.Host.ID, Method: result.Host.Method, Incomplete: result.Host.Incomplete}
	for _, i := range sockets.first(listeners, all) {
		sockets.Listeners = append(sockets.Listeners, HostListener{Local: all[i].Local, Protocol: all[i].Protocol, OwnerUnknown: h.mayBeContainers()})
	}
	for _, i := range sockets.first(connections, all) {
		sockets.Connections = append(sockets.Connections, h.newConnection(all[i]))
	}
	return sockets
}

// first returns the indexes of the first MaxHostSockets sockets, ascending by their ends.
func (s *HostSockets) first(indexes []int, all []socket.Socket) []int {
	slices.SortFunc(indexes, func(a, b int) int {
		return cmp.Or(all[a].Local.Compare(all[b].Local), all[a].Remote.Compare(all[b].Remote), cmp.Compare(all[a].State, all[b].State), cmp.Compare(all[a].Protocol, all[b].Protocol))
	})
	s.Incomplete = s.Incomplete || len(indexes) > MaxHostSockets
	return indexes[:min(len(indexes), MaxHostSockets)]
}

// hostAttribution is what AttributeHost knows about the containers on the host's network.
type hostAttribution struct {
	result    collect.Result
	sharing   []int // indexes of the readings of these containers
	byInode   map[uint64][]int
	listeners listenerIndex
	// ofContainers caches whether one of the listeners of a group is a container's. Others control the numbers of listeners
	// and of connections.
	ofContainers map[*listenerGroup]bool
	published    map[socket.Port]bool
	// ownersKnown means that all open sockets of these containers are known.
	ownersKnown bool
}

func newHostAttribution(result collect.Result) *hostAttribution {
	h := &hostAttribution{
		result: result, listeners: indexListeners(result.Host.Sockets), ofContainers: make(map[*listenerGroup]bool),
		published: make(map[socket.Port]bool), ownersKnown: !result.Host.Apart,
	}
	for i, r := range result.Readings {
		if r.NetNS != nil {
			for _, binding := range r.NetNS.Published {
				if !binding.Direct {
					h.published[binding.HostPort()] = true
				}
			}
		}
		if mayBeOnHost(r) {
			h.sharing = append(h.sharing, i)
			h.ownersKnown = h.ownersKnown && allOwnersKnown(r)
		}
	}
	h.byInode = ownersByInode(result.Readings, h.sharing)
	return h
}

// mayBeOnHost reports whether a container uses the host's network namespace, or may use it.
func mayBeOnHost(r collect.Reading) bool {
	if r.NetNS != nil {
		return r.NetNS.Host && !r.Container.Sandboxed
	}
	_, joined := r.Container.NetworkMode.JoinedContainer()
	return r.Container.NetworkMode.IsHost() || joined && r.Owned == nil
}

// isContainers reports whether Attribute gives s to a container.
func (h *hostAttribution) isContainers(s socket.Socket) bool {
	if len(ownersOf(s, h.listeners, h.byInode)) > 0 {
		return true
	}
	return s.Listening() && slices.ContainsFunc(h.sharing, func(i int) bool {
		r := h.result.Readings[i]
		return !allOwnersKnown(r) && isConfigured(r, s.LocalPort())
	})
}

// selects reports whether a connection belongs to the document.
func (h *hostAttribution) selects(s socket.Socket) bool {
	switch isInbound := h.listeners.lookup(s) != nil; {
	case isInbound:
		return h.published[s.LocalPort()] || h.mayBeContainers()
	case !s.Remote.Addr().IsLoopback():
		return true
	}
	return h.published[s.RemotePort()] || h.mayBeContainers() || h.isAtContainer(s)
}

// mayBeContainers reports whether a socket without a known owner may be a container's.
func (h *hostAttribution) mayBeContainers() bool { return len(h.sharing) > 0 && !h.ownersKnown }

// isAtContainer reports whether the remote end of s is a listener of a container.
func (h *hostAttribution) isAtContainer(s socket.Socket) bool {
	group := h.listeners.lookup(socket.Socket{Local: s.Remote, Protocol: s.Protocol})
	if group == nil {
		return false
	}
	ofContainer, known := h.ofContainers[group]
	if !known {
		ofContainer = slices.ContainsFunc(group.sockets, h.isContainers)
		h.ofContainers[group] = ofContainer
	}
	return ofContainer
}

// newConnection decides whether a container may own s: if not all their sockets are known, or if s may have closed before these
// were read. A socket without a file belongs to its listener, which is the host's here.
func (h *hostAttribution) newConnection(s socket.Socket) HostConnection {
	c := HostConnection{Connection: newConnection(s, "", h.listeners, h.result.Host.ReadAt)}
	isClosed := h.result.Host.Closed[s.Inode] || s.Inode == 0 && !c.Inbound
	c.OwnerUnknown = h.mayBeContainers() || len(h.sharing) > 0 && isClosed
	return c
}
