package engine_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/engine/enginetest"
)

func TestNetworks(t *testing.T) {
	const id = "0469163a4720d511b12d22c2538be545f8b5720051a41d315ba8fa7de3c3adc8"
	tests := []struct{ name, network, bridge, gateways string }{
		{"default bridge", `"Driver":"bridge","Options":{"com.docker.network.bridge.name":"docker0"},"IPAM":{"Config":[{"Subnet":"172.17.0.0/16","Gateway":"172.17.0.1"}]}`, "docker0", "[172.17.0.1]"},
		{"chosen by the engine", `"Driver":"bridge","IPAM":{"Config":[{"Subnet":"172.18.0.0/16","Gateway":"172.18.0.1"}]}`, "br-0469163a4720", "[172.18.0.1]"},
		{"both families", `"Driver":"bridge","IPAM":{"Config":[{"Subnet":"172.18.0.0/16","Gateway":"172.18.0.254"},{"Subnet":"fd00::/64","Gateway":"fd00::1/64"}]}`, "br-0469163a4720", "[172.18.0.254 fd00::1]"},
		{"subnet without a gateway", `"Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.99.7.0/24"},{"Subnet":"fd00::/64"}]}`, "br-0469163a4720", "[10.99.7.1 fd00::1]"},
		{"range without a gateway", `"Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.99.7.0/24","IPRange":"10.99.7.128/25"}]}`, "br-0469163a4720", "[]"},
		{"reserved address without a gateway", `"Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.99.7.0/24","AuxiliaryAddresses":{"router":"10.99.7.1"}}]}`, "br-0469163a4720", "[]"},
		{"bridge without an address", `"Driver":"bridge","Options":{"com.docker.network.bridge.inhibit_ipv4":"true"},"IPAM":{"Config":[{"Subnet":"10.99.7.0/24","Gateway":"10.99.7.1"},{"Subnet":"fd00::/64","Gateway":"fd00::1"}]}`, "br-0469163a4720", "[fd00::1]"},
		{"isolated", `"Driver":"bridge","Options":{"com.docker.network.bridge.gateway_mode_ipv4":"isolated","com.docker.network.bridge.gateway_mode_ipv6":"isolated"},"IPAM":{"Config":[{"Subnet":"10.99.7.0/24","Gateway":"10.99.7.1"},{"Subnet":"fd00::/64","Gateway":"fd00::1"}]}`, "br-0469163a4720", "[]"},
		{"routed", `"Driver":"bridge","Options":{"com.docker.network.bridge.gateway_mode_ipv4":"routed"},"IPAM":{"Config":[{"Subnet":"10.99.7.0/24","Gateway":"10.99.7.1"}]}`, "br-0469163a4720", "[10.99.7.1]"},
		{"macvlan", `"Driver":"macvlan","IPAM":{"Config":[{"Subnet":"10.62.0.0/24","Gateway":"10.62.0.1"}]}`, "", "[]"},
		{"overlay", `"Driver":"overlay","IPAM":{"Config":[{"Subnet":"10.0.1.0/24","Gateway":"10.0.1.1"}]}`, "", "[]"},
		{"none", `"Driver":"null","IPAM":{"Config":null}`, "", "[]"},
		{"invalid addresses", `"Driver":"bridge","IPAM":{"Config":[{"Subnet":"<b>"},{"Subnet":"10.0.0.0/8","Gateway":"<b>"},{}]}`, "br-0469163a4720", "[]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			enginetest.New(t).SetNetworks(`[{"Name":"it","Id":"` + id + `",` + test.network + `}]`)
			got, err := newEngine(t).Networks(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := []container.NetworkConfig{{ID: id, Name: "it", Bridge: test.bridge}}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(container.NetworkConfig{}, "Driver", "Gateways"), cmpopts.EquateComparable(netip.Addr{})); diff != "" || got[0].Driver == "" {
				t.Errorf("driver %q (-want +got):\n%s", got[0].Driver, diff)
			}
			if gateways := fmt.Sprint(got[0].Gateways); gateways != test.gateways {
				t.Errorf("gateways %s, want %s", gateways, test.gateways)
			}
		})
	}
	t.Run("short ID", func(t *testing.T) {
		enginetest.New(t).SetNetworks(`[{"Id":"1","Driver":"bridge"}]`)
		if got, err := newEngine(t).Networks(t.Context()); err != nil || got[0].Bridge != "" {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		enginetest.New(t)
		if got, err := newEngine(t).Networks(t.Context()); !errors.Is(err, container.ErrForbidden) {
			t.Errorf("%v, %v", got, err)
		}
	})
}
