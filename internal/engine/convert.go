package engine

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/PabloL007/outpost/internal/container"
)

func toSummary(c dockercontainer.Summary) container.Summary {
	return container.Summary{
		ID:          c.ID,
		Name:        primaryName(c.Names),
		Image:       c.Image,
		NetworkMode: container.NetworkMode(c.HostConfig.NetworkMode),
		Fingerprint: fingerprint(c),
	}
}

// fingerprint returns the parts of a list entry that change when the container changes. Each start creates the
// endpoints in its networks again (libnetwork), unless the container joined another one's network.
func fingerprint(c dockercontainer.Summary) string {
	parts := append([]string{c.State}, c.Names...)
	for _, port := range c.Ports {
		parts = append(parts, fmt.Sprint(port))
	}
	if c.NetworkSettings != nil {
		for name, endpoint := range c.NetworkSettings.Networks {
			if endpoint != nil {
				parts = append(parts, fmt.Sprint(name, endpoint.EndpointID, endpoint.IPAddress, endpoint.GlobalIPv6Address))
			}
		}
	}
	slices.Sort(parts) // the engine lists ports in random order
	return strings.Join(parts, " ")
}

// primaryName returns the container's own name. The engine also lists links of other containers, as /other/alias.
func primaryName(names []string) string {
	for _, name := range names {
		if strings.LastIndexByte(name, '/') == 0 {
			return name
		}
	}
	return ""
}

func toContainer(inspected dockercontainer.InspectResponse) (container.Container, error) {
	base, config := inspected.ContainerJSONBase, inspected.Config
	if base == nil || base.State == nil || base.HostConfig == nil || config == nil {
		return container.Container{}, errors.New("the answer lacks State, HostConfig or Config")
	}
	c := container.Container{
		ID:          base.ID,
		Name:        base.Name,
		Image:       config.Image,
		NetworkMode: container.NetworkMode(base.HostConfig.NetworkMode),
		State:       toState(base.State),
		Health:      toHealth(base.State.Health),
		Restarts:    base.RestartCount,
		PID:         base.State.Pid,
		Project:     config.Labels["com.docker.compose.project"],
		Service:     config.Labels["com.docker.compose.service"],

		Sandboxed: isSandboxed(base.HostConfig.Runtime),
	}
	// The result is the zero time if the container never started.
	c.StartedAt, _ = time.Parse(time.RFC3339Nano, base.State.StartedAt)
	c.ExposedPorts = toPorts(maps.Keys(config.ExposedPorts))
	c.ConfiguredPorts = mergePorts(c.ExposedPorts, toPorts(maps.Keys(base.HostConfig.PortBindings)))
	if _, joined := c.NetworkMode.JoinedContainer(); joined || inspected.NetworkSettings == nil {
		return c, nil // Podman reports the networks and ports of the joined container here too
	}
	c.Networks = toNetworks(inspected.NetworkSettings.Networks)
	c.Published, c.Invalid = toBindings(inspected.NetworkSettings.Ports, c.Networks)
	return c, nil
}

// toNetworks converts NetworkSettings.Networks. A container without an address in a network has an empty text there.
func toNetworks(settings map[string]*network.EndpointSettings) []container.Network {
	var networks []container.Network
	for name, s := range settings {
		if s == nil {
			continue
		}
		networks = append(networks, container.Network{
			ID: networkID(s.NetworkID, name), Name: name,
			Addresses: parseAddresses(s.IPAddress, s.GlobalIPv6Address),
			Gateways:  parseAddresses(s.Gateway, s.IPv6Gateway),
		})
	}
	slices.SortFunc(networks, func(a, b container.Network) int { return strings.Compare(a.Name, b.Name) })
	return networks
}

// networkID returns the ID of a network, or "" if the engine reports the name in its place, as Podman does. Networks of different
// hosts have equal names.
func networkID(id, name string) string {
	if id == name {
		return ""
	}
	return id
}

// parseAddresses returns the valid addresses among texts.
func parseAddresses(texts ...string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// isSandboxed recognises the runtimes gVisor (runsc) and Kata Containers by their registered names.
func isSandboxed(runtime string) bool {
	runtime = strings.ToLower(runtime)
	return strings.Contains(runtime, "runsc") || strings.Contains(runtime, "gvisor") || strings.Contains(runtime, "kata")
}

func toState(state *dockercontainer.State) container.State {
	switch {
	case state.Restarting: // Running is also true
		return container.Restarting
	case state.Paused: // Running is also true
		return container.Paused
	case state.Running:
		return container.Running
	}
	return container.Stopped
}

// toHealth returns "" without a health check: Docker then reports none or "none", and Podman an empty status.
func toHealth(health *dockercontainer.Health) container.Health {
	if health == nil {
		return ""
	}
	switch reported := container.Health(health.Status); reported {
	case container.Healthy, container.Unhealthy, container.HealthStarting:
		return reported
	}
	return ""
}
