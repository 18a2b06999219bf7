package daemon

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
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

func containerWith(method collect.Method, connections ...snapshot.Connection) []snapshot.Container {
	return []snapshot.Container{{ID: "a", Method: method, Connections: connections}}
}

func states(containers []snapshot.Container) string {
	var all []string
	for _, c := range containers[0].Connections {
		all = append(all, fmt.Sprint(c.Local.Port(), " ", c.State))
	}
	return fmt.Sprint(all)
}

func TestClosedConnectionsStayForAMinute(t *testing.T) {
	cache := newConnCache(0)
	for _, step := range []struct {
		after      time.Duration
		sample     bool
		containers []snapshot.Container
		want       string
	}{
		{0, false, containerWith(collect.Exec, connection(1, socket.Established), connection(2, socket.TimeWait)), "[1 ESTABLISHED 2 TIME_WAIT]"},
		{time.Second, false, containerWith(collect.Exec, connection(3, socket.Established)), "[1 CLOSE 3 ESTABLISHED]"},
		{2 * time.Second, true, containerWith(collect.None), "[3 ESTABLISHED]"}, // as last read
		{3 * time.Second, false, containerWith(collect.None), "[]"},             // a failed reading stays failed
		{time.Minute, false, containerWith(collect.Exec), "[1 CLOSE 3 CLOSE]"},
		{time.Minute + 500*time.Millisecond, false, containerWith(collect.Exec), "[3 CLOSE]"},
		{2 * time.Minute, false, containerWith(collect.Exec), "[]"},
	} {
		cache.updateContainers(step.containers, step.sample, noon.Add(step.after))
		if got := states(step.containers); got != step.want {
			t.Errorf("after %s: %s, want %s", step.after, got, step.want)
		}
	}
	if cache.size != 0 {
		t.Errorf("%d connections cached", cache.size)
	}
	if cache.updateContainers(nil, false, noon); len(cache.containers) != 0 {
		t.Error("a container that is gone is still cached")
	}
}

// A connection may be read before the container that owns it is known. Then it moves to that container, and never was closed.
func TestConnectionMovesToItsOwner(t *testing.T) {
	cache := newConnCache(0)
	vpn := snapshot.Container{ID: "vpn", Namespace: "net:[1]", Method: collect.Exec}
	app := snapshot.Container{ID: "app", Namespace: "net:[1]", Method: collect.Exec, Connections: []snapshot.Connection{connection(1, socket.Established)}}
	early := vpn
	early.Connections = slices.Clone(app.Connections)
	cache.updateContainers([]snapshot.Container{early}, false, noon)
	for i, containers := range [][]snapshot.Container{{vpn, app}, {vpn, {ID: "app", Namespace: "net:[1]", Method: collect.Exec}}} {
		cache.updateContainers(containers, false, noon.Add(time.Duration(1+i)*time.Second))
		if got := states(containers); got != "[]" {
			t.Errorf("step %d: vpn has %s", i, got)
		}
		if got, want := states(containers[1:]), []string{"[1 ESTABLISHED]", "[1 CLOSE]"}[i]; got != want {
			t.Errorf("step %d: app has %s, want %s", i, got, want)
		}
	}
}

// An accepted connection stays inbound after its listener closes.
func TestAcceptedConnectionsStayInbound(t *testing.T) {
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
	cache := newConnCache(0)
	listening := containerWith(collect.Procfs, row("192.0.2.1:1000", true, socket.Established))
	listening[0].Listeners = []snapshot.Listener{{Local: netip.MustParseAddrPort("0.0.0.0:80")}}
	cache.updateContainers(listening, false, noon)
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{30 * time.Second, "[true true]"}, {80 * time.Second, "[true false]"}, {100 * time.Second, "[true false]"}} {
		closed := containerWith(collect.Procfs, row("192.0.2.1:1000", false, socket.Established), row("192.0.2.2:1000", false, socket.TimeWait))
		cache.updateContainers(closed, false, noon.Add(step.after))
		if got := fmt.Sprint(inbound(closed)); got != step.want {
			t.Errorf("after %s: %s, want %s", step.after, got, step.want)
		}
	}
}

// Which end dialled stays known while a sample does not read it, and after the connection closed. Another socket with the same
// ends is another connection.
func TestDialledByStaysKnown(t *testing.T) {
	cache := newConnCache(0)
	for i, step := range []struct {
		inode uint64
		by    socket.End
		state socket.State
		want  socket.End
	}{
		{7, socket.LocalEnd, socket.Established, socket.LocalEnd},
		{7, socket.UnknownEnd, socket.Established, socket.LocalEnd},
		{0, socket.UnknownEnd, socket.TimeWait, socket.UnknownEnd},
		{0, 0, 0, socket.LocalEnd}, // closed
		{8, socket.UnknownEnd, socket.Established, socket.UnknownEnd},
		{8, socket.RemoteEnd, socket.Established, socket.RemoteEnd},
	} {
		read := connection(1, step.state)
		read.Inode, read.DialledBy = step.inode, step.by
		containers := containerWith(collect.Sockdiag, read)
		if step.state == 0 {
			containers = containerWith(collect.Sockdiag)
		}
		cache.updateContainers(containers, true, noon)
		if got := containers[0].Connections[0]; got.DialledBy != step.want {
			t.Errorf("%d: dialled by end %d, want %d", i, got.DialledBy, step.want)
		}
	}
}

func TestCachedConnectionsAreBounded(t *testing.T) {
	cache := newConnCache(0)
	var many []snapshot.Connection
	for port := range maxCachedConns/2 + 1 {
		many = append(many, connection(port, socket.Established))
	}
	var containers []snapshot.Container
	for id := range 4 { // each step puts a new container before the cached ones
		containers = append([]snapshot.Container{{ID: fmt.Sprint(id), Method: collect.Procfs, Connections: many}}, containers...)
		cache.updateContainers(containers, false, noon)
		cached := 0
		for _, p := range cache.containers {
			cached += len(p.connections)
		}
		if cached > maxCachedConns || cached != cache.size || id > 0 && cached < maxCachedConns {
			t.Errorf("%d cached, size %d", cached, cache.size)
		}
	}
}

// The memory of many connections is released when they expire, while the container still runs.
func TestExpiredConnectionsReleaseMemory(t *testing.T) {
	const count = 50_000
	cache := newConnCache(0)
	heapKiB := func() int {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc) >> 10
	}
	cache.updateContainers(containerWith(collect.Exec), false, noon)
	before := heapKiB()
	func() {
		var connections []snapshot.Connection
		for i := range count {
			connections = append(connections, connection(i+1, socket.Established))
		}
		cache.updateContainers(containerWith(collect.Exec, connections...), false, noon)
	}()
	if during := heapKiB(); during < before+count*100>>10 {
		t.Errorf("heap of %d KiB with %d connections, %d KiB without", during, count, before)
	}
	cache.updateContainers(containerWith(collect.Exec, connection(1, socket.Established)), false, noon.Add(2*time.Minute))
	if after := heapKiB(); after > before+256 {
		t.Errorf("heap of %d KiB, %d KiB before", after, before)
	}
	runtime.KeepAlive(cache)
}

// The connections of a truncated table may still be open, so missing ones do not count as closed. Closed ones fill a snapshot only
// up to the maximum.
func TestMaxSocketsBoundsClosedConnections(t *testing.T) {
	cache := newConnCache(3)
	update := func(truncated bool, after time.Duration, connections ...snapshot.Connection) string {
		taken := snapshot.Snapshot{Containers: containerWith(collect.Procfs, connections...)}
		taken.Containers[0].Truncated = truncated
		cache.update(&taken, false, noon.Add(after))
		return states(taken.Containers)
	}
	update(true, 0, connection(1, socket.Established), connection(2, socket.Established), connection(3, socket.Established), connection(4, socket.Established))
	if cache.size != 3 {
		t.Errorf("%d cached connections", cache.size)
	}
	if got := update(true, time.Second, connection(1, socket.Established)); strings.Contains(got, "CLOSE") {
		t.Errorf("truncated: %s", got)
	}
	if got := update(false, 2*time.Second, connection(4, socket.Established), connection(5, socket.Established)); strings.Count(got, "CLOSE") != 1 {
		t.Errorf("complete: %s", got)
	}
}
