package correlate

import (
	"slices"
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// goneContainer is a container that is not in the snapshot any more. For a while other containers' sockets still have its
// addresses.
type goneContainer struct {
	container container
	networks  []snapshotv1.Network
	lastSeen  time.Time
}

// addrGrace is how long a gone container keeps its addresses: TIME_WAIT lasts one minute (TCP_TIMEWAIT_LEN of
// include/net/tcp.h), and a daemon may be polled up to a minute later.
const addrGrace = 2 * time.Minute

// carryOver adds the containers that the previous snapshot had, or that were gone shortly before it, and this one lacks.
// They keep those of their addresses that no other container has now.
func (h *Host) carryOver(previous *Host) {
	if previous == nil {
		return
	}
	live := make(map[string]bool, h.live)
	for _, c := range h.containers {
		live[c.ID] = true
	}
	for _, e := range previous.recent() {
		if live[e.container.ID] || h.readAt.Sub(e.lastSeen) > addrGrace {
			continue
		}
		h.gone = append(h.gone, e)
		h.addGone(e)
	}
}

// recent returns the containers with addresses that were there lately: the gone ones, then the live ones.
func (h *Host) recent() []goneContainer {
	recent := slices.Clone(h.gone)
	for _, n := range h.namespaces {
		if int(n.primary) < h.live && len(n.networks) > 0 {
			recent = append(recent, goneContainer{h.containers[n.primary], n.networks, h.readAt})
		}
	}
	return recent
}

// addGone adds a gone container in a network namespace of its own.
func (h *Host) addGone(e goneContainer) {
	owner := ownerID(toIndex(len(h.containers)))
	ns := toIndex(len(h.namespaces))
	h.containers = append(h.containers, e.container)
	h.namespaces = append(h.namespaces, netns{primary: owner, members: []ownerID{owner}, listeners: make(listeners)})
	n := &h.namespaces[ns]
	for _, network := range e.networks {
		n.addNetwork(network)
		for _, addr := range network.Addresses {
			if _, taken := h.netnsByAddr[addr.Unmap()]; !taken {
				h.netnsByAddr[addr.Unmap()] = ns
			}
		}
	}
}
