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

// detailsOf returns what is told of a container; nil from a daemon that tells only connections.
func detailsOf(c snapshot.ContainerDocument) *Details {
	if c.Method == "" {
		return nil
	}
	d := &Details{
		Method: collect.Method(clip(string(c.Method))), Status: clip(c.Status),
		Unused: make([]snapshot.UnusedDocument, len(c.Unused)), Networks: make([]snapshot.NetworkDocument, len(c.Networks)),
		Listening: make([]snapshot.ListenerDocument, len(c.Listening)),
	}
	for i, u := range c.Unused {
		d.Unused[i] = snapshot.UnusedDocument{Method: collect.Method(clip(string(u.Method))), Reason: clip(u.Reason)}
	}
	for i, n := range c.Networks {
		d.Networks[i] = snapshot.NetworkDocument{ID: clip(n.ID), Name: clip(n.Name), Addresses: listed(n.Addresses), Gateways: listed(n.Gateways)}
	}
	for i, l := range c.Listening {
		d.Listening[i] = snapshot.ListenerDocument{Endpoint: clipped(l.Endpoint), Published: listed(l.Published), Process: clip(l.Process)}
		for j, at := range d.Listening[i].Published {
			d.Listening[i].Published[j] = clipped(at)
		}
	}
	return d
}

func clipped(at snapshot.Endpoint) snapshot.Endpoint {
	return snapshot.Endpoint{Address: clip(at.Address), Port: at.Port}
}

// listed returns a copy that is never nil.
func listed[T netip.Addr | snapshot.Endpoint](list []T) []T {
	return append(make([]T, 0, len(list)), list...)
}
