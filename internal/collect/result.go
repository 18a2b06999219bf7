package collect

import (
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// Result is what one collection learnt of the running containers, in the engine's order.
type Result struct {
	Readings []Reading
	// Addresses are the host's, but for loopback; none if they are not in sight, or could not be read.
	Addresses    []procnet.Address
	AddressesErr error
	// Exited are the names of the containers that ended meanwhile.
	Exited []string
}

// Reading is what was learnt of one container.
type Reading struct {
	// Container is as inspected, or no more than the engine's list says of it if there are problems.
	Container container.Container
	// NetNS is its network namespace, which it may share with other readings; nil if that is not known.
	NetNS *NetNS
	// Owners tells which sockets of a shared namespace are the container's; nil if that cannot be told, or need
	// not be because nobody shares the namespace.
	Owners *procfd.Owners
	// Method is how the tables were read; None if they could not be.
	Method Method
	// Skipped are the better methods that could not be used.
	Skipped []Skipped
	// Problems say why something is missing. Empty: everything was read.
	Problems []Problem
}

// NetNS is a network namespace and what was read of it.
type NetNS struct {
	// ID is no other namespace's of the same collection.
	ID string
	// Host: it is the host's own, in which processes outside of all containers have sockets too.
	Host bool
	// Shared: more than one container uses it, or somebody else may.
	Shared bool
	// Published are the bindings that lead into it.
	Published []container.Binding
	// Sockets of its tables; empty if they could not be read, which then is a problem of each reading.
	Sockets []socket.Socket
}

// Method is a way to read socket tables.
type Method string

// The methods, the best first.
const (
	Sockdiag Method = "sockdiag" // inet_diag netlink in the network namespace
	Procfs   Method = "procfs"   // the host's /proc
	Exec     Method = "exec"     // a command in the container
	None     Method = "none"     // it was not read
)

// Skipped is a method that could not be used.
type Skipped struct {
	Method Method
	Problem
}
