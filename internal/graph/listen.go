package graph

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/snapshot"
)

// party is who owns a socket: a container by its index, the host's own processes, or one of a set of containers, by
// the set's index after all containers.
type party int32

const hostItself party = -1

// hostNamespace is the index of the host's own network namespace.
const hostNamespace = 0

type listener struct {
	addr  netip.Addr
	owner party
}

// binding publishes a port of a namespace.
type binding struct {
	addr netip.Addr // of the host; unspecified: all
	service
	owner party
}

// hear takes note of who listens where.
func (h *Host) hear(containers []snapshot.ContainerDocument, spaces []int32) {
	for i, c := range containers {
		n := &h.namespaces[spaces[i]]
		for _, l := range c.Listening {
			addr, err := netip.ParseAddr(l.Address)
			if err != nil || l.Port == 0 {
				h.Invalid++
				continue
			}
			n.listeners[l.Port] = h.own(n.listeners[l.Port], listener{addr.Unmap(), party(i)})
			for _, host := range l.Published {
				h.publish(host, binding{service: service{spaces[i], l.Port}, owner: party(i)})
			}
		}
	}
}

// own adds a listener. Where another container has the same one, it is either's.
func (h *Host) own(listeners []listener, l listener) []listener {
	for i, other := range listeners {
		if other.addr == l.addr {
			listeners[i].owner = h.either(other.owner, l.owner)
			return listeners
		}
	}
	return append(listeners, l)
}

func (h *Host) publish(host snapshot.Endpoint, b binding) {
	addr, err := netip.ParseAddr(host.Address)
	if err != nil || host.Port == 0 {
		h.Invalid++
		return
	}
	b.addr = addr.Unmap()
	h.publishes[b.service] = true
	bindings := h.published[host.Port]
	for i, other := range bindings {
		if other.addr == b.addr {
			bindings[i].owner = h.either(other.owner, b.owner)
			return
		}
	}
	h.published[host.Port] = append(bindings, b)
}

// either returns the party of who may be a or b.
func (h *Host) either(a, b party) party {
	if a == b {
		return a
	}
	members := append(slices.Clone(h.membersOf(a)), h.membersOf(b)...)
	slices.Sort(members)
	return h.oneOf(slices.Compact(members))
}

// mostCandidates bounds how many containers one socket may belong to; of more, these stand for all.
const mostCandidates = 16

// oneOf returns the party of who may be any of members, which are ascending.
func (h *Host) oneOf(members []party) party {
	if len(members) == 1 {
		return members[0]
	}
	members = members[:min(len(members), mostCandidates)]
	key := fmt.Sprint(members)
	set, ok := h.setOf[key]
	if !ok {
		set = party(number(len(h.containers) + len(h.sets)))
		h.setOf[key] = set
		h.sets = append(h.sets, members)
	}
	return set
}

// membersOf returns the containers that a party may be.
func (h *Host) membersOf(p party) []party {
	if int(p) < len(h.containers) {
		return []party{p}
	}
	return h.sets[int(p)-len(h.containers)]
}

// listening returns who listens at an address of a namespace, as the kernel looks it up: at the very address, or else at
// all of its family, or else, for IPv4, at all of IPv6.
func (h *Host) listening(space int32, at netip.AddrPort) (owner party, ok bool) {
	candidates := h.namespaces[space].listeners[at.Port()]
	for _, addr := range boundFor(at.Addr()) {
		for _, l := range candidates {
			if l.addr == addr {
				return l.owner, true
			}
		}
	}
	return hostItself, false
}

// boundFor returns the addresses to which a listener may be bound that is reached at addr, the best first.
func boundFor(addr netip.Addr) [3]netip.Addr {
	if addr.Is4() {
		return [...]netip.Addr{addr, netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	return [...]netip.Addr{addr, netip.IPv6Unspecified(), netip.IPv6Unspecified()}
}

// bound returns the binding that publishes something at an address of the host.
func (h *Host) bound(at netip.AddrPort) (binding, bool) {
	candidates := h.published[at.Port()]
	for _, addr := range boundFor(at.Addr()) {
		for _, b := range candidates {
			if b.addr == addr {
				return b, true
			}
		}
	}
	return binding{}, false
}

// near reports whether an address of one namespace is reached from another as it is: on a network of both, or from the
// host itself.
func (h *Host) near(from, to int32) bool {
	if from == hostNamespace || from == to {
		return true
	}
	ids := h.namespaces[to].ids
	return len(ids) == 0 || len(h.namespaces[from].ids) == 0 ||
		slices.ContainsFunc(h.namespaces[from].ids, func(id string) bool { return slices.Contains(ids, id) })
}

// isHost reports whether an address means this host to its own containers and processes.
func (h *Host) isHost(addr netip.Addr) bool {
	return h.addresses[addr] || h.gateways[addr] && !h.isRouter(addr)
}

// isRouter reports whether a gateway is another machine, as on networks that are part of the one outside (macvlan).
func (h *Host) isRouter(gateway netip.Addr) bool { return h.complete && !h.addresses[gateway] }
