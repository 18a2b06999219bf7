package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
)

// A daemon's answer must cost time and memory in proportion to its size. Each of these tests would not finish if every part of
// the answer were compared with every other part.

func addressOf(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255) }

func TestManyListenersOnOnePortTakeLinearTime(t *testing.T) {
	const many = 200_000
	it := containerSpec{name: "it", networks: []string{"br0 172.17.0.106 172.17.0.1"}}
	for i := range many {
		it.listeners = append(it.listeners, addressOf(i)+":80 "+addressOf(i)+":80")
		it.connections = append(it.connections, fmt.Sprintf("in %s:80 192.0.2.1:%d", addressOf(i), i%60_000+1))
	}
	if g := buildAll(hostA(it)); len(g.Links) != 1 || g.Links[0].Connections != many {
		t.Errorf("%d links of %+v", len(g.Links), g.Nodes)
	}
}

func TestManyEqualEndsTakeLinearTime(t *testing.T) {
	const many = 200_000
	dials := client(slices.Repeat([]string{"out 172.17.0.107:5000 10.77.0.12:18090"}, many)...)
	accepts := server(slices.Repeat([]string{"in 172.17.0.106:8080 10.77.0.11:5000"}, many)...)
	if g := buildAll(hostA(dials), hostB(accepts)); len(g.Links) != 1 || g.Links[0].Connections != many {
		t.Errorf("%d links: %s", len(g.Links), graphtest.Lines(g))
	}
}

func TestManyOwnersOfOneAddressAreBounded(t *testing.T) {
	const claims, connections = 50_000, 50_000
	const address = "2001:db8::1"
	liars := []containerSpec{{name: "repeats", networks: slices.Repeat([]string{"lie " + address}, claims)}}
	for i := range claims {
		liars = append(liars, containerSpec{name: fmt.Sprint("liar", i), networks: []string{fmt.Sprintf("net%d %s", i, address)}})
	}
	it := client()
	for i := range connections {
		it.connections = append(it.connections, fmt.Sprintf("out 172.17.0.107:%d [%s]:80", i+1, address))
	}
	g := buildAll(hostA(it), hostB(liars...))
	if len(g.Links) != 1 || g.Links[0].Connections != connections {
		t.Errorf("%d links", len(g.Links))
	}
}

func TestNetworksOfANamespaceAreBounded(t *testing.T) {
	const many, connections = 20_000, 50_000
	it, other := containerSpec{name: "it"}, containerSpec{name: "other", networks: []string{"z 10.9.0.2 10.9.0.1"}}
	long := strings.Repeat("n", 100*graph.MaxTextLen)
	for i := range many {
		it.networks = append(it.networks, fmt.Sprintf("net%d %s 10.255.0.1", i, addressOf(i)))
		other.networks = append(other.networks, fmt.Sprintf("other%d 10.200.%d.%d 10.255.0.1", i, i>>8, i&255))
	}
	for i := range connections {
		it.connections = append(it.connections, fmt.Sprintf("out 10.0.0.0:%d 10.9.0.2:80", i+1), fmt.Sprintf("out 10.0.0.0:%d 192.0.2.1:80", i+1))
	}
	it.networks = append(it.networks, long+" 10.255.1.1 10.255.0.1")
	if g := buildAll(hostA(it, other)); len(g.Links) == 0 {
		t.Error("no links")
	}
	for _, n := range NewHost(hostA(containerSpec{name: "it", networks: []string{long + " 10.255.1.1 10.255.0.1"}}).document(), netip.Addr{}, nil, noon).namespaces {
		if len(n.networkIDs) > maxNetworks || slices.ContainsFunc(n.networkIDs, func(id string) bool { return len(id) > graph.MaxTextLen+len("…") }) {
			t.Errorf("%d networks are searched for each connection, or have long IDs", len(n.networkIDs))
		}
	}
}

func TestCandidatesOfASharedSocketAreBounded(t *testing.T) {
	h := hostSpec{name: "a", addresses: "10.77.0.11"}
	for i := range 10_000 {
		h.containers = append(h.containers, onHost(fmt.Sprint("c", i), []string{"0.0.0.0:80"}, "in 10.77.0.11:80 192.0.2.1:1"))
	}
	g := buildAll(h)
	for _, n := range g.Nodes {
		if len(n.Candidates) > maxCandidates {
			t.Errorf("%d candidates", len(n.Candidates))
		}
	}
	if len(g.Links) != 1 {
		t.Errorf("%d links", len(g.Links))
	}
}
