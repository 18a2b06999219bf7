package snapshot

import (
	"net/netip"
	"regexp"
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
)

// ownBridge matches the names that the engine gives to its bridges (libnetwork drivers/bridge).
var ownBridge = regexp.MustCompile(`^(docker0|docker_gwbridge|br-[0-9a-f]{12})$`)

// Interfaces are the addresses at which a listener on all addresses is listed.
type Interfaces struct {
	Addresses []netip.Addr
	// Found: they are what the host has, and not what somebody wants to see; then a listener on all IPv4 addresses is not
	// listed at IPv6 ones.
	Found bool
}

// InterfacesOf returns the addresses at which clients outside may reach the host: all but those of the engine's own
// bridges. These are known by their names and, where a name was chosen, as gateways of containers.
func InterfacesOf(result collect.Result) []netip.Addr {
	gateways := make(map[netip.Addr]bool)
	for _, reading := range result.Readings {
		for _, network := range reading.Container.Networks {
			for _, gateway := range network.Gateways {
				gateways[gateway] = true
			}
		}
	}
	var interfaces []netip.Addr
	for _, address := range result.Addresses {
		if !ownBridge.MatchString(address.Interface) && !gateways[address.Addr] {
			interfaces = append(interfaces, address.Addr)
		}
	}
	return interfaces
}

// AddressesOf returns all addresses of the host.
func AddressesOf(result collect.Result) []netip.Addr {
	addrs := make([]netip.Addr, len(result.Addresses))
	for i, address := range result.Addresses {
		addrs[i] = address.Addr
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}
