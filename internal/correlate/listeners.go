package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// listeners are the owners of the listeners of one network namespace, by port and bound address.
type listeners map[uint16]map[netip.Addr]ownerID

// indexListeners indexes the listeners of containers, and the host ports that are published for them.
func (h *Host) indexListeners(containers []snapshotv1.Container, namespaces []int32) {
	for i, c := range containers {
		for _, l := range c.Listening {
			addr, err := netip.ParseAddr(l.Address)
			if err != nil || l.Port == 0 {
				h.invalid++
				continue
			}
			h.addListener(namespaces[i], l.Port, addr.Unmap(), ownerID(i))
			for _, binding := range l.Published {
				h.addPublished(binding, destination{netnsPort{namespaces[i], l.Port}, ownerID(i), graph.ViaPublished})
			}
		}
	}
	for i, c := range containers {
		for _, b := range c.Bindings {
			h.addIdleBinding(b, netnsPort{namespaces[i], b.ContainerPort}, ownerID(i))
		}
	}
}

// addIdleBinding adds a binding without a listener behind it. One with a listener is known already, with the listener's owner.
func (h *Host) addIdleBinding(b snapshotv1.Binding, to netnsPort, owner ownerID) {
	addr, err := netip.ParseAddr(b.Address)
	if err != nil || b.Port == 0 || b.ContainerPort == 0 {
		h.invalid++
		return
	}
	at := netip.AddrPortFrom(addr.Unmap(), b.Port)
	if _, taken := h.published[at.Port()][at.Addr()]; !taken {
		h.addBinding(at, destination{to, owner, graph.ViaPublished})
	}
}

// addListener adds a listener. If another container has the same one, either may be the owner.
func (h *Host) addListener(netns int32, port uint16, addr netip.Addr, owner ownerID) {
	all := h.namespaces[netns].listeners
	if all[port] == nil {
		all[port] = make(map[netip.Addr]ownerID)
	}
	if other, taken := all[port][addr]; taken {
		owner = h.mergeOwners(other, owner)
	}
	all[port][addr] = owner
}

// addPublished adds a binding of the host that leads to d. If the binding is taken, the first destination stays and
// either owner may be meant.
func (h *Host) addPublished(binding snapshotv1.Endpoint, d destination) {
	addr, err := netip.ParseAddr(binding.Address)
	if err != nil || binding.Port == 0 {
		h.invalid++
		return
	}
	h.addBinding(netip.AddrPortFrom(addr.Unmap(), binding.Port), d)
}

func (h *Host) addBinding(at netip.AddrPort, d destination) {
	h.hasPublished[d.netnsPort] = true
	if h.published[at.Port()] == nil {
		h.published[at.Port()] = make(map[netip.Addr]destination)
	}
	bindings := h.published[at.Port()]
	if other, taken := bindings[at.Addr()]; taken {
		other.owner = h.mergeOwners(other.owner, d.owner)
		d = other
	}
	bindings[at.Addr()] = d
}

// listenerAt returns the owner of the listener that accepts connections to an address of a network namespace.
func (h *Host) listenerAt(netns int32, at netip.AddrPort) (owner ownerID, ok bool) {
	bound := h.namespaces[netns].listeners[at.Port()]
	for _, addr := range lookupOrder(at.Addr()) {
		if owner, ok := bound[addr]; ok {
			return owner, true
		}
	}
	return hostProcesses, false
}

// publishedAt returns where a published port at an address of the host leads. The engine binds :: for IPv6 alone.
func (h *Host) publishedAt(at netip.AddrPort) (destination, bool) {
	bindings := h.published[at.Port()]
	unspecified := netip.IPv4Unspecified()
	if at.Addr().Is6() {
		unspecified = netip.IPv6Unspecified()
	}
	for _, addr := range []netip.Addr{at.Addr(), unspecified} {
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
