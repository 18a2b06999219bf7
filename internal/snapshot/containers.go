package snapshot

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

func newContainer(reading collect.Reading, sockets attributed, interfaces Interfaces) Container {
	c := Container{
		ID:           reading.Container.ID,
		Name:         reading.Container.Name,
		Image:        reading.Container.Image,
		Project:      reading.Container.Project,
		Service:      reading.Container.Service,
		State:        reading.Container.State,
		Health:       reading.Container.Health,
		Restarts:     reading.Container.Restarts,
		StartedAt:    reading.Container.StartedAt,
		HostNetwork:  reading.Container.NetworkMode.IsHost() || reading.NetNS != nil && reading.NetNS.Host,
		EngineSocket: reading.Container.EngineSocket,
		Exposed:      reading.Container.ExposedPorts,
		Networks:     reading.Container.Networks,
		Method:       reading.Method,
		Unused:       reading.Unused,
		Problems:     reading.Problems,
		NetworkMode:  reading.Container.NetworkMode,
		Bindings:     hostBindings(reading.Container.Published),
		Sockets:      len(sockets.own),
		LeftOut:      LeftOut{OwnerUnknown: sockets.ownerUnknown},
	}
	if reading.NetNS == nil {
		return c
	}
	c.Namespace = reading.NetNS.ID
	c.Addresses = reading.NetNS.Addresses
	c.UDPUnread = reading.NetNS.UDPUnread
	c.Truncated = reading.NetNS.Truncated || c.UDPUnread != ""
	c.ProcessesUnreadable = reading.NetNS.Host && processesUnreadable(reading)
	c.LeftOut.NotItsOwn = len(reading.NetNS.Sockets) - len(sockets.own) - sockets.ownerUnknown
	published := publishedByPort(reading.NetNS.Published)
	unanswered := make(attempts)
	for _, s := range sockets.own {
		switch {
		case isPortless(s):
			c.LeftOut.Senders++
		case isSender(s) && len(published[s.LocalPort()]) == 0 && !isConfigured(reading, s.LocalPort()):
			c.LeftOut.addSender(s.Local.Addr())
		case s.Listening():
			c.addListener(s, processName(reading, s), reading.NetNS.Host, published, interfaces)
		case s.State == socket.Established, s.State == socket.TimeWait:
			c.addConnection(newConnection(s, processName(reading, s), sockets.listeners, reading.NetNS.ReadAt))
		case s.Unanswered():
			unanswered.add(s)
		default:
			c.LeftOut.OtherState++
		}
	}
	c.Attempts = unanswered.list()
	c.sort()
	return c
}

// processName returns the name of a process that holds s, or "" if it is not known.
func processName(reading collect.Reading, s socket.Socket) string {
	if reading.Owned == nil {
		return ""
	}
	return reading.Owned.Inodes[s.Inode]
}

// The kernel gives these ports, and those between them, to sockets that do not ask for one, by default (inet_init_net of
// net/ipv4/af_inet.c).
const (
	firstEphemeralPort = 32768
	lastEphemeralPort  = 60999
)

// isSender reports whether s seems to be an unconnected UDP socket of a client: its port is ephemeral.
func isSender(s socket.Socket) bool {
	port := s.Local.Port()
	return s.Protocol == socket.UDP && s.Listening() && firstEphemeralPort <= port && port <= lastEphemeralPort
}

// isPortless reports whether s is a UDP socket that is connected to port 0 of an address. No datagram leaves it: programs connect one to learn
// their own address.
func isPortless(s socket.Socket) bool {
	return s.Protocol == socket.UDP && s.State == socket.Established && s.Remote.Port() == 0
}

// addListener adds a listener and its endpoints. In the host's namespace these are its own addresses, elsewhere the published
// ones.
func (c *Container) addListener(s socket.Socket, process string, inHost bool, published map[socket.Port][]container.Binding, interfaces Interfaces) {
	listener := Listener{Local: s.Local, Protocol: s.Protocol, Process: process}
	reachable := func(endpoints ...netip.AddrPort) {
		for _, at := range endpoints {
			c.Listening = append(c.Listening, Endpoint{at, s.Protocol})
		}
	}
	switch {
	case inHost:
		reachable(expandUnspecified(s.Local, interfaces)...)
	case s.Local.Addr().IsLoopback():
		c.LeftOut.Loopback++
	default:
		bindings := published[s.LocalPort()]
		if len(bindings) == 0 {
			c.LeftOut.Unpublished++
		}
		for _, b := range bindings {
			if !b.Direct {
				listener.Published = append(listener.Published, b.Host)
			} else if Accepts(s.Local.Addr(), b.Host.Addr()) {
				reachable(b.Host)
			}
		}
		for _, host := range listener.Published {
			reachable(expandBinding(host, listener.Published, interfaces)...)
		}
	}
	c.Listeners = append(c.Listeners, listener)
}

// Accepts reports whether a listener that is bound to an address accepts connections to another one. A listener on :: counts
// as one for IPv4 too.
func Accepts(bound, addr netip.Addr) bool {
	return bound == addr || bound.IsUnspecified() && (bound.Is6() || addr.Is4())
}

func (c *Container) addConnection(connection Connection) {
	if connection.State == socket.Established {
		c.Established = append(c.Established, Endpoint{connection.Remote, connection.Protocol})
	}
	c.Connections = append(c.Connections, connection)
}

func (c *Container) sort() {
	slices.SortFunc(c.Listening, Endpoint.Compare)
	c.Listening = slices.Compact(c.Listening)
	slices.SortFunc(c.Established, Endpoint.Compare)
	slices.SortFunc(c.Listeners, func(a, b Listener) int {
		return cmp.Or(a.Local.Compare(b.Local), cmp.Compare(a.Protocol, b.Protocol), strings.Compare(a.Process, b.Process))
	})
	slices.SortFunc(c.Connections, CompareConnections)
}

// CompareConnections is the order of Container.Connections: by local endpoint, remote endpoint, state and protocol.
func CompareConnections(a, b Connection) int {
	return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote), cmp.Compare(a.State, b.State), cmp.Compare(a.Protocol, b.Protocol))
}

// hostBindings returns the bindings that use a port of the host.
func hostBindings(bindings []container.Binding) []container.Binding {
	return slices.DeleteFunc(slices.Clone(bindings), func(b container.Binding) bool { return b.Direct })
}

// publishedByPort returns bindings by container port, in the order of their endpoints.
func publishedByPort(bindings []container.Binding) map[socket.Port][]container.Binding {
	published := make(map[socket.Port][]container.Binding)
	for _, b := range bindings {
		published[b.ContainerPort] = append(published[b.ContainerPort], b)
	}
	for _, ofPort := range published {
		slices.SortFunc(ofPort, func(a, b container.Binding) int { return a.Host.Compare(b.Host) })
	}
	return published
}

// expandBinding is expandUnspecified for a binding among all of its container port. The engine binds :: for IPv6 alone
// (IPV6_V6ONLY). Without a known IPv6 address, it is listed only if no binding of 0.0.0.0 stands for it.
func expandBinding(host netip.AddrPort, all []netip.AddrPort, interfaces Interfaces) []netip.AddrPort {
	if host.Addr() != netip.IPv6Unspecified() {
		return expandUnspecified(host, interfaces)
	}
	var endpoints []netip.AddrPort
	for _, addr := range interfaces.Addresses {
		if addr.Is6() {
			endpoints = append(endpoints, netip.AddrPortFrom(addr, host.Port()))
		}
	}
	if len(endpoints) == 0 && !slices.Contains(all, netip.AddrPortFrom(netip.IPv4Unspecified(), host.Port())) {
		return []netip.AddrPort{host}
	}
	return endpoints
}

// expandUnspecified returns the endpoint at each of interfaces if its address is unspecified and interfaces are known, and
// otherwise the endpoint itself.
func expandUnspecified(endpoint netip.AddrPort, interfaces Interfaces) []netip.AddrPort {
	if !endpoint.Addr().IsUnspecified() {
		return []netip.AddrPort{endpoint}
	}
	var endpoints []netip.AddrPort
	for _, addr := range interfaces.Addresses {
		if interfaces.Detected && endpoint.Addr().Is4() && !addr.Is4() {
			continue
		}
		endpoints = append(endpoints, netip.AddrPortFrom(addr, endpoint.Port()))
	}
	if len(endpoints) == 0 {
		return []netip.AddrPort{endpoint}
	}
	return endpoints
}
