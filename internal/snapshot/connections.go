package snapshot

import "net/netip"

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

// ConnectionsOf returns the document of GET /connections. Its lists are empty, never nil, where there is nothing.
func ConnectionsOf(containers []Container) []Connections {
	document := make([]Connections, len(containers))
	for i, c := range containers {
		document[i] = Connections{
			Name:        c.Name,
			Artefact:    c.Image,
			Listening:   endpoints(c.Listening),
			Established: endpoints(c.Established),
		}
	}
	return document
}

func endpoints(addrs []netip.AddrPort) []Endpoint {
	list := make([]Endpoint, len(addrs))
	for i, addr := range addrs {
		list[i] = Endpoint{Address: addr.Addr().String(), Port: addr.Port()}
	}
	return list
}
