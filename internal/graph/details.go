package graph

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Details are what a daemon tells of one container, for whoever looks at it closely.
type Details struct {
	// Method is the way by which its sockets were read, and Unused are the better ones and what each lacks.
	Method collect.Method            `json:"method"`
	Unused []snapshot.UnusedDocument `json:"unused"`
	// Status says how much of it is known.
	Status    string                      `json:"status"`
	Networks  []snapshot.NetworkDocument  `json:"networks"`
	Listening []snapshot.ListenerDocument `json:"listening"`
}

// NewDetails copies the details of a container. It returns nil for a daemon that reports only connections.
func NewDetails(c snapshot.ContainerDocument) *Details {
	if c.Method == "" {
		return nil
	}
	d := &Details{
		Method: collect.Method(Truncate(string(c.Method))), Status: Truncate(c.Status),
		Unused: make([]snapshot.UnusedDocument, len(c.Unused)), Networks: make([]snapshot.NetworkDocument, len(c.Networks)),
		Listening: make([]snapshot.ListenerDocument, len(c.Listening)),
	}
	for i, u := range c.Unused {
		d.Unused[i] = snapshot.UnusedDocument{Method: collect.Method(Truncate(string(u.Method))), Reason: Truncate(u.Reason)}
	}
	for i, n := range c.Networks {
		d.Networks[i] = snapshot.NetworkDocument{ID: Truncate(n.ID), Name: Truncate(n.Name), Addresses: listed(n.Addresses), Gateways: listed(n.Gateways)}
	}
	for i, l := range c.Listening {
		d.Listening[i] = snapshot.ListenerDocument{Endpoint: clipped(l.Endpoint), Published: listed(l.Published), Process: Truncate(l.Process)}
		for j, at := range d.Listening[i].Published {
			d.Listening[i].Published[j] = clipped(at)
		}
	}
	return d
}

func clipped(at snapshot.Endpoint) snapshot.Endpoint {
	return snapshot.Endpoint{Address: Truncate(at.Address), Port: at.Port}
}

// listed returns a copy that is never nil.
func listed[T netip.Addr | snapshot.Endpoint](list []T) []T {
	return append(make([]T, 0, len(list)), list...)
}
