package container

import "net/netip"

// NetworkConfig is a network of the engine, whether or not a container is attached to it.
type NetworkConfig struct {
	ID, Name string
	// Driver is the engine's name for the kind of network, such as bridge or macvlan.
	Driver string
	// Bridge is the interface of a network with the driver bridge, if the engine names it.
	Bridge string
	// Gateways are the host's addresses on a bridge. They are empty for other drivers: there, a gateway is another machine.
	Gateways []netip.Addr
}
