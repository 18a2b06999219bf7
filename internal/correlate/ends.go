package correlate

import (
	"net/netip"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// connEnd is one side of a connection, as its own network namespace shows it.
type connEnd struct {
	netns            int32
	owner            ownerID
	inbound          bool // accepted by this namespace
	directionUnknown bool // either side may be the client; inbound is false
	closed           bool // not established any more: TIME_WAIT, or CLOSE of a sample
	local, remote    netip.AddrPort
	tcpInfo          *snapshotv1.TCPInfo
}

// netnsPort is a TCP port of a network namespace.
type netnsPort struct {
	netns int32
	port  uint16
}

// netnsPort returns where an inbound end was accepted.
func (e *connEnd) netnsPort() netnsPort { return netnsPort{e.netns, e.local.Port()} }

// socketKey identifies a socket in its network namespace.
type socketKey struct {
	netns         int32
	local, remote netip.AddrPort
}

func (e *connEnd) socketKey() socketKey { return socketKey{e.netns, e.local, e.remote} }

// dockerDNS is the address of Docker's embedded DNS server in containers' network namespaces (libnetwork's resolver.go).
// The engine holds the sockets there, not a container.
var dockerDNS = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// parseEnds returns the ends of all connections of containers. namespaces has the network namespace of each container. A
// socket that several containers of a namespace hold appears once.
func (h *Host) parseEnds(containers []snapshotv1.Container, namespaces []int32) []connEnd {
	total := 0
	for _, c := range containers {
		total += len(c.Connections)
	}
	ends := make([]connEnd, 0, total)
	owners := make(map[socketKey]ownerID) // in shared network namespaces
	for i, c := range containers {
		shared := len(h.namespaces[namespaces[i]].members) > 1
		for _, connection := range c.Connections {
			end, ok := parseEnd(connection)
			if !ok {
				h.invalid++
				continue
			}
			end.netns, end.owner = namespaces[i], ownerID(i)
			if end.local.Addr() == dockerDNS || shared && !h.addSocketOwner(owners, &end) {
				continue
			}
			ends = append(ends, end)
		}
	}
	if len(owners) > 0 {
		setOwners(ends, owners)
	}
	return ends
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

// parseEnd returns the end that a document describes. It reports false for an invalid address. Daemons that do not report
// directions may omit the local address.
func parseEnd(c snapshotv1.Connection) (connEnd, bool) {
	local, localErr := parseEndpoint(c.Local)
	remote, remoteErr := parseEndpoint(c.Remote)
	if remoteErr != nil || localErr != nil && c.Direction != "" {
		return connEnd{}, false
	}
	return connEnd{
		inbound: c.Direction == "in", directionUnknown: c.Direction == "", closed: c.State != "ESTABLISHED",
		local: local, remote: remote, tcpInfo: c.Measured,
	}, true
}

func parseEndpoint(e snapshotv1.Endpoint) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(e.Address)
	return netip.AddrPortFrom(addr.Unmap(), e.Port), err
}
