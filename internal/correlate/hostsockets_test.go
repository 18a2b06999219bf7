package correlate

import (
	"slices"
	"testing"
)

// readA is host a with its own sockets.
func readA(sockets []string, containers ...containerSpec) hostSpec {
	h := hostA(containers...)
	h.sockets = append([]string{}, sockets...)
	return h
}

func readB(sockets []string, containers ...containerSpec) hostSpec {
	h := hostB(containers...)
	h.sockets = append([]string{}, sockets...)
	return h
}

// The host sees both pieces of a connection that docker-proxy splits.
func TestDockerProxySeenByTheHost(t *testing.T) {
	front := "in 172.17.0.1:18090 172.17.0.107:44298"
	back := "out 172.17.0.1:49380 172.17.0.106:8080"
	testLinks(t, []linkTest{
		{"open", []hostSpec{readA([]string{"listen 0.0.0.0:18090", front, back},
			server("in 172.17.0.106:8080 172.17.0.1:49380"), client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a/client > a/server:8080 published both 1\n"},
		{"the server closed it", []hostSpec{readA([]string{front + " TIME_WAIT"},
			server("in 172.17.0.106:8080 172.17.0.1:49380 TIME_WAIT"), client(),
		)}, "a/client > a/server:8080 published server 0+1\n"},
		{"the server closed it, the host is not read", []hostSpec{hostA(
			server("in 172.17.0.106:8080 172.17.0.1:49380 TIME_WAIT"), client(),
		)}, "unknown unknown behind a > a/server:8080 published server 0+1\n"},
		{"the client closed it", []hostSpec{readA([]string{back + " TIME_WAIT"},
			server(), client("out 172.17.0.107:44298 172.17.0.1:18090 TIME_WAIT"),
		)}, "a/client > a/server:8080 published client 0+1\n"},
		{"the client reset it", []hostSpec{readA([]string{back + " TIME_WAIT"}, server(), client())}, "unknown unknown behind a > a/server:8080 published server 0+1\n"},
		{"the server reset it", []hostSpec{readA([]string{front + " TIME_WAIT"}, server(), client())}, "a/client > a/server:8080 published server 0+1\n"},
		{"an external client", []hostSpec{readA([]string{"in 10.77.0.11:18090 192.0.2.7:5000", back},
			server("in 172.17.0.106:8080 172.17.0.1:49380"),
		)}, "external 192.0.2.7 > a/server:8080 published server 1\n"},
		{"IPv6 to an IPv4 container", []hostSpec{readA([]string{"in [2001:db8::11]:18090 [2001:db8::7]:5000", back},
			containerSpec{name: "server", networks: []string{"br0 172.17.0.106 172.17.0.1"}, listeners: []string{"0.0.0.0:8080 [::]:18090"}, connections: []string{"in 172.17.0.106:8080 172.17.0.1:49380"}},
		)}, "external 2001:db8::7 > a/server:8080 published server 1\n"},
		{"a process of the host", []hostSpec{readA([]string{"out 127.0.0.1:50000 127.0.0.1:18090", "in 127.0.0.1:18090 127.0.0.1:50000", back},
			server("in 172.17.0.106:8080 172.17.0.1:49380"),
		)}, "a > a/server:8080 published both 1\n"},
		{"a process of the host dials the container", []hostSpec{readA([]string{back},
			server("in 172.17.0.106:8080 172.17.0.1:49380"),
		)}, "a > a/server:8080 direct both 1\n"},
		{"both", []hostSpec{readA([]string{front, back, "out 172.17.0.1:49381 172.17.0.106:8080"},
			server("in 172.17.0.106:8080 172.17.0.1:49380", "in 172.17.0.106:8080 172.17.0.1:49381"), client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a > a/server:8080 direct both 1\na/client > a/server:8080 published both 1\n"},
		{"a container on the host's network dials the container", []hostSpec{readA([]string{},
			server("in 172.17.0.106:8080 172.17.0.1:49380"), onHost("agent", nil, "out 172.17.0.1:49380 172.17.0.106:8080"),
		)}, "a/agent > a/server:8080 direct both 1\n"},
	})
}

func TestDockerProxyBetweenHosts(t *testing.T) {
	clientEnds := []string{"out 10.77.0.12:40000 10.77.0.11:18090", "out 10.77.0.12:40001 10.77.0.11:18090", "out 10.77.0.12:40002 10.77.0.11:18090"}
	fronts := []string{"in 10.77.0.11:18090 10.77.0.12:40000", "in 10.77.0.11:18090 10.77.0.12:40001", "in 10.77.0.11:18090 10.77.0.12:40002"}
	backs := []string{"out 172.17.0.1:50000 172.17.0.106:8080", "out 172.17.0.1:50001 172.17.0.106:8080", "out 172.17.0.1:50002 172.17.0.106:8080"}
	ends := []string{"in 172.17.0.106:8080 172.17.0.1:50000", "in 172.17.0.106:8080 172.17.0.1:50001", "in 172.17.0.106:8080 172.17.0.1:50002"}
	testLinks(t, []linkTest{
		{"the hosts are read", []hostSpec{readA(append(fronts, backs...), server(ends...)), readB([]string{}, onHost("app", nil, clientEnds...))},
			"b/app > a/server:8080 published both 3\n"},
		{"the hosts are not read", []hostSpec{hostA(server(ends...)), hostB(onHost("app", nil, clientEnds...))},
			"b/app > a/server:8080 published client 3\n"},
		{"a masqueraded client", []hostSpec{readA([]string{fronts[0], backs[0]}, server(ends[0])), hostB(client("out 172.17.0.107:40000 10.77.0.11:18090"))},
			"b/client > a/server:8080 published both 1\n"},
		{"a process of the other host", []hostSpec{readA([]string{fronts[0], backs[0]}, server(ends[0])), readB([]string{clientEnds[0]})},
			"b > a/server:8080 published both 1\n"},
		{"two masqueraded clients, the first with another port, the second with a closed end", []hostSpec{
			readA([]string{backs[0] + " TIME_WAIT"}, server("in 172.17.0.106:8080 10.77.0.12:40997")),
			hostB(client("out 172.17.0.107:40000 10.77.0.11:18090"), containerSpec{
				name: "batch", networks: []string{"br0 172.17.0.108 172.17.0.1"}, connections: []string{"out 172.17.0.108:40000 10.77.0.11:18090 TIME_WAIT"},
			}),
		}, "b/batch > a/server:8080 published client 0+1\nb/client > a/server:8080 published client 1\n"},
		{"the client reset it", []hostSpec{readA([]string{backs[0] + " TIME_WAIT"}, server()), readB([]string{}, client())}, "unknown unknown behind a > a/server:8080 published server 0+1\n"},
		{"the server reset it", []hostSpec{readA([]string{fronts[0] + " TIME_WAIT"}, server()), readB([]string{}, client())}, "unknown unknown behind b > a/server:8080 published server 0+1\n"},
		{"the server closed it", []hostSpec{readA([]string{fronts[0] + " TIME_WAIT"}, server(ends[0]+" TIME_WAIT")), readB([]string{}, client())},
			"unknown unknown behind b > a/server:8080 published server 0+1\n"},
	})
}

func TestUnknownClientIsNotTheHost(t *testing.T) {
	closed := "in 172.17.0.106:8080 10.77.0.12:37458 TIME_WAIT"
	open := "in 172.17.0.106:8080 10.77.0.12:37458"
	partial := containerSpec{name: "hidden", networks: []string{"br0 172.17.0.108 172.17.0.1"}, status: "partial"}
	testLinks(t, []linkTest{
		{"the server closed first", []hostSpec{hostA(server(closed)), hostB(client())}, "unknown unknown behind b > a/server:8080 published server 0+1\n"},
		{"the server closed first, by the host's address", []hostSpec{hostA(server(closed)), readB([]string{}, client())}, "unknown unknown behind b > a/server:8080 published server 0+1\n"},
		{"open, all containers are read", []hostSpec{hostA(server(open)), hostB(client())}, "b > a/server:8080 published server 1\n"},
		{"open, all containers and the host are read", []hostSpec{hostA(server(open)), readB([]string{}, client())}, "unknown unknown behind b > a/server:8080 published server 1\n"},
		{"open, a container is not read", []hostSpec{hostA(server(open)), hostB(partial)}, "unknown unknown behind b > a/server:8080 published server 1\n"},
		{"open, a process of the host has it", []hostSpec{hostA(server(open)), readB([]string{"out 10.77.0.12:37458 10.77.0.11:18090"})}, "b > a/server:8080 published both 1\n"},
		{"no listener at the host's address", []hostSpec{hostA(client("out 172.17.0.107:40000 10.77.0.12:9999")), readB([]string{"listen 0.0.0.0:22"})},
			"a/client > unknown unknown behind b:9999 host client 1\n"},
		{"a listener of the host", []hostSpec{hostA(client("out 172.17.0.107:40000 10.77.0.12:22")), readB([]string{"listen 0.0.0.0:22"})},
			"a/client > b:22 host client 1\n"},
	})
}

func TestUnknownOwnerOnTheHostsNetwork(t *testing.T) {
	agent := onHost("agent", nil)
	agent.status = "partial"
	testLinks(t, []linkTest{
		{"a listener", []hostSpec{readA([]string{"listen 0.0.0.0:7451 unknown"}, agent, client("out 172.17.0.107:40000 172.17.0.1:7451"))},
			"a/client > ambiguous a or agent:7451 host client 1\n"},
		{"a listener that the configuration names", []hostSpec{readA([]string{"listen 0.0.0.0:7451 unknown"},
			containerSpec{name: "agent", networkMode: "host", status: "partial", listeners: []string{"0.0.0.0:7451"}}, client("out 172.17.0.107:40000 172.17.0.1:7451"),
		)}, "a/client > a/agent:7451 host client 1\n"},
		{"a listener, the host is not read", []hostSpec{hostA(agent, client("out 172.17.0.107:40000 172.17.0.1:7451"))},
			"a/client > ambiguous a or agent:7451 host client 1\n"},
		{"a connection to a container", []hostSpec{readA([]string{"out 172.17.0.1:40000 172.17.0.106:8080 unknown"}, agent, server("in 172.17.0.106:8080 172.17.0.1:40000"))},
			"ambiguous a or agent > a/server:8080 direct both 1\n"},
		{"a connection to an external address", []hostSpec{readA([]string{"out 10.77.0.11:40000 192.0.2.7:443 unknown"}, agent)},
			"ambiguous a or agent > external 192.0.2.7:443 direct client 1\n"},
		{"a connection to another host", []hostSpec{readA([]string{"out 10.77.0.11:40000 10.77.0.12:18090 unknown"}, agent), hostB(server("in 172.17.0.106:8080 10.77.0.11:40000"))},
			"ambiguous a or agent > b/server:8080 published both 1\n"},
		{"the host's own connections are in no link", []hostSpec{readA([]string{"out 10.77.0.11:40000 192.0.2.7:443", "out 10.77.0.11:40001 10.77.0.12:22"}), hostB()}, ""},
	})
}

// Of a daemon that sends arbitrary sockets of its host nothing is lost but them.
func TestManyHostSocketsTakeLinearTime(t *testing.T) {
	const many = 100_000
	rows := slices.Repeat([]string{"in 172.17.0.1:18090 172.17.0.107:44298", "out 172.17.0.1:49380 172.17.0.106:8080"}, many)
	if g := buildAll(readA(rows, server(slices.Repeat([]string{"in 172.17.0.106:8080 172.17.0.1:49380"}, many)...), client("out 172.17.0.107:44298 172.17.0.1:18090"))); len(g.Links) == 0 {
		t.Error("no links")
	}
}
