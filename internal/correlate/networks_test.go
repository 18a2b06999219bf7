package correlate

import "testing"

// The engine's networks tell which addresses are the host's own bridges, and which gateways are other machines.
func TestEngineNetworks(t *testing.T) {
	web := containerSpec{name: "web", networks: []string{"brA 172.20.0.2 172.20.0.1 bridge"}, listeners: []string{"0.0.0.0:8080 0.0.0.0:8085"}, connections: []string{"in 172.20.0.2:8080 172.20.0.1:50000"}}
	clientB := containerSpec{name: "client", networks: []string{"brB 172.21.0.2 172.21.0.1 bridge"}, connections: []string{"out 172.21.0.2:40000 172.17.0.1:8085"}}
	macvlan := func(name, addr string, listeners []string, connections ...string) containerSpec {
		return containerSpec{name: name, networks: []string{"mv " + addr + " 10.62.0.1 macvlan"}, listeners: listeners, connections: connections}
	}
	testLinks(t, []linkTest{
		{"gateway of a network without containers", []hostSpec{
			{name: "a", gateways: "172.17.0.1 172.20.0.1 172.21.0.1", containers: []containerSpec{web, clientB}},
		}, "a/client > a/web:8080 published client 1\n"},
		{"gateway of an engine in a network namespace of its own", []hostSpec{
			{name: "a", addresses: "192.0.2.1", gateways: "172.17.0.1 172.20.0.1 172.21.0.1", containers: []containerSpec{web, clientB}},
			hostB(client("out 172.17.0.107:40000 172.20.0.2:8080")),
		}, "a/client > a/web:8080 published client 1\nb/client > external 172.20.0.2:8080 direct client 1\n"},
		{"router of a macvlan network", []hostSpec{
			{name: "a", gateways: "172.17.0.1", containers: []containerSpec{macvlan("cli", "10.62.0.50", nil, "out 10.62.0.50:40000 10.62.0.1:53")}},
		}, "a/cli > external 10.62.0.1:53 direct client 1\n"},
		{"macvlan between hosts", []hostSpec{
			{name: "a", gateways: "172.17.0.1", containers: []containerSpec{macvlan("cli", "10.62.0.50", nil, "out 10.62.0.50:40000 10.62.0.60:80")}},
			{name: "b", gateways: "172.17.0.1", containers: []containerSpec{{
				name: "srv", networks: []string{"mv2 10.62.0.60 10.62.0.1 macvlan"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.62.0.60:80 10.62.0.50:40000"},
			}}},
		}, "a/cli > b/srv:80 direct both 1\n"},
		{"ipvlan without a gateway, seen by the client alone", []hostSpec{
			{name: "a", containers: []containerSpec{{name: "cli", networks: []string{"iv fd62::50 - ipvlan"}, connections: []string{"out [fd62::50]:40000 [fd62::60]:80"}}}},
			{name: "b", containers: []containerSpec{{name: "srv", networks: []string{"iv2 fd62::60 - ipvlan"}, listeners: []string{"[::]:80"}}}},
		}, "a/cli > b/srv:80 direct client 1\n"},
		{"bridge to other machines", []hostSpec{
			{name: "a", addresses: "10.62.0.11 172.17.0.1", gateways: "172.17.0.1", containers: []containerSpec{{
				name: "web", networks: []string{"lan 10.62.0.70 10.62.0.11 bridge"}, listeners: []string{"0.0.0.0:8080 0.0.0.0:8085"},
			}}},
			hostB(client("out 172.17.0.107:40000 10.62.0.11:8085", "out 172.17.0.107:40001 172.17.0.1:8085")),
		}, "b/client > a/web:8080 published client 1\nb/client > b:8085 host client 1\n"},
	})
}
