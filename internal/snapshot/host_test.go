package snapshot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/socket"
)

// hostResult returns a collection with the host's sockets, a container with ports published on the host, and containers on the
// host's network.
func hostResult(sockets []socket.Socket, onHost ...collect.Reading) collect.Result {
	host := &collect.NetNS{ID: "host", Host: true, Shared: true, Sockets: sockets, ReadAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	result := collect.Result{Host: &collect.HostNetNS{NetNS: host, Method: collect.Procfs}}
	result.Readings = append(result.Readings, collect.Reading{NetNS: &collect.NetNS{ID: "web", Published: published(80, "0.0.0.0:8080", "127.0.0.1:9080")}})
	for _, r := range onHost {
		r.NetNS = host
		result.Readings = append(result.Readings, r)
	}
	return result
}

// describe returns the sockets of the host, each with "?" if its owner is unknown.
func (s *HostSockets) describe() (listeners, connections []string) {
	mark := map[bool]string{true: "?"}
	for _, l := range s.Listeners {
		listeners = append(listeners, l.Local.String()+mark[l.OwnerUnknown])
	}
	for _, c := range s.Connections {
		direction := map[bool]string{true: "<", false: ">"}[c.Inbound]
		connections = append(connections, fmt.Sprint(c.Local, direction, c.Remote, mark[c.OwnerUnknown]))
	}
	return listeners, connections
}

func expectHost(t *testing.T, result collect.Result, wantListeners, wantConnections []string) *HostSockets {
	t.Helper()
	sockets := AttributeHost(result)
	listeners, connections := sockets.describe()
	if diff := cmp.Diff(wantListeners, listeners); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	slices.Sort(wantConnections)
	slices.Sort(connections)
	if diff := cmp.Diff(wantConnections, connections); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
	return sockets
}

// hostSockets are those of sshd (22), docker-proxy (8080), a process of the host (3306) and one of a container (9100).
var hostSockets = []socket.Socket{
	listen("0.0.0.0:22", 1), listen("[::]:8080", 2), listen("127.0.0.1:3306", 3), listen("0.0.0.0:9100", 4),
	established("10.0.0.1:22", "192.0.2.9:5000", 11),                                                         // accepted at a port that is not published
	established("10.0.0.1:8080", "192.0.2.9:5001", 12),                                                       // docker-proxy's front
	established("127.0.0.1:8080", "127.0.0.1:5002", 13),                                                      // its front over loopback
	established("172.17.0.1:40000", "172.17.0.2:80", 14),                                                     // its back
	established("127.0.0.1:5002", "127.0.0.1:8080", 15),                                                      // dials the published port over loopback
	established("127.0.0.1:5003", "127.0.0.1:9100", 16),                                                      // dials the container over loopback
	established("127.0.0.1:9100", "127.0.0.1:5003", 17),                                                      // the container's end
	established("127.0.0.1:5004", "127.0.0.1:3306", 18), established("127.0.0.1:3306", "127.0.0.1:5004", 19), // among the host's processes
	established("127.0.0.1:5005", "127.0.0.1:9080", 20), // a published port without docker-proxy
	established("10.0.0.1:40001", "10.0.0.1:9100", 21), established("10.0.0.1:9100", "10.0.0.1:40001", 22),
	in(socket.TimeWait, established("10.0.0.1:8080", "192.0.2.9:5006", 0)),
	in(socket.TimeWait, established("10.0.0.1:40002", "192.0.2.9:443", 0)),
	in(socket.TimeWait, established("10.0.0.1:9100", "192.0.2.9:5007", 0)),
	established("10.0.0.1:8080", "192.0.2.9:5008", 0), // not accepted yet
	in(socket.CloseWait, established("10.0.0.1:40003", "192.0.2.9:443", 23)),
}

// A program of the host learns its own address by a UDP socket that it connects to port 0.
func TestUDPSocketsOfTheHostWithoutAPort(t *testing.T) {
	expectHost(t, hostResult([]socket.Socket{udp(established("10.0.0.1:40000", "192.0.2.9:0", 1)), udp(established("10.0.0.1:40000", "192.0.2.9:53", 2))}),
		nil, []string{"10.0.0.1:40000>192.0.2.9:53"})
}

func TestHostSockets(t *testing.T) {
	exporter := func(o *procfd.OwnedSockets) collect.Reading {
		return collect.Reading{Container: container.Container{NetworkMode: "host"}, Owned: o}
	}
	byCgroup := owners(0, 4, 17, 22)
	byCgroup.ByCgroup = true
	listeners := []string{"0.0.0.0:22", "127.0.0.1:3306", "[::]:8080"}
	marked := func(list []string, except ...string) []string {
		list = slices.Clone(list)
		for i, text := range list {
			if !slices.Contains(except, text) {
				list[i] += "?"
			}
		}
		return list
	}
	connections := []string{
		"10.0.0.1:8080<192.0.2.9:5001", "10.0.0.1:8080<192.0.2.9:5006", "10.0.0.1:8080<192.0.2.9:5008", "10.0.0.1:40001>10.0.0.1:9100",
		"10.0.0.1:40002>192.0.2.9:443", "127.0.0.1:5002>127.0.0.1:8080", "127.0.0.1:5003>127.0.0.1:9100", "127.0.0.1:5005>127.0.0.1:9080",
		"127.0.0.1:8080<127.0.0.1:5002", "172.17.0.1:40000>172.17.0.2:80",
	}
	others := []string{"10.0.0.1:22<192.0.2.9:5000?", "127.0.0.1:3306<127.0.0.1:5004?", "127.0.0.1:5004>127.0.0.1:3306?"}
	t.Run("owned by cgroup", func(t *testing.T) {
		got := marked(connections, slices.Concat(connections[:4], connections[5:])...) // no one knows who dialled a closed connection
		s := expectHost(t, hostResult(hostSockets, exporter(byCgroup)), listeners, got)
		if s.Method != collect.Procfs || s.Incomplete || s.Namespace != "host" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("closed while descriptors were read", func(t *testing.T) {
		result := hostResult(hostSockets, exporter(owners(0, 4, 17, 22)))
		result.Host.Closed = map[uint64]bool{21: true, 12: true}
		expectHost(t, result, listeners, marked(connections, slices.Concat(connections[1:3], connections[5:])...))
	})
	t.Run("no container on the host's network", func(t *testing.T) {
		var got []string
		for _, text := range connections {
			if text != "127.0.0.1:5003>127.0.0.1:9100" { // no container listens there
				got = append(got, text)
			}
		}
		expectHost(t, hostResult(hostSockets), []string{"0.0.0.0:22", "0.0.0.0:9100", "127.0.0.1:3306", "[::]:8080"}, got)
	})
	t.Run("owners unknown", func(t *testing.T) {
		unknown := exporter(nil)
		unknown.Container.ConfiguredPorts = []socket.Port{9100} // its listener is known
		all := append(marked(connections), "10.0.0.1:9100<10.0.0.1:40001?", "10.0.0.1:9100<192.0.2.9:5007?", "127.0.0.1:9100<127.0.0.1:5003?")
		expectHost(t, hostResult(hostSockets, unknown), marked(listeners), append(all, others...))
	})
	t.Run("read apart from the container", func(t *testing.T) {
		result := hostResult(hostSockets, exporter(byCgroup))
		result.Host.Apart = true
		expectHost(t, result, marked(listeners), append(marked(connections), others...))
	})
	t.Run("a container that could not be read", func(t *testing.T) {
		result := hostResult(hostSockets[:1])
		result.Readings = append(result.Readings, exporter(nil))
		expectHost(t, result, []string{"0.0.0.0:22?"}, nil)
	})
	t.Run("a restarting container", func(t *testing.T) {
		result := hostResult(hostSockets[:1])
		result.Readings = append(result.Readings, exporter(&procfd.OwnedSockets{}))
		expectHost(t, result, []string{"0.0.0.0:22"}, nil)
	})
	t.Run("a sandbox in host mode", func(t *testing.T) {
		result := hostResult(hostSockets[:1])
		result.Readings = append(result.Readings, collect.Reading{
			Container: container.Container{NetworkMode: "host", Sandboxed: true}, NetNS: &collect.NetNS{Host: true},
		})
		expectHost(t, result, []string{"0.0.0.0:22"}, nil)
	})
	t.Run("not read", func(t *testing.T) {
		if s := AttributeHost(collect.Result{}); s != nil {
			t.Errorf("%+v", s)
		}
	})
	t.Run("read in part", func(t *testing.T) {
		result := hostResult(hostSockets[:1])
		result.Host.Incomplete = true
		if s := AttributeHost(result); !s.Incomplete {
			t.Errorf("%+v", s)
		}
	})
}

// A listener of a container on the exact address and one of the host on all addresses are different.
func TestLoopbackToTheExactListener(t *testing.T) {
	sockets := []socket.Socket{
		listen("127.0.0.1:80", 1), listen("0.0.0.0:80", 2), listen("0.0.0.0:81", 3), listen("127.0.0.1:81", 4),
		established("127.0.0.1:5000", "127.0.0.1:80", 5), established("127.0.0.1:5001", "127.0.0.1:81", 6), established("127.0.0.1:5002", "127.0.0.2:81", 7),
	}
	owned := owners(0, 1, 3)
	owned.ByCgroup = true
	expectHost(t, hostResult(sockets, collect.Reading{Owned: owned}), []string{"0.0.0.0:80", "127.0.0.1:81"},
		[]string{"127.0.0.1:5000>127.0.0.1:80", "127.0.0.1:5002>127.0.0.2:81"})
}

// Others control the numbers of listeners on one port and of connections to it. The cost grows with their sum, and the document
// stays bounded: with their product, this test would not end.
func TestHostSocketsAreBounded(t *testing.T) {
	const count = 200_000
	var sockets []socket.Socket
	for i := range count {
		remote := fmt.Sprintf("10.%d.%d.%d:5000", i>>16, i>>8&255, i&255)
		sockets = append(sockets, listen("0.0.0.0:80", uint64(2*i+1)), established("10.200.0.1:6000", remote, uint64(2*i+2)),
			established(fmt.Sprintf("127.0.%d.%d:%d", i>>8&255, i&255, 6001+i>>16), "127.0.0.1:80", uint64(2*count+i+1)))
	}
	slices.Reverse(sockets)
	got := AttributeHost(hostResult(sockets, collect.Reading{Owned: owners(0)}))
	if len(got.Listeners) != MaxHostSockets || len(got.Connections) != MaxHostSockets || !got.Incomplete {
		t.Errorf("%d listeners, %d connections, incomplete %v", len(got.Listeners), len(got.Connections), got.Incomplete)
	}
	if first, last := got.Connections[0].Remote.String(), got.Connections[MaxHostSockets-1].Remote.String(); first != "10.0.0.0:5000" || last != "10.0.39.15:5000" {
		t.Errorf("%s to %s, want the first ones", first, last)
	}
}
