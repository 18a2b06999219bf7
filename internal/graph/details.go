package graph

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/collect"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// Details are what a daemon tells of one container, for whoever looks at it closely.
type Details struct {
	// Method is the way by which its sockets were read, and Unused are the better ones and what each lacks.
	Method collect.Method            `json:"method"`
	Unused []snapshotv1.UnusedMethod `json:"unused"`
	// Status says how much of it is known.
	Status    string                `json:"status"`
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
		Unused: make([]snapshotv1.UnusedMethod, len(c.Unused)), Networks: make([]snapshotv1.Network, len(c.Networks)),
		Listening: make([]snapshotv1.Listener, len(c.Listening)),
	}
	for i, u := range c.Unused {
		d.Unused[i] = snapshotv1.UnusedMethod{Method: collect.Method(Truncate(string(u.Method))), Reason: Truncate(u.Reason)}
	}
	for i, n := range c.Networks {
		d.Networks[i] = snapshotv1.Network{ID: Truncate(n.ID), Name: Truncate(n.Name), Addresses: listed(n.Addresses), Gateways: listed(n.Gateways)}
	}
	for i, l := range c.Listening {
		d.Listening[i] = snapshotv1.Listener{Endpoint: clipped(l.Endpoint), Published: listed(l.Published), Process: Truncate(l.Process)}
		for j, at := range d.Listening[i].Published {
			d.Listening[i].Published[j] = clipped(at)
		}
	}
	return d
}

func clipped(at snapshotv1.Endpoint) snapshotv1.Endpoint {
	return snapshotv1.Endpoint{Address: Truncate(at.Address), Port: at.Port}
}

// listed returns a copy that is never nil.
func listed[T netip.Addr | snapshotv1.Endpoint](list []T) []T {
	return append(make([]T, 0, len(list)), list...)
}
