package correlate

import (
	"math"
	"net/netip"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// counting returns a host that counts the connections of its containers.
func counting(h hostSpec) hostSpec {
	h.counting = snapshotv1.CountAll
	return h
}

// A flow leads to the server to which a connection would lead.
func TestFlowsLeadToServers(t *testing.T) {
	const figures = " opened=9 recent=2 sent=10 received=20"
	counted := func(line string) string { return line + " opened 9 failed 0 refused 0 sent 10 received 20\n" }
	fromServer := func(line string) string { return line + " opened 9 failed 0 refused 0 sent 20 received 10\n" }
	testLinks(t, []linkTest{
		{"a container of the same host", []hostSpec{hostA(server(), client("counts out 172.17.0.107 172.17.0.106 8080"+figures))}, counted("a/client > a/server:8080 direct client 0+2")},
		{"a published port", []hostSpec{hostA(server(), client("counts out 172.17.0.107 172.17.0.1 18090"+figures))}, counted("a/client > a/server:8080 published client 0+2")},
		{"itself", []hostSpec{hostA(server("counts out 127.0.0.1 127.0.0.1 8080" + figures))}, counted("a/server > a/server:8080 loopback client 0+2")},
		{"beside connections", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), client("out 172.17.0.107:1 172.17.0.106:8080", "counts out 172.17.0.107 172.17.0.106 8080"+figures))},
			counted("a/client > a/server:8080 direct both 1+2")},
		{"without recent connections", []hostSpec{hostA(server(), client("counts out 172.17.0.107 172.17.0.106 8080 opened=9"))}, ""},
		{"without recent connections, beside one", []hostSpec{hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), client("counts out 172.17.0.107 172.17.0.106 8080 opened=9 sent=10 received=20"))},
			counted("a/client > a/server:8080 direct both 1")},
		{"from two addresses", []hostSpec{hostA(server(), client("counts out 172.17.0.107 172.17.0.106 8080 opened=4 recent=1 sent=3 received=5", "counts out 172.17.0.108 172.17.0.106 8080 opened=5 recent=1 sent=7 received=15"))},
			counted("a/client > a/server:8080 direct client 0+2")},
		{"refused dials", []hostSpec{hostA(server(), client("counts out 172.17.0.107 172.17.0.106 81 refused=3 unanswered=2 failing=1"))},
			"a/client > a/server:81 direct client 0 1 unanswered opened 0 failed 5 refused 3 sent 0 received 0\n"},
		{"an external address", []hostSpec{hostA(client("counts out 172.17.0.107 192.0.2.9 443" + figures))}, counted("a/client > external 192.0.2.9:443 direct client 0+2")},
		{"from an external address", []hostSpec{hostA(server("counts in 172.17.0.106 192.0.2.9 8080" + figures))}, fromServer("external 192.0.2.9 > a/server:8080 published server 0+2")},
		{"from an external address through docker-proxy", []hostSpec{readA([]string{"counts in 10.77.0.11 192.0.2.9 18090" + figures}, server())}, fromServer("external 192.0.2.9 > a/server:8080 published server 0+2")},
		{"from an address of the host", []hostSpec{hostA(server("counts in 172.17.0.106 172.17.0.1 8080" + figures))}, ""},
		{"a process of the host", []hostSpec{readA([]string{"counts out 127.0.0.1 127.0.0.1 18090" + figures}, server())}, counted("a > a/server:8080 published client 0+2")},
		{"a process of the host or of a container", []hostSpec{readA([]string{"counts out 127.0.0.1 127.0.0.1 18090 unknown" + figures}, server(), onHost("agent", nil))},
			counted("ambiguous a or agent > a/server:8080 published client 0+2")},
		{"docker-proxy to its container", []hostSpec{readA([]string{"counts out 172.17.0.1 172.17.0.106 8080" + figures}, server())}, ""},
		{"a process of the host to an unpublished port", []hostSpec{readA([]string{"counts out 172.17.0.1 172.17.0.107 81" + figures}, client())}, counted("a > a/client:81 direct client 0+2")},
		{"a process of the host to another machine", []hostSpec{readA([]string{"counts out 10.77.0.11 192.0.2.9 443" + figures}, client())}, ""},
		{"a container on the host's network", []hostSpec{hostA(onHost("agent", []string{"0.0.0.0:9100"}, "counts in 10.77.0.11 192.0.2.9 9100"+figures))}, fromServer("external 192.0.2.9 > a/agent:9100 host server 0+2")},
		{"several possible servers", []hostSpec{hostA(shared("x", "0.0.0.0:80"), shared("y", "0.0.0.0:80"), client("counts out 172.17.0.107 172.17.0.105 80"+figures))},
			counted("a/client > ambiguous x or y:80 direct client 0+2")},
		{"Docker's DNS server", []hostSpec{hostA(client("counts out 127.0.0.1 127.0.0.11 53" + figures))}, counted("a/client > a:53 resolver client 0+2")},
	})
}

// shared is a container in one network namespace with others of the kind.
func shared(name string, listeners ...string) containerSpec {
	return containerSpec{name: name, namespace: "shared", networks: []string{"br0 172.17.0.105 172.17.0.1"}, listeners: listeners}
}

// Between hosts the client's host counts if it can, and else the server's if the source shows the client.
func TestFlowsBetweenHosts(t *testing.T) {
	overlay := func(name, addr string, flows ...string) containerSpec {
		return containerSpec{name: name, networks: []string{"mesh " + addr}, listeners: []string{"0.0.0.0:80"}, connections: flows}
	}
	const dials, accepts = "counts out 10.0.0.3 10.0.0.2 80 opened=9 recent=2 sent=10 received=20", "counts in 10.0.0.2 10.0.0.3 80 opened=9 recent=2 sent=20 received=10"
	const line = "b/job > a/web:80 direct client 0+2 opened 9 failed 0 refused 0 sent 10 received 20\n"
	testLinks(t, []linkTest{
		{"a published port of another host", []hostSpec{hostA(server()), hostB(client("counts out 172.17.0.107 10.77.0.11 18090 opened=9 recent=2 sent=10 received=20"))},
			"b/client > a/server:8080 published client 0+2 opened 9 failed 0 refused 0 sent 10 received 20\n"},
		{"counted by both", []hostSpec{counting(hostA(overlay("web", "10.0.0.2", accepts))), counting(hostB(overlay("job", "10.0.0.3", dials)))}, line},
		{"counted by the server's host", []hostSpec{counting(hostA(overlay("web", "10.0.0.2", accepts))), hostB(overlay("job", "10.0.0.3"))},
			"b/job > a/web:80 direct server 0+2 opened 9 failed 0 refused 0 sent 10 received 20\n"},
		{"counted by the client's host", []hostSpec{hostA(overlay("web", "10.0.0.2")), counting(hostB(overlay("job", "10.0.0.3", dials)))}, line},
		{"from the address of another host", []hostSpec{counting(hostA(server("counts in 172.17.0.106 10.77.0.12 8080 opened=9 recent=2"))), hostB(client())}, ""},
	})
}

// The links of a local phase are the same however often a graph is built.
func TestFlowsLeaveHostsUnchanged(t *testing.T) {
	host := NewHost(hostA(server("counts in 172.17.0.106 192.0.2.9 8080 opened=9 recent=2"), client("counts out 172.17.0.107 172.17.0.106 8080 opened=9 recent=2")).document(), netip.Addr{}, nil, noon)
	build := func() string {
		return graphtest.Lines(Build([]PolledHost{{Target: "a", Host: host, State: graph.StateOK, LastAnswer: noon}}, nil))
	}
	if first, second := build(), build(); first != second || first == "" {
		t.Errorf("%s\nthen\n%s", first, second)
	}
}

// A document may have any numbers. An invalid flow is dropped and counted.
func TestInvalidFlows(t *testing.T) {
	valid := snapshotv1.Flow{Direction: "out", LocalAddress: netip.MustParseAddr("172.17.0.107"), RemoteAddress: netip.MustParseAddr("172.17.0.106"), Port: 8080, Opened: 1, Recent: 1}
	with := func(change func(f *snapshotv1.Flow)) snapshotv1.Flow { f := valid; change(&f); return f }
	d := hostA(server(), client()).document()
	d.Containers[1].Flows = []snapshotv1.Flow{
		valid,
		with(func(f *snapshotv1.Flow) { f.Direction = "up" }), with(func(f *snapshotv1.Flow) { f.Port = 0 }), with(func(f *snapshotv1.Flow) { f.LocalAddress = netip.Addr{} }),
		with(func(f *snapshotv1.Flow) { f.RemoteAddress = netip.Addr{} }), with(func(f *snapshotv1.Flow) { f.Recent = -1 }), with(func(f *snapshotv1.Flow) { f.RecentFailed = -1 }),
		with(func(f *snapshotv1.Flow) { f.RTTMicroseconds = -1 }), with(func(f *snapshotv1.Flow) { f.MinRTTMicroseconds = -1 }),
		with(func(f *snapshotv1.Flow) { f.Refused, f.Unanswered = math.MaxUint64, 1 }),
	}
	g := Build([]PolledHost{{Target: "a", Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon}}, nil)
	if got, want := graphtest.Lines(g), "a/client > a/server:8080 direct client 0+1 opened 1 failed 0 refused 0 sent 0 received 0\n"; got != want || g.Targets[0].Unattributed != 9 {
		t.Errorf("%s, %d invalid", got, g.Targets[0].Unattributed)
	}
	d.Containers[1].Flows = []snapshotv1.Flow{
		with(func(f *snapshotv1.Flow) { f.Recent, f.RecentFailed = math.MaxInt, math.MaxInt }), with(func(f *snapshotv1.Flow) { f.Recent, f.RecentFailed = math.MaxInt, math.MaxInt }),
	}
	g = Build([]PolledHost{{Target: "a", Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon}}, nil)
	if l := g.Links[0]; l.Closed <= 0 || l.Attempts <= 0 {
		t.Errorf("%+v", l)
	}
}
