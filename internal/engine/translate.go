package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	words "github.com/PabloL007/outpost/internal/container"
)

func summaryOf(c container.Summary) words.Summary {
	return words.Summary{
		ID:          c.ID,
		Name:        ownName(c.Names),
		Image:       c.Image,
		NetworkMode: words.NetworkMode(c.HostConfig.NetworkMode),
		Fingerprint: markOf(c),
	}
}

// markOf writes down what the list says that changes when the container does: with each start the endpoints in its
// networks are made anew (libnetwork), unless it joined another's.
func markOf(c container.Summary) string {
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

// ownName returns the container's own name: links of other containers are listed too, as /other/alias.
func ownName(names []string) string {
	for _, name := range names {
		if strings.LastIndexByte(name, '/') == 0 {
			return name
		}
	}
	return ""
}

func containerOf(inspected container.InspectResponse) (words.Container, error) {
	base, config := inspected.ContainerJSONBase, inspected.Config
	if base == nil || base.State == nil || base.HostConfig == nil || config == nil {
		return words.Container{}, errors.New("the answer lacks State, HostConfig or Config")
	}
	c := words.Container{
		ID:          base.ID,
		Name:        base.Name,
		Image:       config.Image,
		NetworkMode: words.NetworkMode(base.HostConfig.NetworkMode),
		State:       stateOf(base.State),
		PID:         base.State.Pid,
		Project:     config.Labels["com.docker.compose.project"],
		Service:     config.Labels["com.docker.compose.service"],

		Sandboxed: sandboxed(base.HostConfig.Runtime),
	}
	// A container that never started has the zero time.
	c.StartedAt, _ = time.Parse(time.RFC3339Nano, base.State.StartedAt)
	c.ConfiguredPorts = configuredPorts(config.ExposedPorts, base.HostConfig.PortBindings)
	if inspected.NetworkSettings == nil {
		return c, nil
	}
	c.Published, c.Invalid = publishedPorts(inspected.NetworkSettings.Ports)
	c.Networks = networksOf(inspected.NetworkSettings.Networks)
	return c, nil
}

// networksOf reads NetworkSettings.Networks; where a container has no address in one, the text is empty.
func networksOf(settings map[string]*network.EndpointSettings) []words.Network {
	var networks []words.Network
	for name, s := range settings {
		if s == nil {
			continue
		}
		networks = append(networks, words.Network{
			ID: s.NetworkID, Name: name,
			Addresses: addresses(s.IPAddress, s.GlobalIPv6Address),
			Gateways:  addresses(s.Gateway, s.IPv6Gateway),
		})
	}
	slices.SortFunc(networks, func(a, b words.Network) int { return strings.Compare(a.Name, b.Name) })
	return networks
}

func addresses(texts ...string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// sandboxed recognises the runtimes gVisor (runsc) and Kata Containers by the names under which they are
// registered with the engine.
func sandboxed(runtime string) bool {
	runtime = strings.ToLower(runtime)
	return strings.Contains(runtime, "runsc") || strings.Contains(runtime, "gvisor") || strings.Contains(runtime, "kata")
}

func stateOf(state *container.State) words.State {
	switch {
	case state.Restarting: // Running is true as well
		return words.Restarting
	case state.Paused: // Running is true as well
		return words.Paused
	case state.Running:
		return words.Running
	}
	return words.Stopped
}

// publishedPorts reads NetworkSettings.Ports: for each port the bindings in fact, none for a port that is only
// exposed.
func publishedPorts(ports nat.PortMap) (published []words.Binding, invalid []string) {
	for port, bindings := range ports {
		if port.Proto() != "tcp" {
			continue
		}
		for _, binding := range bindings {
			inside, insideErr := parsePort(port.Port())
			host, hostErr := hostEnd(binding)
			if err := errors.Join(insideErr, hostErr); err != nil {
				invalid = append(invalid, fmt.Sprintf("binding of port %q: %v", port, err))
				continue
			}
			published = append(published, words.Binding{ContainerPort: inside, Host: host})
		}
	}
	return published, invalid
}

// hostEnd reads a binding's host end; engines have written all addresses as "0.0.0.0", "::" and "".
func hostEnd(binding nat.PortBinding) (netip.AddrPort, error) {
	port, err := parsePort(binding.HostPort)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr := netip.IPv4Unspecified()
	if binding.HostIP != "" {
		if addr, err = netip.ParseAddr(binding.HostIP); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(addr.Unmap(), port), nil
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is not a port", text)
	}
	return uint16(port), nil
}

// configuredPorts returns the TCP ports that are exposed or for which a binding was asked, ascending. Here a
// port may be written as a range.
func configuredPorts(exposed nat.PortSet, asked nat.PortMap) []uint16 {
	var ports []uint16
	add := func(port nat.Port) {
		first, last, err := nat.ParsePortRangeToInt(port.Port())
		if err != nil || port.Proto() != "tcp" {
			return
		}
		for p := max(first, 1); p <= min(last, 65535); p++ {
			ports = append(ports, uint16(p)) //nolint:gosec // bounded by the loop
		}
	}
	for port := range exposed {
		add(port)
	}
	for port := range asked {
		add(port)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
