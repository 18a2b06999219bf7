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
	c.Truncated = reading.NetNS.Truncated
	c.ProcessesUnreadable = reading.NetNS.Host && processesUnreadable(reading)
	c.LeftOut.NotItsOwn = len(reading.NetNS.Sockets) - len(sockets.own) - sockets.ownerUnknown
	published := publishedByPort(reading.NetNS.Published)
	unanswered := make(attempts)
	for _, s := range sockets.own {
		switch s.State {
		case socket.Listen:
			c.addListener(s.Local, processName(reading, s), reading.NetNS.Host, published, interfaces)
		case socket.Established, socket.TimeWait:
			c.addConnection(newConnection(s, processName(reading, s), sockets.listeners, reading.NetNS.ReadAt))
		default:
			if s.Unanswered() {
				unanswered.add(s)
				continue
			}
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

// addListener adds a listener and its endpoints. In the host's namespace these are its own addresses, elsewhere the published
// ones.
func (c *Container) addListener(local netip.AddrPort, process string, inHost bool, published map[uint16][]container.Binding, interfaces Interfaces) {
	listener := Listener{Local: local, Process: process}
	switch {
	case inHost:
		c.Listening = append(c.Listening, expandUnspecified(local, interfaces)...)
	case local.Addr().IsLoopback():
		c.LeftOut.Loopback++
	default:
		bindings := published[local.Port()]
		if len(bindings) == 0 {
			c.LeftOut.Unpublished++
		}
		for _, b := range bindings {
			if !b.Direct {
				listener.Published = append(listener.Published, b.Host)
			} else if Accepts(local.Addr(), b.Host.Addr()) {
				c.Listening = append(c.Listening, b.Host)
			}
		}
		for _, host := range listener.Published {
			c.Listening = append(c.Listening, expandBinding(host, listener.Published, interfaces)...)
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
		c.Established = append(c.Established, connection.Remote)
	}
	c.Connections = append(c.Connections, connection)
}

func (c *Container) sort() {
	slices.SortFunc(c.Listening, netip.AddrPort.Compare)
	c.Listening = slices.Compact(c.Listening)
	slices.SortFunc(c.Established, netip.AddrPort.Compare)
	slices.SortFunc(c.Listeners, func(a, b Listener) int {
		return cmp.Or(a.Local.Compare(b.Local), strings.Compare(a.Process, b.Process))
	})
	slices.SortFunc(c.Connections, CompareConnections)
}

// CompareConnections is the order of Container.Connections: by local endpoint, remote endpoint and state.
func CompareConnections(a, b Connection) int {
	return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote), cmp.Compare(a.State, b.State))
}

// hostBindings returns the bindings that use a port of the host.
func hostBindings(bindings []container.Binding) []container.Binding {
	return slices.DeleteFunc(slices.Clone(bindings), func(b container.Binding) bool { return b.Direct })
}

// publishedByPort returns bindings by container port, in the order of their endpoints.
func publishedByPort(bindings []container.Binding) map[uint16][]container.Binding {
	published := make(map[uint16][]container.Binding)
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
