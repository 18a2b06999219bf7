package correlate

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// round is one answer of each host. The times are in seconds after noon; a host without a document did not answer.
type round struct {
	a, b       *hostSpec
	atA, atB   int
	wantLinks  string
	wantsRound bool // some ends wait
}

// play checks the links after each round, and that they stay when the hosts answer the same again.
func play(t *testing.T, name string, rounds []round) {
	t.Helper()
	last := rounds[len(rounds)-1]
	for _, r := range slices.Backward(rounds) { // the last answer of each host again: nothing changes
		last.a, last.b = cmp.Or(last.a, r.a), cmp.Or(last.b, r.b)
	}
	for range 2 {
		last.atA, last.atB = last.atA+100, last.atA+101
		rounds = append(rounds, last)
	}
	tracker := new(Tracker)
	polled := []PolledHost{{Target: "a", State: graph.StatePending}, {Target: "b", State: graph.StatePending}}
	for i, r := range rounds {
		for j, answer := range []struct {
			spec *hostSpec
			at   int
		}{{r.a, r.atA}, {r.b, r.atB}} {
			if answer.spec == nil {
				continue
			}
			at := noon.Add(time.Duration(answer.at) * time.Second)
			p := &polled[j]
			p.Host, p.State, p.LastAnswer, p.PolledAt = NewHost(answer.spec.document(), netip.Addr{}, p.Host, at), graph.StateOK, at, at.Add(-100*time.Millisecond)
		}
		g := tracker.Build(polled, nil)
		if diff := gocmp.Diff(r.wantLinks, graphtest.Lines(g)); diff != "" {
			t.Errorf("%s, round %d (-want +got):\n%s", name, i+1, diff)
		}
		if tracker.Waiting() != r.wantsRound {
			t.Errorf("%s, round %d: waiting = %t", name, i+1, tracker.Waiting())
		}
	}
}

func TestEndWaitsForTheOtherHost(t *testing.T) {
	accepts := new(hostA(server("in 172.17.0.106:8080 10.77.0.12:37458")))
	dials := new(hostB(client("out 172.17.0.107:37458 10.77.0.11:18090")))
	idle, idleServer := new(hostB(client())), new(hostA(server()))
	closed := new(hostA(server("in 172.17.0.106:8080 10.77.0.12:37458 TIME_WAIT")))
	const both = "b/client > a/server:8080 published both 1\n"
	play(t, "the server's end is seen first", []round{
		{a: idleServer, b: idle, atA: 0, atB: 0},
		{a: accepts, atA: 10, wantsRound: true},
		{a: accepts, atA: 11, wantsRound: true},
		{b: dials, atB: 12, wantLinks: both},
	})
	play(t, "the server's end is seen first and closes", []round{
		{a: idleServer, b: idle, atA: 0, atB: 0},
		{a: accepts, atA: 10, wantsRound: true},
		{a: closed, atA: 20, b: new(hostB(client("out 172.17.0.107:37458 10.77.0.11:18090 CLOSE"))), atB: 21, wantLinks: "b/client > a/server:8080 published both 0+1\n"},
	})
	play(t, "nobody on the other host has it", []round{
		{a: idleServer, b: idle, atA: 0, atB: 0},
		{a: accepts, atA: 10, wantsRound: true},
		{b: idle, atB: 12, wantLinks: "b > a/server:8080 published server 1\n"},
	})
	play(t, "the other host does not answer any more", []round{
		{a: idleServer, b: idle, atA: 0, atB: 0},
		{a: accepts, atA: 10, wantsRound: true},
		{a: accepts, atA: 69, wantsRound: true},
		{a: accepts, atA: 71, wantLinks: "b > a/server:8080 published server 1\n"},
	})
	play(t, "the client's end is seen before the new published port", []round{
		{a: new(hostA()), b: idle, atA: 0, atB: 0},
		{b: dials, atB: 10, wantsRound: true},
		{a: accepts, atA: 12, wantLinks: both},
	})
	play(t, "the client's end is seen first, nobody is known to listen", []round{
		{a: new(hostA()), b: idle, atA: 0, atB: 0},
		{b: dials, atB: 10, wantsRound: true},
		{a: new(hostA()), atA: 12, wantLinks: "b/client > a:18090 host client 1\n"},
	})
	play(t, "a routed container on a host that was not read since", []round{
		{a: new(hostA(routedOn("web", "10.71.2.10", []string{"0.0.0.0:8080"}))), b: idle, atA: 0, atB: 0},
		{b: new(hostB(routedOn("app", "10.71.1.2", nil, "out 10.71.1.2:40000 10.71.2.10:8080"))), atB: 10, wantsRound: true},
		{a: new(hostA(routedOn("web", "10.71.2.10", []string{"0.0.0.0:8080"}, "in 10.71.2.10:8080 10.71.1.2:40000"))), atA: 12, wantLinks: "b/app > a/web:8080 direct both 1\n"},
	})
}

// A client or server is not external before each host was polled. A host that is not polled within a minute does not count.
func TestEndWaitsForFirstAnswers(t *testing.T) {
	accepts := new(hostA(server("in 172.17.0.106:8080 10.77.0.12:37458")))
	play(t, "the client's host", []round{
		{a: accepts, atA: 0, wantsRound: true},
		{b: new(hostB(client("out 172.17.0.107:37458 10.77.0.11:18090"))), atB: 5, wantLinks: "b/client > a/server:8080 published both 1\n"},
	})
	play(t, "the server's host", []round{
		{b: new(hostB(client("out 172.17.0.107:37458 10.77.0.11:18090"))), atB: 5, wantsRound: true},
		{a: accepts, atA: 6, wantLinks: "b/client > a/server:8080 published both 1\n"},
	})
	play(t, "a host that does not answer", []round{
		{a: accepts, atA: 0, wantsRound: true},
		{a: accepts, atA: 50, wantsRound: true},
		{a: accepts, atA: 70, wantLinks: "external 10.77.0.12 > a/server:8080 published server 1\n"},
	})
}

// A container's end that dialled from a listening port looks accepted until its other half is read.
func TestEndBetweenTwoListenersWaits(t *testing.T) {
	peer := func(name, addr string, connections ...string) *hostSpec {
		c := containerSpec{name: name, networks: []string{"ov " + addr}, listeners: []string{"0.0.0.0:4001"}, connections: connections}
		return new(map[string]func(...containerSpec) hostSpec{"n1": hostA, "n2": hostB}[name](c))
	}
	const dialled = "in 10.0.1.3:4001 10.0.1.2:4001"
	play(t, "the other half comes later", []round{
		{a: peer("n1", "10.0.1.2"), b: peer("n2", "10.0.1.3"), atA: 0, atB: 0},
		{b: peer("n2", "10.0.1.3", dialled), atB: 10, wantsRound: true},
		{a: peer("n1", "10.0.1.2", "in 10.0.1.2:4001 10.0.1.3:4001 accepted"), atA: 12, wantLinks: "b/n2 > a/n1:4001 direct both 1\n"},
	})
	play(t, "the other half does not come", []round{
		{a: peer("n1", "10.0.1.2"), b: peer("n2", "10.0.1.3"), atA: 0, atB: 0},
		{b: peer("n2", "10.0.1.3", dialled), atB: 10, wantsRound: true},
		{a: peer("n1", "10.0.1.2"), atA: 12, wantLinks: "a/n1 > b/n2:4001 direct server 1 direction unknown\n"},
	})
}

// docker-proxy and Docker Swarm's load balancer hide the client, which may be on any host.
func TestEndWaitsForAllHosts(t *testing.T) {
	proxied, idle := new(hostA(server("in 172.17.0.106:8080 172.17.0.1:500"))), new(hostB(client()))
	dials := new(hostB(client("out 172.17.0.107:1 10.77.0.11:18090")))
	play(t, "through docker-proxy", []round{
		{a: new(hostA(server())), b: idle, atA: 0, atB: 0},
		{a: proxied, atA: 10, wantsRound: true},
		{a: proxied, atA: 20, wantsRound: true},
		{b: dials, atB: 21, wantLinks: "b/client > a/server:8080 published client 1\n"},
	})
	play(t, "of nobody", []round{
		{a: new(hostA(server())), b: idle, atA: 0, atB: 0},
		{a: proxied, atA: 10, wantsRound: true},
		{a: proxied, b: idle, atA: 20, atB: 21, wantLinks: "unknown unknown behind a > a/server:8080 published server 1\n"},
	})
}

// The sockets of one host are not read at the same moment either.
func TestEndWaitsForItsOwnHost(t *testing.T) {
	proxied := server("in 172.17.0.106:8080 172.17.0.1:500")
	dials := client("out 172.17.0.107:1 172.17.0.1:18090")
	play(t, "the client was read too early", []round{
		{a: new(hostA(server(), client())), atA: 0},
		{a: new(hostA(proxied, client())), atA: 10, wantsRound: true},
		{a: new(hostA(proxied, dials)), atA: 20, wantLinks: "a/client > a/server:8080 published client 1\n"},
	})
	play(t, "a process of the host, or an external client", []round{
		{a: new(hostA(server(), client())), b: new(hostB()), atA: 0, atB: 0},
		{a: new(hostA(proxied, client())), atA: 10, wantsRound: true},
		{a: new(hostA(proxied, client())), b: new(hostB()), atA: 20, atB: 21, wantLinks: "unknown unknown behind a > a/server:8080 published server 1\n"},
	})
	agent := onHost("agent", []string{"127.0.0.1:9100"}, "in 127.0.0.1:9100 127.0.0.1:5")
	play(t, "over loopback", []round{
		{a: new(hostA(onHost("agent", []string{"127.0.0.1:9100"}))), atA: 0},
		{a: new(hostA(agent)), atA: 10, wantsRound: true},
		{a: new(hostA(agent, onHost("dialler", nil, "out 127.0.0.1:5 127.0.0.1:9100"))), atA: 20, wantLinks: "a/dialler > a/agent:9100 loopback both 1\n"},
	})
	play(t, "the first answer", []round{
		{a: new(hostA(proxied, client())), atA: 0, wantsRound: true},
		{b: new(hostB()), atB: 5, wantLinks: "unknown unknown behind a > a/server:8080 published server 1\n"},
	})
}

// While a target that was added later is not polled yet, external links stay.
func TestNewTargetHidesNoExternalLinks(t *testing.T) {
	a := func(at int) PolledHost {
		answered := noon.Add(time.Duration(at) * time.Second)
		return PolledHost{Target: "a", Host: NewHost(hostA(client("out 172.17.0.107:1 192.0.2.1:443")).document(), netip.Addr{}, nil, answered), State: graph.StateOK, LastAnswer: answered, PolledAt: answered, FirstAnswer: noon}
	}
	tracker := new(Tracker)
	for at := 0; at < 300; at += 10 {
		tracker.Build([]PolledHost{a(at)}, nil)
	}
	before := graphtest.Lines(tracker.Build([]PolledHost{a(300)}, nil))
	after := graphtest.Lines(tracker.Build([]PolledHost{a(310), {Target: "new", State: graph.StatePending}}, nil))
	if before != after {
		t.Errorf("before %q, with a pending target %q", before, after)
	}
}

// More ends wait than are remembered, and the host of their clients does not answer any more.
func TestManyEndsOfAStaleHost(t *testing.T) {
	const n = maxSeen + 1000
	web := containerSpec{name: "web", networks: []string{"ov 10.0.1.2"}, listeners: []string{"0.0.0.0:80"}}
	d := hostA(web).document()
	for i := range n {
		d.Containers[0].Connections = append(d.Containers[0].Connections, snapshotv1.Connection{
			Local: snapshotv1.Endpoint{Address: "10.0.1.2", Port: 80}, Remote: snapshotv1.Endpoint{Address: []string{"10.0.1.3", "10.0.1.4"}[i%2], Port: uint16(1000 + i/2)}, State: "ESTABLISHED", Direction: "in"})
	}
	b := PolledHost{Target: "b", Host: NewHost(hostB(containerSpec{name: "x", networks: []string{"ov 10.0.1.3"}}, containerSpec{name: "y", networks: []string{"ov 10.0.1.4"}}).document(), netip.Addr{}, nil, noon), State: graph.StateStale, LastAnswer: noon, PolledAt: noon}
	tracker, got := new(Tracker), 0
	for at := 10; at <= 300; at += 30 {
		answered := noon.Add(time.Duration(at) * time.Second)
		a := PolledHost{Target: "a", Host: NewHost(d, netip.Addr{}, nil, answered), State: graph.StateOK, LastAnswer: answered, PolledAt: answered}
		got = 0
		for _, l := range tracker.Build([]PolledHost{a, b}, nil).Links {
			got += l.Connections
		}
	}
	if got != n {
		t.Errorf("%d connections of %d after five minutes", got, n)
	}
}
