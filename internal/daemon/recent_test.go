package daemon

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func connection(port int, state socket.State) snapshot.Connection {
	return snapshot.Connection{
		Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 17, 0, 2}), uint16(port)),
		Remote: netip.MustParseAddrPort("192.0.2.1:443"), State: state,
	}
}

func connected(method collect.Method, connections ...snapshot.Connection) []snapshot.Container {
	return []snapshot.Container{{ID: "a", Method: method, Connections: connections}}
}

func states(containers []snapshot.Container) string {
	var all []string
	for _, c := range containers[0].Connections {
		all = append(all, fmt.Sprint(c.Local.Port(), " ", c.State))
	}
	return fmt.Sprint(all)
}

func TestConnectionsAreToldOfForAMinuteAfterTheyEnded(t *testing.T) {
	r := newRecent()
	for _, step := range []struct {
		after      time.Duration
		sample     bool
		containers []snapshot.Container
		want       string
	}{
		{0, false, connected(collect.Exec, connection(1, socket.Established), connection(2, socket.TimeWait)), "[1 ESTABLISHED 2 TIME_WAIT]"},
		{time.Second, false, connected(collect.Exec, connection(3, socket.Established)), "[1 CLOSE 3 ESTABLISHED]"},
		{2 * time.Second, true, connected(collect.None), "[3 ESTABLISHED]"}, // as read last
		{3 * time.Second, false, connected(collect.None), "[]"},             // what failed has failed
		{time.Minute, false, connected(collect.Exec), "[1 CLOSE 3 CLOSE]"},
		{time.Minute + 500*time.Millisecond, false, connected(collect.Exec), "[3 CLOSE]"},
		{2 * time.Minute, false, connected(collect.Exec), "[]"},
	} {
		r.add(step.containers, step.sample, noon.Add(step.after))
		if got := states(step.containers); got != step.want {
			t.Errorf("after %s: %s, want %s", step.after, got, step.want)
		}
	}
	if r.count != 0 {
		t.Errorf("%d remembered", r.count)
	}
	if r.add(nil, false, noon); len(r.containers) != 0 {
		t.Error("a container that is gone is remembered")
	}
}

// A connection that was accepted is one of a server also after its listener is closed.
func TestAcceptedConnectionsStayAccepted(t *testing.T) {
	at80 := netip.MustParseAddrPort("172.17.0.2:80")
	row := func(remote string, inbound bool, state socket.State) snapshot.Connection {
		return snapshot.Connection{Local: at80, Remote: netip.MustParseAddrPort(remote), Inbound: inbound, State: state}
	}
	inbound := func(c []snapshot.Container) (all []bool) {
		for _, connection := range c[0].Connections {
			all = append(all, connection.Inbound)
		}
		return all
	}
	r := newRecent()
	listening := connected(collect.Procfs, row("192.0.2.1:1000", true, socket.Established))
	listening[0].Listeners = []snapshot.Listener{{Local: netip.MustParseAddrPort("0.0.0.0:80")}}
	r.add(listening, false, noon)
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{30 * time.Second, "[true true]"}, {80 * time.Second, "[true false]"}, {100 * time.Second, "[true false]"}} {
		closed := connected(collect.Procfs, row("192.0.2.1:1000", false, socket.Established), row("192.0.2.2:1000", false, socket.TimeWait))
		r.add(closed, false, noon.Add(step.after))
		if got := fmt.Sprint(inbound(closed)); got != step.want {
			t.Errorf("after %s: %s, want %s", step.after, got, step.want)
		}
	}
}

func TestRememberedConnectionsAreBounded(t *testing.T) {
	r := newRecent()
	var many []snapshot.Connection
	for port := range maxRecent/2 + 1 {
		many = append(many, connection(port, socket.Established))
	}
	var containers []snapshot.Container
	for id := range 4 { // each time another one stands before those that are known
		containers = append([]snapshot.Container{{ID: fmt.Sprint(id), Method: collect.Procfs, Connections: many}}, containers...)
		r.add(containers, false, noon)
		held := 0
		for _, p := range r.containers {
			held += len(p.connections)
		}
		if held > maxRecent || held != r.count || id > 0 && held < maxRecent {
			t.Errorf("%d are held, %d counted", held, r.count)
		}
	}
}

// What many connections took is given back when they are forgotten, though the container goes on.
func TestForgottenConnectionsTakeNoMemory(t *testing.T) {
	const many = 50_000
	r := newRecent()
	held := func() int {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc) >> 10
	}
	r.add(connected(collect.Exec), false, noon)
	before := held()
	func() {
		var connections []snapshot.Connection
		for i := range many {
			connections = append(connections, connection(i+1, socket.Established))
		}
		r.add(connected(collect.Exec, connections...), false, noon)
	}()
	if during := held(); during < before+many*100>>10 {
		t.Errorf("%d KiB are held with %d connections, %d without", during, many, before)
	}
	r.add(connected(collect.Exec, connection(1, socket.Established)), false, noon.Add(2*time.Minute))
	if after := held(); after > before+256 {
		t.Errorf("%d KiB are held, %d before", after, before)
	}
	runtime.KeepAlive(r)
}
