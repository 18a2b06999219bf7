package correlate

import (
	"math"
	"net/netip"
	"testing"
	"time"

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

// A link is idle as long as all of its open connections are. While an answer is unchanged, an idle one stays idle, and nothing more is known of
// a busy one.
func TestIdleTimeIsThatOfAllConnections(t *testing.T) {
	dials := hostA(server(), client("out 172.17.0.107:1 172.17.0.106:8080", "out 172.17.0.107:2 172.17.0.106:8080", "out 172.17.0.107:3 172.17.0.106:8080 TIME_WAIT"))
	for name, test := range map[string]struct {
		idle        []int64 // of the first connections; -1 is not measured
		later       time.Duration
		want        int64
		notMeasured bool
	}{
		"idle":                {[]int64{90, 70}, 0, 70, false},
		"idle for longer":     {[]int64{90, 70}, time.Hour, 3670, false},
		"one is busy":         {[]int64{90, 3}, 0, 3, false},
		"one was busy":        {[]int64{90, 3}, time.Hour, 3, false},
		"one is unknown":      {[]int64{90, 0}, time.Hour, 0, false},
		"one is not measured": {[]int64{90, -1}, time.Hour, 0, false},
		"none is measured":    {[]int64{-1, -1}, time.Hour, 0, true},
		"more than a century": {[]int64{math.MaxInt64, math.MaxInt64}, 0, 100 * 365 * 24 * 3600, false},
		"negative":            {[]int64{math.MinInt64, 90}, time.Hour, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := dials.document()
			for i, idle := range test.idle {
				if idle != -1 {
					d.Containers[1].Connections[i].Measured = &snapshotv1.TCPInfo{IdleSeconds: idle}
				}
			}
			polled := PolledHost{Target: "a", Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon.Add(test.later)}
			links := Build([]PolledHost{polled}, nil).Links
			if len(links) != 1 || (links[0].Measured == nil) != test.notMeasured {
				t.Fatalf("%+v", links)
			}
			if !test.notMeasured && links[0].Measured.IdleSeconds != test.want {
				t.Errorf("idle for %d s, want %d", links[0].Measured.IdleSeconds, test.want)
			}
		})
	}
}
