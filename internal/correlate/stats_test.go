package correlate

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

func TestMeasurementsOfTheClientComeFirst(t *testing.T) {
	d := hostA(server("in 172.17.0.106:8080 172.17.0.107:1", "in 172.17.0.106:8080 172.17.0.107:2", "in 172.17.0.106:8080 192.0.2.1:3"),
		client("out 172.17.0.107:1 172.17.0.106:8080", "out 172.17.0.107:2 172.17.0.106:8080")).document()
	measure := func(container, connection int, rtt int64, sent, received uint64) {
		d.Containers[container].Connections[connection].Measured = &snapshotv1.TCPInfo{RTTMicroseconds: rtt, BytesSent: sent, BytesReceived: received}
	}
	measure(1, 0, 100, 10, 20) // both ends of the first connection: the client's counts
	measure(0, 0, 900, 99, 99)
	measure(0, 1, 300, 2, 1) // only the server's end of the second
	measure(0, 2, 50, 7, 8)
	g := Build([]PolledHost{{Target: "a", Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon}}, nil)
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
