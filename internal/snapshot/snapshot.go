// Package snapshot turns what was collected into the documents that are answered: it decides which socket is
// whose, and where clients outside reach a listener.
package snapshot

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// Snapshot is what is known of a host at a moment.
type Snapshot struct {
	Host Host
	// TakenAt is when it was begun, and Took how long it took.
	TakenAt  time.Time
	Duration time.Duration
	// Containers are the running ones in the engine's order.
	Containers []Container
}

// Host is the host and its engine. What is not known is empty.
type Host struct {
	container.Host
	// Addresses are all that the host has but loopback, those of bridges too, ascending; or, unless AllAddresses, those
	// that were configured.
	Addresses    []netip.Addr
	AllAddresses bool
}

// Container is one container with its sockets and endpoints.
type Container struct {
	ID, Name, Image  string
	Project, Service string // of Docker Compose
	Networks         []container.Network
	// Namespace is the same for the containers of this snapshot that share a network namespace, and for no other;
	// empty if it is not known.
	Namespace string
	Method    collect.Method
	// Unused are the better methods that could not be used.
	Unused []collect.Skipped
	// Listeners and Connections are its sockets, ascending.
	Listeners   []Listener
	Connections []Connection
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

// Listener is a listening socket.
type Listener struct {
	Local netip.AddrPort
	// Published are the host's ends of the bindings of its port; none on the host's network, where Local is one.
	Published []netip.AddrPort
	Process   string // that holds it; empty if not known
}

// Connection is an established or TIME_WAIT socket, or, in the state CLOSE, one that was established a moment ago and that the
// kernel does not tell of any more.
type Connection struct {
	Local, Remote netip.AddrPort
	// Inbound: the local end is one of the namespace's listeners.
	Inbound bool
	State   socket.State
	Process string       // that holds it; empty if not known
	Info    *socket.Info // nil if not known
}

// LeftOut counts sockets of the namespace by the reason for which they are no endpoints.
type LeftOut struct {
	Loopback     int // listeners on loopback in a namespace of the container's own
	Unpublished  int // listeners on a port that is not published
	OwnerUnknown int // listeners and connections of the namespace whose owner is not known
	NotItsOwn    int // sockets of the namespace that belong to others, to nobody, or are past
	OtherState   int // neither listening nor established
}

// Attribute returns the containers of a collection in its order. Listeners on all addresses are listed at each of
// interfaces.
func Attribute(result collect.Result, interfaces Interfaces) []Container {
	attributed := attribute(result.Readings)
	containers := make([]Container, len(result.Readings))
	for i, reading := range result.Readings {
		containers[i] = containerOf(reading, attributed[i], interfaces)
	}
	return containers
}

func containerOf(reading collect.Reading, its sockets, interfaces Interfaces) Container {
	c := Container{
		ID:       reading.Container.ID,
		Name:     reading.Container.Name,
		Image:    reading.Container.Image,
		Project:  reading.Container.Project,
		Service:  reading.Container.Service,
		Networks: reading.Container.Networks,
		Method:   reading.Method,
		Unused:   reading.Skipped,
		Problems: reading.Problems,
		Network:  reading.Container.Network,
		Sockets:  len(its.own),
		LeftOut:  LeftOut{OwnerUnknown: its.unknown},
	}
	if reading.NetNS == nil {
		return c
	}
	c.Namespace = reading.NetNS.ID
	c.OwnersUnknown = reading.NetNS.Host && ownersUnknown(reading)
	c.LeftOut.NotItsOwn = len(reading.NetNS.Sockets) - len(its.own) - its.unknown
	published := publishedOf(reading.NetNS.Published)
	for _, s := range its.own {
		switch s.State {
		case socket.Listen:
			c.listen(s.Local, processOf(reading, s), reading.NetNS.Host, published, interfaces)
		case socket.Established, socket.TimeWait:
			c.connect(s, processOf(reading, s), its.listening)
		default:
			c.LeftOut.OtherState++
		}
	}
	c.sort()
	return c
}

// processOf returns the name of a process that holds s, if that is known.
func processOf(reading collect.Reading, s socket.Socket) string {
	if reading.Owners == nil {
		return ""
	}
	return reading.Owners.Inodes[s.Inode]
}

// listen adds a listener and its endpoints, in the host's namespace or in another one, of which ports are published.
func (c *Container) listen(local netip.AddrPort, process string, inHost bool, published map[uint16][]netip.AddrPort, interfaces Interfaces) {
	listener := Listener{Local: local, Process: process}
	switch {
	case inHost:
		c.Listening = append(c.Listening, fanOut(local, interfaces)...)
	case local.Addr().IsLoopback():
		c.LeftOut.Loopback++
	default:
		listener.Published = slices.Clone(published[local.Port()])
		if len(listener.Published) == 0 {
			c.LeftOut.Unpublished++
		}
		for _, host := range listener.Published {
			c.Listening = append(c.Listening, fanOut(host, interfaces)...)
		}
	}
	c.Listeners = append(c.Listeners, listener)
}

// connect adds a connection.
func (c *Container) connect(s socket.Socket, process string, listening listeners) {
	if s.State == socket.Established {
		c.Established = append(c.Established, s.Remote)
	}
	c.Connections = append(c.Connections, Connection{
		Local: s.Local, Remote: s.Remote, Inbound: listening.of(s) != nil, State: s.State, Process: process, Info: s.Info,
	})
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

// CompareConnections orders connections as a container has them.
func CompareConnections(a, b Connection) int {
	return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote), cmp.Compare(a.State, b.State))
}

// publishedOf returns the host's ends of bindings, ascending, by the port of the namespace.
func publishedOf(bindings []container.Binding) map[uint16][]netip.AddrPort {
	published := make(map[uint16][]netip.AddrPort)
	for _, b := range bindings {
		published[b.Port] = append(published[b.Port], b.Host)
	}
	for _, hosts := range published {
		slices.SortFunc(hosts, netip.AddrPort.Compare)
	}
	return published
}

// fanOut replaces the unspecified address by the interfaces; it stays where there are none.
func fanOut(endpoint netip.AddrPort, interfaces Interfaces) []netip.AddrPort {
	if !endpoint.Addr().IsUnspecified() {
		return []netip.AddrPort{endpoint}
	}
	var endpoints []netip.AddrPort
	for _, addr := range interfaces.Addresses {
		if interfaces.Found && endpoint.Addr().Is4() && !addr.Is4() {
			continue
		}
		endpoints = append(endpoints, netip.AddrPortFrom(addr, endpoint.Port()))
	}
	if len(endpoints) == 0 {
		return []netip.AddrPort{endpoint}
	}
	return endpoints
}
