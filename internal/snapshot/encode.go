package snapshot

import (
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// ToV1 returns the document of GET /v1/snapshot. Empty lists are not nil, so that JSON has [] and not null.
func (s Snapshot) ToV1() snapshotv1.Snapshot {
	drivers := newNetworkDrivers(s.Networks)
	return snapshotv1.Snapshot{
		Version: snapshotv1.Version,
		Host: snapshotv1.Host{
			BootID: s.Host.BootID, InstanceID: s.Host.InstanceID,
			ID: s.Host.ID, Name: s.Host.Name, EngineVersion: s.Host.Version, APIVersion: s.Host.APIVersion,
			Addresses: notNil(s.Host.Addresses), AllAddresses: s.Host.AllAddresses, Gateways: s.Host.Gateways,
			Overlays: toOverlays(s.Networks),
			Sockets:  toHostSockets(s.Host.Sockets),
			Counting: toCounting(s.Host.Counting),
			Flows: convertSome(s.Host.Flows, func(f HostFlow) snapshotv1.HostFlow {
				return snapshotv1.HostFlow{Flow: toFlow(f.Flow), OwnerUnknown: f.OwnerUnknown}
			}),
			Translations:        convertSome(s.Host.Translations.List, toTranslation),
			TranslationsMissing: s.Host.Translations.Missing,
		},
		TakenAt:    s.TakenAt.UTC(),
		DurationMs: float64(s.Duration.Microseconds()) / 1000,
		Containers: convert(s.Containers, func(c Container) snapshotv1.Container { return toContainer(c, drivers) }),
	}
}

// ToConnections returns the document of GET /connections for some protocols. Empty lists are not nil, so that JSON has [] and not null.
func (s Snapshot) ToConnections(protocols ...socket.Protocol) []snapshotv1.ContainerConnections {
	selected := func(endpoints []Endpoint) []snapshotv1.ConnectionEndpoint {
		list := make([]snapshotv1.ConnectionEndpoint, 0, len(endpoints))
		for _, e := range endpoints {
			if slices.Contains(protocols, e.Protocol) {
				list = append(list, toConnectionEndpoint(e))
			}
		}
		return list
	}
	return convert(s.Containers, func(c Container) snapshotv1.ContainerConnections {
		return snapshotv1.ContainerConnections{
			Name:        c.Name,
			Artefact:    c.Image,
			Listening:   selected(c.Listening),
			Established: selected(c.Established),
		}
	})
}

func toContainer(c Container, drivers networkDrivers) snapshotv1.Container {
	return snapshotv1.Container{
		ID: c.ID, Name: c.Name, Image: c.Image, Project: c.Project, Service: c.Service,
		NetworkMode: string(c.NetworkMode),
		Namespace:   c.Namespace,
		Networks:    convert(c.Networks, func(n container.Network) snapshotv1.Network { return toNetwork(n, drivers.of(n)) }),
		State:       string(c.State), Health: string(c.Health), Restarts: c.Restarts,
		StartedAt:    toTime(c.StartedAt),
		HostNetwork:  c.HostNetwork,
		EngineSocket: c.EngineSocket,
		Exposed:      numbersOf(c.Exposed, socket.TCP),
		ExposedUDP:   numbersOf(c.Exposed, socket.UDP),
		Bindings: convertSome(c.Bindings, func(b container.Binding) snapshotv1.Binding {
			return snapshotv1.Binding{Endpoint: toEndpoint(b.Host), ContainerPort: b.ContainerPort.Number(), Protocol: b.ContainerPort.Protocol()}
		}),
		Addresses: c.Addresses,
		Method:    c.Method,
		Unused: convert(c.Unused, func(u collect.UnusedMethod) snapshotv1.UnusedMethod {
			return snapshotv1.UnusedMethod{Method: u.Method, Reason: u.Reason}
		}),
		Status:      c.Status(),
		Reason:      c.Reason(),
		Listening:   convert(c.Listeners, toListener),
		Connections: convert(c.Connections, toConnection),
		Attempts: convertSome(c.Attempts, func(a Attempt) snapshotv1.Attempt {
			return snapshotv1.Attempt{LocalAddress: a.Local, Remote: toEndpoint(a.Remote), Count: a.Count}
		}),
		Flows: convertSome(c.Flows, toFlow),
	}
}

func toNetwork(n container.Network, driver string) snapshotv1.Network {
	return snapshotv1.Network{ID: n.ID, Name: n.Name, Driver: driver, Addresses: notNil(n.Addresses), Gateways: notNil(n.Gateways)}
}

func toListener(l Listener) snapshotv1.Listener {
	return snapshotv1.Listener{Endpoint: toEndpoint(l.Local), Protocol: l.Protocol, Published: convert(l.Published, toEndpoint), Process: l.Process}
}

func toConnection(c Connection) snapshotv1.Connection {
	converted := snapshotv1.Connection{
		Protocol: c.Protocol, Local: toEndpoint(c.Local), Remote: toEndpoint(c.Remote), Direction: toDirection(c.Inbound), State: c.State.String(), Process: c.Process,
		Dialled: toDialled(c.DialledBy), ClosedAt: toTime(c.ClosedAt),
	}
	if c.Info != nil {
		converted.Measured = &snapshotv1.TCPInfo{
			RTTMicroseconds: c.Info.RTT.Microseconds(), BytesSent: c.Info.Sent, BytesReceived: c.Info.Received,
			IdleSeconds: int64(c.Info.Idle / time.Second),
		}
	}
	return converted
}

func toDirection(inbound bool) string {
	if inbound {
		return "in"
	}
	return "out"
}

func toFlow(f Flow) snapshotv1.Flow {
	return snapshotv1.Flow{
		Direction: toDirection(f.Inbound), LocalAddress: f.Local, RemoteAddress: f.Remote, Port: f.Port.Number(), Protocol: f.Port.Protocol(),
		Opened: f.Opened, Refused: f.Refused, Unanswered: f.Unanswered, Recent: f.Recent, RecentFailed: f.RecentFailed,
		BytesSent: f.Sent, BytesReceived: f.Received, Retransmits: f.Retransmits,
		RTTMicroseconds: f.RTT.Microseconds(), MinRTTMicroseconds: f.MinRTT.Microseconds(),
	}
}

func toTranslation(t Translation) snapshotv1.Translation {
	return snapshotv1.Translation{
		Protocol: t.Protocol,
		Client:   toEndpoint(t.Client), Dialled: toEndpoint(t.Dialled), Server: toEndpoint(t.Server), Source: toEndpoint(t.Source),
	}
}

// toCounting returns nil if connections are not counted.
func toCounting(c Counting) *snapshotv1.Counting {
	if c.Scope == "" {
		return nil
	}
	return &snapshotv1.Counting{Scope: c.Scope, Since: c.Since.UTC(), Losses: c.Losses, Unattributed: c.Unattributed}
}

func toHostSockets(s *HostSockets) *snapshotv1.HostSockets {
	if s == nil {
		return nil
	}
	return &snapshotv1.HostSockets{
		Method: s.Method, Incomplete: s.Incomplete,
		Listening: convert(s.Listeners, func(l HostListener) snapshotv1.HostListener {
			return snapshotv1.HostListener{Endpoint: toEndpoint(l.Local), Protocol: l.Protocol, OwnerUnknown: l.OwnerUnknown}
		}),
		Connections: convert(s.Connections, func(c HostConnection) snapshotv1.HostConnection {
			return snapshotv1.HostConnection{Connection: toConnection(c.Connection), OwnerUnknown: c.OwnerUnknown}
		}),
	}
}

// toDialled returns nil if it is not known which end dialled.
func toDialled(by socket.End) *bool {
	if by == socket.UnknownEnd {
		return nil
	}
	dialled := by == socket.LocalEnd
	return &dialled
}

// toTime returns nil if t is zero.
func toTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func toEndpoint(endpoint netip.AddrPort) snapshotv1.Endpoint {
	return snapshotv1.Endpoint{Address: endpoint.Addr().String(), Port: endpoint.Port()}
}

func toConnectionEndpoint(endpoint Endpoint) snapshotv1.ConnectionEndpoint {
	return snapshotv1.ConnectionEndpoint{Endpoint: toEndpoint(endpoint.AddrPort), Protocol: endpoint.Protocol}
}

// numbersOf returns the numbers of the ports of a protocol.
func numbersOf(ports []socket.Port, protocol socket.Protocol) (numbers []uint16) {
	for _, port := range ports {
		if port.Protocol() == protocol {
			numbers = append(numbers, port.Number())
		}
	}
	return numbers
}

// convert applies to to each element of list. The result is not nil.
func convert[T, D any](list []T, to func(T) D) []D {
	converted := make([]D, len(list))
	for i, item := range list {
		converted[i] = to(item)
	}
	return converted
}

// convertSome is convert, but nil for an empty list.
func convertSome[T, D any](list []T, to func(T) D) []D {
	if len(list) == 0 {
		return nil
	}
	return convert(list, to)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
