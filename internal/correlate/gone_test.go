package correlate

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
)

func TestGoneContainerKeepsItsAddressesForAWhile(t *testing.T) {
	before := NewHost(hostA(server(), client("out 172.17.0.107:1 172.17.0.106:8080")).document(), netip.Addr{}, nil, noon)
	rest := hostA(server("in 172.17.0.106:8080 172.17.0.107:1", "in 172.17.0.106:8080 172.17.0.108:1")).document()
	const known = "a/client > a/server:8080 direct both 1\nexternal 172.17.0.108 > a/server:8080 published server 1\n"
	for _, test := range []struct {
		after time.Duration
		want  string
	}{{time.Minute, known}, {addrGrace, known}, {addrGrace + time.Second, strings.ReplaceAll(known, "a/client > a/server:8080 direct both", "external 172.17.0.107 > a/server:8080 published server")}} {
		host := NewHost(rest, netip.Addr{}, NewHost(hostA(server()).document(), netip.Addr{}, before, noon.Add(time.Second)), noon.Add(test.after))
		g := Build([]PolledHost{{Target: "a", Host: host, State: graph.StateOK, LastAnswer: noon}}, nil)
		if diff := cmp.Diff(test.want, graphtest.Lines(g)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", test.after, diff)
		}
		for _, n := range g.Nodes {
			if n.Past != (n.Name == "client") {
				t.Errorf("after %s: %+v", test.after, n)
			}
		}
	}
}

// after returns the links of successive snapshots of one host, in the last of them.
func after(interval time.Duration, successive ...hostSpec) string {
	var host *Host
	tracker := new(Tracker)
	var g graph.Graph
	for i, spec := range successive {
		at := noon.Add(time.Duration(i-len(successive)+1) * interval)
		host = NewHost(spec.document(), netip.Addr{}, host, at)
		g = tracker.Build([]PolledHost{{Target: "a", Host: host, State: graph.StateOK, LastAnswer: at, PolledAt: at.Add(-time.Second)}}, nil)
	}
	return graphtest.Lines(g)
}

func TestClientThatIsRemovedWithItsConnectionOpen(t *testing.T) {
	dials := client("out 172.17.0.107:1 172.17.0.1:18090")
	direct := client("out 172.17.0.107:1 172.17.0.106:8080")
	agent := onHost("agent", nil, "out 10.77.0.11:1 10.77.0.11:18090")
	for _, test := range []struct {
		name       string
		successive []hostSpec
		want       string
	}{
		{"half-open", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), direct), hostA(server("in 172.17.0.106:8080 172.17.0.107:1"))},
			"a/client > a/server:8080 direct both 1\n"},
		{"another container has its address", []hostSpec{
			hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), direct),
			hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), containerSpec{name: "new", networks: []string{"br0 172.17.0.107"}}),
		}, "a/client > a/server:8080 direct both 1\n"},
		{"through docker-proxy", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.1:500"), dials), hostA(server("in 172.17.0.106:8080 172.17.0.1:500"))}, ""},
		{"through docker-proxy, closed", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.1:500"), dials), hostA(server("in 172.17.0.106:8080 172.17.0.1:500 TIME_WAIT"))}, ""},
		{"through docker-proxy, seen by the host", []hostSpec{
			readA([]string{"in 172.17.0.1:18090 172.17.0.107:1", "out 172.17.0.1:500 172.17.0.106:8080"}, server("in 172.17.0.106:8080 172.17.0.1:500"), dials),
			readA([]string{"in 172.17.0.1:18090 172.17.0.107:1", "out 172.17.0.1:500 172.17.0.106:8080"}, server("in 172.17.0.106:8080 172.17.0.1:500")),
		}, "a/client > a/server:8080 published both 1\n"},
		{"on the host's network", []hostSpec{hostA(server("in 172.17.0.106:8080 10.77.0.11:1"), agent), hostA(server("in 172.17.0.106:8080 10.77.0.11:1"))},
			"a/agent > a/server:8080 published both 1\n"},
		{"on the host's network, closed, and seen by the host", []hostSpec{
			readA([]string{}, server("in 172.17.0.106:8080 10.77.0.11:1"), agent), readA([]string{"out 10.77.0.11:1 10.77.0.11:18090 TIME_WAIT"}, server()),
		}, ""},
		{"the server is removed", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.1:500"), dials), hostA(dials)}, "a/client > a/server:8080 published client 1\n"},
	} {
		if diff := cmp.Diff(test.want, after(time.Second, test.successive...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestAddressThatIsUsedAgain(t *testing.T) {
	job := func(name string, started time.Duration, connections ...string) containerSpec {
		return containerSpec{name: name, networks: []string{"br0 172.17.0.107 172.17.0.1"}, started: started, connections: connections}
	}
	closed := server("in 172.17.0.106:8080 172.17.0.107:1 TIME_WAIT closed=20s")
	for _, test := range []struct {
		name       string
		successive []hostSpec
		want       string
	}{
		{"closed before the new container started", []hostSpec{hostA(server(), job("job1", time.Minute)), hostA(closed, job("job2", 10*time.Second))},
			"a/job1 > a/server:8080 direct server 0+1\n"},
		{"closed after it started", []hostSpec{hostA(server(), job("job1", time.Minute)), hostA(closed, job("job2", 30*time.Second))},
			"a/job2 > a/server:8080 direct server 0+1\n"},
		{"closed in the second in which it started", []hostSpec{hostA(server(), job("job1", time.Minute)), hostA(closed, job("job2", 19500*time.Millisecond))},
			"a/job2 > a/server:8080 direct server 0+1\n"},
		{"the same container has restarted", []hostSpec{hostA(server(), job("job1", time.Minute)), hostA(closed, job("job1", 10*time.Second))},
			"a/job1 > a/server:8080 direct server 0+1\n"},
		{"the old one was never seen", []hostSpec{hostA(closed, job("job2", 10*time.Second))}, "unknown unknown behind a > a/server:8080 direct server 0+1\n"},
		{"the server's address", []hostSpec{
			hostA(containerSpec{name: "old", networks: []string{"br0 172.17.0.106"}, started: time.Minute, listeners: []string{"0.0.0.0:8080"}}, client()),
			hostA(containerSpec{name: "new", networks: []string{"br0 172.17.0.106"}, started: 10 * time.Second, listeners: []string{"0.0.0.0:8080"}},
				client("out 172.17.0.107:1 172.17.0.106:8080 TIME_WAIT closed=20s")),
		}, "a/client > a/old:8080 direct client 0+1\n"},
	} {
		if diff := cmp.Diff(test.want, after(time.Second, test.successive...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// A container that joined the namespace of another one stays in the old namespace when the other one restarts.
func TestClosedLinksOfJoinedContainersStayTheirs(t *testing.T) {
	x := func(namespace string, started time.Duration) containerSpec {
		return containerSpec{name: "x", namespace: namespace, networks: []string{"br0 172.17.0.107 172.17.0.1"}, started: started}
	}
	joined := func(connections ...string) containerSpec {
		return containerSpec{name: "joined", networkMode: "container:id-a-x", namespace: "1", started: time.Minute, connections: connections}
	}
	got := after(time.Second,
		hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), x("1", time.Minute), joined("out 172.17.0.107:1 172.17.0.106:8080")),
		hostA(server("in 172.17.0.106:8080 172.17.0.107:1 TIME_WAIT closed=20s"), x("2", 10*time.Second), joined("out 172.17.0.107:1 172.17.0.106:8080 CLOSE")),
	)
	if diff := cmp.Diff("a/joined > a/server:8080 direct both 0+1\n", got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = after(time.Second, hostA(server(), x("1", time.Minute), joined()), hostA(server("in 172.17.0.106:8080 172.17.0.107:1 TIME_WAIT closed=20s"), x("2", 10*time.Second), joined()))
	if diff := cmp.Diff("ambiguous joined or x > a/server:8080 direct server 0+1\n", got); diff != "" {
		t.Errorf("nobody knows the client (-want +got):\n%s", diff)
	}
}

func TestGoneContainerWithoutLinksIsOmitted(t *testing.T) {
	before := NewHost(hostA(server(), client("out 172.17.0.107:1 172.17.0.106:8080")).document(), netip.Addr{}, nil, noon)
	host := NewHost(hostA(server()).document(), netip.Addr{}, before, noon)
	if g := Build([]PolledHost{{Target: "a", Host: host, State: graph.StateOK}}, nil); len(g.Nodes) != 1 {
		t.Errorf("%+v", g.Nodes)
	}
}

// One removed client explains one open end, not two.
func TestGoneClientExplainsOneEnd(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	b := NewHost(hostB(client("out 172.17.0.107:40000 10.77.0.11:18090")).document(), netip.Addr{}, nil, at(0))
	b = NewHost(hostB().document(), netip.Addr{}, b, at(10))
	a := NewHost(hostA(server("in 172.17.0.106:8080 10.77.0.12:50000", "in 172.17.0.106:8080 172.17.0.1:500")).document(), netip.Addr{}, nil, at(10))
	g := Build([]PolledHost{
		{Target: "a", Host: a, State: graph.StateOK, LastAnswer: at(10)}, {Target: "b", Host: b, State: graph.StateOK, LastAnswer: at(10)},
	}, nil)
	n := 0
	for _, l := range g.Links {
		n += l.Connections
	}
	if n != 1 {
		t.Errorf("%d of the other connection: %s", n, graphtest.Lines(g))
	}
}

// A closed end of an earlier holder of the address. The present holder listens at the same port.
func TestClosedEndOfAnEarlierHolder(t *testing.T) {
	for _, port := range []string{"40000", "4001"} {
		holder := containerSpec{name: "new", started: 10 * time.Second, networks: []string{"br0 172.17.0.107 172.17.0.1"}, listeners: []string{"0.0.0.0:4001"}}
		got := graphtest.Lines(buildAll(hostA(server("in 172.17.0.106:8080 172.17.0.107:"+port+" TIME_WAIT closed=30s"), holder)))
		if strings.Contains(got, "a/new") {
			t.Errorf("port %s: %s", port, got)
		}
	}
}
