package snapshot

import (
	"net"
	"net/netip"
	"strconv"
)

// Connections is a container as GET /connections answers it.
type Connections struct {
	Name        string     `json:"name"`
	Artefact    string     `json:"artefact"`
	Listening   []Endpoint `json:"listening"`
	Established []Endpoint `json:"established"`
}

// Endpoint is an address and port as GET /connections writes it.
type Endpoint struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}

// String is the endpoint as it is usually written, with an IPv6 address in brackets.
func (e Endpoint) String() string { return net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port))) }

// ConnectionsOf returns the document of GET /connections. Its lists are empty, never nil, where there is nothing.
func ConnectionsOf(s Snapshot) []Connections {
	return each(s.Containers, func(c Container) Connections {
		return Connections{
			Name:        c.Name,
			Artefact:    c.Image,
			Listening:   each(c.Listening, endpoint),
			Established: each(c.Established, endpoint),
		}
	})
}

func endpoint(at netip.AddrPort) Endpoint {
	return Endpoint{Address: at.Addr().String(), Port: at.Port()}
}
