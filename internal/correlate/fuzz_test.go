package correlate

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// FuzzLink checks that no answer of a daemon stops Build, or changes the links of another host.
func FuzzLink(f *testing.F) {
	seed, err := json.Marshal(hostA(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080"), onHost("agent", []string{"[::]:1"})).document())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"version":1,"containers":[{"id":"a","networkMode":"container:a","listening":[{"address":"x","port":0}],"connections":[{}]},{"id":"a"},{"id":"b","networkMode":"container:c"},{"id":"c","networkMode":"container:b"}]}`))
	translated, err := json.Marshal(translating(hostA(server("in 172.17.0.106:8080 172.17.0.1:51000"), client("out 172.17.0.107:44298 172.17.0.1:18090")),
		"172.17.0.107:44298 172.17.0.1:18090 172.17.0.106:8080 172.17.0.1:51000", "192.0.2.7:5000 10.77.0.11:8081 172.19.0.2:8081 192.0.2.7:5000").document())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(translated)
	valid := NewHost(hostB(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080")).document(), netip.Addr{}, nil, noon)
	f.Fuzz(func(t *testing.T, data []byte) {
		var d snapshotv1.Snapshot
		if json.Unmarshal(data, &d) != nil {
			return
		}
		g := Build([]PolledHost{{Target: "valid", Host: valid, State: graph.StateOK}, {Target: "foreign", Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK}}, nil)
		found := slices.ContainsFunc(g.Links, func(l graph.Link) bool {
			return strings.HasSuffix(l.Client, "id-b-client") && strings.HasSuffix(l.Server, "id-b-server") && l.Evidence == graph.EvidenceBoth
		})
		if !found {
			t.Errorf("the valid host's link is missing: %+v", g.Links)
		}
		for _, write := range []func() error{
			func() error { return graph.WriteJSON(&bytes.Buffer{}, g) }, func() error { return graph.WriteDOT(&bytes.Buffer{}, g) },
			func() error { return graph.WriteMermaid(&bytes.Buffer{}, g) }, func() error { return graph.WriteCSV(&bytes.Buffer{}, g) },
		} {
			if err := write(); err != nil {
				t.Error(err)
			}
		}
		if !slices.IsSortedFunc(g.Links, func(a, b graph.Link) int { return a.Compare(&b) }) {
			t.Error("the links are not sorted")
		}
	})
}
