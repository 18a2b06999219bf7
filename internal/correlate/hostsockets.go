package correlate

import (
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// addHostSockets adds the sockets of the host's network namespace that no container is known to own.
func (h *Host) addHostSockets(sockets *snapshotv1.HostSockets, containers []snapshotv1.Container) {
	h.uncertainOwner = h.uncertainHostOwner(containers)
	if sockets == nil {
		return
	}
	h.hostRead = !sockets.Incomplete
	for _, l := range sockets.Listening {
		if at, ok := parseEndpoint(l.Endpoint, l.Protocol); ok && l.Port != 0 {
			h.addHostListener(at, l.OwnerUnknown)
		}
	}
	gone := h.goneHostSockets()
	for _, c := range sockets.Connections {
		end, ok := h.parseEnd(c.Connection)
		if !ok || end.directionUnknown {
			h.invalid++
			continue
		}
		if h.swarm.isOwn(&end) || gone[end.socketKey()] {
			continue
		}
		end.owner = h.hostOwner(c.OwnerUnknown)
		if d, published := h.publishedAt(end.local); published && end.isServer() {
			end.proxied = end.local.port.Number()
			end.netns, end.owner, end.local = d.netns, d.owner, endpoint{end.local.addr, d.port}
		}
		h.hostEnds = append(h.hostEnds, end)
	}
}

// goneHostSockets returns the sockets of gone containers in the host's network namespace. The kernel keeps a closed one for a while, and then
// nobody owns it.
func (h *Host) goneHostSockets() map[socketKey]bool {
	sockets := make(map[socketKey]bool)
	for i := range h.goneEnds {
		if h.goneEnds[i].netns == hostNetns {
			sockets[h.goneEnds[i].socketKey()] = true
		}
	}
	return sockets
}

// addHostListener adds a listener of the host. What is known of a container's listener at the same place counts more than an
// unknown owner.
func (h *Host) addHostListener(at endpoint, ownerUnknown bool) {
	if _, taken := h.namespaces[hostNetns].listeners[at.port][at.addr]; taken && ownerUnknown {
		return
	}
	h.addListener(hostNetns, at, h.hostOwner(ownerUnknown))
}

// hostOwner returns the owner of a socket of the host's network namespace that no container is known to own.
func (h *Host) hostOwner(unknown bool) ownerID {
	if unknown {
		return h.uncertainOwner
	}
	return hostProcesses
}

// uncertainHostOwner returns the owner that may be the host or a container on its network. If the sockets of some of these
// containers could not be read completely, it is one of those.
func (h *Host) uncertainHostOwner(containers []snapshotv1.Container) ownerID {
	var all, incomplete []ownerID
	for i, c := range containers {
		if c.NetworkMode != networkModeHost {
			continue
		}
		all = append(all, ownerID(toIndex(i)))
		if isIncomplete(c) {
			incomplete = append(incomplete, ownerID(toIndex(i)))
		}
	}
	h.hostOwnersUnknown = len(incomplete) > 0
	if len(incomplete) == 0 {
		incomplete = all
	}
	return h.internOwners(append([]ownerID{hostProcesses}, incomplete...))
}

// isIncomplete reports whether connections of a container may be missing. Old daemons report no status.
func isIncomplete(c snapshotv1.Container) bool {
	return c.Status == snapshotv1.StatusPartial || c.Status == snapshotv1.StatusFailed
}

// mayBeHost reports whether an owner is the host's processes, or may be.
func (h *Host) mayBeHost(owner ownerID) bool { return h.candidates(owner)[0] == hostProcesses }
