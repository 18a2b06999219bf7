package correlate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

func TestLongestAnsweringTargetServesTheHost(t *testing.T) {
	since := func(s PolledHost, at time.Time) PolledHost {
		s.FirstAnswer = at
		return s
	}
	polledHost := func(target string, state graph.State, seen time.Time, id string) PolledHost {
		d := hostA(server()).document()
		d.Host.ID = id
		d.Containers[0].ID = strings.Repeat("5", 64)
		return PolledHost{Target: target, Host: NewHost(d, netip.Addr{}, nil, noon), State: state, LastAnswer: seen}
	}
	for _, test := range []struct {
		polled []PolledHost
		want   string
	}{
		{[]PolledHost{polledHost("1", graph.StateStale, noon, "x"), polledHost("2", graph.StateOK, noon, "x")}, "map[1:2]"},
		{[]PolledHost{polledHost("1", graph.StateOK, noon, "x"), polledHost("2", graph.StateOK, noon.Add(time.Second), "x")}, "map[1:2]"},
		{[]PolledHost{polledHost("1", graph.StateOK, noon, "x"), polledHost("2", graph.StateOK, noon, "x")}, "map[2:1]"},
		{[]PolledHost{polledHost("1", graph.StateOK, noon, ""), polledHost("2", graph.StateOK, noon, "")}, "map[2:1]"}, // unknown engine ID
		{[]PolledHost{polledHost("1", graph.StateOK, noon, "x"), polledHost("2", graph.StateOK, noon, "y")}, "map[]"},
		// A later target cannot take the host over, however recent its answers are, while the first one answers.
		{[]PolledHost{since(polledHost("1", graph.StateOK, noon.Add(time.Second), "x"), noon.Add(-time.Minute)), since(polledHost("2", graph.StateOK, noon, "x"), noon.Add(-time.Hour))}, "map[1:2]"},
		{[]PolledHost{since(polledHost("1", graph.StateOK, noon, "x"), noon.Add(-time.Minute)), since(polledHost("2", graph.StateStale, noon, "x"), noon.Add(-time.Hour))}, "map[2:1]"},
	} {
		if got := fmt.Sprint(duplicates(test.polled)); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
