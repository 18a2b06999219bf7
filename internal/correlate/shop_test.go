package correlate

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/google/go-cmp/cmp"
)

// shop is two hosts: on a, web calls db and another web calls an address outside; on b, a worker calls the db of a.
func shop() graph.Graph {
	compose := func(d snapshotv1.Snapshot, services map[string]string) snapshotv1.Snapshot {
		for i, c := range d.Containers {
			if service := services[strings.TrimPrefix(c.Name, "/")]; service != "" {
				d.Containers[i].Project, d.Containers[i].Service = "shop", service
				d.Containers[i].Image = service + ":1"
			}
		}
		return d
	}
	one := compose(a(
		ctr{name: "web-1", networks: []string{"br0 172.17.0.2 172.17.0.1"}, listen: []string{"0.0.0.0:80 0.0.0.0:80"}, rows: []string{
			"out 172.17.0.2:40000 172.17.0.4:5432", "in 172.17.0.2:80 192.0.2.7:50000", "in 172.17.0.2:80 192.0.2.8:50000",
		}},
		ctr{name: "web-2", networks: []string{"br0 172.17.0.3 172.17.0.1"}, rows: []string{"out 172.17.0.3:40000 172.17.0.4:5432", "out 172.17.0.3:40001 198.51.100.9:443"}},
		ctr{name: "db", networks: []string{"br0 172.17.0.4 172.17.0.1"}, listen: []string{"0.0.0.0:5432 0.0.0.0:5432"}, rows: []string{
			"in 172.17.0.4:5432 172.17.0.2:40000", "in 172.17.0.4:5432 172.17.0.3:40000", "in 172.17.0.4:5432 10.77.0.12:40000",
		}},
	).document(), map[string]string{"web-1": "web", "web-2": "web", "db": "db"})
	two := b(ctr{name: "worker", networks: []string{"br0 172.17.0.2 172.17.0.1"}, rows: []string{"out 172.17.0.2:40000 10.77.0.11:5432"}}).document()
	names, err := graph.ReadNames(strings.NewReader("198.51.100.0/24 payments\n"))
	if err != nil {
		panic(err)
	}
	return Build([]Source{
		{Target: "a", Host: NewHost(one, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon},
		{Target: "b", Host: NewHost(two, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon.Add(-time.Hour)},
	}, names)
}

// Equal input gives equal output, in whichever order it comes.
func TestEqualInputGivesEqualOutput(t *testing.T) {
	var outputs []string
	for range 10 {
		var text bytes.Buffer
		for _, write := range []func() error{
			func() error { return graph.WriteJSON(&text, shop()) },
			func() error { return graph.WriteDOT(&text, shop()) },
			func() error { return graph.WriteMermaid(&text, shop()) },
			func() error { return graph.WriteCSV(&text, shop()) },
		} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
		outputs = append(outputs, text.String())
	}
	if len(slices.Compact(outputs)) != 1 {
		t.Error("they differ")
	}
	g := shop()
	if !slices.IsSortedFunc(g.Nodes, graph.CompareNodes) || !slices.IsSortedFunc(g.Links, func(a, b graph.Link) int { return a.Compare(&b) }) {
		t.Error("nodes or links are not in order")
	}
}

// The tests of package graph look at this graph.
func TestShopIsTheFixtureOfPackageGraph(t *testing.T) {
	want, err := os.ReadFile("../graph/testdata/shop.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(shop(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMeasured(t *testing.T) {
	d := a(server("in 172.17.0.106:8080 172.17.0.107:1", "in 172.17.0.106:8080 172.17.0.107:2", "in 172.17.0.106:8080 192.0.2.1:3"),
		client("out 172.17.0.107:1 172.17.0.106:8080", "out 172.17.0.107:2 172.17.0.106:8080")).document()
	measure := func(container, connection int, rtt int64, sent, received uint64) {
		d.Containers[container].Connections[connection].Measured = &snapshotv1.TCPInfo{RTTMicroseconds: rtt, BytesSent: sent, BytesReceived: received}
	}
	measure(1, 0, 100, 10, 20) // both ends of the first connection, the client's counts
	measure(0, 0, 900, 99, 99)
	measure(0, 1, 300, 2, 1) // the server's end alone of the second
	measure(0, 2, 50, 7, 8)
	g := Build([]Source{{Target: "a", Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon}}, nil)
	got := make(map[string]graph.Measured)
	for _, l := range g.Links {
		got[l.Client] = *l.Measured
	}
	want := map[string]graph.Measured{
		"container/engine of a/id-a-client": {RTTMicroseconds: 200, BytesSent: 11, BytesReceived: 22},
		"external/192.0.2.1":                {RTTMicroseconds: 50, BytesSent: 8, BytesReceived: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
