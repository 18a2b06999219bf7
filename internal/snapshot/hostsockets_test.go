package snapshot

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/socket"
)

func TestHostSocketsThatExplainContainers(t *testing.T) {
	timeWait := func(s socket.Socket) socket.Socket { return in(socket.TimeWait, s) }
	sockets := []socket.Socket{
		listen("0.0.0.0:8080", 1), listen("0.0.0.0:22", 2), listen("0.0.0.0:9100", 3), listen("127.0.0.1:5432", 4),
		established("10.0.0.1:8080", "192.0.2.1:1000", 5),  // docker-proxy's
		established("172.17.0.1:4000", "172.17.0.2:80", 6), // docker-proxy's other piece
		established("127.0.0.1:8080", "127.0.0.1:1001", 7), established("127.0.0.1:1001", "127.0.0.1:8080", 8),
		established("10.0.0.1:22", "192.0.2.1:1002", 9),                                                          // of a service of the host
		established("127.0.0.1:1003", "127.0.0.1:5432", 10), established("127.0.0.1:5432", "127.0.0.1:1003", 11), // between processes of the host
		established("127.0.0.1:1004", "127.0.0.1:9100", 12), established("127.0.0.1:9100", "127.0.0.1:1004", 13), // to the agent
		established("10.0.0.1:1005", "192.0.2.9:443", 14),          // dialled by the agent
		timeWait(established("10.0.0.1:1006", "192.0.2.9:443", 0)), // by nobody knows whom
		timeWait(established("10.0.0.1:8080", "192.0.2.1:1007", 0)),
		in(socket.CloseWait, established("10.0.0.1:1008", "192.0.2.9:443", 15)),
	}
	web := collect.Reading{NetNS: &collect.NetNS{Published: published(80, "0.0.0.0:8080")}}
	agent := func(owned *procfd.OwnedSockets, configured ...uint16) collect.Reading {
		return collect.Reading{
			NetNS: &collect.NetNS{Host: true, Shared: true, Sockets: sockets}, Owned: owned, Container: container.Container{ConfiguredPorts: configured},
		}
	}
	known := &procfd.OwnedSockets{Inodes: map[uint64]string{3: "", 13: "", 14: ""}, Readable: 1}
	const (
		front, back    = "10.0.0.1:8080 192.0.2.1:1000", "172.17.0.1:4000 172.17.0.2:80"
		loopbackFront  = "127.0.0.1:8080 127.0.0.1:1001"
		loopbackClient = "127.0.0.1:1001 127.0.0.1:8080"
		closedFront    = "10.0.0.1:8080 192.0.2.1:1007"
	)
	for _, test := range []struct {
		name     string
		readings []collect.Reading
		want     []string
	}{
		{"no container on the host's network", []collect.Reading{web}, []string{
			"0.0.0.0:22", "0.0.0.0:8080", "0.0.0.0:9100", "127.0.0.1:5432",
			front, closedFront, "10.0.0.1:1005 192.0.2.9:443", "10.0.0.1:1006 192.0.2.9:443", loopbackClient, loopbackFront, back,
		}},
		{"known owners", []collect.Reading{web, agent(known)}, []string{
			"0.0.0.0:22", "0.0.0.0:8080", "127.0.0.1:5432",
			front, closedFront, "10.0.0.1:1006 192.0.2.9:443 unknown", "127.0.0.1:1004 127.0.0.1:9100", loopbackClient, loopbackFront, back,
		}},
		{"unknown owners", []collect.Reading{web, agent(nil, 9100)}, []string{
			"0.0.0.0:22 unknown", "0.0.0.0:8080 unknown", "127.0.0.1:5432 unknown",
			front + " unknown", closedFront + " unknown", "10.0.0.1:22 192.0.2.1:1002 unknown", "10.0.0.1:1005 192.0.2.9:443 unknown",
			"10.0.0.1:1006 192.0.2.9:443 unknown", "127.0.0.1:1003 127.0.0.1:5432 unknown", "127.0.0.1:1004 127.0.0.1:9100 unknown",
			"127.0.0.1:5432 127.0.0.1:1003 unknown", "127.0.0.1:9100 127.0.0.1:1004 unknown",
			loopbackClient + " unknown", loopbackFront + " unknown", back + " unknown",
		}},
	} {
		got := AttributeHost(collect.Result{Readings: test.readings, Host: &collect.HostNetNS{Sockets: sockets, Method: collect.Procfs}})
		lines := describeHostSockets(got)
		slices.Sort(test.want)
		if diff := cmp.Diff(test.want, lines); diff != "" || got.Method != collect.Procfs || got.Incomplete {
			t.Errorf("%s: %+v (-want +got):\n%s", test.name, got, diff)
		}
	}
	if got := AttributeHost(collect.Result{Readings: []collect.Reading{web}}); got != nil {
		t.Errorf("not read: %+v", got)
	}
}

func describeHostSockets(sockets *HostSockets) []string {
	var lines []string
	describe := func(text string, ownerUnknown bool) {
		if ownerUnknown {
			text += " unknown"
		}
		lines = append(lines, text)
	}
	for _, l := range sockets.Listeners {
		describe(l.Local.String(), l.OwnerUnknown)
	}
	for _, c := range sockets.Connections {
		describe(fmt.Sprint(c.Local, " ", c.Remote), c.OwnerUnknown)
	}
	slices.Sort(lines)
	return lines
}

func TestHostSocketsAreBounded(t *testing.T) {
	var sockets []socket.Socket
	for i := range maxHostSockets + 1 {
		addr := netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)})
		sockets = append(sockets, listen(netip.AddrPortFrom(addr, 80).String(), 0), established(fmt.Sprintf("10.0.0.1:%d", i+1), "192.0.2.1:80", 0))
	}
	got := AttributeHost(collect.Result{Host: &collect.HostNetNS{Sockets: sockets}})
	if !got.Incomplete || len(got.Listeners) != maxHostSockets || len(got.Connections) != maxHostSockets {
		t.Errorf("%d listeners, %d connections, incomplete %t", len(got.Listeners), len(got.Connections), got.Incomplete)
	}
	if got := AttributeHost(collect.Result{Host: &collect.HostNetNS{Sockets: sockets[:2], Incomplete: true}}); !got.Incomplete {
		t.Error("the table was incomplete")
	}
}
