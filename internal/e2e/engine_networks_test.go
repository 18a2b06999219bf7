package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/lab"
)

// The engine's networks tell which bridges are addresses of the host.
func TestBridgesOfTheEngineAreNotAddresses(t *testing.T) {
	t.Parallel()
	e := newEngine(t, "10.77.0.91/24", lab.EngineOptions{})
	e.inside("ip", "address", "add", "2001:db8:77::91/64", "dev", "eth0", "nodad")
	e.inside("sh", "-c", "ip link add lan0 type bridge && ip address add 192.0.2.5/24 dev lan0 && ip link set lan0 up && ip route replace default via 192.0.2.1 dev lan0")
	e.docker("network", "create", "--label", e.Label(), "-o", "com.docker.network.bridge.name=lan0", "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.5", e.Name("lan"))
	const listen = "listen:tcp:[::]:8080"
	e.peer("web", []string{"-p", "0.0.0.0:8085:8080"}, listen)
	e.peer("six", []string{"-p", "[::]:8086:8080"}, listen)
	e.docker("network", "create", "--label", e.Label(), "--ipv4=false", "--ipv6", "--subnet", "fd00:99::/64", e.Name("net6"))
	e.peer("only6", []string{"--network", e.Name("net6"), "-p", "8087:8080"}, listen) // the engine binds [::] alone
	e.peer("lan", []string{"--network", e.Name("lan")}, listen)
	o := e.start()
	web := []string{"10.77.0.91 8085", "192.0.2.5 8085"}
	o.connections().expect(e.Name("web"), web, nil)

	e.docker("network", "create", "--label", e.Label(), "-o", "com.docker.network.bridge.name=proxy0", "--subnet", "10.99.7.0/24", e.Name("named"))
	if addresses := fmt.Sprint(o.snapshot().Host.Addresses); !strings.Contains(addresses, "10.99.7.1") {
		t.Errorf("the host has %s", addresses)
	}
	a := o.connections()
	a.expect(e.Name("web"), web, nil)
	a.expect(e.Name("six"), []string{"2001:db8:77::91 8086"}, nil)
	a.expect(e.Name("only6"), []string{"2001:db8:77::91 8087"}, nil)
}

// With the socket alone, the engine's networks tell which gateways are the host.
func TestGatewaysWithTheSocketAlone(t *testing.T) {
	t.Parallel()
	e := newEngine(t, "10.77.0.92/24", lab.EngineOptions{})
	for _, part := range []string{"a", "b"} {
		e.docker("network", "create", "--label", e.Label(), e.Name(part))
	}
	e.docker("network", "create", "--label", e.Label(), "-d", "macvlan", "-o", "parent=eth0", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.1", e.Name("macvlan"))
	var config net.ListenConfig
	router, err := config.Listen(t.Context(), "tcp", "10.77.0.1:0") // the machine stands for the router
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = router.Close() })
	e.peer("web", []string{"--network", e.Name("a"), "-p", "8085:8080"}, "listen:tcp4:0.0.0.0:8080")
	e.peer("client", []string{"--network", e.Name("b")}, "dial:1:172.17.0.1:8085")
	e.peer("cli", []string{"--network", e.Name("macvlan"), "--ip", "10.77.0.192"}, "dial:1:"+router.Addr().String())
	e.run("outpost", "--network", e.Name("a"), "-p", "9057:9057", "-v", releaseBinary(t)+":/outpost:ro", "-v", "/var/run/docker.sock:/var/run/docker.sock", tools, "/outpost")
	o := e.answering("outpost", 9057)
	o.url = "http://" + net.JoinHostPort(e.ip, "9057")

	shorten := strings.NewReplacer(e.docker("info", "-f", "{{.Name}}")+"/", "", e.Name(""), "")
	_, port, _ := net.SplitHostPort(router.Addr().String())
	want := []string{"cli > 10.77.0.1:" + port + " direct client 1", "client > web:8080 published client 1"}
	eventually(t, func() bool {
		var got []string
		for _, line := range linkLines(o.graph(""), shorten) {
			if !strings.Contains(line, "outpost") { // the test's own requests
				got = append(got, line)
			}
		}
		return slices.Equal(got, want)
	})
}
