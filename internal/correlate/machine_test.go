package correlate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// engineAnswer is an answer of the daemon of one engine of the machine "a". The times are in seconds after noon.
func engineAnswer(target string, spec hostSpec, previous *Host, at int) PolledHost {
	d := spec.document()
	d.Host.ID, d.Host.BootID = "engine at "+target, "boot"
	answered := noon.Add(time.Duration(at) * time.Second)
	return PolledHost{
		Target: target, Host: NewHost(d, netip.Addr{}, previous, answered), Document: &d, State: graph.StateOK,
		FirstAnswer: noon, LastAnswer: answered, PolledAt: answered.Add(-100 * time.Millisecond),
	}
}

// testMachine has the containers and the host's sockets of Docker and of Podman on one machine.
func testMachine(t *testing.T, docker, podman hostSpec, want string) {
	t.Helper()
	g := new(Tracker).Build([]PolledHost{engineAnswer("docker", docker, nil, 1), engineAnswer("podman", podman, nil, 1)}, nil)
	if diff := gocmp.Diff(want, graphtest.Lines(g)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, target := range g.Targets {
		if target.State != graph.StateOK || target.Host != "a" {
			t.Errorf("%+v", target)
		}
	}
}

func withSockets(spec hostSpec, sockets ...string) hostSpec {
	spec.sockets = append([]string{}, sockets...)
	return spec
}

func TestEnginesOfOneMachineAreOneHost(t *testing.T) {
	podmanClient := containerSpec{name: "client", networks: []string{"podman 10.88.0.2 10.88.0.1"}, connections: []string{"out 10.88.0.2:1 10.77.0.11:18090"}}
	testMachine(t, hostA(server("in 172.17.0.106:8080 10.88.0.2:1")), hostA(podmanClient), "a/client > a/server:8080 published both 1\n")

	agent := onHost("agent", []string{"0.0.0.0:9100"}, "in 10.77.0.11:9100 172.17.0.107:1", "out 127.0.0.1:2 127.0.0.1:18090")
	testMachine(t,
		withSockets(hostA(server("in 172.17.0.106:8080 172.17.0.1:3"), client("out 172.17.0.107:1 10.77.0.11:9100")),
			"listen 0.0.0.0:9100", "listen 0.0.0.0:18090", "in 10.77.0.11:9100 172.17.0.107:1", "out 127.0.0.1:2 127.0.0.1:18090",
			"in 127.0.0.1:18090 127.0.0.1:2", "out 172.17.0.1:3 172.17.0.106:8080"),
		withSockets(hostA(agent), "listen 0.0.0.0:18090", "out 172.17.0.1:3 172.17.0.106:8080"),
		"a/agent > a/server:8080 published both 1\na/client > a/agent:9100 host both 1\n")

	// Equal names on both engines; only commands read, so no namespaces are known.
	sidecar := containerSpec{name: "sidecar", networkMode: "container:server", connections: []string{"out 10.88.0.2:1 172.17.0.107:80"}}
	testMachine(t,
		hostA(server(), containerSpec{name: "db", networks: []string{"br0 172.17.0.107 172.17.0.1"}, listeners: []string{"0.0.0.0:80"}, connections: []string{"in 172.17.0.107:80 10.88.0.2:1"}}),
		hostA(containerSpec{name: "server", networks: []string{"podman 10.88.0.2 10.88.0.1"}}, sidecar),
		"a/sidecar > a/db:80 direct both 1\n")
}

// Machines with equal boot IDs, such as system containers, have addresses of their own.
func TestHostsOnOneKernelAreApart(t *testing.T) {
	a, b := engineAnswer("a", hostA(client("out 172.17.0.107:1 10.77.0.12:18090")), nil, 1), engineAnswer("b", hostB(server("in 172.17.0.106:8080 10.77.0.11:1")), nil, 1)
	if got, want := graphtest.Lines(new(Tracker).Build([]PolledHost{a, b}, nil)), "a/client > b/server:8080 published both 1\n"; got != want {
		t.Error(got)
	}
}

// A socket that one daemon has seen may be of a container that the other daemon has not seen yet.
func TestNewHostSocketWaitsForTheOtherDaemon(t *testing.T) {
	const dials, outside = "out 10.77.0.11:5 10.77.0.12:18090", "listen 0.0.0.0:22"
	idle := withSockets(hostA(client()), outside)
	b := PolledHost{Target: "b", Host: NewHost(hostB(server("in 172.17.0.106:8080 10.77.0.11:5")).document(), netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon.Add(5 * time.Second), PolledAt: noon.Add(4 * time.Second)}
	for name, test := range map[string]struct {
		next hostSpec
		want string
	}{
		"of a container": {withSockets(hostA(onHost("agent", nil, dials)), outside), "a/agent > b/server:8080 published both 1\n"},
		"of the host":    {withSockets(hostA(client()), outside, dials), "a > b/server:8080 published both 1\n"},
	} {
		tracker := new(Tracker)
		docker, podman := engineAnswer("docker", withSockets(hostA(client()), outside, dials), nil, 10), engineAnswer("podman", idle, nil, 1)
		if got := graphtest.Lines(tracker.Build([]PolledHost{docker, podman, b}, nil)); got != "" || !tracker.Waiting() {
			t.Errorf("%s: first %s", name, got)
		}
		podman = engineAnswer("podman", test.next, podman.Host, 11)
		for at := range 2 { // an older answer of podman does not change it back
			if got := graphtest.Lines(tracker.Build([]PolledHost{docker, podman, b}, nil)); got != test.want {
				t.Errorf("%s: then %s", name, got)
			}
			docker = engineAnswer("docker", withSockets(hostA(client()), outside, dials), docker.Host, 20+at)
		}
	}
}

// The end that docker-proxy accepted waits together with the end of its client.
func TestProxiedLoopbackWaitsForBothEnds(t *testing.T) {
	const dials = "out 127.0.0.1:5 127.0.0.1:18090"
	seen := withSockets(hostA(server("in 172.17.0.106:8080 172.17.0.1:3")), "listen 0.0.0.0:18090", dials, "in 127.0.0.1:18090 127.0.0.1:5", "out 172.17.0.1:3 172.17.0.106:8080")
	tracker := new(Tracker)
	docker := engineAnswer("docker", withSockets(hostA(server()), "listen 0.0.0.0:18090"), nil, 0)
	podman := engineAnswer("podman", withSockets(hostA(), "listen 0.0.0.0:18090"), nil, 1)
	tracker.Build([]PolledHost{docker, podman}, nil)
	docker = engineAnswer("docker", seen, docker.Host, 10)
	if got := graphtest.Lines(tracker.Build([]PolledHost{docker, podman}, nil)); got != "" {
		t.Error("first", got)
	}
	podman = engineAnswer("podman", withSockets(hostA(onHost("agent", nil, dials)), "listen 0.0.0.0:18090", "out 172.17.0.1:3 172.17.0.106:8080"), podman.Host, 11)
	if got := graphtest.Lines(tracker.Build([]PolledHost{docker, podman}, nil)); got != "a/agent > a/server:8080 published both 1\n" {
		t.Error("then", got)
	}
}

// machineRounds builds the map of the answers of Docker and Podman on a, and of b, in rounds. A nil answer is that of the round before. It
// returns the lines of each round.
type machineRounds struct {
	tracker        Tracker
	docker, podman PolledHost
	b              func(at int) PolledHost
}

const dialsB = "out 10.77.0.11:5 10.77.0.12:18090"

func newMachineRounds() *machineRounds {
	return &machineRounds{b: func(at int) PolledHost {
		answered := noon.Add(time.Duration(at) * time.Second)
		return PolledHost{
			Target: "z-b", Host: NewHost(hostB(server("in 172.17.0.106:8080 10.77.0.11:5")).document(), netip.Addr{}, nil, answered),
			State: graph.StateOK, LastAnswer: answered, PolledAt: answered,
		}
	}}
}

func (m *machineRounds) read(docker, podman *hostSpec, at int) string {
	if docker != nil {
		m.docker = engineAnswer("docker", *docker, m.docker.Host, at)
	}
	if podman != nil {
		m.podman = engineAnswer("podman", *podman, m.podman.Host, at+1)
	}
	return graphtest.Lines(m.tracker.Build([]PolledHost{m.docker, m.podman, m.b(at + 2)}, nil))
}

// The memories of two daemons for closed connections differ. A socket of a container does not become the host's in between.
func TestSocketOfAContainerNeverBecomesTheHosts(t *testing.T) {
	agent := func(sockets ...string) *hostSpec { return new(withSockets(hostA(onHost("agent", nil, sockets...)))) }
	host := func(sockets ...string) *hostSpec { return new(withSockets(hostA(client()), sockets...)) }
	for name, rounds := range map[string]func(m *machineRounds) string{
		"the owner forgets it first": func(m *machineRounds) string {
			m.read(host(dialsB), agent(dialsB), 1)
			m.read(host(dialsB+" CLOSE"), agent(dialsB+" CLOSE"), 62)
			return m.read(nil, agent(), 72)
		},
		"the container is removed": func(m *machineRounds) string {
			m.read(host(), agent(dialsB), 1)
			return m.read(host(dialsB), new(withSockets(hostA())), 10)
		},
		"only the other daemon saw it": func(m *machineRounds) string {
			m.read(host(), agent(), 1)
			return m.read(host(dialsB), agent(), 10)
		},
	} {
		if got := rounds(newMachineRounds()); strings.HasPrefix(got, "a > ") {
			t.Errorf("%s: %s", name, got)
		}
	}
	m := newMachineRounds()
	m.read(host(), agent(), 1)
	m.read(host(dialsB), agent(), 10)
	if got := m.read(host(dialsB+" TIME_WAIT"), agent(), 20); got != "ambiguous a or agent > b/server:8080 published both 1\n" {
		t.Errorf("closed: %s", got)
	}
	m = newMachineRounds()
	m.read(host(), agent(), 1)
	m.read(host(dialsB), agent(), 10)
	if got := m.read(host(dialsB), agent(), 20); got != "a > b/server:8080 published both 1\n" {
		t.Errorf("still open: %s", got)
	}
}

// A container that joined one on the host's network is there too.
func TestJoinedContainerOnTheHostsNetwork(t *testing.T) {
	agent, sidecar := onHost("agent", nil), containerSpec{name: "sidecar", networkMode: "container:id-a-agent", listeners: []string{"0.0.0.0:9100"}, connections: []string{dialsB}}
	agent.namespace, sidecar.namespace = "4026531840", "4026531840"
	got := newMachineRounds().read(new(withSockets(hostA(client("out 172.17.0.107:1 10.77.0.11:9100")), "listen 0.0.0.0:9100", dialsB)), new(withSockets(hostA(agent, sidecar))), 1)
	if want := "a/client > a/sidecar:9100 host client 1\na/sidecar > b/server:8080 published both 1\n"; got != want {
		t.Error(got)
	}
}

// A daemon that does not answer, or answers before the other one in each round, holds up no links.
func TestDaemonThatHoldsUpNoLinks(t *testing.T) {
	const ssh = "listen 0.0.0.0:22"
	m := newMachineRounds()
	m.read(new(withSockets(hostA(client()), ssh)), new(hostA(containerSpec{name: "x"})), 1)
	m.podman.State = graph.StateStale
	dials := withSockets(hostA(client("out 172.17.0.107:1 10.77.0.11:22")), ssh, dialsB)
	if got := m.read(&dials, nil, 10); got != "" {
		t.Errorf("one failed poll: %s", got)
	}
	if got, want := m.read(&dials, nil, 72), "a > b/server:8080 published both 1\na/client > a:22 host client 1\n"; got != want {
		t.Errorf("stale: %s", got)
	}
	m = newMachineRounds()
	got := ""
	for round := range 3 {
		m.podman = engineAnswer("podman", hostA(containerSpec{name: "x"}), m.podman.Host, 10*round+2)
		got = m.read(new(withSockets(hostA(client()), dialsB)), nil, 10*round+10)
	}
	if got != "a > b/server:8080 published both 1\n" {
		t.Errorf("late: %s", got)
	}
}

// Of two answers with the host's sockets, that of a daemon that still answers counts.
func TestStaleAnswerShowsNoSocketsOfTheHost(t *testing.T) {
	m := newMachineRounds()
	m.read(new(withSockets(hostA(client()), dialsB)), new(withSockets(hostA(containerSpec{name: "x"}))), 1)
	m.docker.State = graph.StateStale
	if got := m.read(nil, new(withSockets(hostA(containerSpec{name: "x"}))), 200); strings.Contains(got, "a > b") {
		t.Error(got)
	}
}

// A container that is gone stays known when the first answer of a second engine arrives.
func TestSecondEngineForgetsNoGoneContainer(t *testing.T) {
	docker := engineAnswer("docker", hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), client("out 172.17.0.107:1 172.17.0.106:8080")), nil, 1)
	docker = engineAnswer("docker", hostA(server("in 172.17.0.106:8080 172.17.0.107:1 TIME_WAIT")), docker.Host, 10)
	podman := engineAnswer("podman", hostA(containerSpec{name: "x"}), nil, 11)
	podman.FirstAnswer = noon.Add(time.Second)
	if got, want := graphtest.Lines(new(Tracker).Build([]PolledHost{docker, podman}, nil)), "a/client > a/server:8080 direct both 0+1\n"; got != want {
		t.Error(got)
	}
}

// The gateways of one engine stay known if the other one does not report its own.
func TestGatewaysOfOneEngine(t *testing.T) {
	docker, podman := hostA(client()), hostA(containerSpec{name: "x"})
	docker.gateways = "172.17.0.1 172.18.0.1"
	answers := []PolledHost{engineAnswer("docker", docker, nil, 1), engineAnswer("podman", podman, nil, 1)}
	c := hostSpec{name: "c", addresses: "10.77.0.13 172.17.0.1", containers: []containerSpec{client("out 172.17.0.107:1 172.18.0.1:443")}}
	answers = append(answers, PolledHost{Target: "c", Host: NewHost(c.document(), netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon})
	if got, want := graphtest.Lines(new(Tracker).Build(answers, nil)), "c/client > external 172.18.0.1:443 direct client 1\n"; got != want {
		t.Error(got)
	}
}

// A connection is the container's or the host's by the listener of its own family.
func TestListenersOfOneFamily(t *testing.T) {
	got := newMachineRounds().read(
		new(withSockets(hostA(client("out 172.17.0.107:1 10.77.0.11:80")), "listen 0.0.0.0:80", "listen [::]:80", "in 10.77.0.11:80 172.17.0.107:1")),
		new(withSockets(hostA(onHost("web6", []string{"[::]:80"})), "listen 0.0.0.0:80", "in 10.77.0.11:80 172.17.0.107:1")), 1)
	if want := "a/client > a:80 host both 1\n"; got != want {
		t.Error(got)
	}
}

// The IDs of containers come from the engine that answered first, also if the other one comes first by name.
func TestFirstEngineKeepsItsIDs(t *testing.T) {
	z := engineAnswer("z", hostA(server()), nil, 1)
	before := new(Tracker).Build([]PolledHost{z}, nil).Nodes[0].ID
	a := engineAnswer("a", hostA(containerSpec{name: "x"}), nil, 2)
	a.FirstAnswer = noon.Add(time.Second)
	nodes := new(Tracker).Build([]PolledHost{a, z}, nil).Nodes
	if !slices.ContainsFunc(nodes, func(n graph.Node) bool { return n.ID == before }) {
		t.Errorf("%s is not among %+v", before, nodes)
	}
}

// The containers of a daemon that does not answer any more are stale, those of the other one are not.
func TestOneStaleEngineOfAMachine(t *testing.T) {
	docker, podman := engineAnswer("docker", hostA(server()), nil, 1), engineAnswer("podman", hostA(containerSpec{name: "client"}), nil, 1)
	docker.State = graph.StateStale
	for _, n := range new(Tracker).Build([]PolledHost{docker, podman}, nil).Nodes {
		if n.Stale != (n.Name == "server") {
			t.Errorf("%s: stale %t", n.Name, n.Stale)
		}
	}
}

// Docker and Podman answer each poll, two minutes apart. A new container of Podman on the host's network dials.
func TestLongIntervalOfAMachine(t *testing.T) {
	m := newMachineRounds()
	m.read(new(withSockets(hostA(client()))), new(withSockets(hostA(containerSpec{name: "x"}))), 1)
	if got := m.read(new(withSockets(hostA(client()), dialsB)), nil, 121); strings.HasPrefix(got, "a > ") {
		t.Errorf("before podman's next answer, %s", got)
	}
	agent := withSockets(hostA(onHost("agent", nil, dialsB)))
	if got := m.read(nil, &agent, 300); got != "a/agent > b/server:8080 published both 1\n" {
		t.Errorf("then %s", got)
	}
}

// A later answer decides who has a listener that may be a container's.
func TestUncertainOwnerBecomesKnown(t *testing.T) {
	m := newMachineRounds()
	dials := client("out 172.17.0.107:1 10.77.0.11:22")
	agent := onHost("agent", nil)
	agent.status = snapshotv1.StatusPartial
	m.read(new(withSockets(hostA(dials), "listen 0.0.0.0:22")), new(withSockets(hostA(agent), "listen 0.0.0.0:22 unknown")), 1)
	agent.status = snapshotv1.StatusOK
	got := ""
	for at := 10; at < 100; at += 10 {
		got = m.read(new(withSockets(hostA(dials), "listen 0.0.0.0:22")), new(withSockets(hostA(agent), "listen 0.0.0.0:22")), at)
	}
	if want := "a/client > a:22 host client 1\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%s", got)
	}
}

// A listener of a container passes to the host's process.
func TestPortOfARemovedContainerIsTakenByTheHost(t *testing.T) {
	m := newMachineRounds()
	agent := onHost("agent", []string{"0.0.0.0:80"})
	listens := "listen 0.0.0.0:80"
	m.read(new(withSockets(hostA(client()), listens)), new(withSockets(hostA(agent))), 1)
	got := ""
	for at := 10; at < 600; at += 10 {
		got = m.read(new(withSockets(hostA(client("out 172.17.0.107:1 10.77.0.11:80")), listens, "in 10.77.0.11:80 172.17.0.107:1")), new(withSockets(hostA(), listens, "in 10.77.0.11:80 172.17.0.107:1")), at)
	}
	if want := "a/client > a:80 host both 1\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
}

// An invalid connection has the local end of a listener alone.
func TestInvalidSocketOfAMergedHost(t *testing.T) {
	d := hostA(client())
	doc := engineAnswer("docker", withSockets(d), nil, 1)
	doc.Document.Host.Sockets.Connections = []snapshotv1.HostConnection{{Connection: snapshotv1.Connection{
		Local: snapshotv1.Endpoint{Address: "10.77.0.11", Port: 80}, State: "ESTABLISHED", Direction: "in"}}}
	podman := engineAnswer("podman", withSockets(hostA()), nil, 1)
	if got := graphtest.Lines(new(Tracker).Build([]PolledHost{doc, podman}, nil)); got != "" {
		t.Error(got)
	}
}
