package collect

import (
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// Result is what one collection learned about the running containers.
type Result struct {
	// Readings are in the engine's order.
	Readings []Reading
	// Addresses are the host's except loopback and IPv6 link-local ones. They are empty if they are not visible.
	// AddressesErr is why some are missing.
	Addresses    []procnet.Address
	AddressesErr error
	// Host is the host's own network namespace. It is nil if it was not read.
	Host *HostNetNS
	// Exited are the names of containers that ended during the collection.
	Exited []string
}

// Reading is what a collection learned about one container.
type Reading struct {
	// Container is the inspected container. If it could not be inspected, it has only the fields of the engine's list.
	Container container.Container
	// NetNS is its network namespace, which other readings may share. It is nil if unknown.
	NetNS *NetNS
	// Owned has the sockets of a shared network namespace that the container's processes hold. It is nil if they are
	// unknown, or if the network namespace is not shared. It is empty for a restarting container.
	Owned *procfd.OwnedSockets
	// Method is how the tables were read. None: they were not read.
	Method Method
	// Unused are the methods that were tried and failed, the best first.
	Unused []UnusedMethod
	// Problems are why parts are missing. Empty: the reading is complete.
	Problems []Problem
}

// NetNS is a network namespace and its sockets.
type NetNS struct {
	// ID is unique in a collection.
	ID string
	// Host means the host's own network namespace, in which processes outside containers have sockets too, or the network
	// namespace of a sandbox in host mode.
	Host bool
	// Shared means that more than one container uses it or may use it.
	Shared bool
	// Published are the bindings that forward into it.
	Published []container.Binding
	// Sockets are the rows of its tables, those of UDP after those of TCP. If they could not be read, they are empty and each reading has
	// the problem.
	Sockets []socket.Socket
	// UDPUnread is why UDP sockets are missing in Sockets. It is no problem of a reading.
	UDPUnread string
	// Addresses are its own addresses except loopback ones, ascending, up to 1,000. They are empty if they are unknown, and
	// for the host's network namespace.
	Addresses []netip.Addr
	// Truncated means that Sockets lacks those that did not fit into the memory limit.
	Truncated bool
	// ReadAt is when they were read.
	ReadAt time.Time
}

// Method is a way to read socket tables.
type Method string

// The methods, the best first.
const (
	Sockdiag Method = "sockdiag" // inet_diag netlink in the network namespace
	Procfs   Method = "procfs"   // the host's /proc
	Exec     Method = "exec"     // a command in the container
	None     Method = "none"     // the tables were not read
)

// UnusedMethod is a method that was tried and failed, and why.
type UnusedMethod struct {
	Method Method
	Problem
}
