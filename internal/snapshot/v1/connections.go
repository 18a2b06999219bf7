package v1

import (
	"net"
	"strconv"
)

// ContainerConnections is one container in the document of GET /connections.
type ContainerConnections struct {
	Name        string     `json:"name"`
	Artefact    string     `json:"artefact"`
	Listening   []Endpoint `json:"listening"`
	Established []Endpoint `json:"established"`
}

// Endpoint is an address and a port.
type Endpoint struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}

// String returns the endpoint as host:port, with an IPv6 address in brackets.
func (e Endpoint) String() string { return net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port))) }
