// Package snapshot attributes collected sockets to containers and computes the endpoints at which clients outside reach
// them. Package snapshot/v1 has the documents that clients get.
package snapshot

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// Snapshot is everything known about one host at a moment.
type Snapshot struct {
	Host Host
	// TakenAt is when the collection began, and Duration how long it took.
	TakenAt  time.Time
	Duration time.Duration
	// Containers are the running ones in the engine's order.
	Containers []Container
	// Networks are the engine's. They are empty if they are unknown.
	Networks []container.NetworkConfig
}

// Size returns the number of listeners and connections.
func (s Snapshot) Size() (size int) {
	for i := range s.Containers {
		size += len(s.Containers[i].Listeners) + len(s.Containers[i].Connections)
	}
	if s.Host.Sockets != nil {
		size += len(s.Host.Sockets.Listeners) + len(s.Host.Sockets.Connections)
	}
	return size
}

// Host is the host and its engine. Unknown fields are empty.
type Host struct {
	container.Host
	// BootID is the kernel's, random at each boot, and InstanceID the daemon's, random at each start.
	BootID, InstanceID string
	// Addresses are all addresses of the host except loopback and IPv6 link-local ones, ascending. Those of bridges are included. Unless AllAddresses, they
	// are the configured ones.
	Addresses    []netip.Addr
	AllAddresses bool
	// Gateways are the host's addresses on the engine's bridges, with or without containers, ascending. They are empty if
	// the engine's networks are unknown.
	Gateways []netip.Addr
	Sockets  *HostSockets // nil if the host's own network namespace was not read
	Counting Counting
	// Flows count the connections in the host's own network namespace that no container owns, and those with an unknown owner.
	Flows []HostFlow
	// Translations are empty if the tracked connections were not read.
	Translations Translations
}

// HostSockets are the sockets of the host's own network namespace that no container owns, and those with an unknown owner.
type HostSockets struct {
	// Namespace is that of the containers on the host's network, if there are any.
	Namespace  string
	Method     collect.Method
	Incomplete bool // sockets are missing
	// Listeners and Connections are ascending, up to MaxHostSockets each.
	Listeners   []HostListener
	Connections []HostConnection
}

// HostListener is a listening socket of the host's network namespace.
type HostListener struct {
	Local        netip.AddrPort
	Protocol     socket.Protocol
	OwnerUnknown bool // it may belong to a container
}

// HostConnection is a connection of the host's network namespace.
type HostConnection struct {
	Connection
	OwnerUnknown bool // it may belong to a container
}

// HostFlow is a flow of the host's network namespace.
type HostFlow struct {
	Flow
	OwnerUnknown bool // it may belong to a container
}

// Container is one container with its sockets and endpoints.
type Container struct {
	ID, Name, Image  string
	Project, Service string // of Docker Compose
	// State is empty if the container could not be inspected.
	State     container.State
	Health    container.Health
	Restarts  int
	StartedAt time.Time
	// HostNetwork reports whether it uses the host's network namespace, EngineSocket whether the socket of an engine is mounted into it.
	HostNetwork, EngineSocket bool
	Exposed                   []socket.Port // ascending
	// Bindings are its published ports, whether or not it listens there.
	Bindings []container.Binding
	Networks []container.Network
	// Addresses are those of its network namespace except loopback ones, ascending. It has none if it uses the host's network
	// namespace.
	Addresses []netip.Addr
	// Namespace is equal for the containers of this snapshot that share a network namespace and different for all others. It
	// is empty if the namespace is not known.
	Namespace string
	Method    collect.Method
	// Unused are the methods that were tried and failed, the best first.
	Unused []collect.UnusedMethod
	// Listeners and Connections are its sockets, ascending.
	Listeners   []Listener
	Connections []Connection
	// Attempts are the endpoints that it dials without an answer, ascending, up to MaxAttempts.
	Attempts []Attempt
	// Flows count its connections, ascending. They are empty if its connections are not counted.
	Flows []Flow
	// Listening are the endpoints at which clients outside reach the container, each once, ascending.
	Listening []Endpoint
	// Established are the remote endpoints of its connections, one for each connection, ascending.
	Established []Endpoint
	// Truncated means that connections are missing: they did not fit into the memory limit, or UDP was not read.
	Truncated bool
	// UDPUnread is why UDP sockets are missing. It is empty if none is.
	UDPUnread string
	// Problems say why something is missing.
	Problems []collect.Problem
	// ProcessesUnreadable reports whether it shares the host's network namespace and none of its processes could be read.
	ProcessesUnreadable bool
	// NetworkMode is as the engine reports it.
	NetworkMode container.NetworkMode
	// Sockets is the number of sockets, in any state, that the container owns.
	Sockets int
	// LeftOut counts the sockets of its namespace that are not among its endpoints.
	LeftOut LeftOut
}

// Status returns whether the container was read completely, partially or not at all.
func (c Container) Status() string {
	switch {
	case len(c.Problems) == 0:
		return snapshotv1.StatusOK
	case c.Method == collect.None:
		return snapshotv1.StatusFailed
	}
	return snapshotv1.StatusPartial
}

// Reason returns why something about a container is missing, or "" if nothing is.
func (c Container) Reason() string {
	texts := make([]string, len(c.Problems))
	for i, p := range c.Problems {
		texts[i] = p.String()
	}
	return strings.Join(texts, "; ")
}

// Endpoint is an address and a port of one protocol.
type Endpoint struct {
	netip.AddrPort
	Protocol socket.Protocol
}

// Compare orders endpoints by address and port, then by protocol.
func (e Endpoint) Compare(other Endpoint) int {
	return cmp.Or(e.AddrPort.Compare(other.AddrPort), cmp.Compare(e.Protocol, other.Protocol))
}

// String returns the address and port, with the protocol unless that is TCP, such as 10.0.0.1:53/udp.
func (e Endpoint) String() string {
	return e.AddrPort.String() + e.Protocol.Suffix()
}

// Listener is a listening socket.
type Listener struct {
	Local    netip.AddrPort
	Protocol socket.Protocol
	// Published are the host endpoints that the engine forwards to its port. It is empty in the host's network namespace,
	// where Local is a host endpoint itself.
	Published []netip.AddrPort
	Process   string // that holds it; empty if not known
}

// Connection is an ESTABLISHED or TIME_WAIT socket. Of UDP, it is a socket that is connected to a peer. In state CLOSE it is a connection that was established within the last
// minute and that is no longer in the kernel's tables. CLOSE is then Outpost's own value, not the kernel's TCP_CLOSE.
type Connection struct {
	Local, Remote netip.AddrPort
	Protocol      socket.Protocol
	// Inbound reports whether Local is an endpoint of a listener of the namespace.
	Inbound bool
	State   socket.State
	Process string          // that holds it; empty if not known
	Info    *socket.TCPInfo // nil if not known
	// DialledBy is the end that dialled, by the kernel's counters.
	DialledBy socket.End
	Inode     uint64 // 0 if no process holds it
	// ClosedAt is when it entered TIME_WAIT. It is zero in other states, and if unknown.
	ClosedAt time.Time
}

// newConnection returns the connection of a socket that was read at a time.
func newConnection(s socket.Socket, process string, listeners listenerIndex, readAt time.Time) Connection {
	return Connection{
		Local: s.Local, Remote: s.Remote, Protocol: s.Protocol, Inbound: listeners.lookup(s) != nil, State: s.State, Process: process, Info: s.TCPInfo,
		DialledBy: s.DialledBy(), ClosedAt: s.ClosedAt(readAt), Inode: s.Inode,
	}
}

// LeftOut counts the sockets of a namespace that are not endpoints, by reason.
type LeftOut struct {
	Loopback     int // listeners on loopback, outside the host's namespace
	Unpublished  int // listeners on a port that is not published
	OwnerUnknown int // listeners and connections with unknown owner
	NotItsOwn    int // sockets of others, without an owner, or closed
	Senders      int // UDP sockets of clients without a remote port, except on loopback
	OtherState   int // not LISTEN, ESTABLISHED or TIME_WAIT, and no attempt
}

// addSender counts an unconnected UDP socket of a client. On loopback, it may be the engine's resolver.
func (l *LeftOut) addSender(local netip.Addr) {
	if local.IsLoopback() {
		l.Loopback++
		return
	}
	l.Senders++
}
