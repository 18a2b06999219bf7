package snapshot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// WithServicePorts returns readings with the published ports of Swarm services added to their containers on this host. The
// engine does not list them with the container.
func WithServicePorts(readings []collect.Reading, networks []container.NetworkConfig) []collect.Reading {
	byNetwork := make(map[string][]container.Service)
	for _, n := range networks {
		if len(n.Services) > 0 {
			byNetwork[n.ID] = n.Services
		}
	}
	if len(byNetwork) == 0 {
		return readings
	}
	readings = slices.Clone(readings)
	namespaces := make(map[*collect.NetNS]*collect.NetNS) // those with more bindings, by the former
	for i := range readings {
		r := &readings[i]
		var bindings []container.Binding
		for _, network := range r.Container.Networks {
			bindings = append(bindings, serviceBindings(byNetwork[network.ID], network.Addresses)...)
		}
		bindings = slices.DeleteFunc(bindings, func(b container.Binding) bool { return !listensAt(r.NetNS, b.ContainerPort) })
		if len(bindings) == 0 {
			continue
		}
		r.Container.Published = slices.Concat(r.Container.Published, bindings)
		published := *r.NetNS
		published.Published = slices.Concat(published.Published, bindings)
		namespaces[r.NetNS] = &published
	}
	for i := range readings {
		if published, ok := namespaces[readings[i].NetNS]; ok { // also of containers that joined it
			readings[i].NetNS = published
		}
	}
	return readings
}

// listensAt reports whether a network namespace has a listener on a port. The engine does not report the protocol of a service's port.
func listensAt(namespace *collect.NetNS, port socket.Port) bool {
	return namespace != nil && slices.ContainsFunc(namespace.Sockets, func(s socket.Socket) bool {
		return s.Listening() && s.LocalPort() == port
	})
}

// serviceBindings returns the ports of the services with a task at one of addresses, of both protocols. All addresses of the host publish
// them.
func serviceBindings(services []container.Service, addresses []netip.Addr) (bindings []container.Binding) {
	for _, service := range services {
		if !slices.ContainsFunc(addresses, func(addr netip.Addr) bool { return slices.Contains(service.Tasks, addr) }) {
			continue
		}
		for _, port := range service.Ports {
			host := netip.AddrPortFrom(netip.IPv4Unspecified(), port.Published)
			for _, protocol := range []socket.Protocol{socket.TCP, socket.UDP} {
				bindings = append(bindings, container.Binding{ContainerPort: socket.NewPort(port.Target, protocol), Host: host})
			}
		}
	}
	return bindings
}

// toOverlays converts the overlay networks with load balancers or services, ascending by ID. The engine's order may differ each time.
func toOverlays(networks []container.NetworkConfig) (overlays []snapshotv1.Overlay) {
	for _, n := range networks {
		if !n.LoadBalancer.IsValid() && len(n.Hosts) == 0 && len(n.Services) == 0 {
			continue
		}
		overlays = append(overlays, snapshotv1.Overlay{
			Network: n.ID, Name: n.Name, LoadBalancer: n.LoadBalancer,
			Hosts: convert(n.Hosts, func(h container.SwarmHost) snapshotv1.SwarmHost {
				return snapshotv1.SwarmHost{Address: h.Addr, LoadBalancer: h.LoadBalancer}
			}),
			Services: convert(n.Services, toService),
		})
	}
	slices.SortFunc(overlays, func(a, b snapshotv1.Overlay) int { return strings.Compare(a.Network, b.Network) })
	return overlays
}

func toService(s container.Service) snapshotv1.Service {
	return snapshotv1.Service{
		Name: s.Name, VirtualAddress: s.VirtualAddr, Tasks: notNil(s.Tasks),
		Ports: convert(s.Ports, func(p container.ServicePort) snapshotv1.ServicePort { return snapshotv1.ServicePort(p) }),
	}
}
