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

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// shop returns the graph of two hosts. On host a, two containers of service web call db; one of them also calls an external
// address. On host b, worker calls db.
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
	one := compose(hostA(
		containerSpec{name: "web-1", networks: []string{"br0 172.17.0.2 172.17.0.1"}, listeners: []string{"0.0.0.0:80 0.0.0.0:80"}, connections: []string{
			"out 172.17.0.2:40000 172.17.0.4:5432", "in 172.17.0.2:80 192.0.2.7:50000", "in 172.17.0.2:80 192.0.2.8:50000",
		}},
		containerSpec{name: "web-2", networks: []string{"br0 172.17.0.3 172.17.0.1"}, connections: []string{"out 172.17.0.3:40000 172.17.0.4:5432", "out 172.17.0.3:40001 198.51.100.9:443"}},
		containerSpec{name: "db", networks: []string{"br0 172.17.0.4 172.17.0.1"}, listeners: []string{"0.0.0.0:5432 0.0.0.0:5432"}, connections: []string{
			"in 172.17.0.4:5432 172.17.0.2:40000", "in 172.17.0.4:5432 172.17.0.3:40000", "in 172.17.0.4:5432 10.77.0.12:40000",
		}},
	).document(), map[string]string{"web-1": "web", "web-2": "web", "db": "db"})
	two := hostB(containerSpec{name: "worker", networks: []string{"br0 172.17.0.2 172.17.0.1"}, connections: []string{"out 172.17.0.2:40000 10.77.0.11:5432"}}).document()
	names, err := graph.ReadNames(strings.NewReader("198.51.100.0/24 payments\n"))
	if err != nil {
		panic(err)
	}
	return Build([]PolledHost{
		{Target: "a", Host: NewHost(one, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon},
		{Target: "b", Host: NewHost(two, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon.Add(-time.Hour)},
	}, names)
}

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
		t.Error("equal input gave different output")
	}
	g := shop()
	if !slices.IsSortedFunc(g.Nodes, graph.CompareNodes) || !slices.IsSortedFunc(g.Links, func(a, b graph.Link) int { return a.Compare(&b) }) {
		t.Error("nodes or links are not in order")
	}
}

// The tests of package graph use this graph.
func TestShopFixtureOfPackageGraphIsCurrent(t *testing.T) {
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
