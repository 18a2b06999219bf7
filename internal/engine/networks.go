package engine

import (
	"context"
	"net/netip"
	"strings"

	"github.com/docker/docker/api/types/network"

	"github.com/PabloL007/outpost/internal/container"
)

// Networks lists the engine's networks.
func (e *Engine) Networks(ctx context.Context) ([]container.NetworkConfig, error) {
	c, err := e.client(ctx)
	if err != nil {
		return nil, err
	}
	e.observe(kindNetworks)
	list, err := c.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return nil, wrapError("list networks", err)
	}
	networks := make([]container.NetworkConfig, len(list))
	for i, n := range list {
		networks[i] = toNetworkConfig(n)
	}
	if err := e.addSwarm(ctx, c, list, networks); err != nil {
		return nil, err
	}
	return networks, nil
}

// Options of a bridge network (moby libnetwork/drivers/bridge/labels.go).
const (
	optionBridgeName  = "com.docker.network.bridge.name"
	optionInhibitIPv4 = "com.docker.network.bridge.inhibit_ipv4" // the bridge has no IPv4 address: the gateway is another machine
	optionGatewayIPv4 = "com.docker.network.bridge.gateway_mode_ipv4"
	optionGatewayIPv6 = "com.docker.network.bridge.gateway_mode_ipv6"
)

func toNetworkConfig(n network.Summary) container.NetworkConfig {
	config := container.NetworkConfig{ID: n.ID, Name: n.Name, Driver: n.Driver}
	if n.Driver != "bridge" {
		return config
	}
	const idLength = 12 // of an ID in the name that the engine gives to a bridge
	if config.Bridge = n.Options[optionBridgeName]; config.Bridge == "" && len(n.ID) > idLength {
		config.Bridge = "br-" + n.ID[:idLength]
	}
	for _, pool := range n.IPAM.Config {
		if gateway := gatewayOf(pool); gateway.IsValid() && bridgeHasAddress(n.Options, gateway) {
			config.Gateways = append(config.Gateways, gateway)
		}
	}
	return config
}

// gatewayOf returns the gateway of a pool of addresses. Engines before 28 report none if the user chose the subnet alone. It is
// the first address then, unless the user restricted the addresses. Some engines append the length of the prefix.
func gatewayOf(pool network.IPAMConfig) netip.Addr {
	if text, _, _ := strings.Cut(pool.Gateway, "/"); text != "" {
		addr, _ := netip.ParseAddr(text) // invalid if the text is
		return addr.Unmap()
	}
	subnet, err := netip.ParsePrefix(pool.Subnet)
	if err != nil || pool.IPRange != "" || len(pool.AuxAddress) > 0 {
		return netip.Addr{}
	}
	return subnet.Masked().Addr().Next().Unmap()
}

// bridgeHasAddress reports whether the engine gives the gateway's address to the bridge. In mode isolated it gives none.
func bridgeHasAddress(options map[string]string, gateway netip.Addr) bool {
	if gateway.Is6() {
		return options[optionGatewayIPv6] != "isolated"
	}
	return options[optionGatewayIPv4] != "isolated" && options[optionInhibitIPv4] != "true"
}
