package correlate

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// destination is the server that a remote address leads to, and the way there.
type destination struct {
	netnsPort
	owner ownerID
	via   graph.Via
}

// resolve returns the server at an address of a network namespace of this host, and reports whether it is known to listen.
func (h *Host) resolve(netns int32, at endpoint) (d destination, listens bool) {
	if netns == hostNetns {
		return h.resolveHost(at)
	}
	return h.resolveContainer(netns, at)
}

// resolveContainer returns the server at a container's address: the listener, else the container with the address, because
// the listener may be closed since.
func (h *Host) resolveContainer(netns int32, at endpoint) (d destination, listens bool) {
	d = destination{netnsPort{netns, at.port}, h.namespaces[netns].primary, graph.ViaDirect}
	if owner, ok := h.listenerAt(netns, at); ok {
		d.owner = owner
		return d, true
	}
	return d, false
}

// resolveHost returns the server at an address of the host: a published port, else a container on the host's network, else
// the host's processes. Their listeners are not in the snapshot.
func (h *Host) resolveHost(at endpoint) (d destination, listens bool) {
	if d, ok := h.publishedAt(at); ok {
		return d, true
	}
	owner, listens := h.listenerAt(hostNetns, at)
	return destination{netnsPort{hostNetns, at.port}, owner, graph.ViaHost}, listens
}

// resolveLoopback returns the server at a loopback address that was dialled in a network namespace, and reports whether it is
// known. Without a listener it is one of the containers there, because the listener may be closed since.
func (h *Host) resolveLoopback(netns int32, at endpoint) (d destination, ok bool) {
	if at.addr == engineResolver {
		return destination{netnsPort{hostNetns, at.port}, hostProcesses, graph.ViaResolver}, true
	}
	if d, ok := h.publishedAt(at); ok && netns == hostNetns {
		return d, true
	}
	d = destination{netnsPort{netns, at.port}, hostProcesses, graph.ViaLoopback}
	if d.owner, ok = h.listenerAt(netns, at); ok {
		return d, d.owner != hostProcesses
	}
	if netns != hostNetns {
		d.owner = h.clientIn(netns)
		return d, true
	}
	return d, false
}

// resolveOwnAddr returns the server at an address that only the containers themselves report.
func (h *Host) resolveOwnAddr(at endpoint) (d destination, ok bool) {
	holders := h.ownAddrs[at.addr]
	switch len(holders) {
	case 0:
		return d, false
	case 1:
		d, _ = h.resolveContainer(holders[0], at)
		return d, true
	}
	return destination{netnsPort{holders[0], at.port}, h.clientOf(holders), graph.ViaDirect}, true
}

// clientOf returns the owner of a connection that was dialled from one of several network namespaces.
func (h *Host) clientOf(namespaces []int32) ownerID {
	owner := h.clientIn(namespaces[0])
	for _, ns := range namespaces[1:] {
		owner = h.mergeOwners(owner, h.clientIn(ns))
	}
	return owner
}

// inferVia returns the way of a connection by its inbound end alone. Containers on a common network reach each other directly.
// Other clients reach a published port by the host's address.
func (h *Host) inferVia(in *connEnd, onNetwork bool) graph.Via {
	switch {
	case in.proxied != 0, in.dialledAt().isValid() && in.netns != hostNetns:
		return graph.ViaPublished
	case in.netns == hostNetns:
		return graph.ViaHost
	case !onNetwork && h.hasPublished[in.netnsPort()] && !h.isInside(in):
		return graph.ViaPublished
	}
	return graph.ViaDirect
}

// sameNetwork reports whether an address of the server's network namespace is reached from the client's: on a common
// network, or from the host. It reports true if the networks of either are unknown.
func (h *Host) sameNetwork(client, server int32) bool {
	if client == hostNetns || client == server {
		return true
	}
	a, b := h.namespaces[client].networkIDs, h.namespaces[server].networkIDs
	return len(a) == 0 || len(b) == 0 || intersect(a, b)
}

// isOnNetworkOf reports whether the address of a network namespace is on a network of another one, or on an unknown network.
func (h *Host) isOnNetworkOf(addr netip.Addr, of, other int32) bool {
	network, ok := h.networkOf(of, addr)
	_, common := slices.BinarySearch(h.namespaces[other].networkIDs, network)
	return !ok || common
}

// intersect reports whether two ascending lists have a common element.
func intersect(a, b []string) bool {
	for len(a) > 0 && len(b) > 0 {
		switch order := strings.Compare(a[0], b[0]); {
		case order == 0:
			return true
		case order < 0:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// isLocalAddr reports whether an address means this host to its own containers and processes.
func (h *Host) isLocalAddr(addr netip.Addr) bool {
	return h.addrs[addr] || h.gateways[addr] && !h.isExternalRouter(addr)
}

// isExternalRouter reports whether a gateway is another machine, as on macvlan and ipvlan networks. This needs all addresses
// of the host. The engine's bridges are not among them if its network namespace is not the host's, as without root.
func (h *Host) isExternalRouter(gateway netip.Addr) bool {
	return h.allAddrs && !h.addrs[gateway] && !h.bridges[gateway]
}

// isPrivate reports whether an address of the host means the host to its own containers only: many hosts have the same. The
// gateway of a network on the host's way to other machines is not private. Only the engine's networks tell these apart.
func (h *Host) isPrivate(addr netip.Addr) bool {
	if len(h.bridges) > 0 {
		return h.bridges[addr]
	}
	return h.gateways[addr]
}

// isOnLAN reports whether a network's driver puts containers on the network of the host's interface. Its gateway is then a
// router, and its addresses mean something outside of the host.
func isOnLAN(driver string) bool { return driver == "macvlan" || driver == "ipvlan" }

// isRoutable reports whether a container's address means something outside of its host. This holds for a global
// IPv6 address, and for any address on a network with another machine as its gateway.
func (h *Host) isRoutable(addr netip.Addr, network snapshotv1.Network) bool {
	if isOnLAN(network.Driver) || addr.Is6() && addr.IsGlobalUnicast() && !addr.IsPrivate() {
		return true
	}
	return slices.ContainsFunc(network.Gateways, func(gateway netip.Addr) bool {
		gateway = gateway.Unmap()
		return gateway.Is4() == addr.Is4() && h.isExternalRouter(gateway)
	})
}
