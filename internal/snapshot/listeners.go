package snapshot

import (
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/socket"
)

// listenerIndex has the listeners of a network namespace by port and address.
type listenerIndex map[socket.Port]map[netip.Addr]*listenerGroup

// listenerGroup are the listeners at one address and port. Its owners are computed once and kept for all connections of the
// group: a hostile container controls the number of both listeners and connections.
type listenerGroup struct {
	sockets     []socket.Socket
	owners      []int // indexes of readings; valid once ownersKnown
	ownersKnown bool
}

func indexListeners(sockets []socket.Socket) listenerIndex {
	index := make(listenerIndex)
	for _, s := range sockets {
		if s.Listening() {
			index.add(s)
		}
	}
	return index
}

func (x listenerIndex) add(s socket.Socket) {
	port, addr := s.LocalPort(), s.Local.Addr()
	if x[port] == nil {
		x[port] = make(map[netip.Addr]*listenerGroup)
	}
	if x[port][addr] == nil {
		x[port][addr] = new(listenerGroup)
	}
	x[port][addr].sockets = append(x[port][addr].sockets, s)
}

// lookup returns the listeners that may have accepted s, in the order of the kernel's lookup (compute_score of
// net/ipv4/inet_hashtables.c and net/ipv6/inet6_hashtables.c): first those on its exact address, then those on the unspecified
// address of its family, then, for IPv4, those on the unspecified IPv6 address. It returns nil if there are none.
func (x listenerIndex) lookup(s socket.Socket) *listenerGroup {
	byAddr := x[s.LocalPort()]
	if byAddr == nil {
		return nil
	}
	if group := byAddr[s.Local.Addr()]; group != nil {
		return group
	}
	if group := byAddr[netip.IPv4Unspecified()]; group != nil && s.Local.Addr().Is4() {
		return group
	}
	return byAddr[netip.IPv6Unspecified()]
}

// listenerOwners returns the owners of the listeners that may have accepted s.
func listenerOwners(s socket.Socket, listeners listenerIndex, byInode map[uint64][]int) []int {
	group := listeners.lookup(s)
	if group == nil {
		return nil
	}
	if !group.ownersKnown {
		for _, l := range group.sockets {
			group.owners = append(group.owners, byInode[l.Inode]...)
		}
		slices.Sort(group.owners)
		group.owners, group.ownersKnown = slices.Compact(group.owners), true
	}
	return group.owners
}
