package engine_test

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/engine/enginetest"
)

// The answers are those of an engine in a Swarm of two hosts, for a service with two containers and a published port.
func TestOverlayNetworks(t *testing.T) {
	addr := netip.MustParseAddr
	document := func(name string) string {
		text, err := os.ReadFile("testdata/network-" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, test := range map[string]struct {
		document string
		want     container.NetworkConfig
	}{
		"overlay": {document("overlay"), container.NetworkConfig{LoadBalancer: addr("10.0.1.6"), Services: []container.Service{
			{Name: "web", VirtualAddr: addr("10.0.1.2"), Tasks: []netip.Addr{addr("10.0.1.3"), addr("10.0.1.4")}},
		}}},
		"ingress": {document("ingress"), container.NetworkConfig{
			LoadBalancer: addr("10.0.0.2"),
			Hosts:        []container.SwarmHost{{Addr: addr("10.62.0.11"), LoadBalancer: addr("10.0.0.2")}, {Addr: addr("10.62.0.12"), LoadBalancer: addr("10.0.0.3")}},
			Services: []container.Service{{
				Name: "web", VirtualAddr: addr("10.0.0.4"), Ports: []container.ServicePort{{Published: 8081, Target: 8080}},
				Tasks: []netip.Addr{addr("10.0.0.5"), addr("10.0.0.6")},
			}},
		}},
		"ingress with IPVS": { // of Engine 26.1.5, with another host's task first
			`{"Id":"1","Name":"ingress","Driver":"overlay","Scope":"swarm","Ingress":true,"Containers":{
			"1":{"EndpointID":"e2","IPv4Address":"10.0.0.5/24"},"ingress-sbox":{"Name":"ingress-endpoint","EndpointID":"e3","IPv4Address":"10.0.0.2/24"}},
			"Services":{"web":{"VIP":"10.0.0.3","Ports":["Target: 80, Publish: 8081"],"Tasks":[
			{"EndpointID":"e1","EndpointIP":"10.0.0.4","Info":{"Host IP":"10.62.0.11"}},{"EndpointID":"e2","EndpointIP":"10.0.0.5","Info":{"Host IP":"10.62.0.12"}}]}}}`,
			container.NetworkConfig{
				LoadBalancer: addr("10.0.0.2"), Hosts: []container.SwarmHost{{Addr: addr("10.62.0.12"), LoadBalancer: addr("10.0.0.2")}},
				Services: []container.Service{{
					Name: "web", VirtualAddr: addr("10.0.0.3"), Ports: []container.ServicePort{{Published: 8081, Target: 80}},
					Tasks: []netip.Addr{addr("10.0.0.4"), addr("10.0.0.5")},
				}},
			},
		},
		"port in mode host": {
			`{"Id":"1","Name":"it","Driver":"overlay","Scope":"swarm","Services":{"web":{"VIP":"10.0.1.2","Ports":["Target: 80, Publish: 8080"]}}}`,
			container.NetworkConfig{Services: []container.Service{{Name: "web", VirtualAddr: addr("10.0.1.2")}}},
		},
		"not of a Swarm": {`{"Id":"1","Name":"it","Driver":"overlay","Scope":"local","Services":{"web":{"VIP":"10.0.1.2"}}}`, container.NetworkConfig{}},
		"invalid parts": {
			`{"Id":"1","Name":"it","Driver":"overlay","Scope":"swarm","Ingress":true,"Containers":{"lb-it":{"IPv4Address":"<b>"},"lb-other":{"IPv4Address":"10.0.1.6/24"}},
			"Services":{"web":{"VIP":"<nil>","Ports":["","Target: 80","Target: x, Publish: 1","Target: 1, Publish: 0"],"Tasks":[{"EndpointIP":""},{"EndpointIP":"<b>"}]}}}`,
			container.NetworkConfig{Services: []container.Service{{Name: "web"}}},
		},
	} {
		enginetest.New(t).SetNetworks("[" + test.document + "]")
		got, err := newEngine(t).Networks(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ignored := cmpopts.IgnoreFields(container.NetworkConfig{}, "ID", "Name", "Driver")
		if diff := cmp.Diff([]container.NetworkConfig{test.want}, got, ignored, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A network may be removed between the list and the answer about it. The other networks stay known.
func TestOverlayNetworkThatIsRemoved(t *testing.T) {
	enginetest.New(t).SetNetworks(`[{"Id":"x","Driver":"bridge"},{"Driver":"overlay","Scope":"swarm","Id":"gone","Removed":true}]`)
	if got, err := newEngine(t).Networks(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}
