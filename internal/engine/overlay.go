package engine

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/PabloL007/outpost/internal/container"
)

// addSwarm adds what only the answer about one overlay network has: load balancers and services of Docker Swarm. They stay unknown
// if the network was removed meanwhile, or if a socket proxy forbids the call.
func (e *Engine) addSwarm(ctx context.Context, c *client.Client, list []network.Summary, networks []container.NetworkConfig) error {
	for i, n := range list {
		if n.Scope != "swarm" || n.Driver != "overlay" {
			continue
		}
		e.observe(kindNetworks)
		inspected, err := c.NetworkInspect(ctx, n.ID, network.InspectOptions{Verbose: true})
		switch {
		case err == nil:
			addOverlay(&networks[i], inspected)
		case ctx.Err() != nil:
			return wrapError("inspect network", err)
		}
	}
	return nil
}

// addOverlay adds the load balancers and services of a network. The host's own load balancer is an endpoint without a container, named
// "lb-<network>" or "ingress-sbox" (moby libnetwork/controller.go). Those of all hosts are tasks of a service without
// a name, on the ingress network alone. Not every engine lists them (26.1.5 with IPVS does not). Then only the own one is known.
func addOverlay(config *container.NetworkConfig, n network.Inspect) {
	for name, endpoint := range n.Containers {
		if prefix, err := netip.ParsePrefix(endpoint.IPv4Address); err == nil && (name == "lb-"+n.Name || name == "ingress-sbox") {
			config.LoadBalancer = prefix.Addr().Unmap()
		}
	}
	for _, task := range n.Services[""].Tasks {
		balancer, err := netip.ParseAddr(task.EndpointIP)
		host, hostErr := netip.ParseAddr(task.Info["Host IP"])
		if task.Name == n.Name+"-endpoint" && err == nil && hostErr == nil { // not a container outside services
			config.Hosts = append(config.Hosts, container.SwarmHost{Addr: host.Unmap(), LoadBalancer: balancer.Unmap()})
		}
	}
	if host, ok := ownHost(n); ok && n.Ingress && config.LoadBalancer.IsValid() && len(config.Hosts) == 0 {
		config.Hosts = append(config.Hosts, container.SwarmHost{Addr: host, LoadBalancer: config.LoadBalancer})
	}
	slices.SortFunc(config.Hosts, func(a, b container.SwarmHost) int { return a.Addr.Compare(b.Addr) })
	config.Services = toServices(n)
}

// ownHost returns the address of this host in the Swarm. A task has it, and is on this host if its endpoint is.
func ownHost(n network.Inspect) (host netip.Addr, ok bool) {
	here := make(map[string]bool)
	for _, endpoint := range n.Containers {
		here[endpoint.EndpointID] = true
	}
	for _, service := range n.Services {
		for _, task := range service.Tasks {
			if addr, err := netip.ParseAddr(task.Info["Host IP"]); err == nil && here[task.EndpointID] {
				return addr.Unmap(), true
			}
		}
	}
	return host, false
}

// toServices converts the services of a network, ascending by name. All hosts publish the ports of the ingress network. Other networks
// list ports in mode "host", which the engine lists with the container too.
func toServices(n network.Inspect) []container.Service {
	var services []container.Service
	for name, info := range n.Services {
		if name == "" {
			continue
		}
		s := container.Service{Name: name, Tasks: toTasks(info)}
		s.VirtualAddr, _ = netip.ParseAddr(info.VIP) // "<nil>" in mode dnsrr
		for _, text := range info.Ports {
			port, ok := parseServicePort(text)
			if ok && n.Ingress && !slices.Contains(s.Ports, port) { // a port of TCP and UDP is listed twice
				s.Ports = append(s.Ports, port)
			}
		}
		services = append(services, s)
	}
	slices.SortFunc(services, func(a, b container.Service) int { return cmp.Compare(a.Name, b.Name) })
	return services
}

// toTasks returns the addresses of a service's tasks on all hosts, ascending.
func toTasks(info network.ServiceInfo) []netip.Addr {
	var addrs []netip.Addr
	for _, task := range info.Tasks {
		if addr, err := netip.ParseAddr(task.EndpointIP); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}

// parseServicePort parses a text such as "Target: 8080, Publish: 8081" (moby libnetwork/agent.go).
func parseServicePort(text string) (port container.ServicePort, ok bool) {
	target, published, found := strings.Cut(text, ",")
	if !found {
		return port, false
	}
	var targetErr, publishedErr error
	port.Target, targetErr = parsePort(strings.TrimSpace(strings.TrimPrefix(target, "Target:")))
	port.Published, publishedErr = parsePort(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(published), "Publish:")))
	return port, targetErr == nil && publishedErr == nil
}
