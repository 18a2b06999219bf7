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
)

// Version is that of Graph's format.
const Version = 1

// Graph is who talks to whom, as GET /v1/graph answers it.
type Graph struct {
	Version int      `json:"version"`
	Nodes   []Node   `json:"nodes"`   // ascending by ID
	Links   []Link   `json:"links"`   // ascending by client, server, port and via
	Targets []Target `json:"targets"` // ascending by name; none from a daemon, which maps its own host
	// Forgotten is how many past links were dropped before their time to bound memory.
	Forgotten int `json:"forgotten"`
	// Role is whose map this is.
	Role Role `json:"role"`
	// WindowSeconds is how long a link that is past stays in the map.
	WindowSeconds int `json:"windowSeconds"`

	polledAddresses map[netip.Addr]bool
}

// Role is that of whoever draws a map.
type Role string

// The roles.
const (
	RoleDaemon Role = "daemon" // it maps its own host, and has no targets
	RoleMapper Role = "mapper"
)

// WithPolledAddresses returns g with the addresses of all polled hosts and of their containers, which Supersedes needs.
// The addresses are shared, and no part of the document.
func (g Graph) WithPolledAddresses(addresses map[netip.Addr]bool) Graph {
	g.polledAddresses = addresses
	return g
}

// Supersedes reports whether an end of a link that was drawn as an external address before is a host's or container's
// now: it was drawn without knowing of that.
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

// Kind is what a node stands for.
type Kind string

// The kinds of nodes. The last three are groups of containers.
const (
	KindContainer Kind = "container"
	KindHost      Kind = "host"      // the host's own processes; grouped by host, its containers too
	KindExternal  Kind = "external"  // an address that is nobody's who was polled, or a name given to such
	KindAmbiguous Kind = "ambiguous" // one of Candidates, and it is not known which
	KindService   Kind = "service"
	KindProject   Kind = "project"
	KindImage     Kind = "image"
)

// Node is one end of links.
type Node struct {
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Host is the one it is on, as it calls itself, or as it was asked for if that is not known or is another's name too.
	Host string `json:"host,omitempty"`
	// Name is a container's without its slash, a host's, an address or the name given to it.
	Name string `json:"name"`
	// Container is its ID.
	Container string `json:"container,omitempty"`
	Image     string `json:"image,omitempty"`
	Project   string `json:"project,omitempty"`
	Service   string `json:"service,omitempty"`
	// Reason says why something of the container is not known.
	Reason string `json:"reason,omitempty"`
	// Candidates are the IDs of the nodes, or the names of the hosts, that an ambiguous one may be.
	Candidates []string `json:"candidates,omitempty"`
	// Stale: its host did not answer of late, and this is what it said last.
	Stale bool `json:"stale,omitempty"`
	// Details are a container's; nil if its daemon tells none, or if it is past.
	Details *Details `json:"details,omitempty"`
	// Past: it is not there any more.
	Past bool `json:"past,omitempty"`
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

// Via is the way by which a client reaches a server.
type Via uint16

// The ways, in the order in which links have them.
const (
	ViaDirect    Via = iota + 1 // at the server's own address
	ViaPublished                // at a port that its host publishes
	ViaHost                     // at its host's address, on whose network it is
	ViaLoopback                 // in the network namespace that both share
)

var viaNames = map[Via]string{ViaDirect: "direct", ViaPublished: "published", ViaHost: "host", ViaLoopback: "loopback"}

// String returns the way's name.
func (v Via) String() string { return viaNames[v] }

// MarshalText writes the way's name.
func (v Via) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the way's name.
func (v *Via) UnmarshalText(text []byte) error { return named(text, viaNames, v) }

// Evidence says which half of a link was seen.
type Evidence uint16

// The halves.
const (
	EvidenceBoth Evidence = iota + 1
	EvidenceClient
	EvidenceServer
)

var evidenceNames = map[Evidence]string{EvidenceBoth: "both", EvidenceClient: "client", EvidenceServer: "server"}

// String returns the evidence's name.
func (e Evidence) String() string { return evidenceNames[e] }

// MarshalText writes the evidence's name.
func (e Evidence) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads the evidence's name.
func (e *Evidence) UnmarshalText(text []byte) error { return named(text, evidenceNames, e) }

// named finds the value that has a name.
func named[T comparable](name []byte, names map[T]string, value *T) error {
	for v, n := range names {
		if n == string(name) {
			*value = v
			return nil
		}
	}
	return fmt.Errorf("%q is none of %v", name, slices.Sorted(maps.Values(names)))
}

// Link is the connections of one client to one port of one server, by one way.
type Link struct {
	Client string `json:"client"` // ID of a node
	Server string `json:"server"` // ID of a node
	// Port is the one at which the server listens, whatever it is published as; that of the address if it is not known.
	Port     uint16   `json:"port"`
	Via      Via      `json:"via"`
	Evidence Evidence `json:"evidence"`
	// Connections are those established now, and Closed those that ended within the last minute.
	Connections int `json:"connections"`
	Closed      int `json:"closed"`
	// Measured is nil where no kernel told of any of the connections.
	Measured *Measured `json:"measured,omitempty"`
	// Live: there are connections now.
	Live bool `json:"live"`
	// New marks a link first seen since View.NewSince.
	New bool `json:"new,omitempty"`
	// CountsUnknown: this is the link of an earlier time (View.At), and Connections and Closed are unknown.
	CountsUnknown bool `json:"countsUnknown,omitempty"`
	// FirstSeen and LastSeen are by the clock of whoever answers.
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
}

// Measured is what kernels have measured of a link's established connections.
type Measured struct {
	RTTMicroseconds int64  `json:"rttMicroseconds"` // smoothed, the mean of the connections
	BytesSent       uint64 `json:"bytesSent"`       // by the client
	BytesReceived   uint64 `json:"bytesReceived"`   // by the client
}

// State is how a target fares.
type State string

// The states of targets.
const (
	StateOK        State = "ok"
	StatePending   State = "pending"   // not asked yet
	StateStale     State = "stale"     // it does not answer, and what it said last is in the graph
	StateFailed    State = "failed"    // nothing of it is in the graph
	StateDuplicate State = "duplicate" // it is a host that another target answers for
)

// States are all of them.
func States() []State {
	return []State{StateOK, StatePending, StateStale, StateFailed, StateDuplicate}
}

// Target is a daemon that is polled.
type Target struct {
	Target string `json:"target"`
	Host   string `json:"host,omitempty"`
	State  State  `json:"state"`
	// Reason says why it is not in the state ok, or what else is wrong with it.
	Reason string `json:"reason,omitempty"`
	// Format is what it answers: "snapshot", or "connections" of an older daemon.
	Format string `json:"format,omitempty"`
	// LastAnswer is when it answered last, by the mapper's clock.
	LastAnswer time.Time `json:"lastAnswer,omitzero"`
	// Unattributed is how many of its connections are in no link, because it does not tell which end is the client's.
	Unattributed int `json:"unattributed"`
}

// figures are what may be another at each poll.
var figures = regexp.MustCompile(`[0-9]+`)

// ReasonKey returns what of a target's reason is the same each time it has the same cause, and that nobody else said: of its words
// those before a quotation or a colon, and no figures.
func ReasonKey(reason string) string {
	reason, _, _ = strings.Cut(reason, ": ")
	reason, _, _ = strings.Cut(reason, ` "`)
	return figures.ReplaceAllString(reason, "N")
}
