package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// party is who owns a socket: a container by its index, the host's own processes, or one of a set of containers, by
// the set's index after all containers.
type party int32

const hostItself party = -1

// hostNamespace is the index of the host's own network namespace.
const hostNamespace = 0

// listeners are who listens at the ports and addresses of a namespace.
type listeners map[uint16]map[netip.Addr]party

// binding publishes a port of a namespace.
type binding struct {
	service
	owner party
}

// hear takes note of who listens where.
func (h *Host) hear(containers []snapshotv1.Container, spaces []int32) {
	for i, c := range containers {
		n := &h.namespaces[spaces[i]]
		for _, l := range c.Listening {
			addr, err := netip.ParseAddr(l.Address)
			if err != nil || l.Port == 0 {
				h.Invalid++
				continue
			}
			h.own(n.listeners, l.Port, addr.Unmap(), party(i))
			for _, host := range l.Published {
				h.publish(host, binding{service: service{spaces[i], l.Port}, owner: party(i)})
			}
		}
	}
}

// own adds a listener. Where another container has the same one, it is either's.
func (h *Host) own(all listeners, port uint16, addr netip.Addr, owner party) {
	if all[port] == nil {
		all[port] = make(map[netip.Addr]party)
	}
	if other, taken := all[port][addr]; taken {
		owner = h.either(other, owner)
	}
	all[port][addr] = owner
}

func (h *Host) publish(host snapshotv1.Endpoint, b binding) {
	addr, err := netip.ParseAddr(host.Address)
	if err != nil || host.Port == 0 {
		h.Invalid++
		return
	}
	h.publishes[b.service] = true
	if h.published[host.Port] == nil {
		h.published[host.Port] = make(map[netip.Addr]binding)
	}
	at := h.published[host.Port]
	if other, taken := at[addr.Unmap()]; taken {
		other.owner = h.either(other.owner, b.owner)
		b = other
	}
	at[addr.Unmap()] = b
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
		if owner, ok := candidates[addr]; ok {
			return owner, true
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
		if b, ok := candidates[addr]; ok {
			return b, true
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
	return len(ids) == 0 || len(h.namespaces[from].ids) == 0 || intersect(h.namespaces[from].ids, ids)
}

// intersect reports whether two lists, both ascending, have something in common.
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

// isHost reports whether an address means this host to its own containers and processes.
func (h *Host) isHost(addr netip.Addr) bool {
	return h.addresses[addr] || h.gateways[addr] && !h.isRouter(addr)
}

// isRouter reports whether a gateway is another machine, as on networks that are part of the one outside (macvlan).
func (h *Host) isRouter(gateway netip.Addr) bool { return h.complete && !h.addresses[gateway] }
