package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/lab"
)

// podmanBeside starts Podman on the engine's host.
func (e *testEngine) podmanBeside() *testEngine {
	e.t.Helper()
	foreignProgram(e.t, "podman")
	engine, err := e.StartPodman(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return loaded(e.t, newLab(e.t), engine, e.ip)
}

// joinVPN starts a container with a tunnel to that of another host, as a VPN's client does. Others join its network namespace. Without UDP
// checksums the kernel computes those of the packets in the tunnel, which NAT needs.
func (e *testEngine) joinVPN(address string, other *testEngine) {
	e.t.Helper()
	e.peer("vpn", []string{"-p", "5182:5182/udp"})
	pid := e.pid("vpn")
	for _, command := range []string{
		"link add tun0 type vxlan id 8 dstport 5182 noudpcsum remote " + other.ip, "address add " + address + "/24 dev tun0", "link set tun0 up",
	} {
		e.inside(append([]string{"nsenter", "-t", pid, "-n", "ip"}, strings.Fields(command)...)...)
	}
}

// The map of two hosts with a VPN between sidecars, a routed network, a Swarm service, and Podman beside Docker has exactly the links of
// their containers.
func TestMapOfMixedHosts(t *testing.T) {
	t.Parallel()
	a, b := newEngine(t, "10.77.0.61/24", lab.EngineOptions{}), newEngine(t, "10.77.0.62/24", lab.EngineOptions{})
	p := b.podmanBeside()
	joinSwarm(t, a, b)
	connectRouted(a, b)
	a.joinVPN("10.8.0.1", b)
	b.joinVPN("10.8.0.2", a)
	p.port = "9058"
	m, daemons, _ := pairMapper(t, []*testEngine{a, b, p})

	b.peer("db", []string{"--network", "container:" + b.Name("vpn")}, "listen:tcp4:0.0.0.0:5432")
	a.peer("app", []string{"--network", "container:" + a.Name("vpn")}, "dial:3:10.8.0.2:5432")
	a.peer("routed", []string{"--network", a.Name("routed"), "--ip", "10.71.61.10"}, "listen:tcp4:0.0.0.0:80")
	b.peer("client", []string{"--network", b.Name("routed")}, "dial:2:10.71.61.10:80")
	b.peer("docker", []string{"-p", "8085:80"}, "listen:tcp4:0.0.0.0:80")
	p.peer("podman", []string{"-p", "8086:80"}, "listen:tcp4:0.0.0.0:80")
	p.peer("agent", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:9100")
	p.peer("to-docker", nil, "dial:2:"+b.ip+":8085")
	b.peer("to-podman", nil, "dial:1:172.17.0.1:8086", "dial:4:172.17.0.1:9100")
	a.peer("to-both", nil, "dial:1:"+b.ip+":8085", "dial:2:"+b.ip+":8086", "dial:1:"+b.ip+":9100")
	b.peer("docker-on-host", []string{"--network", "host"}, "dial:1:127.0.0.1:9100")
	createSwarmService(a)
	service, names := dialSwarmService(t, a, b)
	outside := a.dial(a.ip + ":8081") // through Swarm's ingress
	p.peer("on-host", []string{"--network", "host"}, "dial:1:127.0.0.1:8085", "dial:2:"+a.ip+":8081")

	want := slices.Concat(service, []string{
		outside + " > web-b:80 published server 1",
		"app > db:5432 direct both 3",
		"client > routed:80 direct both 2",
		"to-docker > docker:80 published both 2",
		"to-podman > podman:80 published both 1",
		"to-podman > agent:9100 host both 4",
		"to-both > docker:80 published both 1",
		"to-both > podman:80 published both 2",
		"to-both > agent:9100 host both 1",
		"on-host > docker:80 published both 1",
		"on-host > web-b:80 published both 2",
		"docker-on-host > agent:9100 loopback both 1",
	})
	m.expectLines(func() []string { return shortLines(b.links(m), names) }, want)

	for i, e := range []*testEngine{a, b} { // the ingress port is one of the service's container
		containers := slices.Collect(maps.Values(daemons[i].connections().containers))
		if !slices.ContainsFunc(containers, func(c connections) bool {
			return strings.HasPrefix(c.Name, "/web.") && slices.Contains(c.Listening, endpoint{e.ip, 8081, 0})
		}) {
			t.Errorf("%s:8081 is not among %+v", e.ip, containers)
		}
	}
	for _, o := range append(daemons, m) {
		o.end()
	}
	m, _, _ = pairMapper(t, []*testEngine{a, b, p}, "OUTPOST_COLLECTOR=procfs")
	m.expectLines(func() []string { return shortLines(b.links(m), names) }, want)
}

// shortLines returns lines with short names, in order.
func shortLines(lines []string, names *strings.Replacer) []string {
	for i, line := range lines {
		lines[i] = names.Replace(line)
	}
	slices.Sort(lines)
	return lines
}
