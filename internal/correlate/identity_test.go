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
	since := func(s Source, at time.Time) Source {
		s.FirstAnswer = at
		return s
	}
	source := func(target string, state graph.State, seen time.Time, id string) Source {
		d := hostA(server()).document()
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
		{[]Source{source("1", graph.StateOK, noon, ""), source("2", graph.StateOK, noon, "")}, "map[2:1]"}, // unknown engine ID
		{[]Source{source("1", graph.StateOK, noon, "x"), source("2", graph.StateOK, noon, "y")}, "map[]"},
		// A later target cannot take the host over, however recent its answers are, while the first one answers.
		{[]Source{since(source("1", graph.StateOK, noon.Add(time.Second), "x"), noon.Add(-time.Minute)), since(source("2", graph.StateOK, noon, "x"), noon.Add(-time.Hour))}, "map[1:2]"},
		{[]Source{since(source("1", graph.StateOK, noon, "x"), noon.Add(-time.Minute)), since(source("2", graph.StateStale, noon, "x"), noon.Add(-time.Hour))}, "map[2:1]"},
	} {
		if got := fmt.Sprint(duplicates(test.sources)); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
