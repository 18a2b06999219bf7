// Package v1 is the wire contract of a daemon: the documents of GET /v1/snapshot and GET /connections. Fields may be added;
// existing fields keep their meaning.
package v1

import (
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/socket"
)

// Version is the version of the format of Snapshot.
const Version = 1

// Snapshot is the document of GET /v1/snapshot.
type Snapshot struct {
	Version    int         `json:"version"`
	Host       Host        `json:"host"`
	TakenAt    time.Time   `json:"takenAt"`
	DurationMs float64     `json:"durationMs"`
	Containers []Container `json:"containers"`
}

// Host is the host and its engine.
type Host struct {
	// BootID is the kernel's, random at each boot, and InstanceID the daemon's, random at each start. They are empty if they
	// are unknown.
	BootID        string       `json:"bootId,omitempty"`
	InstanceID    string       `json:"instanceId,omitempty"`
	ID            string       `json:"id"`
	Name          string       `json:"name"`
	EngineVersion string       `json:"engineVersion"`
	APIVersion    string       `json:"apiVersion"`
	Addresses     []netip.Addr `json:"addresses"`
	// AllAddresses reports whether Addresses are all addresses of the host except loopback and IPv6 link-local
	// ones, instead of configured ones.
	AllAddresses bool `json:"allAddresses"`
	// Gateways are the host's addresses on the engine's bridges, with or without containers. They mean the host to its own
	// containers only. They are empty if the engine's networks are unknown.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// Overlays are the overlay networks of Docker Swarm. They are empty if they are unknown.
	Overlays []Overlay `json:"overlays,omitempty"`
	// Sockets are nil if the sockets of the host's own network namespace were not read.
	Sockets *HostSockets `json:"sockets,omitempty"`
	// Counting is nil if the daemon does not count connections.
	Counting *Counting `json:"counting,omitempty"`
	// Flows count the connections of the host's network namespace that no container owns, and those with an unknown owner.
	Flows []HostFlow `json:"flows,omitempty"`
	// Translations are those of connections in the snapshot, by the kernel's table of tracked connections. They are empty if none is
	// translated, or if TranslationsMissing says so.
	Translations []Translation `json:"translations,omitempty"`
	// TranslationsMissing is why some or all translations are missing, in words for people. It is empty if none is missing.
	TranslationsMissing string `json:"translationsMissing,omitempty"`
}

// Translation is a connection with a destination or source that the host's kernel rewrites (NAT).
type Translation struct {
	Protocol socket.Protocol `json:"protocol,omitzero"`
	// Client and Dialled are the ends as the client knows them: its own endpoint, and the dialled one.
	Client  Endpoint `json:"client"`
	Dialled Endpoint `json:"dialled"`
	// Server and Source are the ends as the server knows them: its own endpoint, and the source of the connection.
	Server Endpoint `json:"server"`
	Source Endpoint `json:"source"`
}

// Counting is how the daemon counts connections, by the events that the kernel sends as sockets end.
type Counting struct {
	// Scope is CountAll, or CountHost if only the host's own network namespace reports its sockets.
	Scope string    `json:"scope"`
	Since time.Time `json:"since"`
	// Losses is how often the kernel dropped events. Each time it dropped at least one, so all counts are lower bounds.
	Losses uint64 `json:"losses"`
	// Unattributed is the number of connection ends that are in no flow, because their owner is not known.
	Unattributed uint64 `json:"unattributed"`
}

// The scopes of Counting.
const (
	CountHost = "host"
	CountAll  = "all"
)

// Flow counts the connections between a container's address and another address at one port of the server, since Counting.Since or a later
// start of the container with either address. Bytes are by this end. Of UDP, only the sockets that are connected to the server are counted,
// without bytes.
type Flow struct {
	// Direction is "out" if this end dials, and "in" if it accepts.
	Direction     string     `json:"direction"`
	LocalAddress  netip.Addr `json:"localAddress"`
	RemoteAddress netip.Addr `json:"remoteAddress"`
	// Port is the server's: of RemoteAddress for "out", of LocalAddress for "in".
	Port     uint16          `json:"port"`
	Protocol socket.Protocol `json:"protocol,omitzero"`
	// Opened is the number of connections, the established ones included.
	Opened uint64 `json:"opened"`
	// Refused and Unanswered are the numbers of dials without a connection.
	Refused    uint64 `json:"refused,omitempty"`
	Unanswered uint64 `json:"unanswered,omitempty"`
	// Recent is the number of connections that ended within the last minute, RecentFailed that of dials without a connection.
	Recent       int `json:"recent,omitempty"`
	RecentFailed int `json:"recentFailed,omitempty"`
	// BytesSent and BytesReceived are of the connections that ended, without retransmissions.
	BytesSent     uint64 `json:"bytesSent,omitempty"`
	BytesReceived uint64 `json:"bytesReceived,omitempty"`
	// Retransmits is the number of segments that were sent again.
	Retransmits uint64 `json:"retransmits,omitempty"`
	// RTTMicroseconds is the median of the smoothed round-trip times of the latest connections that ended, MinRTTMicroseconds the least
	// of all.
	RTTMicroseconds    int64 `json:"rttMicroseconds,omitempty"`
	MinRTTMicroseconds int64 `json:"minRttMicroseconds,omitempty"`
}

// HostFlow is a flow of the host's network namespace.
type HostFlow struct {
	Flow
	// OwnerUnknown reports whether it may also belong to a container on the host's network.
	OwnerUnknown bool `json:"ownerUnknown,omitempty"`
}

// Overlay is an overlay network of Docker Swarm, with the load balancers that replace the addresses of clients and servers.
type Overlay struct {
	Network string `json:"network"` // ID
	Name    string `json:"name"`
	// LoadBalancer is the address of the host's own load balancer. It is absent if the host has none.
	LoadBalancer netip.Addr `json:"loadBalancer,omitzero"`
	// Hosts are all hosts of the ingress network. Other networks have none.
	Hosts    []SwarmHost `json:"hosts"`
	Services []Service   `json:"services"`
}

// SwarmHost is a host of a Swarm.
type SwarmHost struct {
	Address netip.Addr `json:"address"`
	// LoadBalancer is the address of its load balancer on the ingress network.
	LoadBalancer netip.Addr `json:"loadBalancer"`
}

// Service is a service of Docker Swarm on one network.
type Service struct {
	Name string `json:"name"`
	// VirtualAddress is the address that clients on the network dial. It is absent if the service has no such address.
	VirtualAddress netip.Addr    `json:"virtualAddress,omitzero"`
	Ports          []ServicePort `json:"ports"`
	// Tasks are the addresses of its containers on all hosts.
	Tasks []netip.Addr `json:"tasks"`
}

// ServicePort is a port that all hosts publish, and the port of the containers behind it.
type ServicePort struct {
	Published uint16 `json:"published"`
	Target    uint16 `json:"target"`
}

// HostSockets are the sockets of the host's own network namespace that no container owns, and those with an unknown
// owner.
type HostSockets struct {
	Method      collect.Method   `json:"method"`
	Incomplete  bool             `json:"incomplete,omitempty"`
	Listening   []HostListener   `json:"listening"`
	Connections []HostConnection `json:"connections"`
}

// HostListener is a listening socket in the host's network namespace.
type HostListener struct {
	Endpoint
	Protocol socket.Protocol `json:"protocol,omitzero"`
	// OwnerUnknown reports whether the socket may also belong to a container on the host's network.
	OwnerUnknown bool `json:"ownerUnknown,omitempty"`
}

// HostConnection is a connection in the host's network namespace.
type HostConnection struct {
	Connection
	// OwnerUnknown reports whether the connection may also belong to a container on the host's network.
	OwnerUnknown bool `json:"ownerUnknown,omitempty"`
}

// Container is one running container.
type Container struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Image       string    `json:"image"`
	Project     string    `json:"project,omitempty"`
	Service     string    `json:"service,omitempty"`
	NetworkMode string    `json:"networkMode"`
	Namespace   string    `json:"namespace,omitempty"`
	Networks    []Network `json:"networks"`
	// State is running, paused or restarting. It is empty if the container could not be inspected.
	State string `json:"state,omitempty"`
	// Health is healthy, unhealthy or starting. It is empty without a health check.
	Health string `json:"health,omitempty"`
	// Restarts is how often the engine restarted it by its restart policy.
	Restarts int `json:"restarts,omitempty"`
	// StartedAt is nil if the engine does not report it.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	// HostNetwork reports whether it uses the host's network namespace.
	HostNetwork bool `json:"hostNetwork,omitempty"`
	// EngineSocket reports whether the socket of an engine, or a directory with it, is mounted into it.
	EngineSocket bool `json:"engineSocket,omitempty"`
	// Exposed are the exposed TCP ports of its configuration, ascending.
	Exposed []uint16 `json:"exposed,omitempty"`
	// ExposedUDP are the exposed UDP ports, ascending.
	ExposedUDP []uint16 `json:"exposedUdp,omitempty"`
	// Bindings are the published ports, whether or not the container listens there now.
	Bindings []Binding `json:"bindings,omitempty"`
	// Addresses are those of its network namespace except loopback ones, ascending. They are empty if it uses the host's
	// network namespace.
	Addresses   []netip.Addr   `json:"addresses,omitempty"`
	Method      collect.Method `json:"method"`
	Unused      []UnusedMethod `json:"unused"`
	Status      string         `json:"status"`
	Reason      string         `json:"reason,omitempty"`
	Listening   []Listener     `json:"listening"`
	Connections []Connection   `json:"connections"`
	// Attempts are the endpoints that it has dialled for a second or more without an answer, up to MaxAttempts.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Flows count its connections. They are empty if its connections are not counted.
	Flows []Flow `json:"flows,omitempty"`
}

// MaxAttempts is the maximum number of Attempts of a container.
const MaxAttempts = 100

// Attempt is an endpoint that a container dials from one of its addresses without an answer. Count is the number of its sockets in
// SYN_SENT.
type Attempt struct {
	LocalAddress netip.Addr `json:"localAddress"`
	Remote       Endpoint   `json:"remote"`
	Count        int        `json:"count"`
}

// Binding publishes a port of a container at an endpoint of the host.
type Binding struct {
	Endpoint
	ContainerPort uint16          `json:"containerPort"`
	Protocol      socket.Protocol `json:"protocol,omitzero"`
}

// Statuses of a container.
const (
	StatusOK      = "ok"      // read completely
	StatusPartial = "partial" // something is missing
	StatusFailed  = "failed"  // no method could read its sockets
)

// Network is a network that a container is attached to.
type Network struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Driver    string       `json:"driver,omitempty"` // empty if it is unknown
	Addresses []netip.Addr `json:"addresses"`
	Gateways  []netip.Addr `json:"gateways"`
}

// UnusedMethod is a method that was tried and failed.
type UnusedMethod struct {
	Method collect.Method `json:"method"`
	Reason string         `json:"reason"`
}

// Listener is a listening socket. A UDP socket listens if it is connected to no peer. Its port is published, or named by the container's
// configuration, or outside of 32768 to 60999, where clients get theirs.
type Listener struct {
	Endpoint
	Protocol  socket.Protocol `json:"protocol,omitzero"`
	Published []Endpoint      `json:"published"`
	Process   string          `json:"process,omitempty"`
}

// Connection is an ESTABLISHED or TIME_WAIT socket, or, in state CLOSE, a connection established within the last minute.
// CLOSE is Outpost's own value, not the kernel's TCP_CLOSE. A UDP socket that is connected to a peer is ESTABLISHED.
type Connection struct {
	Protocol  socket.Protocol `json:"protocol,omitzero"`
	Local     Endpoint        `json:"local"`
	Remote    Endpoint        `json:"remote"`
	Direction string          `json:"direction"`
	State     string          `json:"state"`
	Process   string          `json:"process,omitempty"`
	Measured  *TCPInfo        `json:"measured,omitempty"`
	// Dialled reports whether this end dialled the connection, by the kernel's counters. It is nil if they do not tell.
	Dialled *bool `json:"dialled,omitempty"`
	// ClosedAt is when a connection entered TIME_WAIT. It is nil in other states, and if unknown.
	ClosedAt *time.Time `json:"closedAt,omitempty"`
}

// TCPInfo is what the kernel measures of a connection (struct tcp_info).
type TCPInfo struct {
	RTTMicroseconds int64  `json:"rttMicroseconds"`
	BytesSent       uint64 `json:"bytesSent"`
	BytesReceived   uint64 `json:"bytesReceived"`
	// IdleSeconds is how long no data has passed in either direction. It is 0 if it is unknown.
	IdleSeconds int64 `json:"idleSeconds,omitempty"`
}

// MinIdleSeconds is how long no data passes over an idle connection, in seconds.
const MinIdleSeconds = 60
