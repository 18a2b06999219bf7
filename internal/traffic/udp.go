package traffic

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/socket"
)

// dns is the port of DNS servers, and engineResolver the address of the engine's own one in containers (libnetwork's resolver.go).
var (
	dns            = socket.NewPort(53, socket.UDP)
	engineResolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})
)

// isUse reports whether a UDP socket that was connected to a server has been used, as far as anything shows. ok is false if a later snapshot
// may show it.
//
// The kernel does not say whether a socket has sent anything. getaddrinfo connects such sockets to each address of a name,
// with the port of the service, to learn the source addresses (RFC 6724; sysdeps/posix/getaddrinfo.c of glibc). So inside the host a server must
// listen there. Elsewhere two snapshots must have shown a connection to it, or the server is one of DNS.
func (t *Table) isUse(n *netns, e *socket.Ended) (used, ok bool) {
	remote, port := e.Remote.Addr(), e.RemotePort()
	server := n
	switch netnsKey, isContainer := t.places.netnsOf[remote]; {
	case remote == engineResolver:
		return port == dns, true
	case remote.IsLoopback():
	case isContainer:
		server = t.places.netns[netnsKey]
	case t.places.local[remote]:
		server = t.places.netns[hostNetNS]
	default:
		return port == dns || t.isKnownFlow(n, e), true
	}
	used = server == t.places.netns[hostNetNS] && t.places.published[port]
	if server != nil && !used {
		_, used = server.listenerAt(remote, port)
	}
	return used, used || e.At.Before(t.places.at)
}

// dropUDP drops the events of UDP among the first waiting ones. Most are of sockets that getaddrinfo has connected and that sent nothing. Each
// dial to a name may leave one behind, and they must not displace connections.
func (t *Table) dropUDP(waiting int) {
	kept := t.pending[:0]
	for i := range t.pending {
		if i >= waiting || t.pending[i].Protocol == socket.TCP {
			kept = append(kept, t.pending[i])
		}
	}
	t.pending = kept
}

// isKnownFlow reports whether a UDP socket belongs to a flow that snapshots have shown.
func (t *Table) isKnownFlow(n *netns, e *socket.Ended) bool {
	_, ok := t.flows[flowID{n.ownerOf(e, nil, false), newFlowKey(false, e.Protocol, e.Local, e.Remote)}]
	return ok
}
