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
	// LoadBalancer is the address of Docker Swarm's load balancer of this host on an overlay network. A server sees it in place of
	// the client's address.
	LoadBalancer netip.Addr
	// Hosts are the hosts of the Swarm's ingress network, ascending by address. Other networks have none.
	Hosts []SwarmHost
	// Services are the Swarm services on an overlay network, ascending by name.
	Services []Service
}

// SwarmHost is a host of a Swarm: its own address, and that of its load balancer on the ingress network.
type SwarmHost struct{ Addr, LoadBalancer netip.Addr }

// Service is a service of Docker Swarm on one network.
type Service struct {
	Name string
	// VirtualAddr is the address that clients on the network dial. It is invalid if the service has none.
	VirtualAddr netip.Addr
	// Ports are the ports that all hosts publish. Only Swarm's ingress network has them.
	Ports []ServicePort
	// Tasks are the addresses of its containers on all hosts, ascending.
	Tasks []netip.Addr
}

// ServicePort is a port that all hosts publish, and the port of the containers behind it.
type ServicePort struct{ Published, Target uint16 }
