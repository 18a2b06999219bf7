package correlate

import (
	"net/netip"
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// connEnd is one side of a connection, as its own network namespace shows it.
type connEnd struct {
	netns            int32
	owner            ownerID
	inbound          bool // a listener of this namespace has the local port
	directionUnknown bool // the daemon does not report directions; inbound is false
	role             role
	closed           bool   // not established any more: TIME_WAIT, or CLOSE of a sample
	gone             bool   // of a container that is gone
	proxied          uint16 // host port at which docker-proxy accepted it for the container netns and owner; 0 for other ends
	local, remote    endpoint
	nat              *translation // by the host's table; nil if it does not have the connection
	closedAt         int64        // nanoseconds since 1970, 0 if unknown
	activeAt         int64        // when data last passed, in nanoseconds since 1970; 0 if unknown
	tcpInfo          *snapshotv1.TCPInfo
	dialler          *connEnd // of an inbound end: a socket of the host that docker-proxy or another process of the host dialled
}

// role is which end of a connection the kernel says this one is.
type role uint8

const (
	roleUnknown role = iota
	roleClient       // it dialled
	roleServer       // it accepted
)

// isServer reports whether the end was accepted, as far as it shows by itself.
func (e *connEnd) isServer() bool { return e.role == roleServer || e.role == roleUnknown && e.inbound }

// isOver reports whether the other end is closed too. A peer may still have the connection of a removed container open.
func (e *connEnd) isOver() bool { return e.closed && !e.gone }

// isLoopback reports whether the connection stays inside its network namespace.
func (e *connEnd) isLoopback() bool {
	return e.remote.addr.IsLoopback() || e.local.addr.IsLoopback()
}

// netnsPort is a port of a network namespace.
type netnsPort struct {
	netns int32
	port  socket.Port
}

// netnsPort returns where an inbound end was accepted.
func (e *connEnd) netnsPort() netnsPort { return netnsPort{e.netns, e.local.port} }

// socketKey identifies a socket in its network namespace.
type socketKey struct {
	netns         int32
	local, remote endpoint
}

func (e *connEnd) socketKey() socketKey { return socketKey{e.netns, e.local, e.remote} }

// engineResolver is the address of Docker's embedded DNS server in containers' network namespaces (libnetwork's resolver.go).
// The engine holds the sockets there, not a container.
var engineResolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// parseEnds returns the ends of all connections of containers. namespaces has the network namespace of each container. A
// socket that several containers of a namespace hold appears once.
func (h *Host) parseEnds(containers []snapshotv1.Container, namespaces []int32) []connEnd {
	total := len(h.hostEnds) + len(h.goneEnds)
	for _, c := range containers {
		total += len(c.Connections)
	}
	ends := make([]connEnd, 0, total)
	owners := make(map[socketKey]ownerID) // in shared network namespaces
	for i, c := range containers {
		shared := len(h.namespaces[namespaces[i]].members) > 1
		for _, connection := range c.Connections {
			end, ok := h.parseEnd(connection)
			if !ok {
				h.invalid++
				continue
			}
			end.netns, end.owner = namespaces[i], ownerID(i)
			if end.local.addr == engineResolver || shared && !h.addSocketOwner(owners, &end) {
				continue
			}
			ends = append(ends, end)
		}
	}
	if len(owners) > 0 {
		setOwners(ends, owners)
	}
	return append(append(ends, h.hostEnds...), h.goneEnds...)
}

// addSocketOwner reports whether the socket of an end is new. If another container holds the same socket, either may be the
// owner. A container that lists a socket twice has two connections: only foreign ends are merged.
func (h *Host) addSocketOwner(owners map[socketKey]ownerID, end *connEnd) bool {
	key := end.socketKey()
	other, known := owners[key]
	if known && other != end.owner {
		owners[key] = h.mergeOwners(other, end.owner)
		return false
	}
	owners[key] = end.owner
	return true
}

// setOwners sets the owners of the ends in shared network namespaces.
func setOwners(ends []connEnd, owners map[socketKey]ownerID) {
	for i := range ends {
		if owner, ok := owners[ends[i].socketKey()]; ok {
			ends[i].owner = owner
		}
	}
}

// parseEnd returns the end that the host's document describes. It reports false for an invalid endpoint. Daemons that do not report
// directions may omit the local address.
func (h *Host) parseEnd(c snapshotv1.Connection) (connEnd, bool) {
	local, hasLocal := parseEndpoint(c.Local, c.Protocol)
	remote, hasRemote := parseEndpoint(c.Remote, c.Protocol)
	if !hasRemote || !hasLocal && c.Direction != "" || c.Remote.Port == 0 || c.Local.Port == 0 && c.Direction == directionIn {
		return connEnd{}, false
	}
	end := connEnd{
		inbound: c.Direction == directionIn, directionUnknown: c.Direction == "", closed: c.State != "ESTABLISHED",
		local: local, remote: remote, tcpInfo: c.Measured,
	}
	if c.Dialled != nil {
		end.role = roleServer
		if *c.Dialled {
			end.role = roleClient
		}
	}
	if c.ClosedAt != nil {
		end.closedAt = c.ClosedAt.UnixNano()
	}
	if c.Measured != nil && c.Measured.IdleSeconds > 0 {
		end.activeAt = h.readAt.UnixNano() - int64(boundIdle(c.Measured.IdleSeconds))*int64(time.Second)
	}
	return end, true
}
