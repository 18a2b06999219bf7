package correlate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// host describes a host in a few words: its addresses, and containers.
type host struct {
	name       string
	addresses  string // separated by blanks
	containers []ctr
}

// ctr is a container. Each of its networks is "id address gateway", each listener "address:port" with the host's ends
// behind it, each connection "in|out local remote" and, if it is past, "TIME_WAIT".
type ctr struct {
	name     string
	mode     string // network mode
	networks []string
	listen   []string
	rows     []string
}

func (h host) document() snapshotv1.Snapshot {
	d := snapshotv1.Snapshot{Version: 1, Host: snapshotv1.Host{ID: "engine of " + h.name, Name: h.name, AllAddresses: h.addresses != ""}}
	for addr := range strings.FieldsSeq(h.addresses) {
		d.Host.Addresses = append(d.Host.Addresses, netip.MustParseAddr(addr))
	}
	for _, c := range h.containers {
		d.Containers = append(d.Containers, c.document(h.name))
	}
	return d
}

func (c ctr) document(host string) snapshotv1.Container {
	d := snapshotv1.Container{ID: "id-" + host + "-" + c.name, Name: "/" + c.name, Image: "it", NetworkMode: c.mode}
	for _, text := range c.networks {
		words := strings.Fields(text)
		n := snapshotv1.Network{ID: words[0], Name: words[0], Addresses: []netip.Addr{netip.MustParseAddr(words[1])}}
		if len(words) > 2 {
			n.Gateways = []netip.Addr{netip.MustParseAddr(words[2])}
		}
		d.Networks = append(d.Networks, n)
	}
	for _, text := range c.listen {
		words := strings.Fields(text)
		l := snapshotv1.Listener{Endpoint: end(words[0])}
		for _, published := range words[1:] {
			l.Published = append(l.Published, end(published))
		}
		d.Listening = append(d.Listening, l)
	}
	for _, text := range c.rows {
		words := strings.Fields(text)
		connection := snapshotv1.Connection{Direction: words[0], Local: end(words[1]), Remote: end(words[2]), State: "ESTABLISHED"}
		if len(words) > 3 {
			connection.State = words[3]
		}
		d.Connections = append(d.Connections, connection)
	}
	return d
}

func end(text string) snapshotv1.Endpoint {
	at := netip.MustParseAddrPort(text)
	return snapshotv1.Endpoint{Address: at.Addr().String(), Port: at.Port()}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func linked(hosts ...host) graph.Graph {
	var sources []Source
	for _, h := range hosts {
		sources = append(sources, Source{Target: h.name + ":9057", Host: NewHost(h.document(), netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon})
	}
	return Build(sources, nil)
}

// The server of LINKS: .106 on the bridge 172.17.0.1/16, published as 18090.
func server(rows ...string) ctr {
	return ctr{name: "server", networks: []string{"br0 172.17.0.106 172.17.0.1"}, listen: []string{"0.0.0.0:8080 0.0.0.0:18090"}, rows: rows}
}

func client(rows ...string) ctr {
	return ctr{name: "client", networks: []string{"br0 172.17.0.107 172.17.0.1"}, rows: rows}
}

func onHost(name string, listen []string, rows ...string) ctr {
	return ctr{name: name, mode: "host", listen: listen, rows: rows}
}

// a is a host whose bridges are those of LINKS, and b another one with the same.
func a(containers ...ctr) host {
	return host{name: "a", addresses: "10.77.0.11 172.17.0.1 172.18.0.1", containers: containers}
}

func b(containers ...ctr) host {
	return host{name: "b", addresses: "10.77.0.12 172.17.0.1 172.18.0.1", containers: containers}
}

func TestRules(t *testing.T) {
	for _, test := range []struct {
		name  string
		hosts []host
		want  string
	}{
		{"rule 1: remote is loopback", []host{a(
			ctr{name: "web", networks: []string{"br0 172.17.0.5 172.17.0.1"}, listen: []string{"127.0.0.1:80"}, rows: []string{
				"in 127.0.0.1:80 127.0.0.1:40000",
			}},
			ctr{name: "sidecar", mode: "container:id-a-web", rows: []string{"out 127.0.0.1:40000 127.0.0.1:80", "out 127.0.0.1:40001 127.0.0.1:80"}},
			ctr{name: "other", networks: []string{"br0 172.17.0.6 172.17.0.1"}, rows: []string{"out 127.0.0.1:40000 127.0.0.1:80"}},
		)}, "a/other > a/other:80 loopback client 1\na/sidecar > a/web:80 loopback both 2\n"},
		{"rule 1: the server's half alone", []host{a(
			ctr{name: "web", listen: []string{"127.0.0.1:80"}, rows: []string{"in 127.0.0.1:80 127.0.0.1:40000"}},
			onHost("agent", []string{"127.0.0.1:81"}, "in 127.0.0.1:81 127.0.0.1:40000"),
		)}, "a > a/agent:81 loopback server 1\na/web > a/web:80 loopback server 1\n"},
		{"rule 1: the engine's resolver is the host's", []host{a(
			ctr{name: "web", listen: []string{"127.0.0.11:34567"}, rows: []string{
				"out 127.0.0.1:40000 127.0.0.11:53", "in 127.0.0.11:34567 127.0.0.1:40000",
			}},
		)}, "a/web > a:53 host client 1\n"},
		{"rule 2: a container of the same host", []host{a(
			server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/server:8080 direct both 1\n"},
		{"rule 2: nobody listens there any more", []host{a(
			ctr{name: "server", networks: []string{"br0 172.17.0.106"}}, client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/server:8080 direct client 1\n"},
		{"rule 2: the listener is of a container that joined", []host{a(
			ctr{name: "joined", mode: "container:id-a-pod", listen: []string{"0.0.0.0:8080"}},
			ctr{name: "pod", networks: []string{"br0 172.17.0.106"}}, client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/joined:8080 direct client 1\n"},
		{"rule 2: which of two listens is not known", []host{a(
			ctr{name: "joined", mode: "container:id-a-pod", listen: []string{"0.0.0.0:8080"}},
			ctr{name: "pod", networks: []string{"br0 172.17.0.106"}, listen: []string{"0.0.0.0:8080"}},
			client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > ambiguous joined or pod:8080 direct client 1\n"},
		{"rule 3: an overlay network, on whichever host", []host{
			a(ctr{name: "client", networks: []string{"ov 10.0.1.2"}, rows: []string{"out 10.0.1.2:40000 10.0.1.3:80"}}),
			b(ctr{name: "server", networks: []string{"ov 10.0.1.3"}, listen: []string{"0.0.0.0:80"}, rows: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
			{name: "c", addresses: "10.77.0.13", containers: []ctr{{name: "server", networks: []string{"ov2 10.0.1.3"}, listen: []string{"0.0.0.0:80"}}}},
		}, "a/client > b/server:80 direct both 1\n"},
		{"rule 3: the server's half alone", []host{
			a(ctr{name: "client", networks: []string{"ov 10.0.1.2"}}),
			b(ctr{name: "server", networks: []string{"ov 10.0.1.3"}, listen: []string{"0.0.0.0:80"}, rows: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
		}, "a/client > b/server:80 direct server 1\n"},
		{"rule 3: a service's virtual address", []host{
			a(ctr{name: "client", networks: []string{"ov 10.0.1.2"}, rows: []string{"out 10.0.1.2:40000 10.0.1.100:80"}}),
			b(ctr{name: "server", networks: []string{"ov 10.0.1.3"}, listen: []string{"0.0.0.0:80"}, rows: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
		}, "a/client > b/server:80 direct both 1\n"},
		{"rule 3: a service's virtual address, and the server on the same host", []host{a(
			ctr{name: "client", networks: []string{"ov 10.0.1.2"}, rows: []string{"out 10.0.1.2:40000 10.0.1.100:80"}},
			ctr{name: "server", networks: []string{"ov 10.0.1.3"}, listen: []string{"0.0.0.0:80"}, rows: []string{"in 10.0.1.3:80 10.0.1.2:40000"}},
		)}, "a/client > a/server:80 direct both 1\n"},
		{"rule 3: an overlay network's address that a bridge of the client's host has too", []host{
			a(ctr{name: "client", networks: []string{"ov 10.0.1.2"}, rows: []string{"out 10.0.1.2:40000 10.0.1.3:80"}},
				ctr{name: "local", networks: []string{"br9 10.0.1.3 10.0.1.1"}, listen: []string{"0.0.0.0:80"}}),
			b(ctr{name: "server", networks: []string{"ov 10.0.1.3"}, listen: []string{"0.0.0.0:80"}, rows: []string{"in 10.0.1.3:80 10.0.1.2:40000"}}),
		}, "a/client > b/server:80 direct both 1\n"},
		{"rule 2: another network of the same host", []host{a(
			server("in 172.17.0.106:8080 172.18.0.5:43614"),
			ctr{name: "client", networks: []string{"br1 172.18.0.5 172.18.0.1"}, rows: []string{"out 172.18.0.5:43614 172.17.0.106:8080"}},
		)}, "a/client > a/server:8080 direct both 1\n"},
		{"rule 4: a published port", []host{a(
			server(), client("out 172.17.0.107:44298 172.17.0.1:18090", "out 172.17.0.107:44299 10.77.0.11:18090"),
		)}, "a/client > a/server:8080 published client 2\n"},
		{"rule 4: published at another address of the host", []host{a(
			ctr{name: "server", networks: []string{"br0 172.17.0.106 172.17.0.1"}, listen: []string{"0.0.0.0:8080 127.0.0.1:18090"}},
			client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a/client > a:18090 host client 1\n"},
		{"rule 4: a container on the host's network", []host{a(
			onHost("agent", []string{"[::]:9000"}, "in 172.17.0.1:9000 172.17.0.107:40000"),
			client("out 172.17.0.107:40000 172.17.0.1:9000"),
		)}, "a/client > a/agent:9000 host both 1\n"},
		{"rule 4: the host's own process", []host{a(
			client("out 172.17.0.107:40000 10.77.0.11:22"),
		)}, "a/client > a:22 host client 1\n"},
		{"rule 4: a gateway where the host's addresses are not known", []host{{name: "a", containers: []ctr{
			server(), client("out 172.17.0.107:44298 172.17.0.1:18090"),
		}}}, "a/client > a/server:8080 published client 1\n"},
		{"rule 5: another host's published port", []host{
			a(client("out 172.17.0.107:37458 10.77.0.12:18090")), b(server("in 172.17.0.106:8080 10.77.0.11:37458")),
		}, "a/client > b/server:8080 published both 1\n"},
		{"rule 5: another host's container on its network, and its own process", []host{
			a(client("out 172.17.0.107:37458 10.77.0.12:9000", "out 172.17.0.107:37459 10.77.0.12:22")),
			b(onHost("agent", []string{"0.0.0.0:9000"}, "in 10.77.0.12:9000 10.77.0.11:37458")),
		}, "a/client > b/agent:9000 host both 1\na/client > b:22 host client 1\n"},
		{"rule 5: an address that several hosts have", []host{
			{name: "a", addresses: "10.0.0.1", containers: []ctr{client("out 172.17.0.107:40000 192.168.0.9:80")}},
			{name: "b", addresses: "10.0.0.2 192.168.0.9", containers: []ctr{{name: "x", listen: []string{"0.0.0.0:8080 0.0.0.0:80"}}}},
			{name: "c", addresses: "10.0.0.3 192.168.0.9", containers: []ctr{{name: "x", listen: []string{"0.0.0.0:8080 0.0.0.0:80"}}}},
		}, "a/client > ambiguous 192.168.0.9:80 host client 1\n"},
		{"rule 5: of several hosts with the address the other half tells which", []host{
			{name: "a", addresses: "10.0.0.1", containers: []ctr{client("out 172.17.0.107:40000 192.168.0.9:80")}},
			{name: "b", addresses: "10.0.0.2 192.168.0.9", containers: []ctr{{name: "x", listen: []string{"0.0.0.0:8080 0.0.0.0:80"}}}},
			{name: "c", addresses: "10.0.0.3 192.168.0.9", containers: []ctr{{
				name: "x", listen: []string{"0.0.0.0:8080 0.0.0.0:80"}, rows: []string{"in 172.17.0.2:8080 10.0.0.1:40000"},
			}}},
		}, "a/client > c/x:8080 published both 1\n"},
		{"rule 6: a routable address", []host{
			a(ctr{name: "client", networks: []string{"br0 172.17.0.107 172.17.0.1", "br6 2001:db8::7 2001:db8::1"}, rows: []string{
				"out 172.17.0.107:40000 10.77.0.50:80", "out [2001:db8::7]:40000 [2001:db8:1::5]:80",
			}}),
			b(ctr{name: "lan", networks: []string{"mv 10.77.0.50 10.77.0.1"}, listen: []string{"0.0.0.0:80"}, rows: []string{
				"in 10.77.0.50:80 10.77.0.11:40000",
			}}, ctr{name: "six", networks: []string{"br6 2001:db8:1::5 2001:db8:1::1"}, listen: []string{"[::]:80"}, rows: []string{
				"in [2001:db8:1::5]:80 [2001:db8::7]:40000",
			}}),
		}, "a/client > b/lan:80 direct both 1\na/client > b/six:80 direct both 1\n"},
		{"rule 6: not where the host's addresses are not known", []host{
			a(client("out 172.17.0.107:40000 172.30.0.5:80")),
			{name: "b", containers: []ctr{{name: "x", networks: []string{"br1 172.30.0.5 172.30.0.1"}, listen: []string{"0.0.0.0:80"}}}},
		}, "a/client > external 172.30.0.5:80 direct client 1\n"},
		{"rule 6: an address that two have", []host{
			a(client("out 172.17.0.107:40000 10.77.0.50:80")),
			b(ctr{name: "x", networks: []string{"mv 10.77.0.50 10.77.0.1"}}),
			{name: "c", addresses: "10.77.0.13", containers: []ctr{{name: "x", networks: []string{"mv2 10.77.0.50 10.77.0.1"}}}},
		}, "a/client > ambiguous 10.77.0.50:80 direct client 1\n"},
		{"rule 7: an external address", []host{a(
			client("out 172.17.0.107:40000 192.0.2.7:443", "out 172.17.0.107:40001 192.0.2.7:443 TIME_WAIT"),
		)}, "a/client > external 192.0.2.7:443 direct client 1+1\n"},
		{"server side: an external client", []host{a(
			server("in 172.17.0.106:8080 192.0.2.7:1234"), onHost("agent", []string{"0.0.0.0:9000"}, "in 10.77.0.11:9000 192.0.2.7:1234"),
		)}, "external 192.0.2.7 > a/agent:9000 host server 1\nexternal 192.0.2.7 > a/server:8080 published server 1\n"},
		{"server side: a container whose half was not seen", []host{a(
			server("in 172.17.0.106:8080 172.17.0.107:43614 TIME_WAIT"), client(),
		)}, "a/client > a/server:8080 direct server 0+1\n"},
		{"server side: a port that masquerading changed is no second link", []host{
			a(client("out 172.17.0.107:37458 10.77.0.12:18090")), b(server("in 172.17.0.106:8080 10.77.0.11:1024")),
		}, "a/client > b/server:8080 published client 1\n"},
		{"overlapping bridge addresses never mix", []host{
			a(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080")),
			b(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080", "out 172.17.0.107:43615 172.17.0.106:8080")),
		}, "a/client > a/server:8080 direct both 1\nb/client > b/server:8080 direct both 2\n"},
		{"a network without masquerading", []host{
			a(client("out 172.17.0.107:37458 10.77.0.12:18090")), b(ctr{
				name: "server", networks: []string{"br7 172.27.0.106 172.27.0.1"}, listen: []string{"0.0.0.0:8080 0.0.0.0:18090"},
				rows: []string{"in 172.27.0.106:8080 172.17.0.107:37458"},
			}),
		}, "a/client > b/server:8080 published both 1\n"},
		{"a bridge's gateway means its own host alone", []host{
			a(client("out 172.17.0.107:43614 172.17.0.1:18090")), b(server()),
		}, "a/client > a:18090 host client 1\n"},
		{"one socket that two containers hold", []host{a(
			onHost("master", nil, "out 10.77.0.11:40000 192.0.2.7:443"), onHost("worker", nil, "out 10.77.0.11:40000 192.0.2.7:443"),
		)}, "ambiguous master or worker > external 192.0.2.7:443 direct client 1\n"},
		{"a daemon that does not tell which end is the client's", []host{
			{name: "a", addresses: "10.77.0.11", containers: []ctr{
				{name: "old", listen: []string{"0.0.0.0:9092 10.77.0.11:9092"}}, {name: "both"},
			}},
			b(client("out 172.17.0.107:40000 10.77.0.11:9092")),
		}, "b/client > a/old:9092 published client 1\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, graphtest.Lines(linked(test.hosts...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A container that was removed a moment ago still is the one that had its address.
func TestEnded(t *testing.T) {
	before := NewHost(a(server(), client("out 172.17.0.107:1 172.17.0.106:8080")).document(), netip.Addr{}, nil, noon)
	rest := a(server("in 172.17.0.106:8080 172.17.0.107:1", "in 172.17.0.106:8080 172.17.0.108:1")).document()
	const known = "a/client > a/server:8080 direct server 1\nexternal 172.17.0.108 > a/server:8080 published server 1\n"
	for _, test := range []struct {
		after time.Duration
		want  string
	}{{time.Minute, known}, {addrGrace, known}, {addrGrace + time.Second, strings.ReplaceAll(known, "a/client > a/server:8080 direct", "external 172.17.0.107 > a/server:8080 published")}} {
		host := NewHost(rest, netip.Addr{}, NewHost(a(server()).document(), netip.Addr{}, before, noon.Add(time.Second)), noon.Add(test.after))
		g := Build([]Source{{Target: "a", Host: host, State: graph.StateOK, LastAnswer: noon}}, nil)
		if diff := cmp.Diff(test.want, graphtest.Lines(g)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", test.after, diff)
		}
		for _, n := range g.Nodes {
			if n.Past != (n.Name == "client") {
				t.Errorf("after %s: %+v", test.after, n)
			}
		}
	}
	// Whoever has the address now has it.
	host := NewHost(a(server("in 172.17.0.106:8080 172.17.0.107:1"), ctr{name: "new", networks: []string{"br0 172.17.0.107"}}).document(), netip.Addr{}, before, noon)
	if got := graphtest.Lines(Build([]Source{{Target: "a", Host: host, State: graph.StateOK}}, nil)); got != "a/new > a/server:8080 direct server 1\n" {
		t.Error(got)
	}
	// Without links it is not on the map.
	host = NewHost(a(server()).document(), netip.Addr{}, before, noon)
	if g := Build([]Source{{Target: "a", Host: host, State: graph.StateOK}}, nil); len(g.Nodes) != 1 {
		t.Errorf("%+v", g.Nodes)
	}
}

func TestSupersedes(t *testing.T) {
	link := linked(a(server("in 172.17.0.106:8080 10.77.0.12:1"))).Links[0]
	if !linked(a(server()), b()).Supersedes(link) || linked(a(server())).Supersedes(link) {
		t.Error("an address is external until its host is polled")
	}
}

// Of two targets for one host the one that answers counts.
func TestDuplicates(t *testing.T) {
	since := func(s Source, at time.Time) Source {
		s.FirstAnswer = at
		return s
	}
	source := func(target string, state graph.State, seen time.Time, id string) Source {
		d := a(server()).document()
		d.Host.ID = id
		d.Containers[0].ID = strings.Repeat("5", 64)
		return Source{Target: target, Host: NewHost(d, netip.Addr{}, nil, noon), State: state, LastAnswer: seen}
	}
	for _, test := range []struct {
		sources []Source
		want    string
	}{
		{[]Source{source("1", graph.StateStale, noon, "x"), source("2", graph.StateOK, noon, "x")}, "map[1:2]"},
		{[]Source{source("1", graph.StateOK, noon, "x"), source("2", graph.StateOK, noon.Add(time.Second), "x")}, "map[1:2]"},
		{[]Source{source("1", graph.StateOK, noon, "x"), source("2", graph.StateOK, noon, "x")}, "map[2:1]"},
		{[]Source{source("1", graph.StateOK, noon, ""), source("2", graph.StateOK, noon, "")}, "map[2:1]"}, // where the engine's ID is not told
		{[]Source{source("1", graph.StateOK, noon, "x"), source("2", graph.StateOK, noon, "y")}, "map[]"},
		// Who says later to be that host is not, however often it answers, until the other one does not answer.
		{[]Source{since(source("1", graph.StateOK, noon.Add(time.Second), "x"), noon.Add(-time.Minute)), since(source("2", graph.StateOK, noon, "x"), noon.Add(-time.Hour))}, "map[1:2]"},
		{[]Source{since(source("1", graph.StateOK, noon, "x"), noon.Add(-time.Minute)), since(source("2", graph.StateStale, noon, "x"), noon.Add(-time.Hour))}, "map[2:1]"},
	} {
		if got := fmt.Sprint(duplicates(test.sources)); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

// However many containers share a socket, the candidates of one are bounded, and so is the time that it takes.
func TestManyShareASocket(t *testing.T) {
	h := host{name: "a", addresses: "10.77.0.11"}
	for i := range 10_000 {
		h.containers = append(h.containers, onHost(fmt.Sprint("c", i), []string{"0.0.0.0:80"}, "in 10.77.0.11:80 192.0.2.1:1"))
	}
	g := linked(h)
	for _, n := range g.Nodes {
		if len(n.Candidates) > maxCandidates {
			t.Errorf("%d candidates", len(n.Candidates))
		}
	}
	if len(g.Links) != 1 {
		t.Errorf("%d links", len(g.Links))
	}
}

func TestSwarmService(t *testing.T) {
	for name, want := range map[string]string{
		"/shop_web.1.p9bqzkvcxm0ykmfq3mhjxfa1s":                          "shop_web",
		"/shop_node.al8wqloxc2hpgetyfnnha5n0r.9vnn8zo3bxizkortbuyx2t0bz": "shop_node",
		"/shop-web-1": "", "/a.1.b": "",
	} {
		if got := swarmService(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Each row of the table "What each way looks like".
func TestWays(t *testing.T) {
	for _, test := range []struct {
		name  string
		hosts []host
		want  string
	}{
		{"same bridge → container address", []host{a(
			server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080"),
		)}, "a/client > a/server:8080 direct both 1\n"},
		{"same bridge → gateway", []host{a(
			server("in 172.17.0.106:8080 172.17.0.1:49380"), client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a/client > a/server:8080 published client 1\n"},
		{"other bridge → published port", []host{a(
			server("in 172.17.0.106:8080 172.17.0.1:36444"),
			ctr{name: "client", networks: []string{"br1 172.18.0.2 172.18.0.1"}, rows: []string{"out 172.18.0.2:43814 172.18.0.1:18090"}},
		)}, "a/client > a/server:8080 published client 1\n"},
		{"server → its own published port", []host{a(
			server("in 172.17.0.106:8080 172.17.0.1:48092", "out 172.17.0.106:38126 172.17.0.1:18090"),
		)}, "a/server > a/server:8080 published client 1\n"},
		{"host process → 127.0.0.1", []host{a(server("in 172.17.0.106:8080 172.17.0.1:50000"))}, "a > a/server:8080 published server 1\n"},
		{"host process → host address", []host{a(server("in 172.17.0.106:8080 10.77.0.11:50000"))}, "a > a/server:8080 published server 1\n"},
		{"another host's container → host address", []host{
			a(server("in 172.17.0.106:8080 10.77.0.12:37458")),
			b(ctr{name: "client", networks: []string{"br0 172.17.0.2 172.17.0.1"}, rows: []string{"out 172.17.0.2:37458 10.77.0.11:18090"}}),
		}, "b/client > a/server:8080 published both 1\n"},
		{"another host's process → host address", []host{a(server("in 172.17.0.106:8080 10.77.0.12:37458")), b()}, "b > a/server:8080 published server 1\n"},
		{"the process of a host that is not polled → host address", []host{a(server("in 172.17.0.106:8080 10.77.0.12:37458"))}, "external 10.77.0.12 > a/server:8080 published server 1\n"},
		{"containers and the host by the same proxy", []host{a(
			server("in 172.17.0.106:8080 172.17.0.1:49380", "in 172.17.0.106:8080 172.17.0.1:49381", "in 172.17.0.106:8080 172.17.0.1:49382 TIME_WAIT"),
			client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a > a/server:8080 published server 1\na/client > a/server:8080 published client 1\n"},
		{"a container on the host's network → 127.0.0.1", []host{a(
			server("in 172.17.0.106:8080 172.17.0.1:49380"), onHost("agent", nil, "out 127.0.0.1:40000 127.0.0.1:18090"),
		)}, "a/agent > a/server:8080 published client 1\n"},
		{"a container on the host's network → host address", []host{a(
			server("in 172.17.0.106:8080 10.77.0.11:40000"), onHost("agent", nil, "out 10.77.0.11:40000 10.77.0.11:18090"),
		)}, "a/agent > a/server:8080 published both 1\n"},
		{"without a proxy, same bridge → host address", []host{a(
			server("in 172.17.0.106:8080 172.17.0.107:44298"), client("out 172.17.0.107:44298 10.77.0.11:18090"),
		)}, "a/client > a/server:8080 published both 1\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, graphtest.Lines(linked(test.hosts...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
