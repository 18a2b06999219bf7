package correlate

import "testing"

func TestOverlayNetworkSpansHosts(t *testing.T) {
	testLinks(t, []linkTest{
		{"server on another host", []hostSpec{
			hostA(containerSpec{name: "client", networks: []string{"ov 10.0.1.2"}, connections: []string{"out 10.0.1.2:40000 10.0.1.3:80"}}),
			hostB(containerSpec{name: "server", networks: []string{"ov 10.0.1.3"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
			{name: "c", addresses: "10.77.0.13", containers: []containerSpec{{name: "server", networks: []string{"ov2 10.0.1.3"}, listeners: []string{"0.0.0.0:80"}}}},
		}, "a/client > b/server:80 direct both 1\n"},
		{"only the server's end", []hostSpec{
			hostA(containerSpec{name: "client", networks: []string{"ov 10.0.1.2"}}),
			hostB(containerSpec{name: "server", networks: []string{"ov 10.0.1.3"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
		}, "a/client > b/server:80 direct server 1\n"},
		{"virtual IP of a service", []hostSpec{
			hostA(containerSpec{name: "client", networks: []string{"ov 10.0.1.2"}, connections: []string{"out 10.0.1.2:40000 10.0.1.100:80"}}),
			hostB(containerSpec{name: "server", networks: []string{"ov 10.0.1.3"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
		}, "a/client > b/server:80 direct both 1\n"},
		{"virtual IP of a service with the server on the client's host", []hostSpec{hostA(
			containerSpec{name: "client", networks: []string{"ov 10.0.1.2"}, connections: []string{"out 10.0.1.2:40000 10.0.1.100:80"}},
			containerSpec{name: "server", networks: []string{"ov 10.0.1.3"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.0.1.3:80 10.0.1.2:40000"}},
		)}, "a/client > a/server:80 direct both 1\n"},
		{"a bridge of the client's host has the same address", []hostSpec{
			hostA(containerSpec{name: "client", networks: []string{"ov 10.0.1.2"}, connections: []string{"out 10.0.1.2:40000 10.0.1.3:80"}},
				containerSpec{name: "local", networks: []string{"br9 10.0.1.3 10.0.1.1"}, listeners: []string{"0.0.0.0:80"}}),
			hostB(containerSpec{name: "server", networks: []string{"ov 10.0.1.3"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
		}, "a/client > b/server:80 direct both 1\n"},
	})
}

func TestAddressOfAnotherHost(t *testing.T) {
	testLinks(t, []linkTest{
		{"published port", []hostSpec{
			hostA(client("out 172.17.0.107:37458 10.77.0.12:18090")), hostB(server("in 172.17.0.106:8080 10.77.0.11:37458")),
		}, "a/client > b/server:8080 published both 1\n"},
		{"container on the host's network, and process of the host", []hostSpec{
			hostA(client("out 172.17.0.107:37458 10.77.0.12:9000", "out 172.17.0.107:37459 10.77.0.12:22")),
			hostB(onHost("agent", []string{"0.0.0.0:9000"}, "in 10.77.0.12:9000 10.77.0.11:37458")),
		}, "a/client > b/agent:9000 host both 1\na/client > b:22 host client 1\n"},
		{"several hosts have the address", []hostSpec{
			{name: "a", addresses: "10.0.0.1", containers: []containerSpec{client("out 172.17.0.107:40000 192.168.0.9:80")}},
			{name: "b", addresses: "10.0.0.2 192.168.0.9", containers: []containerSpec{{name: "x", listeners: []string{"0.0.0.0:8080 0.0.0.0:80"}}}},
			{name: "c", addresses: "10.0.0.3 192.168.0.9", containers: []containerSpec{{name: "x", listeners: []string{"0.0.0.0:8080 0.0.0.0:80"}}}},
		}, "a/client > ambiguous 192.168.0.9:80 host client 1\n"},
		{"several hosts have the address and nobody is known to listen", []hostSpec{
			{name: "a", addresses: "10.0.0.1", containers: []containerSpec{client("out 172.17.0.107:40000 192.168.0.9:80")}},
			{name: "b", addresses: "10.0.0.2 192.168.0.9"}, {name: "c", addresses: "10.0.0.3 192.168.0.9"},
		}, "a/client > ambiguous 192.168.0.9:80 host client 1\n"},
		{"several hosts have the address and one has the server's end", []hostSpec{
			{name: "a", addresses: "10.0.0.1", containers: []containerSpec{client("out 172.17.0.107:40000 192.168.0.9:80")}},
			{name: "b", addresses: "10.0.0.2 192.168.0.9", containers: []containerSpec{{name: "x", listeners: []string{"0.0.0.0:8080 0.0.0.0:80"}}}},
			{name: "c", addresses: "10.0.0.3 192.168.0.9", containers: []containerSpec{{
				name: "x", listeners: []string{"0.0.0.0:8080 0.0.0.0:80"}, connections: []string{"in 172.17.0.2:8080 10.0.0.1:40000"},
			}}},
		}, "a/client > c/x:8080 published both 1\n"},
		{"masquerading changed the source port", []hostSpec{
			hostA(client("out 172.17.0.107:37458 10.77.0.12:18090")), hostB(server("in 172.17.0.106:8080 10.77.0.11:1024")),
		}, "a/client > b/server:8080 published client 1\n"},
		{"network without masquerading", []hostSpec{
			hostA(client("out 172.17.0.107:37458 10.77.0.12:18090")), hostB(containerSpec{
				name: "server", networks: []string{"br7 172.27.0.106 172.27.0.1"}, listeners: []string{"0.0.0.0:8080 0.0.0.0:18090"},
				connections: []string{"in 172.27.0.106:8080 172.17.0.107:37458"},
			}),
		}, "a/client > b/server:8080 published both 1\n"},
	})
}

func TestRoutableContainerAddress(t *testing.T) {
	testLinks(t, []linkTest{
		{"macvlan and IPv6", []hostSpec{
			hostA(containerSpec{name: "client", networks: []string{"br0 172.17.0.107 172.17.0.1", "br6 2001:db8::7 2001:db8::1"}, connections: []string{
				"out 172.17.0.107:40000 10.77.0.50:80", "out [2001:db8::7]:40000 [2001:db8:1::5]:80",
			}}),
			hostB(containerSpec{name: "lan", networks: []string{"mv 10.77.0.50 10.77.0.1"}, listeners: []string{"0.0.0.0:80"}, connections: []string{
				"in 10.77.0.50:80 10.77.0.11:40000",
			}}, containerSpec{name: "six", networks: []string{"br6 2001:db8:1::5 2001:db8:1::1"}, listeners: []string{"[::]:80"}, connections: []string{
				"in [2001:db8:1::5]:80 [2001:db8::7]:40000",
			}}),
		}, "a/client > b/lan:80 direct both 1\na/client > b/six:80 direct both 1\n"},
		{"not routable if the host's addresses are unknown", []hostSpec{
			hostA(client("out 172.17.0.107:40000 172.30.0.5:80")),
			{name: "b", containers: []containerSpec{{name: "x", networks: []string{"br1 172.30.0.5 172.30.0.1"}, listeners: []string{"0.0.0.0:80"}}}},
		}, "a/client > external 172.30.0.5:80 direct client 1\n"},
		{"two containers have the address", []hostSpec{
			hostA(client("out 172.17.0.107:40000 10.77.0.50:80")),
			hostB(containerSpec{name: "x", networks: []string{"mv 10.77.0.50 10.77.0.1"}}),
			{name: "c", addresses: "10.77.0.13", containers: []containerSpec{{name: "x", networks: []string{"mv2 10.77.0.50 10.77.0.1"}}}},
		}, "a/client > ambiguous 10.77.0.50:80 direct client 1\n"},
	})
}

func TestBridgeAddressesMeanOneHost(t *testing.T) {
	testLinks(t, []linkTest{
		{"two hosts have the same bridge addresses", []hostSpec{
			hostA(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080")),
			hostB(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080", "out 172.17.0.107:43615 172.17.0.106:8080")),
		}, "a/client > a/server:8080 direct both 1\nb/client > b/server:8080 direct both 2\n"},
		{"a bridge's gateway means its own host", []hostSpec{
			hostA(client("out 172.17.0.107:43614 172.17.0.1:18090")), hostB(server()),
		}, "a/client > a:18090 host client 1\n"},
	})
}
