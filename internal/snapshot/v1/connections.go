package v1

import (
	"net"
	"strconv"

	"github.com/PabloL007/outpost/internal/socket"
)

// ContainerConnections is one container in the document of GET /connections.
type ContainerConnections struct {
	Name        string               `json:"name"`
	Artefact    string               `json:"artefact"`
	Listening   []ConnectionEndpoint `json:"listening"`
	Established []ConnectionEndpoint `json:"established"`
}

// ConnectionEndpoint is an endpoint of one protocol.
type ConnectionEndpoint struct {
	Endpoint
	Protocol socket.Protocol `json:"protocol,omitzero"`
}

// Endpoint is an address and a port.
type Endpoint struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}

// String returns the endpoint as host:port, with an IPv6 address in brackets.
func (e Endpoint) String() string { return net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port))) }
