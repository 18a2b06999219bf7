package snapshot

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/socket"
)

// MaxTranslations bounds the translations of a host.
const MaxTranslations = 10_000

// Translation is a connection with endpoints that the host's kernel rewrites.
type Translation struct {
	Protocol socket.Protocol
	// Client and Dialled are the ends as the client knows them.
	Client, Dialled netip.AddrPort
	// Server and Source are the ends as the server knows them.
	Server, Source netip.AddrPort
}

// Translations are the translated connections of a host.
type Translations struct {
	List []Translation // ascending, up to MaxTranslations
	// Missing is why some or all are missing. It is empty if none is.
	Missing string
}

// MayBeTranslated reports whether a connection of a container leads out of the networks of the containers: only then the host's kernel
// may translate it. Senders and servers of UDP may do so without a connection.
func (s Snapshot) MayBeTranslated() bool {
	inside := s.containerAddresses()
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.HostNetwork {
			continue
		}
		if c.LeftOut.Senders > 0 || slices.ContainsFunc(c.Listeners, isPublishedUDP) {
			return true
		}
		for j := range c.Connections {
			if remote := c.Connections[j].Remote.Addr(); !remote.IsLoopback() && !inside[remote] {
				return true
			}
		}
	}
	return false
}

func isPublishedUDP(l Listener) bool { return l.Protocol == socket.UDP && len(l.Published) > 0 }

// containerAddresses returns the addresses of all containers with a network namespace of their own.
func (s Snapshot) containerAddresses() map[netip.Addr]bool {
	inside := make(map[netip.Addr]bool)
	for i := range s.Containers {
		for _, addr := range s.Containers[i].Addresses {
			inside[addr] = true
		}
		for _, network := range s.Containers[i].Networks {
			for _, addr := range network.Addresses {
				inside[addr] = true
			}
		}
	}
	return inside
}

// endpointPair is a connection as one of its ends knows it.
type endpointPair struct {
	protocol      socket.Protocol
	local, remote netip.AddrPort
}

// AddTranslations adds the translations of a table to the host: those of connections in the snapshot, and those of ports that Swarm
// services publish, which lead to another network namespace of the host first. Most sockets of UDP show no peer. So of UDP, it also adds one
// translation for each address of a client, server and dialled endpoint.
func (s *Snapshot) AddTranslations(table conntrack.Table) {
	flows := make(map[endpointPair][]int32, 2*len(table.Flows))
	selected := make([]bool, len(table.Flows))
	published, udp := s.servicePorts(), newUDPRoutes(s)
	for i, f := range table.Flows {
		if !f.Replied {
			continue
		}
		index := int32(i)
		selected[i] = published[f.Original.Destination.Port()] || udp.isNew(&f)
		for _, end := range []endpointPair{{f.Protocol, f.Original.Source, f.Original.Destination}, {f.Protocol, f.Reply.Source, f.Reply.Destination}} {
			flows[end] = append(flows[end], index)
		}
	}
	s.eachConnection(func(c *Connection) {
		for _, i := range flows[endpointPair{c.Protocol, c.Local, c.Remote}] {
			selected[i] = true
		}
	})
	var open, closing []Translation
	for i, f := range table.Flows {
		switch t := newTranslation(f); {
		case !selected[i]:
		case f.Closing:
			closing = append(closing, t)
		default:
			open = append(open, t)
		}
	}
	s.Host.Translations = newTranslations(open, closing, table)
}

func newTranslation(f conntrack.Flow) Translation {
	return Translation{Protocol: f.Protocol, Client: f.Original.Source, Dialled: f.Original.Destination, Server: f.Reply.Source, Source: f.Reply.Destination}
}

// newTranslations returns the translations of open and closing connections. Open ones come first if there are too many.
func newTranslations(open, closing []Translation, table conntrack.Table) Translations {
	all := append(open, closing...)
	t := Translations{List: all[:min(len(all), MaxTranslations)]}
	slices.SortFunc(t.List, Translation.compare)
	switch {
	case len(all) > MaxTranslations:
		t.Missing = fmt.Sprintf("of %d translated connections %d are listed", len(all), MaxTranslations)
	case table.Cut:
		t.Missing = "the host tracks more connections than Outpost reads"
	case table.Malformed > 0:
		t.Missing = fmt.Sprintf("%d tracked connections cannot be decoded: %v", table.Malformed, table.FirstMalformed)
	}
	return t
}

func (t Translation) compare(other Translation) int {
	return cmp.Or(t.Server.Compare(other.Server), t.Source.Compare(other.Source), t.Client.Compare(other.Client), t.Dialled.Compare(other.Dialled))
}

// servicePorts returns the ports that Swarm services publish.
func (s *Snapshot) servicePorts() map[uint16]bool {
	ports := make(map[uint16]bool)
	for _, network := range s.Networks {
		for _, service := range network.Services {
			for _, port := range service.Ports {
				ports[port.Published] = true
			}
		}
	}
	return ports
}

// eachConnection calls do for all connections of containers and of the host.
func (s *Snapshot) eachConnection(do func(c *Connection)) {
	for i := range s.Containers {
		for j := range s.Containers[i].Connections {
			do(&s.Containers[i].Connections[j])
		}
	}
	if s.Host.Sockets == nil {
		return
	}
	for i := range s.Host.Sockets.Connections {
		do(&s.Host.Sockets.Connections[i].Connection)
	}
}
