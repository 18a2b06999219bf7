package snapshot

import (
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
)

// EngineGateways returns the host's addresses on bridges that the engine made, ascending, each once. They mean the host to its
// own containers and nothing to other machines. An address among reachable is on a bridge that leads to other machines.
func EngineGateways(result collect.Result, networks []container.NetworkConfig, reachable []netip.Addr) []netip.Addr {
	bridges := make(map[string]bool)
	var gateways []netip.Addr
	for _, network := range networks {
		gateways = append(gateways, network.Gateways...)
		if network.Bridge != "" {
			bridges[network.Bridge] = true
		}
	}
	for _, address := range result.Addresses {
		if bridges[address.Interface] {
			gateways = append(gateways, address.Addr)
		}
	}
	gateways = slices.DeleteFunc(gateways, func(addr netip.Addr) bool { return slices.Contains(reachable, addr) })
	slices.SortFunc(gateways, netip.Addr.Compare)
	return slices.Compact(gateways)
}

// driversByID returns the drivers of networks by ID.
func driversByID(networks []container.NetworkConfig) map[string]string {
	drivers := make(map[string]string, len(networks))
	for _, network := range networks {
		drivers[network.ID] = network.Driver
	}
	return drivers
}
