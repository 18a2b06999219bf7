package correlate

import (
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/graph/graphtest"
)

// routedOn is a container on a network without masquerading.
func routedOn(name, addr string, listeners []string, connections ...string) containerSpec {
	return containerSpec{name: name, networks: []string{"net-" + name + " " + addr + " 172.18.0.1"}, listeners: listeners, connections: connections}
}

func TestMirroredEndsArePaired(t *testing.T) {
	testLinks(t, []linkTest{
		{"routed networks of two hosts", []hostSpec{
			hostA(routedOn("web", "10.71.2.10", []string{"0.0.0.0:8080"},
				"in 10.71.2.10:8080 10.71.1.2:40000", "in 10.71.2.10:8080 10.71.1.2:40001", "in 10.71.2.10:8080 10.71.1.2:40002")),
			hostB(routedOn("app", "10.71.1.2", nil,
				"out 10.71.1.2:40000 10.71.2.10:8080", "out 10.71.1.2:40001 10.71.2.10:8080", "out 10.71.1.2:40002 10.71.2.10:8080")),
		}, "b/app > a/web:8080 direct both 3\n"},
		{"routed networks of two hosts, IPv6", []hostSpec{
			hostA(routedOn("web", "fd71:2::10", []string{"[::]:8080"}, "in [fd71:2::10]:8080 [fd71:1::2]:40000")),
			hostB(routedOn("app", "fd71:1::2", nil, "out [fd71:1::2]:40000 [fd71:2::10]:8080")),
		}, "b/app > a/web:8080 direct both 1\n"},
		{"containers with addresses that the engine does not know", []hostSpec{hostA(
			containerSpec{name: "web", networkMode: "none", listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.244.0.10:80 10.244.0.11:40000"}},
			containerSpec{name: "app", networkMode: "none", connections: []string{"out 10.244.0.11:40000 10.244.0.10:80"}},
		)}, "a/app > a/web:80 direct both 1\n"},
		{"the same through a tunnel between hosts", []hostSpec{
			hostA(containerSpec{name: "web", networkMode: "none", listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.8.0.1:80 10.8.0.2:40000"}}),
			hostB(containerSpec{name: "app", networkMode: "none", connections: []string{"out 10.8.0.2:40000 10.8.0.1:80"}}),
		}, "b/app > a/web:80 direct both 1\n"},
		{"link-local addresses, equal on two hosts", []hostSpec{
			hostA(server("in [fe80::1]:8080 [fe80::2]:40000"), client("out [fe80::2]:40000 [fe80::1]:8080")),
			hostB(server("in [fe80::1]:8080 [fe80::2]:40000"), client("out [fe80::2]:40000 [fe80::1]:8080")),
		}, "a/client > a/server:8080 direct both 1\nb/client > b/server:8080 direct both 1\n"},
		{"the same tuple on three hosts makes no pair", []hostSpec{
			{name: "a", containers: []containerSpec{{name: "web", listeners: []string{"0.0.0.0:80"}, connections: []string{"in 10.8.0.1:80 10.8.0.2:40000"}}}},
			{name: "b", containers: []containerSpec{{name: "app", connections: []string{"out 10.8.0.2:40000 10.8.0.1:80"}}}},
			{name: "c", containers: []containerSpec{{name: "app", connections: []string{"out 10.8.0.2:40000 10.8.0.1:80"}}}},
		}, "b/app > external 10.8.0.1:80 direct client 1\nc/app > external 10.8.0.1:80 direct client 1\nexternal 10.8.0.2 > a/web:80 direct server 1\n"},
		{"overlapping bridges on two hosts, the other halves are missing", []hostSpec{
			hostA(server("in 172.17.0.106:8080 172.17.0.107:43614"), client()),
			hostB(containerSpec{name: "server", networks: []string{"br0 172.17.0.106 172.17.0.1"}}, client("out 172.17.0.107:43614 172.17.0.106:8080")),
		}, "a/client > a/server:8080 direct server 1\nb/client > b/server:8080 direct client 1\n"},
	})
}

func TestClosedEndToAnAddressThatAnotherHostMayHave(t *testing.T) {
	web := routedOn("web", "10.71.2.10", []string{"0.0.0.0:8080"})
	app := func(connections ...string) containerSpec { return routedOn("app", "10.71.1.2", nil, connections...) }
	paired := routedOn("web", "10.71.2.10", []string{"0.0.0.0:8080"}, "in 10.71.2.10:8080 10.71.1.2:40000")
	testLinks(t, []linkTest{
		{"nothing shows whether it is that container", []hostSpec{hostA(web), hostB(app("out 10.71.1.2:40000 10.71.2.10:8080 TIME_WAIT"))},
			"b/app > ambiguous 10.71.2.10:8080 direct client 0+1\n"},
		{"another connection shows that the network is routed", []hostSpec{
			hostA(paired), hostB(app("out 10.71.1.2:40000 10.71.2.10:8080", "out 10.71.1.2:40001 10.71.2.10:8080 TIME_WAIT")),
		}, "b/app > a/web:8080 direct both 1+1\n"},
		{"an open one would be there", []hostSpec{hostA(web), hostB(app("out 10.71.1.2:40000 10.71.2.10:8080"))},
			"b/app > external 10.71.2.10:8080 direct client 1\n"},
	})
}

func TestDirectionByBothEnds(t *testing.T) {
	peer := func(name, addr string, connections ...string) containerSpec {
		return containerSpec{name: name, networks: []string{"br0 " + addr + " 172.17.0.1"}, listeners: []string{"0.0.0.0:4001"}, connections: connections}
	}
	gone := func(c containerSpec) containerSpec {
		c.listeners = nil
		return c
	}
	testLinks(t, []linkTest{
		{"dialled from a listening port", []hostSpec{hostA(
			peer("n1", "172.17.0.11", "in 172.17.0.11:4001 172.17.0.12:4001 accepted"), peer("n2", "172.17.0.12", "in 172.17.0.12:4001 172.17.0.11:4001 dialled"),
		)}, "a/n2 > a/n1:4001 direct both 1\n"},
		{"only the dialling end shows it", []hostSpec{hostA(
			peer("n1", "172.17.0.11", "in 172.17.0.11:4001 172.17.0.12:4001"), peer("n2", "172.17.0.12", "in 172.17.0.12:4001 172.17.0.11:4001 dialled"),
		)}, "a/n2 > a/n1:4001 direct both 1\n"},
		{"nothing shows it", []hostSpec{hostA(
			peer("n1", "172.17.0.11", "in 172.17.0.11:4001 172.17.0.12:4001"), peer("n2", "172.17.0.12", "in 172.17.0.12:4001 172.17.0.11:4001"),
		)}, "a/n2 > a/n1:4001 direct both 1 direction unknown\n"},
		{"nothing shows it of one connection", []hostSpec{hostA(
			peer("n1", "172.17.0.11", "in 172.17.0.11:4001 172.17.0.12:4001", "in 172.17.0.11:4001 172.17.0.12:40000"),
			peer("n2", "172.17.0.12", "in 172.17.0.12:4001 172.17.0.11:4001", "out 172.17.0.12:40000 172.17.0.11:4001"),
		)}, "a/n2 > a/n1:4001 direct both 2 direction unknown\n"},
		{"dialled from a listening port, between hosts", []hostSpec{
			hostA(containerSpec{name: "n1", networks: []string{"ov 10.0.1.2"}, listeners: []string{"0.0.0.0:4001"}, connections: []string{"in 10.0.1.2:4001 10.0.1.3:4001 accepted"}}),
			hostB(containerSpec{name: "n2", networks: []string{"ov 10.0.1.3"}, listeners: []string{"0.0.0.0:4001"}, connections: []string{"in 10.0.1.3:4001 10.0.1.2:4001"}}),
		}, "b/n2 > a/n1:4001 direct both 1\n"},
		{"dialled from a listening port to an external address", []hostSpec{hostA(
			peer("n1", "172.17.0.11", "in 172.17.0.11:4001 192.0.2.7:4001 dialled"),
		)}, "a/n1 > external 192.0.2.7:4001 direct client 1\n"},
		{"the listener is closed, its port is exposed", []hostSpec{hostA(
			containerSpec{name: "server", networks: []string{"br0 172.17.0.106"}, exposed: []uint16{45000}, connections: []string{"out 172.17.0.106:45000 172.17.0.107:43614"}},
			client("out 172.17.0.107:43614 172.17.0.106:45000"),
		)}, "a/client > a/server:45000 direct both 1\n"},
		{"the listener is closed, the kernel shows it", []hostSpec{hostA(
			gone(peer("n1", "172.17.0.11", "out 172.17.0.11:45000 172.17.0.12:40000 accepted")), gone(peer("n2", "172.17.0.12", "out 172.17.0.12:40000 172.17.0.11:45000")),
		)}, "a/n2 > a/n1:45000 direct both 1\n"},
		{"the listener is closed, nothing shows it", []hostSpec{hostA(
			gone(peer("n1", "172.17.0.11", "out 172.17.0.11:4001 172.17.0.12:40000")), gone(peer("n2", "172.17.0.12", "out 172.17.0.12:40000 172.17.0.11:4001")),
		)}, "a/n2 > a/n1:4001 direct both 1 direction unknown\n"},
		{"only the inbound end dialled from a listening port", []hostSpec{hostA(
			peer("n1", "172.17.0.11"), peer("n2", "172.17.0.12", "in 172.17.0.12:4001 172.17.0.11:4001 dialled"),
		)}, "a/n2 > a/n1:4001 direct client 1\n"},
	})
}

// A LAN bridge: its address is a gateway of a network, and the host's own.
func TestGatewayThatIsTheHostsLANAddress(t *testing.T) {
	c := containerSpec{name: "x", networks: []string{"lan 10.77.0.200 10.77.0.11"}}
	a := hostSpec{name: "a", addresses: "10.77.0.11 172.17.0.1", gateways: "172.17.0.1", containers: []containerSpec{c}}
	got := graphtest.Lines(buildAll(a, hostB(server("in 172.17.0.106:8080 10.77.0.11:1"))))
	if want := "a > b/server:8080 published server 1\n"; got != want {
		t.Errorf("%s", got)
	}
}

// Two containers have one address that only they report; the second listens at the port.
func TestSecondHolderOfAnAddressListens(t *testing.T) {
	n := func(name string, listeners ...string) containerSpec {
		return containerSpec{name: name, networks: []string{name + " 172.17.0.10" + name[1:]}, addresses: "10.8.0.9", listeners: listeners}
	}
	got := graphtest.Lines(buildAll(hostA(n("n1"), n("n2", "0.0.0.0:4001"), server("in 172.17.0.106:8080 10.8.0.9:4001"))))
	if !strings.Contains(got, "direction unknown") {
		t.Errorf("%s", got)
	}
}
