package correlate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
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

// answer is a daemon's answer with signs. Containers are single letters.
func answer(instance, engine, name, boot, addresses, containers string) snapshotv1.Snapshot {
	d := snapshotv1.Snapshot{Version: 1, Host: snapshotv1.Host{InstanceID: instance, ID: engine, Name: name, BootID: boot, AllAddresses: addresses != ""}}
	for addr := range strings.FieldsSeq(addresses) {
		d.Host.Addresses = append(d.Host.Addresses, netip.MustParseAddr(addr))
	}
	for _, letter := range containers {
		d.Containers = append(d.Containers, snapshotv1.Container{ID: strings.Repeat(string(letter), 64), Name: "/" + string(letter)})
	}
	return d
}

func TestDuplicatesNeedSeveralSigns(t *testing.T) {
	const lan, other = "10.77.0.11 172.17.0.1", "10.77.0.12 172.17.0.1"
	for name, test := range map[string]struct {
		answers []snapshotv1.Snapshot
		want    string
	}{
		"one daemon without containers":     {[]snapshotv1.Snapshot{answer("i", "", "", "", "", ""), answer("i", "", "", "", "", "")}, "map[2:1]"},
		"two daemons without containers":    {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, ""), answer("j", "e", "n", "b", lan, "")}, "map[]"},
		"two daemons of one host":           {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, "xy"), answer("j", "e", "n", "b", lan, "xz")}, "map[2:1]"},
		"two daemons without addresses":     {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", "", "xyz"), answer("j", "e", "n", "b", lan, "xyw")}, "map[2:1]"},
		"two daemons behind a proxy":        {[]snapshotv1.Snapshot{answer("i", "e", "n", "", "", "xy"), answer("j", "e", "n", "", "", "xy")}, "map[]"},
		"two daemons without /info":         {[]snapshotv1.Snapshot{answer("i", "", "", "b", "", "xy"), answer("j", "", "", "b", "", "xy")}, "map[2:1]"},
		"daemons without an instance ID":    {[]snapshotv1.Snapshot{answer("", "e", "n", "", "", "xy"), answer("", "e", "n", "", "", "xy")}, "map[2:1]"},
		"one of them with an instance ID":   {[]snapshotv1.Snapshot{answer("", "e", "n", "", lan, "xy"), answer("j", "e", "n", "b", lan, "xy")}, "map[2:1]"},
		"clones with addresses":             {[]snapshotv1.Snapshot{answer("i", "e", "n", "", lan, "xy"), answer("j", "e", "n", "", other, "xy")}, "map[]"},
		"clones with a common address":      {[]snapshotv1.Snapshot{answer("i", "e", "n", "", lan+" 10.77.0.100", "xy"), answer("j", "e", "n", "", other+" fd00::1", "xy")}, "map[]"},
		"clones with boot IDs":              {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", "", "xy"), answer("j", "e", "n", "c", "", "xy")}, "map[]"},
		"clones with names":                 {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", "", "xy"), answer("j", "e", "m", "b", "", "xy")}, "map[]"},
		"clones on one kernel":              {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", "", "xy"), answer("j", "e", "n", "b", "", "xz")}, "map[]"},
		"clones of a running machine":       {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, "xy"), answer("i", "e", "n", "b", "10.88.0.12", "xy")}, "map[]"},
		"Podman":                            {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, "xy"), answer("j", "f", "n", "b", lan, "xy")}, "map[2:1]"},
		"Podman beside Docker":              {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, "xy"), answer("j", "f", "n", "b", lan, "zw")}, "map[]"},
		"another engine, cloned containers": {[]snapshotv1.Snapshot{answer("i", "e", "n", "", lan, "xy"), answer("j", "f", "n", "", lan, "xy")}, "map[]"},
		"no duplicate of a duplicate":       {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, "x"), answer("j", "e", "n", "b", lan, "yx"), answer("k", "e", "n", "b", lan, "yx")}, "map[2:1 3:1]"},
		"shared with a duplicate alone":     {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, "x"), answer("j", "e", "n", "b", lan, "yx"), answer("k", "e", "n", "b", lan, "y")}, "map[2:1]"},
		"third daemon with the second's ID": {[]snapshotv1.Snapshot{answer("i", "e", "n", "b", lan, "x"), answer("j", "e", "n", "b", lan, "x"), answer("j", "e", "n", "b", lan, "x")}, "map[2:1 3:1]"},
	} {
		var polled []PolledHost
		for i, d := range test.answers {
			polled = append(polled, PolledHost{Target: fmt.Sprint(i + 1), Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK, FirstAnswer: noon, LastAnswer: noon})
		}
		if got := fmt.Sprint(duplicates(polled)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestHostOfATargetStaysTheSame(t *testing.T) {
	const lan = "10.77.0.11"
	before := answer("i", "e", "n", "b", lan, "xy")
	for name, test := range map[string]struct {
		now  snapshotv1.Snapshot
		want bool
	}{
		"the same daemon, all else changed":  {answer("i", "f", "m", "c", "10.77.0.12", "z"), true},
		"daemon restarted":                   {answer("j", "e", "n", "b", lan, "xy"), true},
		"host restarted":                     {answer("j", "e", "n", "c", lan, "z"), true},
		"engine does not describe itself":    {answer("j", "", "", "b", lan, "xy"), true},
		"addresses not visible any more":     {answer("j", "e", "n", "b", "", "xy"), true},
		"Podman":                             {answer("j", "f", "n", "b", lan, "xz"), true},
		"Podman without a boot ID":           {answer("", "f", "n", "", lan, "xz"), true},
		"another engine on the same machine": {answer("j", "f", "n", "b", lan, "zw"), false},
		"another engine, cloned containers":  {answer("j", "f", "n", "c", lan, "xy"), false},
		"a clone took the address over":      {answer("j", "e", "n", "c", "10.77.0.12", "xy"), false},
		"another host":                       {answer("j", "f", "m", "c", "10.77.0.12", "z"), false},
	} {
		previous := NewHost(before, netip.Addr{}, nil, noon)
		if got := NewHost(test.now, netip.Addr{}, previous, noon).IsSameHost(previous); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if NewHost(before, netip.Addr{}, nil, noon).IsSameHost(nil) {
		t.Error("a first answer is of the same host as none")
	}
}

// nodeIDs returns the IDs of the nodes of a graph, by host and name.
func nodeIDs(polled []PolledHost) map[string]string {
	c := newCrossHostCorrelator(polled, nil, &Tracker{})
	ids := make(map[string]string)
	for i := range c.polled {
		c.nodes.hostNode(toIndex(i))
	}
	for _, n := range c.nodes.nodes {
		ids[n.Host+" "+n.Name] = n.ID
	}
	return ids
}

func TestNodeIDsAreStableAndUnique(t *testing.T) {
	polled := func(target string, minute int, d snapshotv1.Snapshot, previous *Host) PolledHost {
		return PolledHost{Target: target, Host: NewHost(d, netip.Addr{}, previous, noon), State: graph.StateOK, FirstAnswer: noon.Add(time.Duration(minute) * time.Minute), LastAnswer: noon}
	}
	first := polled("z", 0, answer("i", "e", "n", "b", "10.77.0.11", "x"), nil)
	alone := nodeIDs([]PolledHost{first})
	clone := polled("a", 1, answer("j", "e", "n", "c", "10.77.0.12", "x"), nil)
	third := polled("b", 2, answer("k", "e", "n", "", "10.77.0.13", "x"), nil)
	got := nodeIDs([]PolledHost{clone, third, first})
	container := "/" + strings.Repeat("x", 64)
	want := map[string]string{
		"n@z x": "container/e" + container, "n@z n@z": "host/e",
		"n@a x": "container/e@c" + container, "n@a n@a": "host/e@c",
		"n@b x": "container/e@b" + container, "n@b n@b": "host/e@b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clones (-want +got):\n%s", diff)
	}
	if alone["n x"] != got["n@z x"] || alone["n n"] != got["n@z n@z"] {
		t.Errorf("before other hosts were added: %v", alone)
	}

	// Podman reports another ID at each call.
	host := NewHost(answer("i", "e1", "n", "b", "", "x"), netip.Addr{}, nil, noon)
	before := nodeIDs([]PolledHost{{Host: host}})
	for i, d := range []snapshotv1.Snapshot{answer("i", "e2", "n", "b", "", "xy"), answer("j", "e3", "n", "b", "", "x"), answer("j", "", "", "b", "", "x")} {
		host = NewHost(d, netip.Addr{}, host, noon)
		for name, id := range nodeIDs([]PolledHost{{Host: host}}) {
			if strings.HasSuffix(name, " x") && id != before["n x"] {
				t.Errorf("answer %d: %s is %s, want %s", i+2, name, id, before["n x"])
			}
		}
	}
}
