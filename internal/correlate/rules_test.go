package correlate

import "testing"

func TestLoopbackStaysInItsNetworkNamespace(t *testing.T) {
	testLinks(t, []linkTest{
		{"sidecar to the listener of its network namespace", []hostSpec{hostA(
			containerSpec{name: "web", networks: []string{"br0 172.17.0.5 172.17.0.1"}, listeners: []string{"127.0.0.1:80"}, connections: []string{
				"in 127.0.0.1:80 127.0.0.1:40000",
			}},
			containerSpec{name: "sidecar", networkMode: "container:id-a-web", connections: []string{"out 127.0.0.1:40000 127.0.0.1:80", "out 127.0.0.1:40001 127.0.0.1:80"}},
			containerSpec{name: "other", networks: []string{"br0 172.17.0.6 172.17.0.1"}, connections: []string{"out 127.0.0.1:40000 127.0.0.1:80"}},
		)}, "a/other > a/other:80 loopback client 1\na/sidecar > a/web:80 loopback both 2\n"},
		{"only the server's end", []hostSpec{hostA(
			containerSpec{name: "web", listeners: []string{"127.0.0.1:80"}, connections: []string{"in 127.0.0.1:80 127.0.0.1:40000"}},
			onHost("agent", []string{"127.0.0.1:81"}, "in 127.0.0.1:81 127.0.0.1:40000"),
		)}, "a > a/agent:81 loopback server 1\na/web > a/web:80 loopback server 1\n"},
		{"the engine's DNS server belongs to the host", []hostSpec{hostA(
			containerSpec{name: "web", listeners: []string{"127.0.0.11:34567"}, connections: []string{
				"out 127.0.0.1:40000 127.0.0.11:53", "in 127.0.0.11:34567 127.0.0.1:40000",
			}},
		)}, "a/web > a:53 resolver client 1\n"},
	})
}

func TestContainersOfOneHostReachEachOtherDirectly(t *testing.T) {
	testLinks(t, []linkTest{
		{"both ends", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/server:8080 direct both 1\n"},
		{"the listener is closed", []hostSpec{hostA(
			containerSpec{name: "server", networks: []string{"br0 172.17.0.106"}}, client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/server:8080 direct client 1\n"},
		{"the listener belongs to a container that joined the network namespace", []hostSpec{hostA(
			containerSpec{name: "joined", networkMode: "container:id-a-pod", listeners: []string{"0.0.0.0:8080"}},
			containerSpec{name: "pod", networks: []string{"br0 172.17.0.106"}}, client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/joined:8080 direct client 1\n"},
		{"two containers of one network namespace have the listener", []hostSpec{hostA(
			containerSpec{name: "joined", networkMode: "container:id-a-pod", listeners: []string{"0.0.0.0:8080"}},
			containerSpec{name: "pod", networks: []string{"br0 172.17.0.106"}, listeners: []string{"0.0.0.0:8080"}},
			client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > ambiguous joined or pod:8080 direct client 1\n"},
		{"on another network of the host", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.18.0.5:43614"),
			containerSpec{name: "client", networks: []string{"br1 172.18.0.5 172.18.0.1"}, connections: []string{"out 172.18.0.5:43614 172.17.0.106:8080"}},
		)}, "a/client > a/server:8080 direct both 1\n"},
		{"only the server's end", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.107:43614 TIME_WAIT"), client(),
		)}, "a/client > a/server:8080 direct server 0+1\n"},
	})
}

func TestAddressOfOwnHost(t *testing.T) {
	testLinks(t, []linkTest{
		{"published port", []hostSpec{hostA(
			server(), client("out 172.17.0.107:44298 172.17.0.1:18090", "out 172.17.0.107:44299 10.77.0.11:18090"),
		)}, "a/client > a/server:8080 published client 2\n"},
		{"port published at another address of the host", []hostSpec{hostA(
			containerSpec{name: "server", networks: []string{"br0 172.17.0.106 172.17.0.1"}, listeners: []string{"0.0.0.0:8080 127.0.0.1:18090"}},
			client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a/client > a:18090 host client 1\n"},
		{"port published for IPv6 alone", []hostSpec{{name: "a", addresses: "10.77.0.11 2001:db8::11", containers: []containerSpec{
			{name: "server", networks: []string{"br0 fd00::106 fd00::1"}, listeners: []string{"[::]:8080 [::]:18090"}},
			{name: "client", networks: []string{"br1 172.18.0.7 172.18.0.1", "br2 fd02::7 fd02::1"}, connections: []string{
				"out 172.18.0.7:40000 10.77.0.11:18090", "out [fd02::7]:40000 [2001:db8::11]:18090",
			}},
		}}}, "a/client > a/server:8080 published client 1\na/client > a:18090 host client 1\n"},
		{"container on the host's network", []hostSpec{hostA(
			onHost("agent", []string{"[::]:9000"}, "in 172.17.0.1:9000 172.17.0.107:40000"),
			client("out 172.17.0.107:40000 172.17.0.1:9000"),
		)}, "a/client > a/agent:9000 host both 1\n"},
		{"process of the host", []hostSpec{hostA(
			client("out 172.17.0.107:40000 10.77.0.11:22"),
		)}, "a/client > a:22 host client 1\n"},
		{"gateway of a host with unknown addresses", []hostSpec{{name: "a", containers: []containerSpec{
			server(), client("out 172.17.0.107:44298 172.17.0.1:18090"),
		}}}, "a/client > a/server:8080 published client 1\n"},
	})
}

func TestExternalAddress(t *testing.T) {
	testLinks(t, []linkTest{
		{"only the client's end", []hostSpec{hostA(
			client("out 172.17.0.107:40000 192.0.2.7:443", "out 172.17.0.107:40001 192.0.2.7:443 TIME_WAIT"),
		)}, "a/client > external 192.0.2.7:443 direct client 1+1\n"},
		{"only the server's end", []hostSpec{hostA(
			server("in 172.17.0.106:8080 192.0.2.7:1234"), onHost("agent", []string{"0.0.0.0:9000"}, "in 10.77.0.11:9000 192.0.2.7:1234"),
		)}, "external 192.0.2.7 > a/agent:9000 host server 1\nexternal 192.0.2.7 > a/server:8080 published server 1\n"},
	})
}

func TestUncertainOwnerOrDirection(t *testing.T) {
	testLinks(t, []linkTest{
		{"two containers hold one socket", []hostSpec{hostA(
			onHost("master", nil, "out 10.77.0.11:40000 192.0.2.7:443"), onHost("worker", nil, "out 10.77.0.11:40000 192.0.2.7:443"),
		)}, "ambiguous master or worker > external 192.0.2.7:443 direct client 1\n"},
		{"a daemon does not report directions", []hostSpec{
			{name: "a", addresses: "10.77.0.11", containers: []containerSpec{
				{name: "old", listeners: []string{"0.0.0.0:9092 10.77.0.11:9092"}}, {name: "both"},
			}},
			hostB(client("out 172.17.0.107:40000 10.77.0.11:9092")),
		}, "b/client > a/old:9092 published client 1\n"},
	})
}
