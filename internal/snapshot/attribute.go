package snapshot

import (
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/socket"
)

// Attribute returns the containers of a collection in its order, each with the sockets that it owns. A listener on the
// unspecified address is listed at each of interfaces.
func Attribute(result collect.Result, interfaces Interfaces) []Container {
	sockets := attributeSockets(result.Readings)
	containers := make([]Container, len(result.Readings))
	for i, reading := range result.Readings {
		containers[i] = newContainer(reading, sockets[i], interfaces)
	}
	return containers
}

// attributed are the sockets that attributeSockets assigns to one container.
type attributed struct {
	own          []socket.Socket
	ownerUnknown int           // sockets of the namespace that may be the container's but are not in own
	listeners    listenerIndex // all listeners of the namespace, of any owner
}

// attributeSockets returns the sockets of each reading's container. A container that shares its network namespace with no
// other owns all sockets in it. In a shared namespace:
//
//   - A socket belongs to the containers with a process that holds it.
//   - A connection that is not yet accepted, or already closed, belongs to the owners of its listener.
//   - A socket with no known owner may belong to any container with unreadable processes. Between containers, each of
//     them gets it. In the host's namespace it may belong to no container, so only listeners on ports that the
//     container's configuration names are assigned.
func attributeSockets(readings []collect.Reading) []attributed {
	result := make([]attributed, len(readings))
	sharing := make(map[*collect.NetNS][]int)
	for i, r := range readings {
		if r.NetNS != nil {
			sharing[r.NetNS] = append(sharing[r.NetNS], i)
		}
	}
	for namespace, indexes := range sharing {
		listeners := indexListeners(namespace.Sockets)
		for _, i := range indexes {
			result[i].listeners = listeners
		}
		if !namespace.Shared && len(indexes) == 1 {
			result[indexes[0]].own = namespace.Sockets
			continue
		}
		attributeShared(readings, indexes, result)
	}
	return result
}

// attributeShared fills in the results of the readings at indexes, which share one namespace.
func attributeShared(readings []collect.Reading, indexes []int, result []attributed) {
	namespace := readings[indexes[0]].NetNS
	byInode := ownersByInode(readings, indexes)
	listeners := result[indexes[0]].listeners
	for _, s := range namespace.Sockets {
		owners := ownersOf(s, listeners, byInode)
		for _, i := range owners {
			result[i].own = append(result[i].own, s)
		}
		if len(owners) > 0 || !s.Listening() && s.State != socket.Established {
			continue
		}
		for _, i := range indexes {
			switch r := readings[i]; {
			case allOwnersKnown(r):
			case !namespace.Host || s.Listening() && isConfigured(r, s.LocalPort()):
				result[i].own = append(result[i].own, s)
			default:
				result[i].ownerUnknown++
			}
		}
	}
}

// ownersOf returns the indexes of the readings with a process that holds s. A socket without a file belongs to the owners of its
// listener.
func ownersOf(s socket.Socket, listeners listenerIndex, byInode map[uint64][]int) []int {
	if s.Unaccepted() || s.State == socket.TimeWait {
		return listenerOwners(s, listeners, byInode)
	}
	return byInode[s.Inode]
}

// isConfigured reports whether the container's configuration names port.
func isConfigured(r collect.Reading, port socket.Port) bool {
	_, ok := slices.BinarySearch(r.Container.ConfiguredPorts, port)
	return ok
}

func allOwnersKnown(r collect.Reading) bool { return r.Owned != nil && r.Owned.Denied == 0 }

// processesUnreadable reports whether the container shares its namespace and none of its processes could be read.
func processesUnreadable(r collect.Reading) bool {
	return r.NetNS.Shared && (r.Owned == nil || r.Owned.Readable == 0 && r.Owned.Denied > 0)
}

// ownersByInode maps an inode to the indexes of the readings with a process that holds it. It has no inode 0, which the
// kernel gives to sockets without a file.
func ownersByInode(readings []collect.Reading, indexes []int) map[uint64][]int {
	owners := make(map[uint64][]int)
	for _, i := range indexes {
		if readings[i].Owned == nil {
			continue
		}
		for inode := range readings[i].Owned.Inodes {
			if inode != 0 {
				owners[inode] = append(owners[inode], i)
			}
		}
	}
	return owners
}
