package graph

import (
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// Details are the details of a container as its daemon reports them.
type Details struct {
	// Method is how its sockets were read. Unused are the preferred methods and why each was not used.
	Method collect.Method            `json:"method"`
	Unused []snapshotv1.UnusedMethod `json:"unused"`
	// Status is how complete the reading is.
	Status string `json:"status"`
	// State, Health, Restarts, StartedAt, HostNetwork and EngineSocket are as in the snapshot. Older daemons report only StartedAt.
	State        string     `json:"state,omitempty"`
	Health       string     `json:"health,omitempty"`
	Restarts     int        `json:"restarts,omitempty"`
	StartedAt    *time.Time `json:"startedAt,omitempty"`
	HostNetwork  bool       `json:"hostNetwork,omitempty"`
	EngineSocket bool       `json:"engineSocket,omitempty"`

	Networks  []snapshotv1.Network  `json:"networks"`
	Listening []snapshotv1.Listener `json:"listening"`
}

// NewDetails copies the details of a container. It returns nil for a daemon that reports only connections.
func NewDetails(c snapshotv1.Container) *Details {
	if c.Method == "" {
		return nil
	}
	d := &Details{
		Method: collect.Method(Truncate(string(c.Method))), Status: Truncate(c.Status),
		State: Truncate(c.State), Health: Truncate(c.Health), Restarts: c.Restarts, StartedAt: c.StartedAt,
		HostNetwork: c.HostNetwork, EngineSocket: c.EngineSocket,
		Unused: make([]snapshotv1.UnusedMethod, len(c.Unused)), Networks: make([]snapshotv1.Network, len(c.Networks)),
		Listening: make([]snapshotv1.Listener, 0, len(c.Listening)),
	}
	for i, u := range c.Unused {
		d.Unused[i] = snapshotv1.UnusedMethod{Method: collect.Method(Truncate(string(u.Method))), Reason: Truncate(u.Reason)}
	}
	for i, n := range c.Networks {
		d.Networks[i] = snapshotv1.Network{ID: Truncate(n.ID), Name: Truncate(n.Name), Driver: Truncate(n.Driver), Addresses: copyList(n.Addresses), Gateways: copyList(n.Gateways)}
	}
	for _, l := range c.Listening {
		if l.Protocol > socket.UDP { // of a later version
			continue
		}
		copied := snapshotv1.Listener{Endpoint: truncateEndpoint(l.Endpoint), Protocol: l.Protocol, Published: copyList(l.Published), Process: Truncate(l.Process)}
		for j, at := range copied.Published {
			copied.Published[j] = truncateEndpoint(at)
		}
		d.Listening = append(d.Listening, copied)
	}
	return d
}

func truncateEndpoint(at snapshotv1.Endpoint) snapshotv1.Endpoint {
	return snapshotv1.Endpoint{Address: Truncate(at.Address), Port: at.Port}
}

// copyList returns a copy that is never nil.
func copyList[T netip.Addr | snapshotv1.Endpoint](list []T) []T {
	return append(make([]T, 0, len(list)), list...)
}
