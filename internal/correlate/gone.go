package correlate

import (
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// addrGrace is how long a gone container keeps its addresses: TIME_WAIT lasts one minute (TCP_TIMEWAIT_LEN of
// include/net/tcp.h), and a daemon may be polled up to a minute later.
const addrGrace = 2 * time.Minute

// maxRemembered bounds the connections that a host remembers for containers that may be removed. They take some 2 MB.
const maxRemembered = 16_384

// goneContainer is a container that is not in the snapshot any more, or has restarted since. For a while other ends still name
// its addresses and ports.
type goneContainer struct {
	container container
	members   []string // the IDs of all containers of its network namespace
	onHost    bool
	networks  []snapshotv1.Network
	listeners []endpoint
	published []publishedPort
	dialled   []connEnd // its open connections
	lastSeen  time.Time
}

// place is the network namespace and the owner of a gone container.
type place struct {
	netns int32
	owner ownerID
}

// publishedPort is a binding of the host and the port of the container behind it.
type publishedPort struct {
	binding endpoint
	port    socket.Port
}

// carryOver adds the containers that the previous snapshot had, or that were gone shortly before it, and that this one lacks.
func (h *Host) carryOver(previous *Host) {
	live := make(map[string]ownerID, h.live)
	for i, c := range h.containers {
		live[c.ID] = ownerID(toIndex(i))
	}
	isGone := func(c container) bool {
		owner, ok := live[c.ID]
		return !ok || !h.containers[owner].startedAt.Equal(c.startedAt)
	}
	for _, e := range append(slices.Clone(previous.gone), previous.endedContainers(isGone)...) {
		if isGone(e.container) && h.readAt.Sub(e.lastSeen) <= addrGrace {
			h.addGone(e, live)
		}
	}
}

// endedContainers returns the live containers of h that have ended since.
func (h *Host) endedContainers(isGone func(c container) bool) []goneContainer {
	var ended []goneContainer
	index := make(map[ownerID]int)
	for i, c := range h.containers[:h.live] {
		if isGone(c) {
			index[ownerID(toIndex(i))] = len(ended)
			ended = append(ended, goneContainer{container: c, lastSeen: h.readAt})
		}
	}
	if len(ended) == 0 {
		return nil
	}
	for i, n := range h.namespaces {
		h.addEndedNetns(ended, index, toIndex(i), n)
	}
	for port, bindings := range h.published {
		for addr, d := range bindings {
			if at, ok := index[d.owner]; ok {
				ended[at].published = append(ended[at].published, publishedPort{endpoint{addr, port}, d.port})
			}
		}
	}
	for _, end := range h.dialled {
		if at, ok := index[end.owner]; ok {
			ended[at].dialled = append(ended[at].dialled, end)
		}
	}
	return ended
}

// addEndedNetns adds what a network namespace of h says of ended containers.
func (h *Host) addEndedNetns(ended []goneContainer, index map[ownerID]int, i int32, n netns) {
	if at, ok := index[n.primary]; ok {
		ended[at].networks = n.networks
	}
	for _, member := range n.members {
		if at, ok := index[member]; ok {
			ended[at].onHost = i == hostNetns
			if i != hostNetns {
				ended[at].members = h.idsOf(n.members)
			}
		}
	}
	for port, bound := range n.listeners {
		for addr, owner := range bound {
			if at, ok := index[owner]; ok {
				ended[at].listeners = append(ended[at].listeners, endpoint{addr, port})
			}
		}
	}
}

func (h *Host) idsOf(owners []ownerID) []string {
	ids := make([]string, 0, min(len(owners), maxCandidates))
	for _, owner := range owners[:min(len(owners), maxCandidates)] {
		ids = append(ids, h.containers[owner].ID)
	}
	return ids
}

// addGone adds a gone container in a network namespace of its own. live has the owners of the live containers by ID.
func (h *Host) addGone(e goneContainer, live map[string]ownerID) {
	owner, restarted := live[e.container.ID]
	if !restarted {
		owner = ownerID(toIndex(len(h.containers)))
		h.containers = append(h.containers, e.container)
	}
	ns := hostNetns
	if !e.onHost {
		ns = toIndex(len(h.namespaces))
		h.namespaces = append(h.namespaces, netns{primary: owner, members: goneMembers(e, owner, live), listeners: make(listeners), gone: true})
	}
	for _, network := range e.networks {
		h.namespaces[ns].addNetwork(network)
		for _, addr := range network.Addresses {
			h.addGoneAddr(addr.Unmap(), ns)
		}
	}
	h.gone = append(h.gone, e)
	h.goneAt = append(h.goneAt, place{ns, owner})
	for _, end := range e.dialled {
		end.netns, end.owner, end.gone, end.closed = ns, owner, true, true
		h.goneEnds = append(h.goneEnds, end)
	}
}

// goneMembers returns the owners that a gone container's network namespace had, as far as they still exist.
func goneMembers(e goneContainer, owner ownerID, live map[string]ownerID) []ownerID {
	members := []ownerID{owner}
	for _, id := range e.members {
		if other, ok := live[id]; ok && other != owner {
			members = append(members, other)
		}
	}
	slices.Sort(members)
	return members
}

// addGoneAddr adds an address of a gone container. The present holder, if any, comes first.
func (h *Host) addGoneAddr(addr netip.Addr, ns int32) {
	if _, taken := h.netnsByAddr[addr]; !taken {
		h.netnsByAddr[addr] = ns
	}
	h.goneByAddr[addr] = ns // the latest holder
}

// addGonePorts adds the listeners and bindings of gone containers, unless another container has them now.
func (h *Host) addGonePorts() {
	for i, e := range h.gone {
		at := h.goneAt[i]
		for _, l := range e.listeners {
			if _, taken := h.namespaces[at.netns].listeners[l.port][l.addr]; !taken {
				h.addListener(at.netns, l, at.owner)
			}
		}
		for _, p := range e.published {
			if _, taken := h.published[p.binding.port][p.binding.addr]; !taken {
				h.addBinding(p.binding, destination{netnsPort{at.netns, p.port}, at.owner, graph.ViaPublished})
			}
		}
	}
}

// remember keeps the open connections that containers dialled, for the case that their containers are removed.
func (h *Host) remember(ends []connEnd) {
	number := 0
	for i := range ends {
		if h.isDialled(&ends[i]) {
			number++
		}
	}
	h.dialled = make([]connEnd, 0, min(number, maxRemembered))
	for i := range ends {
		if h.isDialled(&ends[i]) && len(h.dialled) < maxRemembered {
			kept := ends[i]
			kept.tcpInfo = nil
			h.dialled = append(h.dialled, kept)
		}
	}
}

// isDialled reports whether an end is an open connection of one live container, which dialled it.
func (h *Host) isDialled(end *connEnd) bool {
	return !end.closed && !end.gone && !end.isServer() && !end.isLoopback() && end.owner >= 0 && int(end.owner) < h.live
}
