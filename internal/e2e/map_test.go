package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/lab"
)

// startMapper starts a mapper on the machine that polls every second.
func startMapper(t testing.TB, arguments []string, variables ...string) *outpost {
	t.Helper()
	command := exec.Command(binary, append([]string{"map"}, arguments...)...) //nolint:noctx // it is ended with SIGTERM
	return startCommand(t, command, append([]string{"OUTPOST_INTERVAL=1s"}, variables...)...)
}

// target returns the daemon's address as a target of a mapper.
func (o *outpost) target() string { return strings.TrimPrefix(o.url, "http://") }

func (o *outpost) graph(query string) graph.Graph {
	o.t.Helper()
	a := o.get("/v1/graph" + query)
	var g graph.Graph
	if err := json.Unmarshal([]byte(a.body), &g); err != nil || a.status != 200 {
		o.t.Fatalf("%d %.500s: %v", a.status, a.body, err)
	}
	return g
}

// linkLines describes each link of a graph in a line, with shortened names.
func linkLines(g graph.Graph, shorten *strings.Replacer) []string {
	names := make(map[string]string)
	for _, n := range g.Nodes {
		name := n.Name
		if n.Kind == graph.KindContainer {
			name = n.Host + "/" + n.Name
		}
		names[n.ID] = shorten.Replace(name)
	}
	var lines []string
	for _, l := range g.Links {
		lines = append(lines, fmt.Sprintf("%s > %s:%s %s %s %d", names[l.Client], names[l.Server], l.ServerPort(), l.Via, l.Evidence, l.Connections))
	}
	slices.Sort(lines)
	return lines
}

// expectLinks waits until the map has exactly these links.
func (o *outpost) expectLinks(shorten *strings.Replacer, want ...string) {
	o.t.Helper()
	o.expectLines(func() []string { return linkLines(o.graph(""), shorten) }, want)
}

// expectLines waits until lines returns exactly want, in any order. want is sorted.
func (o *outpost) expectLines(lines func() []string, want []string) {
	o.t.Helper()
	slices.Sort(want)
	var got []string
	for deadline := time.Now().Add(20 * time.Second); !slices.Equal(got, want); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.t.Errorf("(-want +got):\n%s\n%s", cmp.Diff(want, got), o.get("/v1/graph").body)
			return
		}
		got = lines()
	}
}

// startProcess starts peer in the engine's network namespace, outside all containers, and waits until it is ready.
func (e *testEngine) startProcess(instructions ...string) {
	e.t.Helper()
	content, err := lab.Peer(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	path := filepath.Join(e.t.TempDir(), "peer")
	if err := os.WriteFile(path, content, 0o700); err != nil {
		e.t.Fatal(err)
	}
	command := e.Command(context.WithoutCancel(e.t.Context()), append([]string{path}, instructions...)...)
	stdout, err := command.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		e.t.Fatalf("%q: %v", line, err)
	}
}

// Connections of every path exist on three hosts with the same host name, bridge addresses and container names. The map has
// exactly these links.
func TestMapHasExactlyTheLinksOfThreeHosts(t *testing.T) {
	t.Parallel()
	a, b := newEngine(t, "10.77.0.31/24", lab.EngineOptions{}), newEngine(t, "10.77.0.32/24", lab.EngineOptions{})
	c := newEngine(t, "10.77.0.33/24", lab.EngineOptions{CgroupV2: true})
	for _, e := range []*testEngine{a, b, c} {
		e.peer("server", []string{"-p", "18090:8080"}, "listen:tcp4:0.0.0.0:8080")
		e.peer("client", nil, "dial:1:172.17.0.2:8080")
	}
	if got := a.address("server") + b.address("server") + c.address("server"); got != strings.Repeat("172.17.0.2", 3) {
		t.Fatalf("the servers have %s", got)
	}
	a.docker("network", "create", "--label", a.Label(), a.Name("net"))
	t.Cleanup(func() { _, _ = a.Docker(context.WithoutCancel(t.Context()), "network", "rm", a.Name("net")) })
	other := a.docker("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Gateway}}{{end}}", a.Name("net"))

	a.peer("gateway", nil, "dial:2:172.17.0.1:18090")
	a.peer("elsewhere", []string{"--network", a.Name("net")}, "dial:1:"+other+":18090")
	a.peer("itself", []string{"-p", "18091:8080"}, "listen:tcp4:0.0.0.0:8080", "dial:1:172.17.0.1:18091")
	a.peer("sidecar", []string{"--network", "container:" + a.Name("server")}, "dial:1:127.0.0.1:8080", "listen:tcp4:127.0.0.1:9100")
	a.peer("beside", []string{"--network", "container:" + a.Name("server")}, "dial:1:127.0.0.1:9100")
	a.peer("agent", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:9000", "dial:1:127.0.0.1:18090", "dial:1:172.17.0.2:8080")
	a.startProcess("listen:tcp4:0.0.0.0:22000", "dial:1:10.77.0.31:18091")
	a.peer("to-agent", nil, "dial:1:172.17.0.1:9000", "dial:1:10.77.0.31:22000")
	a.startProcess("dial:1:127.0.0.1:18091")
	b.peer("across", nil, "dial:3:10.77.0.31:18090", "dial:1:10.77.0.31:9000")
	b.peer("host-across", []string{"--network", "host"}, "dial:1:10.77.0.31:18090")
	b.startProcess("dial:1:10.77.0.31:18091")
	c.docker("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.1", c.Name("lan"))
	t.Cleanup(func() { _, _ = c.Docker(context.WithoutCancel(t.Context()), "network", "rm", c.Name("lan")) })
	c.peer("lan", []string{"--network", c.Name("lan"), "--ip", "10.77.0.60"}, "listen:tcp4:0.0.0.0:8080")
	b.peer("to-lan", nil, "dial:1:10.77.0.60:8080")
	var dialer net.Dialer
	outside, err := dialer.DialContext(t.Context(), "tcp", "10.77.0.31:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = outside.Close() }()

	want := []string{
		"a/client > a/server:8080 direct both 1",
		"b/client > b/server:8080 direct both 1",
		"c/client > c/server:8080 direct both 1",
		"a/sidecar > a/server:8080 loopback both 1",
		"a/beside > a/sidecar:9100 loopback both 1",
		"a/agent > a/server:8080 direct both 1",
		"a/to-agent > a/agent:9000 host both 1",
		"a/to-agent > a:22000 host client 1",
		"b/across > a/server:8080 published both 3",
		"b/across > a/agent:9000 host both 1",
		"b/host-across > a/server:8080 published both 1",
		"b/to-lan > c/lan:8080 direct both 1",
		"10.77.0.1 > a/agent:9000 host server 1",
	}
	readHosts := append(slices.Clone(want), // the pieces of docker-proxy, and the hosts' own sockets
		"a/gateway > a/server:8080 published both 2",
		"a/elsewhere > a/server:8080 published both 1",
		"a/itself > a/itself:8080 published both 1",
		"a/agent > a/server:8080 published both 1",
		"a > a/itself:8080 published both 2",
		"b > a/itself:8080 published both 1",
	)
	unread := append(slices.Clone(want),
		"a/gateway > a/server:8080 published client 2",
		"a/elsewhere > a/server:8080 published client 1",
		"a/itself > a/itself:8080 published client 1",
		"a/agent > a/server:8080 published client 1",
		"unknown behind a > a/itself:8080 published server 2",
		"b > a/itself:8080 published server 1",
	)
	for method, want := range map[string][]string{"sockdiag": readHosts, "procfs": readHosts, "exec": unread} {
		m, daemons, shorten := pairMapper(t, []*testEngine{a, b, c}, "OUTPOST_COLLECTOR="+method)
		m.expectLinks(shorten, want...)
		t.Run("page by "+method, func(t *testing.T) { checkMapPage(t, m) }) // closes the page before the mapper ends
		for _, target := range m.graph("").Targets {
			if target.State != graph.StateOK || target.Format != "snapshot" || target.Unattributed != 0 {
				t.Errorf("%s: %+v", method, target)
			}
		}
		for _, o := range append(daemons, m) {
			o.end()
		}
	}
}

func hostname(t testing.TB) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A container opens a thousand connections of 5 ms to each of a hundred ports. With the default interval, the map has at least
// 99 of the 100 links, by sockdiag and by procfs. The test runs release builds: the race detector would exceed their timeouts.
func TestShortConnectionsAreOnTheMap(t *testing.T) {
	const ports, parallel, minLinks = 100, 50, 99
	l := newLab(t)
	var listeners []string
	for i := range ports {
		listeners = append(listeners, fmt.Sprint("serve:tcp4:0.0.0.0:", 10000+i))
	}
	l.peer("server", nil, listeners...)
	l.run("client", tools, "sleep", "1000")
	server := l.address("server")

	maps := make(map[string]*outpost)
	for _, method := range []string{"sockdiag", "procfs"} {
		daemon := startRelease(t, "OUTPOST_COLLECTOR="+method)
		maps[method] = startCommand(t, exec.Command(releaseBinary(t), "map", daemon.target())) //nolint:noctx // it is ended with SIGTERM
	}
	// One command runs many visits: the engine takes longer to start a command than that runs.
	const visits = `for port in $(busybox seq $1 $2); do peer visit:1000:$0:$port leave & all="$all $!"; done; for visit in $all; do wait $visit; done`
	for first := 10000; first < 10000+ports; first += parallel {
		l.docker("exec", l.Name("client"), "sh", "-ec", visits, server, fmt.Sprint(first), fmt.Sprint(first+parallel-1))
	}
	for method, m := range maps {
		seen := 0
		for deadline := time.Now().Add(time.Minute); seen < minLinks && time.Now().Before(deadline); time.Sleep(time.Second) {
			seen = 0
			for _, link := range m.graph("?container=" + l.Name("client")).Links {
				if strings.HasSuffix(link.Server, l.containerID("server")) && link.Port >= 10000 && link.Port < 10000+ports {
					seen++
				}
			}
		}
		t.Logf("%s: %d of %d", method, seen, ports)
		if seen < minLinks {
			t.Errorf("%s: %+v", method, m.graph("?host=none").Targets)
		}
	}
}

// containerID returns a container's ID.
func (l *testLab) containerID(part string) string {
	l.t.Helper()
	return l.docker("inspect", "-f", "{{.Id}}", l.Name(part))
}

// Connections that begin and end between two requests are on the map, because samples see them.
func TestSamplesShowConnectionsBetweenRequests(t *testing.T) {
	for _, method := range []string{"auto", "exec"} {
		t.Run(method, func(t *testing.T) {
			l := newLab(t)
			l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
			o := start(t, "OUTPOST_COLLECTOR="+method, "OUTPOST_SAMPLE_INTERVAL=1s")
			l.peer("client", nil, "dial:2:"+l.address("server")+":80")
			time.Sleep(4 * time.Second)
			l.docker("rm", "-f", l.Name("client"))
			g := o.graph("?container=" + l.Name("server"))
			want := []string{"client > server:80 direct both 0"}
			if diff := cmp.Diff(want, linkLines(g, strings.NewReplacer(l.Name(""), "", hostname(t)+"/", ""))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, n := range g.Nodes {
				if n.Past != (n.Name == l.Name("client")) {
					t.Errorf("%+v", n)
				}
			}
		})
	}
}

// By default, the exec method runs no commands between requests.
func TestNoCommandsRunBetweenRequests(t *testing.T) {
	l := newLab(t)
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
	o := start(t, "OUTPOST_COLLECTOR=exec")
	o.connections()
	before := len(l.execs())
	time.Sleep(12 * time.Second)
	if after := len(l.execs()); after != before || before == 0 {
		t.Errorf("%d commands at first, %d after 12 s", before, after)
	}
}
