package graph_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// serviceOf returns a container of the service with the first letter of its ID.
func serviceOf(id string) graph.Node {
	return graph.Node{ID: id, Kind: graph.KindContainer, Name: id, Service: "s" + id[:1]}
}

// A group's link has the sums of its members' counters, and the median of the one with more opened connections.
func TestGroupsMergeCounters(t *testing.T) {
	link := func(server string, counters *graph.Counters) graph.Link {
		return graph.Link{Client: "a", Server: server, Connections: 1, Counters: counters, Live: true}
	}
	few := graph.Counters{Opened: 2, Failed: 3, Refused: 1, BytesSent: 10, BytesReceived: 20, Retransmits: 4, RTTMicroseconds: 900, MinRTTMicroseconds: 50}
	many := graph.Counters{Opened: 5, Failed: 1, Refused: 1, BytesSent: 1, BytesReceived: 2, Retransmits: 1, RTTMicroseconds: 300, MinRTTMicroseconds: 70}
	open := graph.Counters{Opened: 9} // no connection ended
	sum := graph.Counters{Opened: 7, Failed: 4, Refused: 2, BytesSent: 11, BytesReceived: 22, Retransmits: 5, RTTMicroseconds: 300, MinRTTMicroseconds: 50}
	withOpen := few
	withOpen.Opened = 11
	for name, test := range map[string]struct{ a, b, want *graph.Counters }{
		"both are counted":    {&few, &many, &sum},
		"the other way round": {&many, &few, &sum},
		"one alone":           {&few, nil, &few},
		"the other alone":     {nil, &few, &few},
		"none":                {nil, nil, nil},
		"none ended":          {&few, &open, &withOpen},
		"none ended in first": {&open, &few, &withOpen},
	} {
		g := graph.Graph{Nodes: []graph.Node{serviceOf("a"), serviceOf("b1"), serviceOf("b2")}, Links: []graph.Link{link("b1", test.a), link("b2", test.b)}}
		before := [...]graph.Counters{few, many, open}
		got := graph.View{Group: "service"}.Apply(g, noon)
		if diff := cmp.Diff(test.want, got.Links[0].Counters); diff != "" || len(got.Links) != 1 {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
		if c := got.Links[0].Counters; c != nil {
			c.Opened, c.Failed = 100, 100
		}
		if after := [...]graph.Counters{few, many, open}; after != before {
			t.Fatalf("%s: the link of the group shares its counters with %+v", name, after)
		}
	}
}

// The counters of an earlier time are unknown.
func TestEarlierLinksHaveNoCounters(t *testing.T) {
	g := shop()
	g.Links[0].Counters = &graph.Counters{Opened: 1}
	for _, l := range (graph.View{At: noon}).Apply(g, noon.Add(time.Hour)).Links {
		if l.Counters != nil {
			t.Errorf("%+v", l.Counters)
		}
	}
	if g.Links[0].Counters == nil {
		t.Error("the graph changed")
	}
}

func TestCountersInCSV(t *testing.T) {
	g := shop()
	g.Links = g.Links[:2]
	g.Links[0].Protocol = socket.UDP
	g.Links[0].Counters = &graph.Counters{Opened: 1, Failed: 2, Refused: 3, BytesSent: 1 << 63, BytesReceived: 5, Retransmits: 6, RTTMicroseconds: 7, MinRTTMicroseconds: 8}
	var text bytes.Buffer
	if err := graph.WriteCSV(&text, g); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text.String(), "\n")
	for i, end := range []string{
		",last_seen,opened,failed,refused,bytes_sent,bytes_received,retransmits,rtt_microseconds,min_rtt_microseconds,protocol",
		"Z,1,2,3,9223372036854775808,5,6,7,8,udp", "Z,,,,,,,,,tcp",
	} {
		if !strings.HasSuffix(lines[i], end) {
			t.Errorf("%s does not end with %s", lines[i], end)
		}
	}
}

// TestFailures has the links of testdata/failures.json. The page shows them alike.
func TestFailures(t *testing.T) {
	content, err := os.ReadFile("testdata/failures.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		What, State, Label string
		Link               graph.Link
	}
	if err := json.Unmarshal(content, &vectors); err != nil {
		t.Fatal(err)
	}
	query, err := graph.ParseQuery("state:failed")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range vectors {
		l := test.Link
		l.Client, l.Server, l.Via, l.Evidence = "a", "b", graph.ViaDirect, graph.EvidenceClient
		g := graph.Graph{Nodes: []graph.Node{serviceOf("a"), serviceOf("b")}, Links: []graph.Link{l}}
		var dot bytes.Buffer
		if err := graph.WriteDOT(&dot, g); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(dot.String(), `[label="`+test.Label+`"`) {
			t.Errorf("%s: no label %q in %s", test.What, test.Label, &dot)
		}
		if failed := len(graph.View{Query: query}.Apply(g, noon).Links) == 1; failed != (test.State == "failed") {
			t.Errorf("%s: failed is %t", test.What, failed)
		}
		_, stat, _ := strings.Cut(test.Label, " · ")
		if got := graph.ForGrafana(g).Edges[0].SecondaryStat; stat != "" && got != stat {
			t.Errorf("%s: %q in Grafana", test.What, got)
		}
	}
	if len(vectors) < 10 {
		t.Errorf("only %d links", len(vectors))
	}
}
