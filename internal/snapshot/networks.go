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
	bridges := bridgesOf(networks)
	var gateways []netip.Addr
	for _, network := range networks {
		gateways = append(gateways, network.Gateways...)
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

// bridgesOf returns the interfaces of the networks that the engine made as bridges.
func bridgesOf(networks []container.NetworkConfig) map[string]bool {
	bridges := make(map[string]bool)
	for _, network := range networks {
		if network.Bridge != "" {
			bridges[network.Bridge] = true
		}
	}
	return bridges
}

// networkDrivers are the drivers of networks.
type networkDrivers struct{ byID, byName map[string]string }

func newNetworkDrivers(networks []container.NetworkConfig) networkDrivers {
	drivers := networkDrivers{make(map[string]string, len(networks)), make(map[string]string, len(networks))}
	for _, network := range networks {
		drivers.byID[network.ID], drivers.byName[network.Name] = network.Driver, network.Driver
	}
	return drivers
}

// of returns the driver of a container's network, or "" if it is unknown. Names identify the networks of an engine that reports no IDs.
func (d networkDrivers) of(network container.Network) string {
	if network.ID == "" {
		return d.byName[network.Name]
	}
	return d.byID[network.ID]
}
