package snapshot

import (
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/socket"
)

// sockets are those of one container.
type sockets struct {
	own       []socket.Socket
	unknown   int       // of the namespace's, those that may be the container's and are not among own
	listening listeners // of the namespace, whoever's
}

// attribute returns for each reading the sockets that are its container's. In a namespace that nobody shares
// they all are. In a shared one
//
//   - a socket belongs to the containers whose processes hold it;
//   - a connection that nobody has accepted yet, or that is past, belongs to the owners of its listener;
//   - a socket of which nobody is known to be the owner may belong to any container with processes that could not
//     be looked at. Among containers alone, it is listed with each of these. In the host's namespace, where it
//     may be no container's at all, only listeners are, on ports that the container's configuration names.
func attribute(readings []collect.Reading) []sockets {
	result := make([]sockets, len(readings))
	members := make(map[*collect.NetNS][]int)
	for i, r := range readings {
		if r.NetNS != nil {
			members[r.NetNS] = append(members[r.NetNS], i)
		}
	}
	for namespace, indexes := range members {
		listening := listenersOf(namespace.Sockets)
		for _, i := range indexes {
			result[i].listening = listening
		}
		if !namespace.Shared && len(indexes) == 1 {
			result[indexes[0]].own = namespace.Sockets
			continue
		}
		attributeShared(readings, indexes, result)
	}
	return result
}

// attributeShared fills in the results of the readings at indexes, which share a namespace.
func attributeShared(readings []collect.Reading, indexes []int, result []sockets) {
	namespace := readings[indexes[0]].NetNS
	holders := holdersOf(readings, indexes)
	listening := result[indexes[0]].listening
	for _, s := range namespace.Sockets {
		owners := holders[s.Inode]
		if s.Unaccepted() || s.State == socket.TimeWait {
			owners = acceptorsOf(s, listening, holders)
		}
		for _, i := range owners {
			result[i].own = append(result[i].own, s)
		}
		if len(owners) > 0 || s.State != socket.Listen && s.State != socket.Established {
			continue
		}
		for _, i := range indexes {
			switch r := readings[i]; {
			case allOwnersKnown(r):
			case !namespace.Host || s.State == socket.Listen && isConfigured(r, s.Local.Port()):
				result[i].own = append(result[i].own, s)
			default:
				result[i].unknown++
			}
		}
	}
}

func isConfigured(r collect.Reading, port uint16) bool {
	_, ok := slices.BinarySearch(r.Container.Configured, port)
	return ok
}

func allOwnersKnown(r collect.Reading) bool { return r.Owners != nil && r.Owners.Denied == 0 }

// ownersUnknown reports whether none of the container's processes in a shared namespace could be looked at.
func ownersUnknown(r collect.Reading) bool {
	return r.NetNS.Shared && (r.Owners == nil || r.Owners.Readable == 0 && r.Owners.Denied > 0)
}

// holdersOf maps an inode to the readings whose containers hold it. Inode 0 is nobody's.
func holdersOf(readings []collect.Reading, indexes []int) map[uint64][]int {
	holders := make(map[uint64][]int)
	for _, i := range indexes {
		if readings[i].Owners == nil {
			continue
		}
		for inode := range readings[i].Owners.Inodes {
			if inode != 0 {
				holders[inode] = append(holders[inode], i)
			}
		}
	}
	return holders
}

// listeners are listening sockets by port and address. Whose they are is found out once for all that came through them: a
// hostile container chooses how many there are of both.
type listeners map[uint16]map[netip.Addr]*bound

// bound are the listening sockets at one address and port.
type bound struct {
	sockets []socket.Socket
	holders []int // readings, after the first who asked
	asked   bool
}

func listenersOf(all []socket.Socket) listeners {
	l := make(listeners)
	for _, s := range all {
		if s.State == socket.Listen {
			l.add(s)
		}
	}
	return l
}

func (l listeners) add(s socket.Socket) {
	port, addr := s.Local.Port(), s.Local.Addr()
	if l[port] == nil {
		l[port] = make(map[netip.Addr]*bound)
	}
	if l[port][addr] == nil {
		l[port][addr] = new(bound)
	}
	l[port][addr].sockets = append(l[port][addr].sockets, s)
}

// of returns the listeners that s may have come through, as the kernel looks them up (compute_score of
// net/ipv4/inet_hashtables.c and net/ipv6/inet6_hashtables.c): those bound to its very address, or else to all addresses
// of its family, or else, for IPv4, those of IPv6 bound to all addresses; nil if there are none.
func (l listeners) of(s socket.Socket) *bound {
	at := l[s.Local.Port()]
	if at == nil {
		return nil
	}
	if found := at[s.Local.Addr()]; found != nil {
		return found
	}
	if found := at[netip.IPv4Unspecified()]; found != nil && s.Local.Addr().Is4() {
		return found
	}
	return at[netip.IPv6Unspecified()]
}

// acceptorsOf returns the holders of the listeners that s may have come through.
func acceptorsOf(s socket.Socket, listening listeners, holders map[uint64][]int) []int {
	through := listening.of(s)
	if through == nil {
		return nil
	}
	if !through.asked {
		for _, l := range through.sockets {
			through.holders = append(through.holders, holders[l.Inode]...)
		}
		slices.Sort(through.holders)
		through.holders, through.asked = slices.Compact(through.holders), true
	}
	return through.holders
}
