package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// listeners are the owners of the listeners of one network namespace, by port and bound address.
type listeners map[socket.Port]map[netip.Addr]ownerID

// indexListeners indexes the listeners of containers, and the host ports that are published for them.
func (h *Host) indexListeners(containers []snapshotv1.Container, namespaces []int32) {
	for i, c := range containers {
		for _, l := range c.Listening {
			at, ok := parseEndpoint(l.Endpoint, l.Protocol)
			if !ok || l.Port == 0 {
				h.invalid++
				continue
			}
			h.addListener(namespaces[i], at, ownerID(i))
			for _, binding := range l.Published {
				h.addPublished(binding, destination{netnsPort{namespaces[i], at.port}, ownerID(i), graph.ViaPublished})
			}
		}
	}
	for i, c := range containers {
		for _, b := range c.Bindings {
			h.addIdleBinding(b, netnsPort{namespaces[i], socket.NewPort(b.ContainerPort, b.Protocol)}, ownerID(i))
		}
	}
}

// addIdleBinding adds a binding without a listener behind it. One with a listener is known already, with the listener's owner.
func (h *Host) addIdleBinding(b snapshotv1.Binding, to netnsPort, owner ownerID) {
	at, ok := parseEndpoint(b.Endpoint, b.Protocol)
	if !ok || b.Port == 0 || b.ContainerPort == 0 {
		h.invalid++
		return
	}
	if _, taken := h.published[at.port][at.addr]; !taken {
		h.addBinding(at, destination{to, owner, graph.ViaPublished})
	}
}

// addListener adds a listener. If another container has the same one, either may be the owner.
func (h *Host) addListener(netns int32, at endpoint, owner ownerID) {
	all := h.namespaces[netns].listeners
	if all[at.port] == nil {
		all[at.port] = make(map[netip.Addr]ownerID)
	}
	if other, taken := all[at.port][at.addr]; taken {
		owner = h.mergeOwners(other, owner)
	}
	all[at.port][at.addr] = owner
}

// addPublished adds a binding of the host that leads to d. If the binding is taken, the first destination stays and
// either owner may be meant.
func (h *Host) addPublished(binding snapshotv1.Endpoint, d destination) {
	at, ok := parseEndpoint(binding, d.port.Protocol())
	if !ok || binding.Port == 0 {
		h.invalid++
		return
	}
	h.addBinding(at, d)
}

func (h *Host) addBinding(at endpoint, d destination) {
	h.hasPublished[d.netnsPort] = true
	if h.published[at.port] == nil {
		h.published[at.port] = make(map[netip.Addr]destination)
	}
	bindings := h.published[at.port]
	if other, taken := bindings[at.addr]; taken {
		other.owner = h.mergeOwners(other.owner, d.owner)
		d = other
	}
	bindings[at.addr] = d
}

// listenerAt returns the owner of the listener that accepts connections to an address of a network namespace.
func (h *Host) listenerAt(netns int32, at endpoint) (owner ownerID, ok bool) {
	bound := h.namespaces[netns].listeners[at.port]
	for _, addr := range lookupOrder(at.addr) {
		if owner, ok := bound[addr]; ok {
			return owner, true
		}
	}
	return hostProcesses, false
}

// publishedAt returns where a published port at an address of the host leads. The engine binds :: for IPv6 alone.
func (h *Host) publishedAt(at endpoint) (destination, bool) {
	bindings := h.published[at.port]
	unspecified := netip.IPv4Unspecified()
	if at.addr.Is6() {
		unspecified = netip.IPv6Unspecified()
	}
	for _, addr := range []netip.Addr{at.addr, unspecified} {
		if d, ok := bindings[addr]; ok {
			return d, true
		}
	}
	return destination{}, false
}

// lookupOrder returns the bound addresses that accept connections to addr, in the kernel's order: addr itself, the
// unspecified address of its family, and :: for IPv4 too. Socket tables show neither IPV6_V6ONLY nor SO_BINDTODEVICE, so a
// listener at :: counts as one for IPv4 on all interfaces.
func lookupOrder(addr netip.Addr) [3]netip.Addr {
	if addr.Is4() {
		return [...]netip.Addr{addr, netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	return [...]netip.Addr{addr, netip.IPv6Unspecified(), netip.IPv6Unspecified()}
}
