package engine

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/PabloL007/outpost/internal/container"
)

// addSwarm adds what only the answer about one overlay network has: load balancers and services of Docker Swarm. A socket proxy may
// forbid it.
func (e *Engine) addSwarm(ctx context.Context, c *client.Client, list []network.Summary, networks []container.NetworkConfig) error {
	for i, n := range list {
		if n.Scope != "swarm" || n.Driver != "overlay" {
			continue
		}
		e.observe(kindNetworks)
		inspected, err := c.NetworkInspect(ctx, n.ID, network.InspectOptions{Verbose: true})
		switch err = wrapError("inspect network", err); {
		case err == nil:
			addOverlay(&networks[i], inspected)
		case !errors.Is(err, container.ErrNotFound) && !errors.Is(err, container.ErrForbidden):
			return err
		}
	}
	return nil
}

// addOverlay adds the load balancers and services of a network. The host's own load balancer is an endpoint without a container, named
// "lb-<network>" or "ingress-sbox" (moby libnetwork/controller.go). Those of the ingress network on other hosts are
// "<network>-endpoint" in a service without a name, with containers outside services.
func addOverlay(config *container.NetworkConfig, n network.Inspect) {
	for name, endpoint := range n.Containers {
		if prefix, err := netip.ParsePrefix(endpoint.IPv4Address); err == nil && (name == "lb-"+n.Name || name == "ingress-sbox") {
			config.LoadBalancer = prefix.Addr().Unmap()
		}
	}
	balancers := n.Services[""]
	balancers.Tasks = slices.DeleteFunc(balancers.Tasks, func(t network.Task) bool { return t.Name != n.Name+"-endpoint" })
	for _, addr := range toTasks(balancers) {
		if addr != config.LoadBalancer {
			config.OtherBalancers = append(config.OtherBalancers, addr)
		}
	}
	config.Services = toServices(n.Services)
}

// toServices converts the services of a network, ascending by name.
func toServices(infos map[string]network.ServiceInfo) []container.Service {
	var services []container.Service
	for name, info := range infos {
		if name == "" {
			continue
		}
		s := container.Service{Name: name, Tasks: toTasks(info)}
		s.VirtualAddr, _ = netip.ParseAddr(info.VIP) // "<nil>" in mode dnsrr
		for _, text := range info.Ports {
			if port, ok := parseServicePort(text); ok {
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
