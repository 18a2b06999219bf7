package engine

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/docker/go-connections/nat"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// protocols are the protocols of ports that Outpost reads, by the engine's names.
var protocols = map[string]socket.Protocol{"tcp": socket.TCP, "udp": socket.UDP}

// toBindings converts NetworkSettings.Ports, which contains the actual bindings of each port. A port that is only
// exposed has none. The bindings ascend by container port, then by host endpoint. invalid describes those that could not be parsed.
func toBindings(ports nat.PortMap, networks []container.Network) (bindings []container.Binding, invalid []string) {
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		protocol, ok := protocols[port.Proto()]
		if !ok {
			continue
		}
		for _, hostBinding := range ports[port] {
			converted, err := toBinding(port.Port(), protocol, hostBinding, networks)
			if err != nil {
				invalid = append(invalid, fmt.Sprintf("binding of port %q: %v", port, err))
			}
			bindings = append(bindings, converted...)
		}
	}
	slices.SortFunc(bindings, func(a, b container.Binding) int {
		return cmp.Or(cmp.Compare(a.ContainerPort, b.ContainerPort), a.Host.Compare(b.Host))
	})
	return bindings, invalid
}

// toBinding converts one binding. A network in gateway mode "routed" uses no port of the host: the engine leaves HostPort empty
// (moby libnetwork/drivers/bridge/port_mapping_linux.go). Such a binding stands for all of the container's addresses of the family.
func toBinding(port string, protocol socket.Protocol, binding nat.PortBinding, networks []container.Network) ([]container.Binding, error) {
	number, portErr := parsePort(port)
	addr, addrErr := parseHostAddr(binding.HostIP)
	if err := errors.Join(portErr, addrErr); err != nil {
		return nil, err
	}
	if binding.HostPort != "" {
		hostPort, err := parsePort(binding.HostPort)
		if err != nil {
			return nil, err
		}
		return []container.Binding{{ContainerPort: socket.NewPort(number, protocol), Host: netip.AddrPortFrom(addr, hostPort)}}, nil
	}
	var direct []container.Binding
	for _, network := range networks {
		for _, own := range network.Addresses {
			if own.Is4() == addr.Is4() {
				direct = append(direct, container.Binding{ContainerPort: socket.NewPort(number, protocol), Host: netip.AddrPortFrom(own, number), Direct: true})
			}
		}
	}
	return direct, nil
}

// parseHostAddr parses the host's address of a binding. Engines write the unspecified address as "0.0.0.0", "::" or "".
func parseHostAddr(text string) (netip.Addr, error) {
	if text == "" {
		return netip.IPv4Unspecified(), nil
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is not a port", text)
	}
	return uint16(port), nil
}

// toPorts returns the TCP and UDP ports among ports, each once, ascending. A port of the configuration may be a range.
func toPorts(ports iter.Seq[nat.Port]) []socket.Port {
	var converted []socket.Port
	for port := range ports {
		protocol, ok := protocols[port.Proto()]
		first, last, err := nat.ParsePortRangeToInt(port.Port())
		if err != nil || !ok {
			continue
		}
		for p := max(first, 1); p <= min(last, 65535); p++ {
			converted = append(converted, socket.NewPort(uint16(p), protocol)) //nolint:gosec // the loop bounds it
		}
	}
	slices.Sort(converted)
	return slices.Compact(converted)
}

// mergePorts returns the ports of both lists, each once, ascending.
func mergePorts(a, b []socket.Port) []socket.Port {
	merged := slices.Concat(a, b)
	slices.Sort(merged)
	return slices.Compact(merged)
}
