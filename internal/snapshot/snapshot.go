// Package snapshot turns what was collected into the documents that are answered: it decides which socket is
// whose, and where clients outside reach a listener.
package snapshot

import (
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// Container is one container with its endpoints.
type Container struct {
	ID, Name, Image string
	// Listening are the endpoints at which clients outside reach the container, each once, ascending.
	Listening []netip.AddrPort
	// Established are the remote ends of its connections, one for each connection, ascending.
	Established []netip.AddrPort
	// Problems say why something is missing.
	Problems []collect.Problem
	// OwnersUnknown: it shares the host's network namespace and none of its processes' sockets are known.
	OwnersUnknown bool
	// Network is how it is connected.
	Network container.NetworkMode
	// Sockets is how many of the namespace's sockets, in any state, are the container's.
	Sockets int
	// LeftOut counts the sockets of its namespace that are not among its endpoints.
	LeftOut LeftOut
}

// LeftOut counts sockets of the namespace by the reason for which they are no endpoints.
type LeftOut struct {
	Loopback     int // listeners on loopback in a namespace of the container's own
	Unpublished  int // listeners on a port that is not published
	OwnerUnknown int // listeners and connections of the namespace whose owner is not known
	NotItsOwn    int // sockets of the namespace that belong to others, to nobody, or are past
	OtherState   int // neither listening nor established
}

// Of returns the containers of a collection in its order. Listeners on all addresses are listed at each of
// interfaces.
func Of(result collect.Result, interfaces []netip.Addr) []Container {
	attributed := attribute(result.Readings)
	containers := make([]Container, len(result.Readings))
	for i, reading := range result.Readings {
		containers[i] = containerOf(reading, attributed[i], interfaces)
	}
	return containers
}

func containerOf(reading collect.Reading, its sockets, interfaces []netip.Addr) Container {
	c := Container{
		ID:       reading.Container.ID,
		Name:     reading.Container.Name,
		Image:    reading.Container.Image,
		Problems: reading.Problems,
		Network:  reading.Container.Network,
		Sockets:  len(its.own),
		LeftOut:  LeftOut{OwnerUnknown: its.unknown},
	}
	if reading.Namespace == nil {
		return c
	}
	c.OwnersUnknown = reading.Namespace.Host && ownersUnknown(reading)
	c.LeftOut.NotItsOwn = len(reading.Namespace.Sockets) - len(its.own) - its.unknown
	for _, s := range its.own {
		switch s.State {
		case socket.Listen:
			c.listen(s.Local, reading.Namespace, interfaces)
		case socket.Established:
			c.Established = append(c.Established, s.Remote)
		default:
			c.LeftOut.OtherState++
		}
	}
	slices.SortFunc(c.Listening, netip.AddrPort.Compare)
	c.Listening = slices.Compact(c.Listening)
	slices.SortFunc(c.Established, netip.AddrPort.Compare)
	return c
}

// listen adds the endpoints of a listener.
func (c *Container) listen(local netip.AddrPort, namespace *collect.Namespace, interfaces []netip.Addr) {
	if namespace.Host {
		c.Listening = append(c.Listening, fanOut(local, interfaces)...)
		return
	}
	if local.Addr().IsLoopback() {
		c.LeftOut.Loopback++
		return
	}
	published := publishedAt(local.Port(), namespace.Published)
	if len(published) == 0 {
		c.LeftOut.Unpublished++
	}
	for _, host := range published {
		c.Listening = append(c.Listening, fanOut(host, interfaces)...)
	}
}

func publishedAt(port uint16, bindings []container.Binding) []netip.AddrPort {
	var hosts []netip.AddrPort
	for _, b := range bindings {
		if b.Port == port {
			hosts = append(hosts, b.Host)
		}
	}
	return hosts
}

// fanOut replaces the unspecified address by the interfaces.
func fanOut(endpoint netip.AddrPort, interfaces []netip.Addr) []netip.AddrPort {
	if !endpoint.Addr().IsUnspecified() {
		return []netip.AddrPort{endpoint}
	}
	endpoints := make([]netip.AddrPort, len(interfaces))
	for i, addr := range interfaces {
		endpoints[i] = netip.AddrPortFrom(addr, endpoint.Port())
	}
	return endpoints
}
