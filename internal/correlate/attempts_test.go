package correlate

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// An attempt leads to the server to which a connection would lead. One with an uncertain server is in no link.
func TestAttemptsLeadToServers(t *testing.T) {
	overlay := func(name, addr string, connections ...string) containerSpec {
		return containerSpec{name: name, networks: []string{"mesh " + addr}, listeners: []string{"0.0.0.0:80"}, connections: connections}
	}
	twins := func(name string) hostSpec {
		return hostSpec{name: name, addresses: "192.168.0.9", containers: []containerSpec{onHost("web", []string{"0.0.0.0:80"})}}
	}
	testLinks(t, []linkTest{
		{"a container of the same host", []hostSpec{hostA(server(), client("dials 172.17.0.107 172.17.0.106:8080 3"))}, "a/client > a/server:8080 direct client 0 3 unanswered\n"},
		{"a port without a listener", []hostSpec{hostA(server(), client("dials 172.17.0.107 172.17.0.106:81 3"))}, "a/client > a/server:81 direct client 0 3 unanswered\n"},
		{"a published port", []hostSpec{hostA(server(), client("dials 172.17.0.107 172.17.0.1:18090 3"))}, "a/client > a/server:8080 published client 0 3 unanswered\n"},
		{"itself", []hostSpec{hostA(server("dials 127.0.0.1 127.0.0.1:8080 1"))}, "a/server > a/server:8080 loopback client 0 1 unanswered\n"},
		{"a published port of another host", []hostSpec{hostA(server()), hostB(client("dials 172.17.0.107 10.77.0.11:18090 2"))}, "b/client > a/server:8080 published client 0 2 unanswered\n"},
		{"an overlay network", []hostSpec{hostA(overlay("web", "10.0.0.2")), hostB(overlay("job", "10.0.0.3", "dials 10.0.0.3 10.0.0.2:80 2"))}, "b/job > a/web:80 direct client 0 2 unanswered\n"},
		{"an external address", []hostSpec{hostA(client("dials 172.17.0.107 192.0.2.9:443 1"))}, "a/client > external 192.0.2.9:443 direct client 0 1 unanswered\n"},
		{"a process of the host", []hostSpec{readA([]string{"listen 0.0.0.0:22"}, client("dials 172.17.0.107 172.17.0.1:22 1"))}, "a/client > a:22 host client 0 1 unanswered\n"},
		{"a port of the host without a listener", []hostSpec{readA([]string{}, client("dials 172.17.0.107 172.17.0.1:22 1"))}, ""},
		{"an address of two hosts", []hostSpec{hostA(client("dials 172.17.0.107 192.168.0.9:80 1")), twins("b"), twins("c")}, ""},
		{"Docker's DNS server", []hostSpec{hostA(client("dials 172.17.0.107 127.0.0.11:53 1"))}, ""},
		{"beside connections", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), client("out 172.17.0.107:1 172.17.0.106:8080", "dials 172.17.0.107 172.17.0.106:8080 1"))},
			"a/client > a/server:8080 direct both 1 1 unanswered\n"},
		{"beside connections between hosts", []hostSpec{hostA(server("in 172.17.0.106:8080 10.77.0.12:1")), hostB(client("out 172.17.0.107:1 10.77.0.11:18090", "dials 172.17.0.107 10.77.0.11:18090 1"))},
			"b/client > a/server:8080 published both 1 1 unanswered\n"},
		{"beside a closed connection that only the server has", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.107:1 TIME_WAIT"), client("dials 172.17.0.107 172.17.0.106:8080 1"))},
			"a/client > a/server:8080 direct server 0+1 1 unanswered\n"},
	})
}

// An attempt adds no node without a link, and only a link with nothing else is unanswered.
func TestAttemptsAddNoOtherNodes(t *testing.T) {
	g := buildAll(readA([]string{}, server(), client("dials 172.17.0.107 172.17.0.1:22 1", "dials 172.17.0.107 172.17.0.106:8080 1")))
	if slices.ContainsFunc(g.Nodes, func(n graph.Node) bool { return n.Kind != graph.KindContainer }) {
		t.Errorf("%+v", g.Nodes)
	}
	if len(g.Links) != 1 || !g.Links[0].Unanswered || !g.Links[0].Live || !g.Links[0].LastSeen.Equal(noon) {
		t.Errorf("%+v", g.Links)
	}
	g = buildAll(hostA(server("in 172.17.0.106:8080 172.17.0.107:1 TIME_WAIT"), client("dials 172.17.0.107 172.17.0.106:8080 1")))
	if len(g.Links) != 1 || g.Links[0].Unanswered {
		t.Errorf("%+v", g.Links)
	}
}

// A removed container is the server for a while.
func TestAttemptsToARemovedContainer(t *testing.T) {
	dials := client("dials 172.17.0.107 172.17.0.106:8080 2")
	want := "a/client > a/server:8080 direct client 0 2 unanswered\n"
	if got := after(time.Minute, hostA(server(), client()), hostA(dials)); got != want {
		t.Errorf("%s", got)
	}
}

// An attempt waits for the answers that a connection would wait for.
func TestAttemptsWaitForFirstAnswers(t *testing.T) {
	tracker := new(Tracker)
	b := PolledHost{Target: "b", Host: NewHost(hostB(client("dials 172.17.0.107 10.77.0.11:18090 1")).document(), netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon}
	if got := graphtest.Lines(tracker.Build([]PolledHost{{Target: "a", State: graph.StatePending}, b}, nil)); got != "" || !tracker.Waiting() {
		t.Errorf("%s", got)
	}
	a := PolledHost{Target: "a", Host: NewHost(hostA(server()).document(), netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon}
	if got := graphtest.Lines(tracker.Build([]PolledHost{a, b}, nil)); got != "b/client > a/server:8080 published client 0 1 unanswered\n" {
		t.Errorf("%s", got)
	}
}

// The attempts of a document may be anything.
func TestHostileAttempts(t *testing.T) {
	d := hostA(client()).document()
	addr, good := netip.MustParseAddr("172.17.0.107"), parsed("192.0.2.9:443")
	d.Containers[0].Attempts = []snapshotv1.Attempt{
		{LocalAddress: addr, Remote: good, Count: math.MaxInt}, {LocalAddress: addr, Remote: good, Count: math.MaxInt}, {LocalAddress: addr, Remote: good},
		{LocalAddress: addr, Remote: good, Count: -1}, {Remote: good, Count: 1}, {LocalAddress: addr, Count: 1}, {LocalAddress: addr, Remote: snapshotv1.Endpoint{Address: "x", Port: 1}, Count: 1},
		{LocalAddress: addr, Remote: snapshotv1.Endpoint{Address: "192.0.2.9"}, Count: 1},
	}
	for range 10 * snapshotv1.MaxAttempts {
		d.Containers[0].Attempts = append(d.Containers[0].Attempts, snapshotv1.Attempt{LocalAddress: addr, Remote: parsed("192.0.2.10:443"), Count: 1})
	}
	host := NewHost(d, netip.Addr{}, nil, noon)
	g := Build([]PolledHost{{Target: "a", Host: host, State: graph.StateOK, LastAnswer: noon}}, nil)
	if host.invalid != 6 || len(g.Links) != 2 || g.Links[0].Attempts != 92 || g.Links[1].Attempts != 2*maxAttemptSockets {
		t.Errorf("%d invalid, %+v", host.invalid, g.Links)
	}
}
