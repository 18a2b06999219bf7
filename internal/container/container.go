// Package container holds what the engine says of a container, in Outpost's words.
package container

import (
	"errors"
	"net/netip"
	"strings"
	"time"
)

// Errors of the engine on which callers branch.
var (
	// ErrNotFound means that the engine knows no such container.
	ErrNotFound = errors.New("no such container")
	// ErrUnreachable means that there is no connection to the engine.
	ErrUnreachable = errors.New("engine not reachable")
	// ErrForbidden means that something between Outpost and the engine refused the call.
	ErrForbidden = errors.New("not permitted")
)

// State says whether a container's processes can be looked at.
type State string

// The states of a container that is in the engine's list of running ones, and Stopped for all others.
const (
	Running    State = "running"
	Paused     State = "paused"
	Restarting State = "restarting"
	Stopped    State = "stopped"
)

// Summary is a container as the engine lists it. Its Image turns into an ID once the tag has moved on.
type Summary struct {
	ID, Name, Image string
	NetworkMode     NetworkMode
	// Mark is another text when the container was started anew, renamed, published or connected otherwise, as far as
	// the list shows that.
	Fingerprint string
}

// Container is a container as the engine inspects it.
type Container struct {
	ID string
	// Name has a leading slash.
	Name string
	// Image is what the user typed, not the image's ID.
	Image       string
	NetworkMode NetworkMode
	State       State
	StartedAt   time.Time
	// PID is its first process as the engine counts; 0 if it has none.
	PID int
	// Project and Service are Docker Compose's; empty if it did not make the container.
	Project, Service string
	// Networks are those it is connected to itself, by name.
	Networks []Network
	// Sandboxed: its runtime has a network stack of its own in which the sockets are, whatever its network mode.
	Sandboxed bool
	// Published are the TCP ports that are bound on the host in fact, one entry for each binding. Empty where
	// the container has no network of its own.
	Published []Binding
	// Configured are the TCP ports that the configuration names, ascending: exposed ones, and those of
	// bindings that were asked for.
	ConfiguredPorts []uint16
	// Invalid are parts of the engine's answer that make no sense and were passed over.
	Invalid []string
}

// Network is a container's place in a network.
type Network struct {
	ID, Name string
	// Addresses and Gateways are at most one for each family.
	Addresses, Gateways []netip.Addr
}

// Event says that something of a container has changed.
type Event struct {
	ID string
	// Names are those that it has and had.
	Names []string
}

// Host is the engine and the host that it runs on. What it does not tell is empty.
type Host struct {
	ID, Name   string // of the engine, and of the host
	Version    string // of the engine
	APIVersion string // the version that is spoken with it
	// Time is what its clock showed while it answered; zero if it does not tell.
	Time time.Time
}

// Binding publishes a port of a container at an address and port of its host.
type Binding struct {
	ContainerPort uint16
	// Host may have the unspecified address: all of the host's addresses of that family.
	Host netip.AddrPort
}

// NetworkMode is the engine's HostConfig.NetworkMode.
type NetworkMode string

// Host reports whether the container uses the host's network namespace.
func (m NetworkMode) IsHost() bool { return m == "host" }

// Joined returns the ID or name of the container whose network namespace was joined, if one was.
func (m NetworkMode) JoinedContainer() (container string, ok bool) {
	return strings.CutPrefix(string(m), "container:")
}
