package snapshot

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/socket"
)

func listen(local string, inode uint64) socket.Socket {
	at := netip.MustParseAddrPort(local)
	unspecified := netip.IPv4Unspecified()
	if at.Addr().Is6() {
		unspecified = netip.IPv6Unspecified()
	}
	return socket.Socket{Local: at, Remote: netip.AddrPortFrom(unspecified, 0), State: socket.Listen, Inode: inode}
}

func established(local, remote string, inode uint64) socket.Socket {
	return socket.Socket{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), State: socket.Established, Inode: inode}
}

func in(state socket.State, s socket.Socket) socket.Socket {
	s.State = state
	return s
}

func published(port socket.Port, hosts ...string) []container.Binding {
	var bindings []container.Binding
	for _, host := range hosts {
		bindings = append(bindings, container.Binding{ContainerPort: port, Host: netip.MustParseAddrPort(host)})
	}
	return bindings
}

// direct is a binding without a port of the host.
func direct(endpoint string) []container.Binding {
	host := netip.MustParseAddrPort(endpoint)
	return []container.Binding{{ContainerPort: socket.NewPort(host.Port(), socket.TCP), Host: host, Direct: true}}
}

func owners(denied int, inodes ...uint64) *procfd.OwnedSockets {
	o := &procfd.OwnedSockets{Inodes: make(map[uint64]string), Readable: 1, Denied: denied}
	for _, inode := range inodes {
		o.Inodes[inode] = ""
	}
	return o
}

// udp returns a socket with the other protocol. Without a peer, it has the state that the kernel gives to unconnected sockets.
func udp(s socket.Socket) socket.Socket {
	s.Protocol = socket.UDP
	if s.State == socket.Listen {
		s.State = socket.Close
	}
	return s
}

func texts[T fmt.Stringer](endpoints []T) []string {
	var texts []string
	for _, e := range endpoints {
		texts = append(texts, e.String())
	}
	return texts
}

func addrs(list ...string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range list {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs
}

func TestNamespaceOfOneContainer(t *testing.T) {
	tests := []struct {
		name        string
		sockets     []socket.Socket
		published   []container.Binding
		interfaces  []netip.Addr
		listening   []string
		established []string
		leftOut     LeftOut
	}{
		{name: "nothing"},
		{
			name:    "not published",
			sockets: []socket.Socket{listen("0.0.0.0:80", 1)},
			leftOut: LeftOut{Unpublished: 1},
		},
		{
			name:      "published without a listener",
			published: published(80, "0.0.0.0:8080"),
		},
		{
			name:      "one binding at the default interface",
			sockets:   []socket.Socket{listen("0.0.0.0:80", 1)},
			published: published(80, "0.0.0.0:8080", "[::]:8080"),
			listening: []string{"0.0.0.0:8080"},
		},
		{
			name:      "published for IPv6 alone, and no IPv6 address is known",
			sockets:   []socket.Socket{listen("0.0.0.0:80", 1)},
			published: published(80, "[::]:8080"),
			listening: []string{"[::]:8080"},
		},
		{
			name:       "published for IPv6 alone",
			sockets:    []socket.Socket{listen("0.0.0.0:80", 1)},
			published:  published(80, "[::]:8080"),
			interfaces: addrs("192.168.56.101", "2001:db8::1"),
			listening:  []string{"[2001:db8::1]:8080"},
		},
		{
			name:       "published for both families on a host with IPv4 alone",
			sockets:    []socket.Socket{listen("0.0.0.0:80", 1)},
			published:  published(80, "0.0.0.0:8080", "[::]:8080", "[::]:8081"),
			interfaces: addrs("192.168.56.101"),
			listening:  []string{"192.168.56.101:8080", "[::]:8081"},
		},
		{
			name:       "routed to the container's own address",
			sockets:    []socket.Socket{listen("0.0.0.0:80", 1), listen("10.71.1.2:81", 2), listen("10.72.1.2:82", 3), listen("[::]:83", 4), listen("127.0.0.1:84", 5)},
			published:  slices.Concat(direct("10.71.1.2:80"), direct("[fd71::2]:80"), direct("10.71.1.2:81"), direct("10.71.1.2:82"), direct("10.71.1.2:83"), direct("10.71.1.2:84")),
			interfaces: addrs("192.168.56.101"),
			listening:  []string{"10.71.1.2:80", "10.71.1.2:81", "10.71.1.2:83"},
			leftOut:    LeftOut{Loopback: 1},
		},
		{
			name:       "the unspecified address expands to the interfaces",
			sockets:    []socket.Socket{listen("[::]:80", 1)},
			published:  published(80, "0.0.0.0:8080"),
			interfaces: addrs("192.168.56.101", "10.0.2.101"),
			listening:  []string{"10.0.2.101:8080", "192.168.56.101:8080"},
		},
		{
			name:      "three bindings of one port",
			sockets:   []socket.Socket{listen("0.0.0.0:80", 1)},
			published: published(80, "0.0.0.0:8080", "10.1.1.1:8081", "[::1]:8082"),
			listening: []string{"0.0.0.0:8080", "10.1.1.1:8081", "[::1]:8082"},
		},
		{
			name:      "published on 127.0.0.1 only",
			sockets:   []socket.Socket{listen("0.0.0.0:80", 1)},
			published: published(80, "127.0.0.1:8080"),
			listening: []string{"127.0.0.1:8080"},
		},
		{
			name: "bound to loopback inside",
			sockets: []socket.Socket{
				listen("127.0.0.1:80", 1), listen("127.0.0.11:80", 2), listen("[::1]:80", 3),
			},
			published: published(80, "0.0.0.0:8080"),
			leftOut:   LeftOut{Loopback: 3},
		},
		{
			name:      "bound to the container's own address",
			sockets:   []socket.Socket{listen("172.17.0.2:80", 1)},
			published: published(80, "0.0.0.0:8080"),
			listening: []string{"0.0.0.0:8080"},
		},
		{
			name:      "two SO_REUSEPORT listeners and one of IPv6: one endpoint",
			sockets:   []socket.Socket{listen("0.0.0.0:80", 1), listen("0.0.0.0:80", 2), listen("[::]:80", 3)},
			published: published(80, "0.0.0.0:8080", "[::]:8080"),
			listening: []string{"0.0.0.0:8080"},
		},
		{
			name: "a UDP port is published by a binding of UDP alone",
			sockets: []socket.Socket{
				udp(listen("0.0.0.0:53", 1)), listen("0.0.0.0:53", 2), udp(listen("[::]:54", 3)), listen("0.0.0.0:54", 4), udp(listen("0.0.0.0:55", 5)), udp(listen("127.0.0.1:53", 6)),
			},
			published: slices.Concat(published(53, "0.0.0.0:5353"), published(socket.NewPort(53, socket.UDP), "0.0.0.0:5353", "[::]:5353"), published(socket.NewPort(54, socket.UDP), "0.0.0.0:5354")),
			listening: []string{"0.0.0.0:5353", "0.0.0.0:5353/udp", "0.0.0.0:5354/udp"},
			leftOut:   LeftOut{Unpublished: 2, Loopback: 1},
		},
		{
			name: "unconnected UDP sockets at ephemeral ports are of clients, unless the port is published",
			sockets: []socket.Socket{
				udp(listen("0.0.0.0:32767", 1)), udp(listen("0.0.0.0:32768", 2)), udp(listen("0.0.0.0:60999", 3)), udp(listen("[::]:61000", 4)), udp(listen("0.0.0.0:51820", 5)), listen("0.0.0.0:40000", 6),
			},
			published: published(socket.NewPort(51820, socket.UDP), "0.0.0.0:51820"),
			listening: []string{"0.0.0.0:51820/udp"},
			leftOut:   LeftOut{Unpublished: 3, Senders: 2},
		},
		{
			name:    "UDP sockets that are connected to port 0",
			sockets: []socket.Socket{udp(established("172.17.0.2:40000", "10.9.9.9:0", 1)), udp(established("172.17.0.2:53", "10.9.9.9:0", 2))},
			leftOut: LeftOut{Senders: 2},
		},
		{
			name:        "connected UDP sockets",
			sockets:     []socket.Socket{udp(established("172.17.0.2:40000", "10.9.9.9:53", 1)), established("172.17.0.2:40000", "10.9.9.9:53", 2)},
			established: []string{"10.9.9.9:53", "10.9.9.9:53/udp"},
		},
		{
			name: "connections: accepted, dialled, unaccepted, equal; other states",
			sockets: []socket.Socket{
				established("172.17.0.2:80", "172.17.0.3:5000", 1),
				established("172.17.0.2:6000", "10.9.9.9:443", 2), established("172.17.0.2:6001", "10.9.9.9:443", 3),
				established("172.17.0.2:80", "172.17.0.4:5000", 0),
				in(socket.TimeWait, established("172.17.0.2:80", "172.17.0.5:5000", 0)),
				in(socket.FinWait2, established("172.17.0.2:80", "172.17.0.5:5001", 0)),
				in(socket.SynRecv, established("172.17.0.2:80", "172.17.0.5:5002", 0)),
				in(socket.CloseWait, established("172.17.0.2:80", "172.17.0.5:5003", 9)),
				in(socket.State(0xFF), established("172.17.0.2:80", "172.17.0.5:5004", 9)),
				in(socket.SynSent, established("172.17.0.2:6002", "172.17.0.5:5432", 9)), // just now
			},
			established: []string{"10.9.9.9:443", "10.9.9.9:443", "172.17.0.3:5000", "172.17.0.4:5000"},
			leftOut:     LeftOut{OtherState: 5},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.interfaces == nil {
				test.interfaces = addrs("0.0.0.0")
			}
			got := Attribute(collect.Result{Readings: []collect.Reading{{
				Container: container.Container{Name: "/it", Image: "shop/web:1"},
				NetNS:     &collect.NetNS{Published: test.published, Sockets: test.sockets},
			}}}, Interfaces{Addresses: test.interfaces})[0]
			if diff := cmp.Diff(test.listening, texts(got.Listening)); diff != "" {
				t.Errorf("listening (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.established, texts(got.Established)); diff != "" {
				t.Errorf("established (-want +got):\n%s", diff)
			}
			for _, l := range got.Listeners {
				for _, host := range l.Published {
					if slices.Contains(test.published, container.Binding{ContainerPort: socket.NewPort(l.Local.Port(), l.Protocol), Host: host, Direct: true}) {
						t.Errorf("%s is the container's own endpoint, not the host's", host)
					}
				}
			}
			if got.LeftOut != test.leftOut { // all else is the container's own
				t.Errorf("left out %+v, want %+v", got.LeftOut, test.leftOut)
			}
		})
	}
}

func TestSharedNamespace(t *testing.T) {
	type sharer struct {
		owners     *procfd.OwnedSockets
		configured []socket.Port

		listening, established []string
		ownerUnknown           int // sockets
	}
	web, db := listen("0.0.0.0:80", 1), listen("127.0.0.1:5432", 2)
	accepted := established("10.0.0.1:80", "10.0.0.9:5000", 3)
	unaccepted := established("10.0.0.1:80", "10.0.0.9:5001", 0)
	all := []socket.Socket{web, db, accepted, unaccepted}
	pod := collect.NetNS{Shared: true, Sockets: all, Published: append(published(80, "0.0.0.0:8080"), published(5432, "0.0.0.0:5432")...)}
	host := collect.NetNS{Shared: true, Host: true, Sockets: all}
	tests := []struct {
		name      string
		namespace collect.NetNS
		sharers   []sharer
	}{
		{
			name: "host: each owns its sockets, also on loopback", namespace: host,
			sharers: []sharer{
				{owners: owners(0, 1, 3), listening: []string{"0.0.0.0:80"}, established: []string{"10.0.0.9:5000", "10.0.0.9:5001"}},
				{owners: owners(0, 2), listening: []string{"127.0.0.1:5432"}},
				{owners: owners(0)},
			},
		},
		{
			name: "host: owners unknown", namespace: host,
			sharers: []sharer{
				{configured: []socket.Port{80, 81}, listening: []string{"0.0.0.0:80"}, ownerUnknown: 3},
				{ownerUnknown: 4},
			},
		},
		{
			name: "host: a configured port that another container owns", namespace: host,
			sharers: []sharer{
				{configured: []socket.Port{80}, ownerUnknown: 2},
				{owners: owners(0, 1), listening: []string{"0.0.0.0:80"}, established: []string{"10.0.0.9:5001"}},
			},
		},
		{
			name: "host: master readable, workers of another user not", namespace: host,
			sharers: []sharer{
				{owners: owners(2, 1), listening: []string{"0.0.0.0:80"}, established: []string{"10.0.0.9:5001"}, ownerUnknown: 2},
			},
		},
		{
			name: "host: one socket held by two containers", namespace: host,
			sharers: []sharer{
				{owners: owners(0, 1), listening: []string{"0.0.0.0:80"}, established: []string{"10.0.0.9:5001"}},
				{owners: owners(0, 1), listening: []string{"0.0.0.0:80"}, established: []string{"10.0.0.9:5001"}},
			},
		},
		{
			name: "host: restarting, without a process", namespace: host,
			sharers: []sharer{
				{owners: &procfd.OwnedSockets{}, configured: []socket.Port{80}},
			},
		},
		{
			name: "pod: each owns its published ports", namespace: pod,
			sharers: []sharer{
				{owners: owners(0, 1, 3), listening: []string{"0.0.0.0:8080"}, established: []string{"10.0.0.9:5000", "10.0.0.9:5001"}},
				{owners: owners(0, 2)},
			},
		},
		{
			name: "pod: sockets without owner go to the container with unknown owners", namespace: pod,
			sharers: []sharer{
				{owners: owners(0, 2)},
				{listening: []string{"0.0.0.0:8080"}, established: []string{"10.0.0.9:5000", "10.0.0.9:5001"}},
			},
		},
		{
			name: "pod: all owners unknown", namespace: pod,
			sharers: []sharer{
				{listening: []string{"0.0.0.0:8080"}, established: []string{"10.0.0.9:5000", "10.0.0.9:5001"}},
				{listening: []string{"0.0.0.0:8080"}, established: []string{"10.0.0.9:5000", "10.0.0.9:5001"}},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var result collect.Result
			for _, m := range test.sharers {
				result.Readings = append(result.Readings, collect.Reading{
					Container: container.Container{ConfiguredPorts: m.configured}, NetNS: &test.namespace, Owned: m.owners,
				})
			}
			for i, got := range Attribute(result, Interfaces{Addresses: addrs("0.0.0.0")}) {
				want := test.sharers[i]
				if diff := cmp.Diff(want.listening, texts(got.Listening)); diff != "" {
					t.Errorf("%d: listening (-want +got):\n%s", i, diff)
				}
				if diff := cmp.Diff(want.established, texts(got.Established)); diff != "" {
					t.Errorf("%d: established (-want +got):\n%s", i, diff)
				}
				if got.LeftOut.OwnerUnknown != want.ownerUnknown {
					t.Errorf("%d: owner unknown of %d sockets, want %d", i, got.LeftOut.OwnerUnknown, want.ownerUnknown)
				}
				if sum := got.Sockets + got.LeftOut.OwnerUnknown + got.LeftOut.NotItsOwn; sum != len(all) {
					t.Errorf("%d: %d sockets counted, want %d", i, sum, len(all))
				}
				if got.ProcessesUnreadable != (test.namespace.Host && want.owners == nil) {
					t.Errorf("%d: ProcessesUnreadable = %v", i, got.ProcessesUnreadable)
				}
			}
		})
	}
}

// The document says which end dialled, and when a connection closed, if that is known.
func TestDirectionAndClosingTime(t *testing.T) {
	readAt := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	with := func(s socket.Socket, by socket.End, remaining time.Duration) socket.Socket {
		s.TCPInfo, s.Remaining = &socket.TCPInfo{DialledBy: by}, remaining
		return s
	}
	got := Snapshot{Containers: Attribute(collect.Result{Readings: []collect.Reading{{NetNS: &collect.NetNS{ReadAt: readAt, Sockets: []socket.Socket{
		listen("0.0.0.0:80", 1),
		with(established("10.0.0.1:80", "10.0.0.2:1000", 2), socket.LocalEnd, 0), // dialled from a listening port
		with(established("10.0.0.1:81", "10.0.0.2:1000", 3), socket.RemoteEnd, 0),
		with(established("10.0.0.1:82", "10.0.0.2:1000", 4), socket.UnknownEnd, 0),
		established("10.0.0.1:83", "10.0.0.2:1000", 5),
		with(in(socket.TimeWait, established("10.0.0.1:84", "10.0.0.2:1000", 0)), socket.UnknownEnd, 50*time.Second),
		in(socket.TimeWait, established("10.0.0.1:85", "10.0.0.2:1000", 0)),
	}}}}}, Interfaces{})}.ToV1().Containers[0].Connections
	dialled, accepted, closedAt := true, false, time.Date(2026, 1, 2, 3, 3, 55, 0, time.UTC)
	for i, want := range []struct {
		direction string
		dialled   *bool
		closedAt  *time.Time
	}{{"in", &dialled, nil}, {"out", &accepted, nil}, {"out", nil, nil}, {"out", nil, nil}, {"out", nil, &closedAt}, {"out", nil, nil}} {
		c := got[i]
		if c.Direction != want.direction || !cmp.Equal(c.Dialled, want.dialled) || !cmp.Equal(c.ClosedAt, want.closedAt) {
			t.Errorf("%s: direction %s, dialled %v, closed at %v", c.Local, c.Direction, c.Dialled, c.ClosedAt)
		}
	}
}

// A sandbox has a network stack of its own even in host network mode: its container owns all sockets.
func TestSandboxInHostModeOwnsAllSockets(t *testing.T) {
	got := Attribute(collect.Result{Readings: []collect.Reading{{
		NetNS: &collect.NetNS{Host: true, Sockets: []socket.Socket{listen("0.0.0.0:80", 0), established("10.0.0.1:80", "10.0.0.9:5000", 0)}},
	}}}, Interfaces{Addresses: addrs("10.0.0.1")})[0]
	if !slices.Equal(texts(got.Listening), []string{"10.0.0.1:80"}) || !slices.Equal(texts(got.Established), []string{"10.0.0.9:5000"}) || got.ProcessesUnreadable {
		t.Errorf("%+v", got)
	}
}

// An unaccepted connection waits in the queue of the listener on its exact address, if there is one.
func TestUnacceptedPrefersTheExactListener(t *testing.T) {
	namespace := &collect.NetNS{Shared: true, Host: true, Sockets: []socket.Socket{
		listen("0.0.0.0:80", 1), listen("10.0.0.1:80", 2), listen("[::]:81", 3),
		established("10.0.0.1:80", "10.0.0.9:5000", 0), established("10.0.0.2:80", "10.0.0.9:5001", 0), established("10.0.0.2:81", "10.0.0.9:5002", 0),
	}}
	got := Attribute(collect.Result{Readings: []collect.Reading{
		{NetNS: namespace, Owned: owners(0, 1)}, {NetNS: namespace, Owned: owners(0, 2)}, {NetNS: namespace, Owned: owners(0, 3)},
	}}, Interfaces{})
	for i, want := range []string{"10.0.0.9:5001", "10.0.0.9:5000", "10.0.0.9:5002"} {
		if !slices.Equal(texts(got[i].Established), []string{want}) {
			t.Errorf("%d: %v, want %s", i, texts(got[i].Established), want)
		}
	}
}

// A listener on the unspecified address of the same family wins. An IPv4 listener never accepts an IPv6 connection.
func TestListenerOfTheSameFamilyWins(t *testing.T) {
	both := indexListeners([]socket.Socket{listen("0.0.0.0:80", 1), listen("[::]:80", 2), listen("[::]:81", 3), listen("0.0.0.0:82", 4)})
	for local, want := range map[string]uint64{
		"10.0.0.1:80": 1, "[2001:db8::1]:80": 2, "10.0.0.1:81": 3, "[2001:db8::1]:81": 3, "10.0.0.1:82": 4, "[2001:db8::1]:82": 0, "10.0.0.1:83": 0,
	} {
		var got uint64
		if found := both.lookup(established(local, "10.0.0.9:5000", 9)); found != nil && len(found.sockets) == 1 {
			got = found.sockets[0].Inode
		}
		if got != want {
			t.Errorf("%s: listener %d, want %d", local, got, want)
		}
	}
}

// A listener on 0.0.0.0 is listed at configured IPv6 addresses, but not at detected ones.
func TestExpandUnspecified(t *testing.T) {
	list := addrs("10.0.0.1", "2001:db8::1")
	for _, test := range []struct {
		endpoint   string
		interfaces Interfaces
		want       []string
	}{
		{"0.0.0.0:80", Interfaces{Addresses: list, Detected: true}, []string{"10.0.0.1:80"}},
		{"[::]:80", Interfaces{Addresses: list, Detected: true}, []string{"10.0.0.1:80", "[2001:db8::1]:80"}},
		{"0.0.0.0:80", Interfaces{Addresses: list}, []string{"10.0.0.1:80", "[2001:db8::1]:80"}},
		{"0.0.0.0:80", Interfaces{Addresses: list[1:], Detected: true}, []string{"0.0.0.0:80"}},
		{"127.0.0.1:80", Interfaces{Addresses: list}, []string{"127.0.0.1:80"}},
	} {
		if got := texts(expandUnspecified(netip.MustParseAddrPort(test.endpoint), test.interfaces)); !slices.Equal(got, test.want) {
			t.Errorf("%s with %+v: %v, want %v", test.endpoint, test.interfaces, got, test.want)
		}
	}
}

// Connections that were not read may still be open.
func TestUnreadUDPIsMissing(t *testing.T) {
	for reason, want := range map[string]bool{"": false, "it is denied": true} {
		c := Attribute(collect.Result{Readings: []collect.Reading{{NetNS: &collect.NetNS{UDPUnread: reason}}}}, Interfaces{})[0]
		if c.Truncated != want || c.UDPUnread != reason {
			t.Errorf("%q: %v, %q", reason, c.Truncated, c.UDPUnread)
		}
	}
}

func TestConnectionsDocument(t *testing.T) {
	document := Snapshot{Containers: []Container{
		{
			Name: "/kafka", Image: "wurstmeister/kafka:2.11-0.10.2.1",
			Listening:   []Endpoint{{AddrPort: netip.MustParseAddrPort("192.168.56.101:9092")}},
			Established: []Endpoint{{AddrPort: netip.MustParseAddrPort("172.17.0.2:39534")}, {AddrPort: netip.MustParseAddrPort("[2001:db8::1]:443")}},
		},
		{Name: "/idle", Image: `<img src=x onerror="alert(1)">`},
	}}.ToConnections(socket.TCP)
	got, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"/kafka","artefact":"wurstmeister/kafka:2.11-0.10.2.1",` +
		`"listening":[{"address":"192.168.56.101","port":9092}],` +
		`"established":[{"address":"172.17.0.2","port":39534},{"address":"2001:db8::1","port":443}]},` +
		`{"name":"/idle","artefact":"\u003cimg src=x onerror=\"alert(1)\"\u003e","listening":[],"established":[]}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none, _ := json.Marshal(Snapshot{}.ToConnections()); string(none) != "[]" {
		t.Errorf("no containers: %s", none)
	}
}

// A container controls the number of listeners on one port and of connections that they accepted. The cost grows with their
// sum, not with their product: with the product, this test would not end.
func TestCostIsLinearInListenersAndConnections(t *testing.T) {
	const count = 200_000
	var addresses, reused []socket.Socket
	for i := range count {
		local := fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&255, i&255)
		addresses = append(addresses, listen(local, uint64(2*i+1)), established(local, "192.0.2.1:5000", uint64(2*i+2)))
		remote := fmt.Sprintf("10.%d.%d.%d:5000", i>>16, i>>8&255, i&255)
		reused = append(reused, listen("0.0.0.0:80", uint64(i+1)), in(socket.TimeWait, established("10.0.0.1:80", remote, 0)))
	}
	for _, sockets := range [][]socket.Socket{addresses, reused} {
		namespace := &collect.NetNS{Sockets: sockets, Shared: true}
		held := owners(0)
		for _, s := range sockets {
			held.Inodes[s.Inode] = ""
		}
		got := Attribute(collect.Result{Readings: []collect.Reading{{NetNS: namespace, Owned: held}, {NetNS: namespace, Owned: owners(0)}}}, Interfaces{})
		if len(got[0].Listeners) != count || len(got[0].Connections) != count || len(got[1].Connections) != 0 {
			t.Errorf("%d listeners, %d and %d connections", len(got[0].Listeners), len(got[0].Connections), len(got[1].Connections))
		}
	}
}

func TestMarks(t *testing.T) {
	for name, test := range map[string]struct {
		mode  container.NetworkMode
		netns *collect.NetNS
		want  bool
	}{
		"own network":                        {"bridge", &collect.NetNS{}, false},
		"host":                               {"host", &collect.NetNS{Host: true}, true},
		"host, not read":                     {"host", nil, true},
		"joined a container on the host's":   {"container:x", &collect.NetNS{Host: true}, true},
		"joined another, or it is not known": {"container:x", nil, false},
		"joined a container on its own":      {"container:x", &collect.NetNS{Shared: true}, false},
		"shares the host's without a mode":   {"", &collect.NetNS{Host: true}, true},
		"named as the host's network is not": {"host_net", &collect.NetNS{}, false},
	} {
		c := Attribute(collect.Result{Readings: []collect.Reading{{
			Container: container.Container{
				NetworkMode: test.mode, State: container.Paused, Health: container.Unhealthy, Restarts: 2, EngineSocket: true,
			},
			NetNS: test.netns,
		}}}, Interfaces{})[0]
		if c.HostNetwork != test.want || c.State != container.Paused || c.Health != container.Unhealthy || c.Restarts != 2 || !c.EngineSocket {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
