package snapshot

import (
	"net/netip"
	"regexp"
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
)

// engineBridge matches the names that an engine gives to its bridges (libnetwork drivers/bridge; Podman's netavark and CNI).
var engineBridge = regexp.MustCompile(`^(docker0|docker_gwbridge|br-[0-9a-f]{12}|(cni-)?podman[0-9]+)$`)

// Interfaces are the host addresses at which a listener on the unspecified address is listed.
type Interfaces struct {
	Addresses []netip.Addr
	// Detected reports whether Addresses were read from the host instead of configured. At detected IPv6 addresses, a listener
	// on 0.0.0.0 is not listed.
	Detected bool
}

// ReachableAddresses returns the addresses at which clients outside may reach the host: all except those of the engine's
// bridges. A bridge has a name that the engine chose or reports, or its address is the gateway of a network. A bridge with the
// host's default route is the host's way to other machines, whatever network uses it too. networks is empty if it is unknown.
func ReachableAddresses(result collect.Result, networks []container.NetworkConfig) []netip.Addr {
	bridges, gateways := bridgesOf(networks), make(map[netip.Addr]bool)
	for _, network := range networks {
		addAll(gateways, network.Gateways)
	}
	for _, reading := range result.Readings {
		for _, network := range reading.Container.Networks {
			addAll(gateways, network.Gateways)
		}
	}
	var reachable []netip.Addr
	for _, address := range result.Addresses {
		named := engineBridge.MatchString(address.Interface)
		used := bridges[address.Interface] || gateways[address.Addr]
		if !named && (!used || address.DefaultRoute) {
			reachable = append(reachable, address.Addr)
		}
	}
	return reachable
}

func addAll(set map[netip.Addr]bool, addrs []netip.Addr) {
	for _, addr := range addrs {
		set[addr] = true
	}
}

// HostAddresses returns all addresses of the host, ascending, each once.
func HostAddresses(result collect.Result) []netip.Addr {
	addrs := make([]netip.Addr, len(result.Addresses))
	for i, address := range result.Addresses {
		addrs[i] = address.Addr
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}
