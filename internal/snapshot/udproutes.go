package snapshot

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/socket"
)

// udpRoutes are the ways of UDP between the addresses of clients and servers, each once. A client takes another port for each question.
type udpRoutes struct {
	inside map[netip.Addr]bool // addresses of containers
	seen   map[udpRoute]bool
}

type udpRoute struct {
	client          netip.Addr
	dialled, server netip.AddrPort
}

func newUDPRoutes(s *Snapshot) udpRoutes {
	return udpRoutes{s.containerAddresses(), make(map[udpRoute]bool)}
}

// isNew reports whether a flow is the first one of UDP on a route from or to a container.
func (r udpRoutes) isNew(f *conntrack.Flow) bool {
	client, server := f.Original.Source.Addr(), f.Reply.Source
	if f.Protocol != socket.UDP || !r.inside[client] && !r.inside[server.Addr()] {
		return false
	}
	route := udpRoute{client, f.Original.Destination, server}
	isNew := !r.seen[route]
	r.seen[route] = true
	return isNew
}
