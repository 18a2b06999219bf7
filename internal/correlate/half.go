package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// half is one end of a connection, as the table of its namespace shows it.
type half struct {
	namespace     int32
	owner         party
	undirected    bool // it is not known which end is the client's
	closed        bool // it is past (TIME_WAIT)
	met           bool // its other half was found on its own host
	local, remote netip.AddrPort
	measured      *snapshotv1.TCPInfo
}

// service is a port of a namespace.
type service struct {
	namespace int32
	port      uint16
}

// service returns where a server half listens.
func (h half) service() service { return service{h.namespace, h.local.Port()} }

// tally counts the connections of a link whose ends are both on one host.
type tally struct {
	client, server party
	port           uint16
	via            graph.Via
	count
}

// count is what is known of a link's connections.
type count struct {
	established, closed    int
	clientSeen, serverSeen bool
	sent, received         uint64
	rtt, measured          int64 // microseconds, the sum of measured connections
}

// add adds a connection. measured is what the kernel of an end knows of it; that is the client's end, or swapped.
func (c *count) add(closed bool, measured *snapshotv1.TCPInfo, swapped bool) {
	if closed {
		c.closed++
	} else {
		c.established++
	}
	if measured == nil {
		return
	}
	sent, received := measured.BytesSent, measured.BytesReceived
	if swapped {
		sent, received = received, sent
	}
	c.sent += sent
	c.received += received
	c.rtt += measured.RTTMicroseconds
	c.measured++
}

// addBoth adds a connection both halves of which were seen. It is established as long as one of them is.
func (c *count) addBoth(client, server half) {
	c.clientSeen, c.serverSeen = true, true
	if client.measured != nil {
		c.add(client.closed && server.closed, client.measured, false)
		return
	}
	c.add(client.closed && server.closed, server.measured, true)
}

type directed struct {
	half
	inbound bool
}

// decode returns the halves of all connections, each once.
func (t *tracer) decode(containers []snapshotv1.Container, spaces []int32) []directed {
	total := 0
	for _, c := range containers {
		total += len(c.Connections)
	}
	halves := make([]directed, 0, total)
	for i, c := range containers {
		shared := len(t.namespaces[spaces[i]].members) > 1
		for _, connection := range c.Connections {
			h, ok := decode(connection)
			if !ok {
				t.Invalid++
				continue
			}
			h.namespace, h.owner = spaces[i], party(i)
			if resolverOf(h.half) {
				continue
			}
			if shared && t.known(h.half) {
				continue
			}
			halves = append(halves, h)
		}
	}
	if len(t.owners) > 0 {
		t.setOwners(halves)
	}
	return halves
}

// known reports whether another container of the namespace was told to own the same socket; then it is either's.
func (t *tracer) known(h half) bool {
	key := ends{h.namespace, h.local, h.remote}
	other, ok := t.owners[key]
	if ok && other != h.owner {
		t.owners[key] = t.either(other, h.owner)
		return true
	}
	t.owners[key] = h.owner
	return false
}

func (t *tracer) setOwners(halves []directed) {
	for i, h := range halves {
		if owner, ok := t.owners[ends{h.namespace, h.local, h.remote}]; ok {
			halves[i].owner = owner
		}
	}
}

// resolver is where the engine resolves names in the namespaces of containers (libnetwork's resolver.go); what listens
// there is the engine's.
var resolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

func resolverOf(h half) bool { return h.local.Addr() == resolver }

func decode(c snapshotv1.Connection) (directed, bool) {
	local, localErr := endpoint(c.Local)
	remote, remoteErr := endpoint(c.Remote)
	if remoteErr != nil || localErr != nil && c.Direction != "" {
		return directed{}, false
	}
	return directed{
		half: half{
			local: local, remote: remote,
			closed: c.State != "ESTABLISHED", measured: c.Measured, undirected: c.Direction == "",
		},
		inbound: c.Direction == "in",
	}, true
}

func endpoint(e snapshotv1.Endpoint) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(e.Address)
	return netip.AddrPortFrom(addr.Unmap(), e.Port), err
}
