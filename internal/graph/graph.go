// Package graph defines the document of nodes and links that Outpost serves, its views and its file formats.
// Package correlate builds it from snapshots.
package graph

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// Version is the version of the format of Graph.
const Version = 1

// Graph is the document of GET /v1/graph: nodes and the links between them.
type Graph struct {
	Version int      `json:"version"`
	Nodes   []Node   `json:"nodes"`   // ascending by ID
	Links   []Link   `json:"links"`   // ascending by client, server, port, protocol and via
	Targets []Target `json:"targets"` // ascending by name; empty for a daemon, which maps its own host
	// Forgotten is the number of past links that were dropped before the end of the window to bound memory.
	Forgotten int `json:"forgotten"`
	// Role is the role of the process that built the map.
	Role Role `json:"role"`
	// WindowSeconds is the time that a past link stays in the map, in seconds.
	WindowSeconds int `json:"windowSeconds"`
	// IntervalSeconds is the time between two renewals of the map without requests, in seconds. 0 means that only requests renew it.
	IntervalSeconds float64 `json:"intervalSeconds"`
	// DataSince is the time of the first map of the process that built this one, by its clock; zero if it is unknown.
	DataSince time.Time `json:"dataSince,omitzero"`
	// ContainerLinks are the templates of links from each container to other programs, in the order of their file.
	ContainerLinks []ContainerLink `json:"containerLinks,omitempty"`

	polledAddresses map[netip.Addr]bool
}

// DataStart returns the time before which nothing is known at now: DataSince, or the beginning of the window if that is later. It
// returns the zero time if DataSince is unknown.
func (g Graph) DataStart(now time.Time) time.Time {
	start := now.Add(-time.Duration(g.WindowSeconds) * time.Second)
	if g.DataSince.IsZero() || g.DataSince.After(start) {
		return g.DataSince
	}
	return start
}

// ContainerLink is a template of a link from a container to another program. URL has placeholders such as {name}.
type ContainerLink struct {
	Label string `json:"label"`
	URL   string `json:"url"`
}

// Role is the role of an Outpost process.
type Role string

// The roles.
const (
	RoleDaemon Role = "daemon" // maps its own host and has no targets
	RoleMapper Role = "mapper" // maps the hosts that it polls
)

// WithPolledAddresses returns g with the addresses of all polled hosts and of their containers, which Supersedes needs.
// The map is shared and not part of the document.
func (g Graph) WithPolledAddresses(addresses map[netip.Addr]bool) Graph {
	g.polledAddresses = addresses
	return g
}

// Supersedes reports whether a link of an earlier graph has an external end that is now the address of a polled host or
// container. The link was correlated before the host was polled.
func (g Graph) Supersedes(link Link) bool {
	for _, id := range []string{link.Client, link.Server} {
		if text, ok := strings.CutPrefix(id, string(KindExternal)+"/"); ok {
			if addr, err := netip.ParseAddr(text); err == nil && g.polledAddresses[addr] {
				return true
			}
		}
	}
	return false
}

// Kind is the kind of a node.
type Kind string

// The kinds of nodes. The last three are groups of containers.
const (
	KindContainer Kind = "container"
	KindHost      Kind = "host"      // the host's own processes; grouped by host, also its containers
	KindExternal  Kind = "external"  // an address outside all polled hosts, or its configured name
	KindAmbiguous Kind = "ambiguous" // an address that several hosts or containers have, or a socket with several possible owners
	KindUnknown   Kind = "unknown"   // behind a host's address: one of its containers or processes, and nothing shows which
	KindService   Kind = "service"
	KindProject   Kind = "project"
	KindImage     Kind = "image"
)

// Node is an end of links.
type Node struct {
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Host is the name that the host reports. It is the target's name if the host reports none or another host has the same.
	Host string `json:"host,omitempty"`
	// Name is the name of a container without its slash, of a host or of a group, or an address or its configured name.
	Name string `json:"name"`
	// Container is the ID of the container.
	Container string `json:"container,omitempty"`
	Image     string `json:"image,omitempty"`
	Project   string `json:"project,omitempty"`
	Service   string `json:"service,omitempty"`
	// Reason is why something about the container is missing.
	Reason string `json:"reason,omitempty"`
	// Candidates are the IDs of containers that may own a socket, or the names of hosts that an ambiguous address may mean.
	Candidates []string `json:"candidates,omitempty"`
	// Stale: the data of its host is not current, see StateStale.
	Stale bool `json:"stale,omitempty"`
	// Details are the details of a container; nil if its daemon reports none, or two minutes after the container is gone.
	Details *Details `json:"details,omitempty"`
	// Past: the container is in no current snapshot. It is gone, or its target's data was dropped.
	Past bool `json:"past,omitempty"`
	// Predecessors are the containers that this one replaced, the latest first, at most ten. Their links are links of this one.
	Predecessors []Predecessor `json:"predecessors,omitempty"`
	// FirstSeen is the time of the first map with the container, LastSeen that of the last map before it was past. Both are zero for other
	// nodes, and LastSeen for present containers. They are times of the clock of the process that built the map.
	FirstSeen time.Time `json:"firstSeen,omitzero"`
	LastSeen  time.Time `json:"lastSeen,omitzero"`
	// New marks a container first seen since View.NewSince, Gone a past container last seen since then. Of a group, all members are.
	New  bool `json:"new,omitempty"`
	Gone bool `json:"gone,omitempty"`
}

// NodeID returns the ID of a node of a kind. The parts may contain any bytes.
func NodeID(kind Kind, parts ...string) string {
	var id strings.Builder
	id.WriteString(string(kind))
	for _, part := range parts {
		id.WriteByte('/')
		id.WriteString(idPart.Replace(part))
	}
	return id.String()
}

var idPart = strings.NewReplacer("%", "%25", "/", "%2F")

// Via is how a client reaches a server.
type Via uint16

// The values of Via, in the order of links.
const (
	ViaDirect    Via = iota + 1 // the server's own address
	ViaPublished                // a published port of its host
	ViaHost                     // its host's address: the server is in the host's network namespace
	ViaLoopback                 // inside the network namespace that both share
	ViaResolver                 // the engine's DNS resolver in the client's network namespace
)

var viaNames = map[Via]string{ViaDirect: "direct", ViaPublished: "published", ViaHost: "host", ViaLoopback: "loopback", ViaResolver: "resolver"}

// String returns the name of the value.
func (v Via) String() string { return viaNames[v] }

// MarshalText writes the name of the value.
func (v Via) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText parses the name of the value.
func (v *Via) UnmarshalText(text []byte) error { return parseName(text, viaNames, v) }

// ServerPort returns the port with its protocol.
func (l Link) ServerPort() socket.Port { return socket.NewPort(l.Port, l.Protocol) }

// Evidence is which connection ends of a link were observed.
type Evidence uint16

// The values of Evidence.
const (
	EvidenceBoth Evidence = iota + 1
	EvidenceClient
	EvidenceServer
)

var evidenceNames = map[Evidence]string{EvidenceBoth: "both", EvidenceClient: "client", EvidenceServer: "server"}

// String returns the name of the value.
func (e Evidence) String() string { return evidenceNames[e] }

// MarshalText writes the name of the value.
func (e Evidence) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText parses the name of the value.
func (e *Evidence) UnmarshalText(text []byte) error { return parseName(text, evidenceNames, e) }

// parseName sets value to the value with the name.
func parseName[T comparable](name []byte, names map[T]string, value *T) error {
	for v, n := range names {
		if n == string(name) {
			*value = v
			return nil
		}
	}
	return fmt.Errorf("%q is none of %v", name, slices.Sorted(maps.Values(names)))
}

// Link is all connections from one client node to one port of one server node by one via. A connection of UDP is a socket that is
// connected to the server.
type Link struct {
	Client string `json:"client"` // ID of a node
	Server string `json:"server"` // ID of a node
	// Port is the port at which the server listens, not a published port. If the listener is unknown it is the dialled port.
	Port     uint16          `json:"port"`
	Protocol socket.Protocol `json:"protocol,omitzero"`
	Via      Via             `json:"via"`
	Evidence Evidence        `json:"evidence"`
	// Translation is the best evidence for a connection of the link with translated addresses. It is zero if no address is translated.
	Translation Translation `json:"translation,omitempty"`
	// Connections is the number of established connections, Closed the number of those that ended within the last minute.
	Connections int `json:"connections"`
	Closed      int `json:"closed"`
	// Attempts is the number of sockets with which the client dials, for a second or more without an answer.
	Attempts int `json:"attempts,omitempty"`
	// Unanswered: no connection of the link was seen within the window, only Attempts.
	Unanswered bool `json:"unanswered,omitempty"`
	// Measured is nil if no kernel reported figures of the connections.
	Measured *Measured `json:"measured,omitempty"`
	// Counters are nil if no daemon counts the connections of the link.
	Counters *Counters `json:"counters,omitempty"`
	// Live: the latest data has connections of the link, or some that ended within the last minute, or had them less than three
	// intervals ago. Attempts count as connections.
	Live bool `json:"live"`
	// DirectionUnknown: nothing shows which end dialled at least one of the connections. The end with the lower port counts as its
	// server.
	DirectionUnknown bool `json:"directionUnknown,omitempty"`
	// New marks a link first seen since View.NewSince, Gone a past link last seen since then. Between groups, one of the links is.
	New  bool `json:"new,omitempty"`
	Gone bool `json:"gone,omitempty"`
	// CountsUnknown: this is the link of an earlier time (View.At), and Connections and Closed are unknown.
	CountsUnknown bool `json:"countsUnknown,omitempty"`
	// FirstSeen and LastSeen are times of the clock of the process that built the map.
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
}

// Measured is what kernels measured of the established connections of a link.
type Measured struct {
	RTTMicroseconds int64  `json:"rttMicroseconds"` // smoothed, mean over the connections
	BytesSent       uint64 `json:"bytesSent"`       // by the client
	BytesReceived   uint64 `json:"bytesReceived"`   // by the client
	// IdleSeconds is how long no data has passed over any of the connections. It is 0 if it is unknown of one of them.
	IdleSeconds int64 `json:"idleSeconds,omitempty"`
}

// Counters count all connections of a link, also the shortest, since its daemon began to count or the server took its address. A daemon
// counts them by the events that the kernel sends as a socket ends.
type Counters struct {
	// Opened is the number of connections, the established ones included.
	Opened uint64 `json:"opened"`
	// Failed is the number of dials without a connection, and Refused how many of them the other side refused. The others got no answer.
	Failed  uint64 `json:"failed"`
	Refused uint64 `json:"refused"`
	// BytesSent and BytesReceived are by the client, of connections that ended.
	BytesSent     uint64 `json:"bytesSent"`
	BytesReceived uint64 `json:"bytesReceived"`
	// Retransmits is the number of segments that were sent again, by the end that was counted.
	Retransmits uint64 `json:"retransmits"`
	// RTTMicroseconds is the median of the smoothed round-trip times of the latest connections that ended, MinRTTMicroseconds the least of
	// all. They are 0 if no connection ended.
	RTTMicroseconds    int64 `json:"rttMicroseconds"`
	MinRTTMicroseconds int64 `json:"minRttMicroseconds"`
}

// State is the state of a target.
type State string

// The states of targets.
const (
	StateOK        State = "ok"
	StatePending   State = "pending"   // not polled yet
	StateStale     State = "stale"     // the last poll failed, or the target was removed; its last data is in the graph
	StateFailed    State = "failed"    // no data is in the graph: polls fail, or the entry cannot be resolved
	StateDuplicate State = "duplicate" // answers as a host that another target already serves
)

// States returns all states.
func States() []State {
	return []State{StateOK, StatePending, StateStale, StateFailed, StateDuplicate}
}

// Target is a daemon that is polled, or an entry of OUTPOST_TARGETS that cannot be resolved.
type Target struct {
	Target string `json:"target"`
	Host   string `json:"host,omitempty"`
	State  State  `json:"state"`
	// Reason is why the state is not ok, or another problem of the target.
	Reason string `json:"reason,omitempty"`
	// Format is the format of its answers: "snapshot", or "connections" from an older daemon.
	Format string `json:"format,omitempty"`
	// LastAnswer is the time of its last answer by the mapper's clock.
	LastAnswer time.Time `json:"lastAnswer,omitzero"`
	// Unattributed is the number of its connections in no link because the client's end is unknown. It includes the
	// containers, listeners, bindings and connections that are invalid.
	Unattributed int `json:"unattributed"`
}

// digits may differ at each poll.
var digits = regexp.MustCompile(`[0-9]+`)

// ReasonKey strips numbers, quotes and detail from a reason, so that equal causes compare equal and foreign text never becomes a
// label.
func ReasonKey(reason string) string {
	reason, _, _ = strings.Cut(reason, ": ")
	reason, _, _ = strings.Cut(reason, ` "`)
	return digits.ReplaceAllString(reason, "N")
}
