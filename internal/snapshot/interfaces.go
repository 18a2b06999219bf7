package snapshot

import (
	"net/netip"
	"regexp"
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
)

// engineBridge matches the names that the engine gives to its bridges (libnetwork drivers/bridge).
var engineBridge = regexp.MustCompile(`^(docker0|docker_gwbridge|br-[0-9a-f]{12})$`)

// Interfaces are the host addresses at which a listener on the unspecified address is listed.
type Interfaces struct {
	Addresses []netip.Addr
	// Detected reports whether Addresses were read from the host instead of configured. At detected IPv6 addresses, a listener
	// on 0.0.0.0 is not listed.
	Detected bool
}

// ReachableAddresses returns the addresses at which clients outside may reach the host: all except those of the engine's
// bridges. A bridge has a name that the engine chose, or its address is the gateway of a container.
func ReachableAddresses(result collect.Result) []netip.Addr {
	gateways := make(map[netip.Addr]bool)
	for _, reading := range result.Readings {
		for _, network := range reading.Container.Networks {
			for _, gateway := range network.Gateways {
				gateways[gateway] = true
			}
		}
	}
	var reachable []netip.Addr
	for _, address := range result.Addresses {
		if !engineBridge.MatchString(address.Interface) && !gateways[address.Addr] {
			reachable = append(reachable, address.Addr)
		}
	}
	return reachable
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
