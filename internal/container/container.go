// Package container describes containers and their host as the engine reports them, independent of Docker's types.
package container

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// Errors of the engine on which callers branch.
var (
	// ErrNotFound means that the engine has no such container.
	ErrNotFound = errors.New("no such container")
	// ErrUnreachable means that the engine cannot be connected to.
	ErrUnreachable = errors.New("engine not reachable")
	// ErrForbidden means that the engine, or a proxy in front of it, rejected the call.
	ErrForbidden = errors.New("not permitted")
	// ErrUnauthorized means that the engine, or a proxy in front of it, requires other credentials.
	ErrUnauthorized = errors.New("credentials not accepted")
	// ErrAPIVersion means that the engine rejects the version of its API that Outpost uses.
	ErrAPIVersion = errors.New("no common API version")
)

// State is a container's state. Commands run only in a Running container.
type State string

// The states of a container in the engine's list of running ones, and Stopped for all other containers.
const (
	Running    State = "running"
	Paused     State = "paused"
	Restarting State = "restarting"
	Stopped    State = "stopped"
)

// Health is the result of a container's health check. It is empty if there is no check.
type Health string

// The results of a health check.
const (
	Healthy        Health = "healthy"
	Unhealthy      Health = "unhealthy"
	HealthStarting Health = "starting" // no check has succeeded yet
)

// Summary is a container as the engine lists it. Image becomes an ID once its tag refers to another image.
type Summary struct {
	ID, Name, Image string
	NetworkMode     NetworkMode
	// Fingerprint differs after the container was restarted, renamed, published or connected differently, as far as
	// the list shows that.
	Fingerprint string
}

// Container is a container as the engine inspects it.
type Container struct {
	ID string
	// Name has a leading slash.
	Name string
	// Image is the reference that the user typed, not the image's ID.
	Image       string
	NetworkMode NetworkMode
	State       State
	Health      Health
	// Restarts is how often the engine restarted it by its restart policy.
	Restarts  int
	StartedAt time.Time
	// PID is the first process, as the engine numbers it; 0 if no process runs.
	PID int
	// Project and Service are Docker Compose's; both are empty if Compose did not create the container.
	Project, Service string
	// Networks are the networks of the container's own endpoints, sorted by name.
	Networks []Network
	// EngineSocket means that the socket of an engine is mounted into it. It can then control the engine.
	EngineSocket bool
	// Sandboxed means that the runtime has a network stack of its own, which contains the sockets in every network
	// mode.
	Sandboxed bool
	// Published are the ports that the engine has published, one entry for each binding. It is empty if the container has
	// no network of its own.
	Published []Binding
	// ExposedPorts are the exposed ports of the configuration, ascending.
	ExposedPorts []socket.Port
	// ConfiguredPorts are the ports in the configuration, ascending: exposed ports, and ports of requested
	// bindings.
	ConfiguredPorts []socket.Port
	// Invalid lists parts of the engine's answer that are invalid and were skipped.
	Invalid []string
}

// Network is a container's endpoint in a network.
type Network struct {
	ID, Name string
	// Addresses and Gateways have at most one entry for each address family.
	Addresses, Gateways []netip.Addr
}

// Event reports that a container or the engine's networks have changed.
type Event struct {
	// ID is the container's, or empty.
	ID string
	// Health means that the result of its health check changed, and nothing else.
	Health bool
	// Network means that a network was created, removed, connected or disconnected.
	Network bool
	// Names are the container's current and previous names.
	Names []string
}

// Host describes the engine and its host. A field is empty if the engine does not report it.
type Host struct {
	ID, Name   string // the engine's ID and the host's name
	Version    string // of the engine
	APIVersion string // the negotiated version of the API
	// RemapsUsers means that containers run in another user namespace than the engine (userns-remap).
	RemapsUsers bool
	// Time is the engine's clock during its answer; zero if the engine does not report it.
	Time time.Time
}

// Binding publishes a container's port at an address and port of the host.
type Binding struct {
	ContainerPort socket.Port
	// Host may have the unspecified address, which means all of the host's addresses of that family.
	Host netip.AddrPort
	// Direct means that the network routes clients to the container and uses no port of the host. Host is then the
	// container's own endpoint.
	Direct bool
}

// HostPort returns the port of Host with its protocol.
func (b Binding) HostPort() socket.Port {
	return socket.NewPort(b.Host.Port(), b.ContainerPort.Protocol())
}

// NetworkMode is the engine's HostConfig.NetworkMode.
type NetworkMode string

// IsHost reports whether the container uses the host's network namespace.
func (m NetworkMode) IsHost() bool { return m == "host" }

// JoinedContainer returns the ID or name of the container that this one shares a network namespace with, if any.
func (m NetworkMode) JoinedContainer() (container string, ok bool) {
	return strings.CutPrefix(string(m), "container:")
}
