package snapshot

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
)

// Version is that of Document's format.
const Version = 1

// Document is a snapshot as GET /v1/snapshot answers it. Fields may be added; what there is keeps its meaning.
type Document struct {
	Version    int                 `json:"version"`
	Host       HostDocument        `json:"host"`
	TakenAt    time.Time           `json:"takenAt"`
	DurationMs float64             `json:"durationMs"`
	Containers []ContainerDocument `json:"containers"`
}

// HostDocument is the host.
type HostDocument struct {
	ID            string       `json:"id"`
	Name          string       `json:"name"`
	EngineVersion string       `json:"engineVersion"`
	APIVersion    string       `json:"apiVersion"`
	Addresses     []netip.Addr `json:"addresses"`
	// AllAddresses: they are all that the host has but loopback, and not those that were configured.
	AllAddresses bool `json:"allAddresses"`
}

// ContainerDocument is a container.
type ContainerDocument struct {
	ID          string               `json:"id"`
	Name        string               `json:"name"`
	Image       string               `json:"image"`
	Project     string               `json:"project,omitempty"`
	Service     string               `json:"service,omitempty"`
	NetworkMode string               `json:"networkMode"`
	Namespace   string               `json:"namespace,omitempty"`
	Networks    []NetworkDocument    `json:"networks"`
	Method      collect.Method       `json:"method"`
	Unused      []UnusedDocument     `json:"unused"`
	Status      string               `json:"status"`
	Reason      string               `json:"reason,omitempty"`
	Listening   []ListenerDocument   `json:"listening"`
	Connections []ConnectionDocument `json:"connections"`
}

// NetworkDocument is a container's place in a network.
type NetworkDocument struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	Gateways  []netip.Addr `json:"gateways"`
}

// UnusedDocument is a better method that could not be used.
type UnusedDocument struct {
	Method collect.Method `json:"method"`
	Reason string         `json:"reason"`
}

// ListenerDocument is a listening socket.
type ListenerDocument struct {
	Endpoint
	Published []Endpoint `json:"published"`
	Process   string     `json:"process,omitempty"`
}

// ConnectionDocument is an established or TIME_WAIT socket, or one that was established in the last minute (CLOSE).
type ConnectionDocument struct {
	Local     Endpoint          `json:"local"`
	Remote    Endpoint          `json:"remote"`
	Direction string            `json:"direction"`
	State     string            `json:"state"`
	Process   string            `json:"process,omitempty"`
	Measured  *MeasuredDocument `json:"measured,omitempty"`
}

// MeasuredDocument is what the kernel has measured of a connection.
type MeasuredDocument struct {
	RTTMicroseconds int64  `json:"rttMicroseconds"`
	BytesSent       uint64 `json:"bytesSent"`
	BytesReceived   uint64 `json:"bytesReceived"`
}

// Statuses of a container.
const (
	StatusOK      = "ok"
	StatusPartial = "partial"
	StatusFailed  = "failed"
)

// Status says how much of a container is known.
func (c Container) Status() string {
	switch {
	case len(c.Problems) == 0:
		return StatusOK
	case c.Method == collect.None:
		return StatusFailed
	}
	return StatusPartial
}

// Filter picks containers; an empty field picks all.
type Filter struct {
	// Container is a name, with or without its slash, or the beginning of an ID.
	Container string
	// Project is Docker Compose's.
	Project string
}

// Apply returns the snapshot of the containers that f picks. A name goes before the beginning of an ID, which may look
// like one.
func (f Filter) Apply(s Snapshot) Snapshot {
	named := func(c Container) bool { return strings.TrimPrefix(c.Name, "/") == strings.TrimPrefix(f.Container, "/") }
	exists := slices.ContainsFunc(s.Containers, named)
	var picked []Container
	for _, c := range s.Containers {
		byContainer := f.Container == "" || named(c) || !exists && strings.HasPrefix(c.ID, f.Container)
		if byContainer && (f.Project == "" || c.Project == f.Project) {
			picked = append(picked, c)
		}
	}
	s.Containers = picked
	return s
}

// DocumentOf returns the document of GET /v1/snapshot. Its lists are empty, never nil, where there is nothing.
func DocumentOf(s Snapshot) Document {
	return Document{
		Version: Version,
		Host: HostDocument{
			ID: s.Host.ID, Name: s.Host.Name, EngineVersion: s.Host.Version, APIVersion: s.Host.API,
			Addresses: notNil(s.Host.Addresses), AllAddresses: s.Host.AllAddresses,
		},
		TakenAt:    s.TakenAt.UTC(),
		DurationMs: float64(s.Duration.Microseconds()) / 1000,
		Containers: each(s.Containers, containerDocument),
	}
}

func containerDocument(c Container) ContainerDocument {
	return ContainerDocument{
		ID: c.ID, Name: c.Name, Image: c.Image, Project: c.Project, Service: c.Service,
		NetworkMode: string(c.Network),
		Namespace:   c.Namespace,
		Networks:    each(c.Networks, networkDocument),
		Method:      c.Method,
		Unused: each(c.Unused, func(u collect.Skipped) UnusedDocument {
			return UnusedDocument{u.Method, u.Reason}
		}),
		Status:      c.Status(),
		Reason:      c.Reason(),
		Listening:   each(c.Listeners, listenerDocument),
		Connections: each(c.Connections, connectionDocument),
	}
}

func networkDocument(n container.Network) NetworkDocument {
	return NetworkDocument{ID: n.ID, Name: n.Name, Addresses: notNil(n.Addresses), Gateways: notNil(n.Gateways)}
}

func listenerDocument(l Listener) ListenerDocument {
	return ListenerDocument{Endpoint: endpoint(l.Local), Published: each(l.Published, endpoint), Process: l.Process}
}

func connectionDocument(c Connection) ConnectionDocument {
	document := ConnectionDocument{
		Local: endpoint(c.Local), Remote: endpoint(c.Remote), Direction: "out", State: c.State.String(), Process: c.Process,
	}
	if c.Inbound {
		document.Direction = "in"
	}
	if c.Info != nil {
		document.Measured = &MeasuredDocument{c.Info.RTT.Microseconds(), c.Info.Sent, c.Info.Received}
	}
	return document
}

// Reason says why something of a container is missing; nothing if nothing is.
func (c Container) Reason() string {
	texts := make([]string, len(c.Problems))
	for i, p := range c.Problems {
		texts[i] = p.String()
	}
	return strings.Join(texts, "; ")
}

// each returns the documents of a list; it is not nil.
func each[T, D any](list []T, document func(T) D) []D {
	documents := make([]D, len(list))
	for i, item := range list {
		documents[i] = document(item)
	}
	return documents
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
