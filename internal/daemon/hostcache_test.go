package daemon

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// hostConn returns a connection of the host, or one with an unknown owner.
func hostConn(port int, state socket.State, inode uint64, owner string) snapshot.HostConnection {
	c := snapshot.HostConnection{Connection: connection(port, state), OwnerUnknown: owner != "host"}
	c.Inode = inode
	return c
}

func hostWith(connections ...snapshot.HostConnection) *snapshot.HostSockets {
	return &snapshot.HostSockets{Namespace: "host", Method: collect.Procfs, Connections: connections}
}

func hostStates(taken snapshot.Snapshot) string {
	if taken.Host.Sockets == nil {
		return "none"
	}
	var all []string
	for _, c := range taken.Host.Sockets.Connections {
		text := fmt.Sprint(c.Local.Port(), " ", c.State)
		if c.OwnerUnknown {
			text += "?"
		}
		all = append(all, text)
	}
	return fmt.Sprint(all)
}

func TestClosedConnectionsOfTheHostStayForAMinute(t *testing.T) {
	cache := newConnCache(0)
	incomplete := hostWith()
	incomplete.Incomplete = true
	for _, step := range []struct {
		after   time.Duration
		sample  bool
		sockets *snapshot.HostSockets
		want    string
	}{
		{0, true, nil, "none"},
		{0, false, hostWith(hostConn(1, socket.Established, 7, "host"), hostConn(2, socket.Established, 8, "unknown")), "[1 ESTABLISHED 2 ESTABLISHED?]"},
		{time.Second, true, nil, "[1 ESTABLISHED 2 ESTABLISHED?]"}, // not read: as last read
		{time.Second, false, nil, "none"},
		{time.Second, false, incomplete, "[]"}, // the connections may be among the missing ones
		{time.Second, false, hostWith(), "[1 CLOSE 2 CLOSE?]"},
		{2 * time.Second, false, hostWith(hostConn(1, socket.TimeWait, 0, "unknown"), hostConn(2, socket.TimeWait, 0, "unknown")), "[1 TIME_WAIT 2 TIME_WAIT?]"},
		{3 * time.Second, false, hostWith(hostConn(1, socket.TimeWait, 0, "unknown")), "[1 TIME_WAIT 2 CLOSE?]"},
		{2 * time.Minute, false, hostWith(), "[]"},
		{4 * time.Minute, true, nil, "none"},
	} {
		taken := snapshot.Snapshot{Host: snapshot.Host{Sockets: step.sockets}}
		cache.update(&taken, step.sample, noon.Add(step.after))
		if got := hostStates(taken); got != step.want {
			t.Errorf("after %s: %s, want %s", step.after, got, step.want)
		}
	}
	if len(cache.host.connections) != 0 || len(cache.host.ownerUnknown) != 0 {
		t.Errorf("cached: %+v", cache.host)
	}
}

// The owner of a connection stays known if a later reading does not show it.
func TestOwnersOfTheHostsConnectionsStayKnown(t *testing.T) {
	for name, test := range map[string]struct {
		first, second snapshot.HostConnection
		want          string
	}{
		"known since":            {hostConn(1, socket.Established, 7, "unknown"), hostConn(1, socket.Established, 7, "host"), "[1 ESTABLISHED]"},
		"unreadable since":       {hostConn(1, socket.Established, 7, "host"), hostConn(1, socket.Established, 7, "unknown"), "[1 ESTABLISHED]"},
		"closed, unknown":        {hostConn(1, socket.Established, 7, "unknown"), hostConn(1, socket.TimeWait, 0, "unknown"), "[1 TIME_WAIT?]"},
		"closed, of the host":    {hostConn(1, socket.Established, 7, "host"), hostConn(1, socket.TimeWait, 0, "unknown"), "[1 TIME_WAIT]"},
		"another local endpoint": {hostConn(1, socket.Established, 7, "host"), hostConn(2, socket.TimeWait, 0, "unknown"), "[1 CLOSE 2 TIME_WAIT?]"},
	} {
		cache := newConnCache(0)
		cache.update(&snapshot.Snapshot{Host: snapshot.Host{Sockets: hostWith(test.first)}}, false, noon)
		taken := snapshot.Snapshot{Host: snapshot.Host{Sockets: hostWith(test.second)}}
		cache.update(&taken, false, noon.Add(time.Second))
		if got := hostStates(taken); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// A connection of a container on the host's network stays the container's after it closed.
func TestConnectionsOfContainersAreNotTheHosts(t *testing.T) {
	owned := func(inode uint64) []snapshot.Container {
		c := connection(1, socket.Established)
		c.Inode = inode
		containers := containerWith(collect.Procfs, c)
		containers[0].Namespace = "host"
		return containers
	}
	none := containerWith(collect.Procfs)
	none[0].Namespace = "host"
	for _, test := range []struct {
		first, second []snapshot.Container
		before, after *snapshot.HostSockets
		want          string
	}{
		{owned(7), none, hostWith(), hostWith(hostConn(1, socket.TimeWait, 0, "unknown")), "[]"},
		{owned(7), none, hostWith(), hostWith(hostConn(1, socket.Established, 7, "unknown")), "[]"},
		{owned(7), none, hostWith(), hostWith(hostConn(1, socket.Established, 8, "unknown")), "[1 ESTABLISHED?]"},
		{owned(7), none, hostWith(), hostWith(hostConn(1, socket.Established, 7, "host")), "[1 ESTABLISHED]"},
		{none, owned(7), hostWith(hostConn(1, socket.Established, 7, "unknown")), hostWith(), "[]"}, // its owner could not be read at first
	} {
		cache := newConnCache(0)
		cache.update(&snapshot.Snapshot{Containers: test.first, Host: snapshot.Host{Sockets: test.before}}, false, noon)
		taken := snapshot.Snapshot{Containers: test.second, Host: snapshot.Host{Sockets: test.after}}
		cache.update(&taken, false, noon.Add(time.Second))
		if got := hostStates(taken); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

func TestCachedConnectionsOfTheHostAreBounded(t *testing.T) {
	cache := newConnCache(0)
	many := func(network byte) *snapshot.HostSockets {
		sockets := hostWith()
		for port := range snapshot.MaxHostSockets {
			c := hostConn(port, socket.Established, 7, "host")
			c.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, network}), uint16(port))
			sockets.Connections = append(sockets.Connections, c)
		}
		return sockets
	}
	for network := range byte(8) {
		taken := snapshot.Snapshot{Host: snapshot.Host{Sockets: many(network)}}
		cache.update(&taken, false, noon)
		sockets := taken.Host.Sockets
		if len(sockets.Connections) != snapshot.MaxHostSockets || sockets.Incomplete != (network > 0) || len(cache.host.connections) > maxCachedConns {
			t.Errorf("%d: %d connections, incomplete %v, %d cached", network, len(sockets.Connections), sockets.Incomplete, len(cache.host.connections))
		}
	}
	if cache.size != maxCachedConns || len(cache.host.connections) != maxCachedConns {
		t.Errorf("size %d, %d cached, want %d", cache.size, len(cache.host.connections), maxCachedConns)
	}
}

// A listener of UDP accepts no connections of TCP at the same port.
func TestHostsListenersAreOfOneProtocol(t *testing.T) {
	for protocol, want := range map[socket.Protocol]bool{socket.TCP: true, socket.UDP: false} {
		sockets := hostWith(hostConn(1, socket.Established, 7, "host"))
		sockets.Listeners = []snapshot.HostListener{{Local: sockets.Connections[0].Local, Protocol: protocol}}
		taken := snapshot.Snapshot{Host: snapshot.Host{Sockets: sockets}}
		newConnCache(0).update(&taken, false, noon)
		if got := taken.Host.Sockets.Connections[0].Inbound; got != want {
			t.Errorf("inbound beside a listener of %s: %v", protocol, got)
		}
	}
}
