package correlate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// overlaysOf returns what the engine of a host reports of the service web: on the ingress network, with port 8081 published, and on
// the network ov. load is the last byte of its load balancers' addresses: 2 on host a, 3 on host b.
func overlaysOf(load byte) []snapshotv1.Overlay {
	addr := netip.MustParseAddr
	balancer := func(network byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, network, load}) }
	return []snapshotv1.Overlay{
		{Network: "ingress", LoadBalancer: balancer(0), Hosts: []snapshotv1.SwarmHost{
			{Address: addr("10.77.0.11"), LoadBalancer: addr("10.0.0.2")}, {Address: addr("10.77.0.12"), LoadBalancer: addr("10.0.0.3")},
			{Address: addr("10.77.0.14"), LoadBalancer: addr("10.0.0.4")},
		}, Services: []snapshotv1.Service{{
			Name: "web", VirtualAddress: addr("10.0.0.9"), Ports: []snapshotv1.ServicePort{{Published: 8081, Target: 8080}},
			Tasks: []netip.Addr{addr("10.0.0.11"), addr("10.0.0.12")},
		}}},
		{Network: "ov", LoadBalancer: balancer(1), Services: []snapshotv1.Service{{
			Name: "web", VirtualAddress: addr("10.0.1.9"), Tasks: []netip.Addr{addr("10.0.1.11"), addr("10.0.1.12")},
		}}},
	}
}

// task is a container of the service web. number is 11 on host a and 12 on host b. The daemon lists the published port.
func task(number string, connections ...string) containerSpec {
	return containerSpec{
		name: "task", networks: []string{"ingress 10.0.0." + number, "ov 10.0.1." + number}, listeners: []string{"0.0.0.0:8080 0.0.0.0:8081"},
		connections: connections,
	}
}

func onSwarm(host hostSpec, load byte) hostSpec {
	host.overlays = overlaysOf(load)
	return host
}

func withOneTask(host hostSpec) hostSpec {
	service := &host.overlays[0].Services[0]
	service.Tasks = service.Tasks[:1]
	return host
}

func TestSwarmServices(t *testing.T) {
	onOverlay := func(connections ...string) containerSpec {
		return containerSpec{name: "client", networks: []string{"ov 10.0.1.20"}, connections: connections}
	}
	dockerd := []string{"listen 0.0.0.0:8081"}
	withSockets := func(h hostSpec, sockets ...string) hostSpec {
		h.sockets = append(dockerd, sockets...)
		return h
	}
	testLinks(t, []linkTest{
		{"published port of the host with the container", []hostSpec{
			onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), task("11", "in 10.0.0.11:8080 10.0.0.2:40000")), 2),
		}, "a/client > a/task:8080 published both 1\n"},
		{"published port of a host without a container of it", []hostSpec{
			withSockets(onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081")), 2)),
			onSwarm(hostB(task("12", "in 10.0.0.12:8080 10.0.0.2:40000")), 3),
		}, "a/client > b/task:8080 published both 1\n"},
		{"published port of another host, container on a third", []hostSpec{
			hostA(client("out 172.17.0.107:40000 10.77.0.12:8081")),
			withSockets(onSwarm(hostB(), 3)),
			onSwarm(hostSpec{name: "c", addresses: "10.77.0.13", containers: []containerSpec{task("12", "in 10.0.0.12:8080 10.0.0.3:40000")}}, 4),
		}, "a/client > c/task:8080 published both 1\n"},
		{"two clients with the same port through two hosts", []hostSpec{
			onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), task("11", "in 10.0.0.11:8080 10.0.0.3:40000")), 2),
			onSwarm(hostB(client("out 172.17.0.107:40000 10.77.0.12:8081"), task("12", "in 10.0.0.12:8080 10.0.0.2:40000")), 3),
		}, "a/client > b/task:8080 published both 1\nb/client > a/task:8080 published both 1\n"},
		{"process of the host, by its address and over loopback", []hostSpec{
			withSockets(onSwarm(hostA(task("11", "in 10.0.0.11:8080 10.0.0.2:40000", "in 10.0.0.11:8080 10.0.0.2:40001")), 2),
				"out 10.77.0.11:40000 10.77.0.11:8081", "out 127.0.0.1:40001 127.0.0.1:8081"),
		}, "a > a/task:8080 published both 2\n"},
		{"daemons that do not know the addresses of their hosts", []hostSpec{
			onSwarm(hostSpec{name: "a", containers: []containerSpec{client("out 172.17.0.107:40000 10.77.0.11:8081", "out 172.17.0.107:40001 10.77.0.12:8081"), task("11")}}, 2),
			onSwarm(hostSpec{name: "b", containers: []containerSpec{task("12", "in 10.0.0.12:8080 10.0.0.2:40000", "in 10.0.0.12:8080 10.0.0.3:40001")}}, 3),
		}, "a/client > b/task:8080 published both 2\n"},
		{"published port of a host that is not polled", []hostSpec{
			onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.14:8081"), task("11")), 2), onSwarm(hostB(task("12", "in 10.0.0.12:8080 10.0.0.4:40000")), 3),
		}, "a/client > b/task:8080 published both 1\n"},
		{"unknown client", []hostSpec{
			onSwarm(hostA(), 2), onSwarm(hostB(task("12", "in 10.0.0.12:8080 10.0.0.2:40000")), 3),
		}, "unknown unknown behind a > b/task:8080 published server 1\n"},
		{"unknown client of a host that is not polled", []hostSpec{
			onSwarm(hostA(), 2), onSwarm(hostB(task("12", "in 10.0.0.12:8080 10.0.0.4:40000")), 3),
		}, "unknown unknown behind b > b/task:8080 published server 1\n"},
		{"only the client's end", []hostSpec{
			withOneTask(onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), task("11")), 2)),
		}, "a/client > a/task:8080 published client 1\n"},
		{"only the client's end, another container on a host that is not polled", []hostSpec{
			onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), task("11")), 2),
		}, "a/client > ambiguous a container of service web:8080 published client 1\n"},
		{"only the client's end, several containers", []hostSpec{
			onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), task("11")), 2), onSwarm(hostB(task("12")), 3),
		}, "a/client > ambiguous a container of service web:8080 published client 1\n"},
		{"only the client's end, no container on a polled host", []hostSpec{
			onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081")), 2),
		}, "a/client > unknown unknown behind a:8080 published client 1\n"},
		{"virtual address, the load balancer replaces the client's", []hostSpec{
			onSwarm(hostA(onOverlay("out 10.0.1.20:40000 10.0.1.9:8080")), 2), onSwarm(hostB(task("12", "in 10.0.1.12:8080 10.0.1.2:40000")), 3),
		}, "a/client > b/task:8080 direct both 1\n"},
		{"virtual address on one host", []hostSpec{
			onSwarm(hostA(onOverlay("out 10.0.1.20:40000 10.0.1.9:8080"), task("11", "in 10.0.1.11:8080 10.0.1.2:40000")), 2),
		}, "a/client > a/task:8080 direct both 1\n"},
		{"virtual address, the client's stays", []hostSpec{
			onSwarm(hostA(onOverlay("out 10.0.1.20:40000 10.0.1.9:8080")), 2), onSwarm(hostB(task("12", "in 10.0.1.12:8080 10.0.1.20:40000")), 3),
		}, "a/client > b/task:8080 direct both 1\n"},
		{"virtual address, only the server's end", []hostSpec{
			onSwarm(hostA(), 2), onSwarm(hostB(task("12", "in 10.0.1.12:8080 10.0.1.2:40000")), 3),
		}, "unknown unknown behind a > b/task:8080 direct server 1\n"},
		{"load balancer of a host that is not polled", []hostSpec{
			onSwarm(hostA(task("11", "in 10.0.1.11:8080 10.0.1.3:40000")), 2),
		}, "external 10.0.1.3 > a/task:8080 direct server 1\n"},
		{"container to container on the network", []hostSpec{
			onSwarm(hostA(onOverlay("out 10.0.1.20:40000 10.0.1.12:8080")), 2), onSwarm(hostB(task("12", "in 10.0.1.12:8080 10.0.1.20:40000")), 3),
		}, "a/client > b/task:8080 direct both 1\n"},
		{"a published port of UDP, and a process of the host at the same port of TCP", []hostSpec{
			withSockets(onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), containerSpec{name: "task", networks: []string{"ingress 10.0.0.11"}}), 2)),
			onSwarm(hostB(client("out 172.17.0.107:40000 10.77.0.11:8081")), 3),
		}, "a/client > a:8081 host client 1\nb/client > a:8081 host client 1\n"},
		{"another port of the host", []hostSpec{
			onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:22"), task("11")), 2),
		}, "a/client > a:22 host client 1\n"},
	})
}

// One service may publish a port of TCP, and another one the same number of UDP. The engine reports both alike.
func TestSwarmServicesAtOneNumber(t *testing.T) {
	withNames := func(host hostSpec) hostSpec {
		services := &host.overlays[0].Services
		*services = append(*services, snapshotv1.Service{
			Name: "names", Ports: []snapshotv1.ServicePort{{Published: 8081, Target: 53}}, Tasks: []netip.Addr{netip.MustParseAddr("10.0.0.21")},
		})
		return host
	}
	names := containerSpec{name: "names", networks: []string{"ingress 10.0.0.21"}, listeners: []string{"0.0.0.0:53 0.0.0.0:8081 udp"}}
	caller := client("out 172.17.0.107:40000 10.77.0.11:8081", "out 172.17.0.107:40000 10.77.0.11:8081 udp")
	const want = "a/client > a/names:53/udp published client 1\na/client > a/task:8080 published client 1\n"
	testLinks(t, []linkTest{
		{"tasks on the client's host", []hostSpec{withOneTask(withNames(onSwarm(hostA(caller, task("11"), names), 2)))}, want},
		{"tasks on another host", []hostSpec{withOneTask(withNames(onSwarm(hostA(caller), 2))), withOneTask(withNames(onSwarm(hostB(task("11"), names), 3)))},
			strings.ReplaceAll(want, "> a/", "> b/")},
	})
}

// A service leaves no node of its own if its connections have both halves.
func TestPairedSwarmServiceIsNoNode(t *testing.T) {
	g := buildAll(
		onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), task("11", "in 10.0.0.11:8080 10.0.0.2:40000")), 2), onSwarm(hostB(task("12")), 3),
	)
	for _, n := range g.Nodes {
		if n.Kind != graph.KindContainer && n.Kind != graph.KindHost {
			t.Errorf("%+v", n)
		}
	}
}

// All containers of a large service may have the other half, and a node names the first ones.
func TestSwarmServiceWithManyContainers(t *testing.T) {
	tasks := make([]netip.Addr, 40)
	for i := range tasks {
		tasks[i] = netip.AddrFrom4([4]byte{10, 0, 0, byte(50 + i)})
	}
	many := func(host hostSpec, load byte) *hostSpec {
		host = onSwarm(host, load)
		host.overlays[0].Services[0].Tasks = tasks
		return &host
	}
	server := func(connections ...string) containerSpec {
		return containerSpec{name: "task", networks: []string{"ingress 10.0.0.89"}, listeners: []string{"0.0.0.0:8080"}, connections: connections}
	}
	dials := many(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081")), 2)
	play(t, "the other half is on the last container", []round{
		{a: many(hostA(client()), 2), b: many(hostB(server()), 3), atA: 0, atB: 0},
		{a: dials, atA: 10, wantsRound: true},
		{b: many(hostB(server("in 10.0.0.89:8080 10.0.0.2:40000")), 3), atB: 12, wantLinks: "a/client > b/task:8080 published both 1\n"},
	})
	var containers []containerSpec
	for i, addr := range tasks {
		containers = append(containers, containerSpec{name: fmt.Sprint("task", i), networks: []string{"ingress " + addr.String()}, listeners: []string{"0.0.0.0:8080"}})
	}
	for _, n := range buildAll(*dials, *many(hostB(containers...), 3)).Nodes {
		if n.Kind == graph.KindAmbiguous && len(n.Candidates) != maxCandidates {
			t.Errorf("%d candidates", len(n.Candidates))
		}
	}
}

// Two containers on one overlay network reach each other. That does not make its addresses reachable from elsewhere.
func TestOverlayNetworkIsNotRouted(t *testing.T) {
	testLinks(t, []linkTest{{"a machine with an address of the overlay", []hostSpec{
		hostA(containerSpec{name: "client", networks: []string{"ov 10.0.1.2"}, connections: []string{"out 10.0.1.2:40000 10.0.1.3:80"}}),
		hostB(containerSpec{name: "server", networks: []string{"ov 10.0.1.3"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
		{name: "c", addresses: "10.77.0.13", containers: []containerSpec{client("out 172.17.0.107:40000 10.0.1.3:80")}},
	}, "a/client > b/server:80 direct both 1\nc/client > external 10.0.1.3:80 direct client 1\n"}})
}

func TestEndOfASwarmServiceWaitsForItsOtherHalf(t *testing.T) {
	dials, idle := new(onSwarm(hostA(client("out 172.17.0.107:40000 10.77.0.11:8081"), task("11")), 2)), new(onSwarm(hostB(task("12")), 3))
	accepts := new(onSwarm(hostB(task("12", "in 10.0.0.12:8080 10.0.0.2:40000")), 3))
	const both = "a/client > b/task:8080 published both 1\n"
	play(t, "the client's end is seen first", []round{
		{a: new(onSwarm(hostA(client(), task("11")), 2)), b: idle, atA: 0, atB: 0},
		{a: dials, atA: 10, wantsRound: true},
		{b: accepts, atB: 12, wantLinks: both},
	})
	play(t, "the server's end is seen first", []round{
		{a: new(onSwarm(hostA(client(), task("11")), 2)), b: idle, atA: 0, atB: 0},
		{b: accepts, atB: 10, wantsRound: true},
		{a: dials, atA: 12, wantLinks: both},
	})
}

// The engines of a Swarm connect to each other. A container on the host's network may seem to own such a connection when it is closed.
func TestConnectionsOfTheEnginesOfASwarmAreInNoLink(t *testing.T) {
	spec := hostA(onHost("agent", nil))
	spec.sockets = []string{
		"out 10.77.0.11:40000 10.77.0.12:7946 TIME_WAIT unknown", "out 10.77.0.11:40001 10.77.0.12:2377 TIME_WAIT unknown",
		"out 10.77.0.11:40002 10.77.0.12:22 TIME_WAIT unknown",
	}
	const ssh = "ambiguous a or agent > b:22 host client 0+1\n"
	if got := graphtest.Lines(buildAll(spec, hostB())); strings.Count(got, "host client 0+1\n") != 3 {
		t.Errorf("without a Swarm: %s", got)
	}
	spec.overlays = []snapshotv1.Overlay{{Network: "ingress"}}
	if got := graphtest.Lines(buildAll(spec, hostB())); got != ssh {
		t.Errorf("in a Swarm: %s", got)
	}
}

// Two engines of one Swarm on one machine have a load balancer each. A client uses that of its engine. The second engine may know
// fewer services.
func TestSwarmWithTwoEnginesOnAMachine(t *testing.T) {
	onOverlay := containerSpec{name: "virtual", networks: []string{"ov 10.0.1.20"}, connections: []string{"out 10.0.1.20:40000 10.0.1.9:8080"}}
	published := client("out 172.17.0.107:40001 10.77.0.14:8081")
	published.name = "published"
	dials := onSwarm(hostA(onOverlay, published), 2)
	serves := onSwarm(hostA(task("12", "in 10.0.1.12:8080 10.0.1.2:40000", "in 10.0.0.12:8080 10.0.0.4:40001", "in 10.0.0.12:8080 10.0.0.2:40002")), 3)
	want := "a/published > a/task:8080 published both 1\na/virtual > a/task:8080 direct both 1\nunknown unknown behind a > a/task:8080 published server 1\n"
	testMachine(t, dials, serves, want)
	testMachine(t, serves, dials, want)

	serves.overlays[0].Services = nil
	testMachine(t, dials, serves, want)
	testMachine(t, serves, dials, want)
}
