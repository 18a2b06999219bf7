package correlate

import "testing"

// The connection ends are those of a real engine with docker-proxy, if the name does not say otherwise.
func TestPathsToAPublishedPort(t *testing.T) {
	testLinks(t, []linkTest{
		{"same bridge → container address", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/server:8080 direct both 1\n"},
		{"same bridge → gateway", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.1:49380"), client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a/client > a/server:8080 published client 1\n"},
		{"other bridge → published port", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.1:36444"),
			containerSpec{name: "client", networks: []string{"br1 172.18.0.2 172.18.0.1"}, connections: []string{"out 172.18.0.2:43814 172.18.0.1:18090"}},
		)}, "a/client > a/server:8080 published client 1\n"},
		{"server → its own published port", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.1:48092", "out 172.17.0.106:38126 172.17.0.1:18090"),
		)}, "a/server > a/server:8080 published client 1\n"},
		{"host process → 127.0.0.1, or a client of docker-proxy", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.1:50000"))},
			"unknown unknown behind a > a/server:8080 published server 1\n"},
		{"host process → host address", []hostSpec{hostA(server("in 172.17.0.106:8080 10.77.0.11:50000"))}, "a > a/server:8080 published server 1\n"},
		{"another host's container → host address", []hostSpec{
			hostA(server("in 172.17.0.106:8080 10.77.0.12:37458")),
			hostB(containerSpec{name: "client", networks: []string{"br0 172.17.0.2 172.17.0.1"}, connections: []string{"out 172.17.0.2:37458 10.77.0.11:18090"}}),
		}, "b/client > a/server:8080 published both 1\n"},
		{"another host's process → host address", []hostSpec{hostA(server("in 172.17.0.106:8080 10.77.0.12:37458")), hostB()}, "b > a/server:8080 published server 1\n"},
		{"the process of a host that is not polled → host address", []hostSpec{hostA(server("in 172.17.0.106:8080 10.77.0.12:37458"))}, "external 10.77.0.12 > a/server:8080 published server 1\n"},
		{"containers and the host by the same proxy", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.1:49380", "in 172.17.0.106:8080 172.17.0.1:49381", "in 172.17.0.106:8080 172.17.0.1:49382 TIME_WAIT"),
			client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a/client > a/server:8080 published client 1\nunknown unknown behind a > a/server:8080 published server 1\n"},
		{"a container on the host's network → 127.0.0.1", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.1:49380"), onHost("agent", nil, "out 127.0.0.1:40000 127.0.0.1:18090"),
		)}, "a/agent > a/server:8080 published client 1\n"},
		{"a container on the host's network → host address", []hostSpec{hostA(
			server("in 172.17.0.106:8080 10.77.0.11:40000"), onHost("agent", nil, "out 10.77.0.11:40000 10.77.0.11:18090"),
		)}, "a/agent > a/server:8080 published both 1\n"},
		{"without a proxy, same bridge → host address", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.107:44298"), client("out 172.17.0.107:44298 10.77.0.11:18090"),
		)}, "a/client > a/server:8080 published both 1\n"},
	})
}
