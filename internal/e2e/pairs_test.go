package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/lab"
)

// network makes a network on the engine that ends with the test.
func (e *testEngine) network(part string, options ...string) (name string) {
	e.t.Helper()
	name = e.Name(part)
	e.docker(append(append([]string{"network", "create", "--label", e.Label()}, options...), name)...)
	e.t.Cleanup(func() { _, _ = e.Docker(context.WithoutCancel(e.t.Context()), "network", "rm", name) })
	return name
}

// pid returns the first process of a container.
func (e *testEngine) pid(part string) string {
	return e.docker("inspect", "-f", "{{.State.Pid}}", e.Name(part))
}

// pairMapper starts a daemon on each engine and a mapper. It returns the mapper, and short names for the hosts: a, b, … Engines at
// one address are on one host.
func pairMapper(t *testing.T, engines []*testEngine, variables ...string) (m *outpost, daemons []*outpost, shorten *strings.Replacer) {
	t.Helper()
	var targets, ips, names []string
	for _, e := range engines {
		o := e.start(variables...)
		daemons = append(daemons, o)
		targets = append(targets, o.target())
		if !slices.Contains(ips, e.ip) {
			ips = append(ips, e.ip)
		}
		names = append(names, e.Name(""), "", hostname(t)+"@"+o.target(), string(rune('a'+slices.Index(ips, e.ip))))
	}
	return startMapper(t, targets), daemons, strings.NewReplacer(names...)
}

// connectRouted gives two engines a network each, "routed", which the other one reaches without any translation.
func connectRouted(a, b *testEngine) {
	for _, e := range []struct{ own, other *testEngine }{{a, b}, {b, a}} {
		number, other := lastNumber(e.own.ip), lastNumber(e.other.ip)
		e.own.network("routed", "--subnet", "10.71."+number+".0/24", "--ipv6", "--subnet", "fd71:"+number+"::/64",
			"-o", "com.docker.network.bridge.enable_ip_masquerade=false",
			// Since Engine 27, others reach ports that are not published in this mode alone. Earlier engines ignore it.
			"-o", "com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected", "-o", "com.docker.network.bridge.gateway_mode_ipv6=nat-unprotected")
		e.own.inside("ip", "address", "add", "fd77::"+number+"/64", "dev", "eth0", "nodad")
		e.own.inside("ip", "route", "add", "10.71."+other+".0/24", "via", e.other.ip)
		e.own.inside("ip", "route", "add", "fd71:"+other+"::/64", "via", "fd77::"+other)
		e.own.inside("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
		e.own.inside("iptables", "-I", "DOCKER-USER", "-j", "ACCEPT")
	}
}

func lastNumber(ip string) string { return ip[strings.LastIndexByte(ip, '.')+1:] }

// Two ends that show each other's endpoints are one connection, whatever the engine knows of their addresses.
func TestEndsThatMirrorEachOtherAreOneLink(t *testing.T) {
	t.Parallel()
	a, b := newEngine(t, "10.77.0.51/24", lab.EngineOptions{}), newEngine(t, "10.77.0.52/24", lab.EngineOptions{})
	connectRouted(a, b)
	a.peer("web", []string{"--network", a.Name("routed"), "--ip", "10.71.51.10", "--ip6", "fd71:51::10"}, "listen:tcp4:0.0.0.0:8080", "listen:tcp6:[::]:8081")
	b.peer("app", []string{"--network", b.Name("routed")}, "dial:3:10.71.51.10:8080", "dial:2:[fd71:51::10]:8081")
	direct := a.network("direct", "--subnet", "10.72.51.0/24", "-o", "com.docker.network.bridge.gateway_mode_ipv4=routed")
	b.inside("ip", "route", "add", "10.72.51.0/24", "via", a.ip)
	a.peer("direct-web", []string{"--network", direct, "--ip", "10.72.51.10", "-p", "0.0.0.0:8090:80"}, "listen:tcp4:0.0.0.0:80")
	b.peer("direct-app", []string{"--network", b.Name("routed")}, "dial:4:10.72.51.10:80")
	connectPods(a)
	peers := a.network("peers", "--subnet", "10.73.51.0/24")
	a.peer("n1", []string{"--network", peers, "--ip", "10.73.51.11"}, "listen:tcp4:0.0.0.0:4001")
	a.peer("n2", []string{"--network", peers, "--ip", "10.73.51.12"}, "meet:10.73.51.12:4001:10.73.51.11:4001")

	for _, method := range []string{"sockdiag", "procfs", "exec"} {
		m, daemons, shorten := pairMapper(t, []*testEngine{a, b}, "OUTPOST_COLLECTOR="+method)
		m.expectLinks(shorten,
			"b/app > a/web:8080 direct both 3",
			"b/app > a/web:8081 direct both 2",
			"b/direct-app > a/direct-web:80 direct both 4",
			"a/pod-app > a/pod-web:80 direct both 1",
			"a/n2 > a/n1:4001 direct both 1",
		)
		for _, link := range m.graph("").Links { // only the kernel's counters show which of two listening ends dialled
			if link.DirectionUnknown != (link.Port == 4001 && method != "sockdiag") {
				t.Errorf("%s: %+v", method, link)
			}
		}
		answer := daemons[0].connections()
		answer.expectListening(a.Name("direct-web"), []string{"10.72.51.10 80"}) // the engine publishes no port of the host there
		if answer.incomplete(a.Name("direct-web")) {
			t.Errorf("%s: incomplete: %s", method, answer.header.Get("Outpost-Incomplete"))
		}
		for _, o := range append(daemons, m) {
			o.end()
		}
	}
}

// connectPods starts two containers without a network of the engine, and connects them as a CNI plugin does.
func connectPods(e *testEngine) {
	e.peer("pod-web", []string{"--network", "none"}, "listen:tcp4:0.0.0.0:80")
	e.peer("pod-app", []string{"--network", "none"})
	e.inside("ip", "link", "add", "cni0", "type", "bridge")
	e.inside("ip", "link", "set", "cni0", "up")
	for i, part := range []string{"pod-web", "pod-app"} {
		pid, link := e.pid(part), fmt.Sprint("cni-", i)
		e.inside("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", pid)
		e.inside("ip", "link", "set", link, "master", "cni0", "up")
		e.inside("nsenter", "-t", pid, "-n", "ip", "address", "add", fmt.Sprintf("10.244.0.%d/24", 10+i), "dev", "eth0")
		e.inside("nsenter", "-t", pid, "-n", "ip", "link", "set", "eth0", "up")
	}
	e.docker("exec", "-d", e.Name("pod-app"), "peer", "dial:1:10.244.0.10:80")
}

// The host sees both pieces of a connection through docker-proxy, so that each client is known: containers, processes of the host,
// and clients of other hosts. The server closes some of the connections first, or resets them. Then nothing shows which client of another
// host it was, unless a sample saw its end, but it is never the host itself. Commands alone do not show the host's pieces.
func TestClientsOfDockerProxyAreKnown(t *testing.T) {
	t.Parallel()
	a, b := newEngine(t, "10.77.0.53/24", lab.EngineOptions{NoRules: true}), newEngine(t, "10.77.0.54/24", lab.EngineOptions{})
	a.inside("sysctl", "-qw", "net.ipv4.tcp_rfc1337=1") // else a late packet of the client ends TIME_WAIT, and no trace is left
	const first, ports, resets = 10_000, 150, 10
	listeners := []string{"listen:tcp4:0.0.0.0:80"}
	var near, far []string
	for port := first; port < first+ports+resets; port++ {
		listen, fetch := "answer", "fetch"
		if port >= first+ports {
			listen, fetch = "reset", "spill"
		}
		listeners = append(listeners, fmt.Sprintf("%s:tcp4:0.0.0.0:%d", listen, port))
		near, far = append(near, fmt.Sprintf("%s:1:172.17.0.1:%d", fetch, port)), append(far, fmt.Sprintf("%s:1:%s:%d", fetch, a.ip, port))
	}
	a.peer("server", []string{"-p", "8085:80", "-p", fmt.Sprintf("%d-%d:%[1]d-%[2]d", first, first+ports+resets-1)}, listeners...)
	methods := []string{"sockdiag", "procfs", "exec"}
	maps, shorten := make(map[string]*outpost), make(map[string]*strings.Replacer)
	for i, method := range methods {
		a.port, b.port = fmt.Sprint(9057+i), fmt.Sprint(9057+i)
		maps[method], _, shorten[method] = pairMapper(t, []*testEngine{a, b}, "OUTPOST_COLLECTOR="+method)
		maps[method].expectLinks(shorten[method])
	}

	b.peer("far", []string{"--network", "host"}, "dial:3:"+a.ip+":8085")
	a.peer("near", nil, "dial:2:172.17.0.1:8085")
	a.startProcess("dial:1:127.0.0.1:8085", "dial:4:"+a.address("server")+":80")
	for _, method := range methods {
		want := []string{"b/far > a/server:80 published both 3", "a/near > a/server:80 published both 2", "a > a/server:80 published both 1", "a > a/server:80 direct both 4"}
		if method == "exec" {
			want = []string{"b/far > a/server:80 published client 3", "a/near > a/server:80 published client 2", "unknown behind a > a/server:80 published server 5"}
		}
		maps[method].expectLinks(shorten[method], want...)
	}

	a.peer("visitor", nil, near...)
	b.docker(append([]string{"exec", "-d", b.Name("far"), "peer"}, far...)...)
	var want []string
	for port := first; port < first+ports; port++ {
		want = append(want, fmt.Sprintf("a/visitor > a/server:%d published", port), fmt.Sprintf("unknown behind b > a/server:%d published", port))
	}
	short := func(method string) (answered, reset []string) {
		for _, line := range linkWays(maps[method].graph(""), shorten[method]) {
			var port int
			switch _, _ = fmt.Sscanf(line[strings.LastIndexByte(line, ':')+1:], "%d", &port); {
			case port >= first+ports:
				reset = append(reset, line)
			case port >= first: // a sample may have seen the end of far
				answered = append(answered, strings.NewReplacer("far or b > ", "unknown behind b > ", "b/far > ", "unknown behind b > ").Replace(line))
			}
		}
		slices.Sort(answered)
		return answered, reset
	}
	for _, method := range methods[:2] {
		maps[method].expectLines(func() []string { answered, _ := short(method); return answered }, want)
	}
	for _, method := range methods {
		var answered, reset []string
		eventually(t, func() bool {
			answered, reset = short(method)
			return len(answered) > 0
		})
		for _, line := range slices.Concat(answered, reset) {
			if strings.HasPrefix(line, "a > ") || strings.HasPrefix(line, "b > ") {
				t.Errorf("%s: %s", method, line)
			}
		}
	}
}

// Containers of one host dial new ports of another host, some at a time. The map never has another client of these ports.
func TestFirstContactsMakeOneLinkEach(t *testing.T) {
	t.Parallel()
	a, b := newEngine(t, "10.77.0.55/24", lab.EngineOptions{}), newEngine(t, "10.77.0.56/24", lab.EngineOptions{})
	const first, rounds, contacts = 10_000, 10, 6
	var listeners []string
	for port := first; port < first+rounds*contacts; port++ {
		listeners = append(listeners, fmt.Sprint("listen:tcp4:0.0.0.0:", port))
	}
	a.peer("server", []string{"-p", fmt.Sprintf("%d-%d:%[1]d-%[2]d", first, first+rounds*contacts-1)}, listeners...)
	m, _, shorten := pairMapper(t, []*testEngine{a, b})
	var want []string
	for round := range rounds {
		client, dials := fmt.Sprint("client-", round), []string(nil)
		for port := first + round*contacts; port < first+(round+1)*contacts; port++ {
			dials = append(dials, fmt.Sprintf("dial:1:%s:%d", a.ip, port))
			want = append(want, fmt.Sprintf("b/%s > a/server:%d published", client, port))
		}
		slices.Sort(want)
		b.peer(client, nil, dials...)
		begun := time.Now()
		eventually(t, func() bool {
			g := m.graph("")
			got := linkWays(g, shorten)
			for _, link := range got {
				if !slices.Contains(want, link) {
					t.Fatalf("round %d: %s", round, link)
				}
			}
			last := round == rounds-1 // then later answers must not change the links
			isLate := func(target graph.Target) bool { return last && target.LastAnswer.Before(begun.Add(3*time.Second)) }
			return slices.Equal(got, want) && !slices.ContainsFunc(g.Targets, isLate)
		})
	}
}

// linkWays returns the links of a map without their evidence and number: "client > server:port via".
func linkWays(g graph.Graph, shorten *strings.Replacer) []string {
	lines := linkLines(g, shorten)
	for i, line := range lines {
		words := strings.Fields(line)
		lines[i] = strings.Join(words[:len(words)-2], " ")
	}
	return lines
}
