package correlate

import (
	"net/netip"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// endpoint is an address with a port of one protocol. The port may have the number 0, which means any.
type endpoint struct {
	addr netip.Addr
	port socket.Port
}

func (e endpoint) isValid() bool { return e.addr.IsValid() }

// parseEndpoint reports false for an invalid address and for an unknown protocol.
func parseEndpoint(e snapshotv1.Endpoint, protocol socket.Protocol) (parsed endpoint, ok bool) {
	addr, err := netip.ParseAddr(e.Address)
	return endpoint{addr.Unmap(), socket.NewPort(e.Port, protocol)}, err == nil && protocol <= socket.UDP
}
