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
	const known = "a/client > a/server:8080 direct server 1\nexternal 172.17.0.108 > a/server:8080 published server 1\n"
	for _, test := range []struct {
		after time.Duration
		want  string
	}{{time.Minute, known}, {addrGrace, known}, {addrGrace + time.Second, strings.ReplaceAll(known, "a/client > a/server:8080 direct", "external 172.17.0.107 > a/server:8080 published")}} {
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

func TestNewContainerTakesAddressOfGoneOne(t *testing.T) {
	before := NewHost(hostA(server(), client("out 172.17.0.107:1 172.17.0.106:8080")).document(), netip.Addr{}, nil, noon)
	host := NewHost(hostA(server("in 172.17.0.106:8080 172.17.0.107:1"), containerSpec{name: "new", networks: []string{"br0 172.17.0.107"}}).document(), netip.Addr{}, before, noon)
	if got := graphtest.Lines(Build([]PolledHost{{Target: "a", Host: host, State: graph.StateOK}}, nil)); got != "a/new > a/server:8080 direct server 1\n" {
		t.Error(got)
	}
}

func TestGoneContainerWithoutLinksIsOmitted(t *testing.T) {
	before := NewHost(hostA(server(), client("out 172.17.0.107:1 172.17.0.106:8080")).document(), netip.Addr{}, nil, noon)
	host := NewHost(hostA(server()).document(), netip.Addr{}, before, noon)
	if g := Build([]PolledHost{{Target: "a", Host: host, State: graph.StateOK}}, nil); len(g.Nodes) != 1 {
		t.Errorf("%+v", g.Nodes)
	}
}
