package traffic

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/snapshot"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// scene is a host in short texts, and the events and snapshots of a test.
type scene struct {
	t     *testing.T
	table *Table
	now   time.Time
	taken snapshot.Snapshot
}

// newScene returns a host with db at 172.17.0.2 and web at 172.17.0.3 on a bridge. db listens at 5432, published as 15432.
func newScene(t *testing.T, scope string) *scene {
	s := &scene{t: t, table: NewTable(scope, 0, noon), now: noon}
	s.taken.Host.Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("172.17.0.1")}
	s.taken.Host.Sockets = &snapshot.HostSockets{Listeners: []snapshot.HostListener{{Local: netip.MustParseAddrPort("0.0.0.0:15432")}}}
	s.add("db", "172.17.0.2", "0.0.0.0:5432").Bindings = []container.Binding{{ContainerPort: 5432, Host: netip.MustParseAddrPort("0.0.0.0:15432")}}
	s.add("web", "172.17.0.3")
	return s
}

// add adds a container, which started a minute before noon, and returns it. The pointer is valid until the next call.
func (s *scene) add(id, addr string, listeners ...string) *snapshot.Container {
	c := snapshot.Container{ID: id, Namespace: id, StartedAt: noon.Add(-time.Minute)}
	if addr != "" {
		c.Networks = []container.Network{{ID: "bridge", Addresses: []netip.Addr{netip.MustParseAddr(addr)}}}
	}
	for _, text := range listeners {
		at, isUDP := strings.CutSuffix(text, "/udp")
		c.Listeners = append(c.Listeners, snapshot.Listener{Local: netip.MustParseAddrPort(at), Protocol: protocolIf(isUDP)})
	}
	s.taken.Containers = append(s.taken.Containers, c)
	return &s.taken.Containers[len(s.taken.Containers)-1]
}

func (s *scene) container(id string) *snapshot.Container {
	return &s.taken.Containers[slices.IndexFunc(s.taken.Containers, func(c snapshot.Container) bool { return c.ID == id })]
}

func (s *scene) remove(id string) {
	s.taken.Containers = slices.DeleteFunc(s.taken.Containers, func(c snapshot.Container) bool { return c.ID == id })
}

func protocolIf(isUDP bool) socket.Protocol {
	if isUDP {
		return socket.UDP
	}
	return socket.TCP
}

// open makes connections of a container open: "local remote [in|udp]".
func (s *scene) open(id string, texts ...string) {
	var connections []snapshot.Connection
	for _, text := range texts {
		words := strings.Fields(text)
		connections = append(connections, snapshot.Connection{
			Local: netip.MustParseAddrPort(words[0]), Remote: netip.MustParseAddrPort(words[1]), Inbound: slices.Contains(words, "in"), State: socket.Established,
			Protocol: protocolIf(slices.Contains(words, "udp")),
		})
	}
	s.container(id).Connections = connections
}

// end sends the events of sockets: "namespace local remote dialled|accepted|either|refused|unanswered|aborted|udp sent received".
func (s *scene) end(texts ...string) (wantsSnapshot bool) {
	var events []socket.Ended
	for _, text := range texts {
		var e socket.Ended
		var local, remote, how string
		if _, err := fmt.Sscan(text, &e.Namespace, &local, &remote, &how, &e.Sent, &e.Received); err != nil {
			s.t.Fatal(text, err)
		}
		e.Local, e.Remote, e.At = netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote), s.now
		switch how {
		case "dialled":
			e.DialledBy = socket.LocalEnd
		case "accepted":
			e.DialledBy = socket.RemoteEnd
		case "refused":
			e.DialledBy, e.Outcome = socket.LocalEnd, socket.Refused
		case "unanswered":
			e.DialledBy, e.Outcome = socket.LocalEnd, socket.Unanswered
		case "aborted":
			e.Outcome = socket.Aborted
		case "udp":
			e.Protocol = socket.UDP
		}
		events = append(events, e)
	}
	return s.table.Add(events, 0, s.now)
}

// sample takes a snapshot a second later.
func (s *scene) sample() {
	s.now = s.now.Add(time.Second)
	s.taken.TakenAt = s.now
	s.table.Update(&s.taken, s.now)
}

// expect expects the flows and the number of unattributed ends in a snapshot.
func (s *scene) expect(unattributed uint64, want ...string) {
	s.t.Helper()
	s.sample()
	var lines []string
	add := func(who string, f snapshot.Flow) {
		direction := "to"
		if f.Inbound {
			direction = "from"
		}
		line := fmt.Sprintf("%s %s %s %s %s: %d", who, f.Local, direction, f.Remote, f.Port, f.Opened)
		if f.Refused+f.Unanswered > 0 {
			line += fmt.Sprintf(" refused %d unanswered %d", f.Refused, f.Unanswered)
		}
		if f.Sent+f.Received > 0 {
			line += fmt.Sprintf(" sent %d received %d", f.Sent, f.Received)
		}
		lines = append(lines, line)
	}
	for _, c := range s.taken.Containers {
		for _, f := range c.Flows {
			add(c.ID, f)
		}
	}
	for _, f := range s.taken.Host.Flows {
		who := "host"
		if f.OwnerUnknown {
			who = "someone"
		}
		add(who, f.Flow)
	}
	if diff := cmp.Diff(want, lines); diff != "" || s.taken.Host.Counting.Unattributed != unattributed {
		s.t.Errorf("%d unattributed, want %d (-want +got):\n%s", s.taken.Host.Counting.Unattributed, unattributed, diff)
	}
}

func TestFlows(t *testing.T) {
	for name, test := range map[string]struct {
		events []string
		want   []string
	}{
		// The client has the flow. What it received is what the server sent.
		"containers":             {[]string{"1 172.17.0.3:40000 172.17.0.2:5432 dialled 10 21", "2 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10"}, []string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"}},
		"the server's end first": {[]string{"2 172.17.0.2:5432 172.17.0.3:40000 either 20 10", "1 172.17.0.3:40000 172.17.0.2:5432 dialled 10 21"}, []string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"}},
		"failed dials": {[]string{"1 172.17.0.3:40000 172.17.0.2:81 refused 0 0", "1 172.17.0.3:40001 172.17.0.2:81 unanswered 0 0", "1 172.17.0.3:40002 172.17.0.2:81 refused 0 0"},
			[]string{"web 172.17.0.3 to 172.17.0.2 81: 0 refused 2 unanswered 1"}},
		"a published port": {[]string{
			"1 172.17.0.3:40000 172.17.0.1:15432 dialled 10 21", "-1 172.17.0.1:15432 172.17.0.3:40000 either 20 10",
			"-1 172.17.0.1:50000 172.17.0.2:5432 dialled 10 21", "2 172.17.0.2:5432 172.17.0.1:50000 either 20 10",
		}, []string{"web 172.17.0.3 to 172.17.0.1 15432: 1 sent 10 received 20", "host 172.17.0.1 to 172.17.0.2 5432: 1 sent 10 received 20"}},
		"to another machine":                      {[]string{"1 172.17.0.3:40000 192.0.2.9:443 dialled 10 20"}, []string{"web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20"}},
		"from another machine":                    {[]string{"2 172.17.0.2:5432 192.0.2.9:40000 either 20 10"}, []string{"db 172.17.0.2 from 192.0.2.9 5432: 1 sent 20 received 10"}},
		"from another machine, by docker-proxy":   {[]string{"-1 10.0.0.1:15432 192.0.2.9:40000 either 20 10"}, []string{"host 10.0.0.1 from 192.0.2.9 15432: 1 sent 20 received 10"}},
		"the host's own service":                  {[]string{"-1 10.0.0.1:22 192.0.2.9:40000 accepted 20 10"}, nil},
		"the host's loopback":                     {[]string{"-1 127.0.0.1:40000 127.0.0.1:22 dialled 20 10"}, nil},
		"the host's loopback to a published port": {[]string{"-1 127.0.0.1:40000 127.0.0.1:15432 dialled 10 21", "-1 127.0.0.1:15432 127.0.0.1:40000 either 20 10"}, []string{"host 127.0.0.1 to 127.0.0.1 15432: 1 sent 10 received 20"}},
		"dialled and reset":                       {[]string{"1 172.17.0.3:40000 172.17.0.2:5432 either 10 20", "2 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10"}, []string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"}},
		"dialled and reset by another machine":    {[]string{"1 172.17.0.3:40000 192.0.2.9:443 either 10 20"}, []string{"web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20"}},
		"loopback, dialled and reset": {[]string{"1 172.17.0.3:40000 192.0.2.9:443 dialled 0 0", "1 127.0.0.1:40000 127.0.0.1:90 dialled 10 21", "1 127.0.0.1:90 127.0.0.1:40000 either 20 10"},
			[]string{"web 127.0.0.1 to 127.0.0.1 90: 1 sent 10 received 20", "web 172.17.0.3 to 192.0.2.9 443: 1"}},
		"loopback after another connection": {[]string{"1 172.17.0.3:40000 192.0.2.9:443 dialled 0 0", "1 127.0.0.1:40000 127.0.0.1:90 dialled 10 21", "1 127.0.0.1:90 127.0.0.1:40000 accepted 20 10"},
			[]string{"web 127.0.0.1 to 127.0.0.1 90: 1 sent 10 received 20", "web 172.17.0.3 to 192.0.2.9 443: 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, snapshotv1.CountAll)
			s.sample()
			s.end(test.events...)
			s.expect(0, test.want...)
			s.expect(0, test.want...) // counted once
		})
	}
}

// Without the right to hear other namespaces the host's own connections count alone.
func TestHostScope(t *testing.T) {
	s := newScene(t, snapshotv1.CountHost)
	s.open("web", "172.17.0.3:40000 192.0.2.9:443")
	s.sample()
	s.end("-1 10.0.0.1:40000 192.0.2.9:443 dialled 10 20", "-1 10.0.0.1:15432 192.0.2.9:40000 either 20 10", "-1 172.17.0.1:50000 172.17.0.2:81 dialled 1 2")
	s.expect(0, "host 10.0.0.1 to 192.0.2.9 443: 1 sent 10 received 20", "host 172.17.0.1 to 172.17.0.2 81: 1 sent 1 received 2")
}

// The owner of a socket in a shared network namespace is known only if a snapshot showed it, or by its listener.
func TestSharedNamespaces(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.add("joined", "", "0.0.0.0:90").Namespace = "web"
	s.add("agent", "", "0.0.0.0:9100").HostNetwork = true
	s.open("joined", "172.17.0.3:40001 192.0.2.9:443")
	s.sample()
	s.end("1 172.17.0.3:40000 192.0.2.9:443 dialled 10 20", "1 172.17.0.3:40001 192.0.2.9:443 dialled 30 40", "1 172.17.0.3:90 192.0.2.9:50000 either 50 60",
		"-1 10.0.0.1:40000 192.0.2.9:443 dialled 70 80", "-1 10.0.0.1:9100 192.0.2.9:40000 either 90 100")
	want := []string{
		"joined 172.17.0.3 to 192.0.2.9 443: 1 sent 30 received 40", "joined 172.17.0.3 from 192.0.2.9 90: 1 sent 50 received 60",
		"agent 10.0.0.1 from 192.0.2.9 9100: 1 sent 90 received 100", "someone 10.0.0.1 to 192.0.2.9 443: 1 sent 70 received 80",
	}
	s.expect(1, want...)
	s.open("web", "172.17.0.3:40002 192.0.2.8:443")
	s.open("joined", "172.17.0.3:40002 192.0.2.8:443")
	s.sample()
	s.sample()
	s.end("1 172.17.0.3:40002 192.0.2.8:443 dialled 1 2")
	s.expect(2, want...)
}

// What was counted for the only container of a namespace is taken back if another one has joined meanwhile.
func TestJoinedLater(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	s.end("1 172.17.0.3:40000 192.0.2.9:443 dialled 10 20")
	s.expect(0, "web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20")
	s.end("1 172.17.0.3:40001 192.0.2.9:443 dialled 10 20", "1 172.17.0.3:40002 192.0.2.8:443 dialled 10 20")
	s.add("joined", "").Namespace = "web"
	s.expect(2, "web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20")
}

// An open connection counts from the second snapshot on, and once.
func TestOpenConnections(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.open("web", "172.17.0.3:40000 172.17.0.2:5432", "172.17.0.3:40001 172.17.0.2:5432")
	s.open("db", "172.17.0.2:5432 172.17.0.3:40000 in", "172.17.0.2:5432 172.17.0.3:40001 in")
	s.expect(0)
	s.expect(0, "web 172.17.0.3 to 172.17.0.2 5432: 2")
	s.end("1 172.17.0.3:40000 172.17.0.2:5432 dialled 10 20", "2 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10")
	s.open("web", "172.17.0.3:40001 172.17.0.2:5432")
	s.expect(0, "web 172.17.0.3 to 172.17.0.2 5432: 2 sent 10 received 20")
	s.open("web")
	s.sample()
	s.end("1 172.17.0.3:40001 172.17.0.2:5432 dialled 1 2", "2 172.17.0.2:5432 172.17.0.3:40001 accepted 2 1") // after a snapshot without it
	s.expect(0, "web 172.17.0.3 to 172.17.0.2 5432: 2 sent 11 received 22")
}

// A connection that ended while a snapshot was taken may still be in that.
func TestEndDuringASnapshot(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	s.end("1 172.17.0.3:40000 192.0.2.9:443 dialled 10 20")
	s.open("web", "172.17.0.3:40000 192.0.2.9:443")
	s.sample()
	s.open("web")
	s.expect(0, "web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20")
}

// An event of an unknown address waits for a snapshot, which is asked for once, for up to five seconds.
func TestNewContainer(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	if !s.end("1 172.17.0.3:40000 192.0.2.9:443 dialled 10 20") {
		t.Error("no snapshot is asked for before the first one")
	}
	s.expect(0, "web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20")
	const dials = "3 172.17.0.4:40000 172.17.0.2:81 refused 0 0"
	if !s.end(dials) || s.end(dials) {
		t.Error("want one snapshot for the namespace")
	}
	s.add("job", "172.17.0.4")
	s.expect(0, "web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20", "job 172.17.0.4 to 172.17.0.2 81: 0 refused 2 unanswered 0")
	s.end("4 172.17.0.5:40000 172.17.0.2:81 refused 0 0")
	s.remove("job")
	s.now = s.now.Add(5 * time.Second)
	s.expect(1, "web 172.17.0.3 to 192.0.2.9 443: 1 sent 10 received 20")
}

// Flows of an address end when another container takes it, also those of others to it. Events from before count for nobody.
func TestAddressMoves(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	const dials = "1 172.17.0.3:40000 172.17.0.2:81 refused 0 0"
	s.end(dials)
	s.expect(0, "web 172.17.0.3 to 172.17.0.2 81: 0 refused 1 unanswered 0")
	s.remove("db")
	s.end(dials)
	s.expect(0, "web 172.17.0.3 to 172.17.0.2 81: 0 refused 2 unanswered 0") // to the removed container
	before := s.now
	s.add("cache", "172.17.0.2").StartedAt = before.Add(time.Second)
	s.now = s.now.Add(time.Second)
	s.expect(0)
	s.now = before
	s.end("2 172.17.0.2:40000 192.0.2.9:443 dialled 10 20")
	s.now = before.Add(time.Minute)
	s.expect(1)
	s.remove("cache")
	s.now = s.now.Add(goneTime)
	s.expect(1)
}

// The flows to a removed container stay as long as maps show it.
func TestRemovedServer(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	s.end("1 172.17.0.3:40000 172.17.0.2:81 refused 0 0")
	s.remove("db")
	want := "web 172.17.0.3 to 172.17.0.2 81: 0 refused 1 unanswered 0"
	s.expect(0, want)
	s.now = s.now.Add(goneTime - time.Second)
	s.expect(0, want)
	s.expect(0)
}

// A loopback event of a number that another namespace has by now counts for nobody until that one has shown its address.
func TestNumberIsUsedAgain(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	s.end("1 172.17.0.3:40000 192.0.2.9:443 dialled 0 0")
	s.remove("web")
	s.add("job", "172.17.0.4")
	s.sample()
	s.end("1 127.0.0.1:40000 127.0.0.1:90 dialled 10 20")
	s.now = s.now.Add(maxWait)
	s.expect(1)
	s.end("1 172.17.0.4:40000 192.0.2.9:443 dialled 0 0", "1 127.0.0.1:40000 127.0.0.1:90 dialled 10 20", "1 127.0.0.1:90 127.0.0.1:40000 accepted 20 10")
	s.expect(1, "job 127.0.0.1 to 127.0.0.1 90: 1 sent 10 received 20", "job 172.17.0.4 to 192.0.2.9 443: 1")
}

// An end that aborts its connection keeps its port and the address of the other end. That other end has the rest.
func TestAbortedConnections(t *testing.T) {
	for name, test := range map[string]struct {
		events       []string
		unattributed uint64
		want         []string
	}{
		"by the client": {
			[]string{"2 0.0.0.0:40000 172.17.0.2:0 aborted 0 0", "1 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10"}, 0,
			[]string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"},
		},
		"events in the other order": {
			[]string{"1 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10", "2 0.0.0.0:40000 172.17.0.2:0 aborted 0 0"}, 0,
			[]string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"},
		},
		"the number is known": {
			[]string{"2 172.17.0.3:40001 192.0.2.9:443 dialled 0 0", "1 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10", "2 0.0.0.0:40000 172.17.0.2:0 aborted 0 0"}, 0,
			[]string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20", "web 172.17.0.3 to 192.0.2.9 443: 1"},
		},
		"by a client on the host": {
			[]string{"1 172.17.0.2:5432 172.17.0.1:40000 accepted 20 10", "-1 0.0.0.0:40000 172.17.0.2:0 aborted 0 0"}, 0,
			[]string{"host 172.17.0.1 to 172.17.0.2 5432: 1 sent 10 received 20"},
		},
		"on loopback": {
			[]string{"1 172.17.0.2:40001 192.0.2.9:443 dialled 0 0", "1 127.0.0.1:90 127.0.0.1:40000 accepted 20 10", "1 0.0.0.0:40000 127.0.0.1:0 aborted 0 0"}, 0,
			[]string{"db 127.0.0.1 to 127.0.0.1 90: 1 sent 10 received 20", "db 172.17.0.2 to 192.0.2.9 443: 1"},
		},
		// The server's own end was aborted, so the client has the bytes.
		"by the server": {
			[]string{"1 0.0.0.0:5432 172.17.0.3:0 aborted 0 0", "2 172.17.0.3:40000 172.17.0.2:5432 dialled 10 20"}, 0,
			[]string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"},
		},
		// The same port of two clients, and the number of neither.
		"either of two": {
			[]string{"1 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10", "1 172.17.0.2:5432 172.17.0.9:40000 accepted 20 10", "2 0.0.0.0:40000 172.17.0.2:0 aborted 0 0"}, 0, nil,
		},
		"one of two by its number": {
			[]string{"3 172.17.0.9:40001 192.0.2.9:443 dialled 0 0", "1 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10", "1 172.17.0.2:5432 172.17.0.9:40000 accepted 7 8", "3 0.0.0.0:40000 172.17.0.2:0 aborted 0 0"}, 0,
			[]string{"job 172.17.0.9 to 172.17.0.2 5432: 1 sent 8 received 7", "job 172.17.0.9 to 192.0.2.9 443: 1"},
		},
		"both ends counted": {
			[]string{"1 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10", "2 172.17.0.3:40000 172.17.0.2:5432 dialled 10 20", "2 0.0.0.0:40000 172.17.0.2:0 aborted 0 0"}, 0,
			[]string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"},
		},
		// The number is unknown, and another client has the same port.
		"by another client": {
			[]string{"1 172.17.0.2:5432 172.17.0.3:40000 accepted 20 10", "7 0.0.0.0:40000 172.17.0.2:0 aborted 0 0", "2 172.17.0.3:40000 172.17.0.2:5432 dialled 10 20"}, 0,
			[]string{"web 172.17.0.3 to 172.17.0.2 5432: 1 sent 10 received 20"},
		},
		"to another machine": {[]string{"2 0.0.0.0:40000 192.0.2.9:0 aborted 0 0"}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, snapshotv1.CountAll)
			s.add("job", "172.17.0.9")
			s.sample()
			for _, event := range test.events {
				s.end(event)
			}
			s.sample()
			s.now = s.now.Add(maxWait)
			s.expect(test.unattributed, test.want...)
			if len(s.table.pending) > 0 {
				t.Errorf("%d events wait", len(s.table.pending))
			}
		})
	}
}

func TestAbortedConnectionOfAnEndedContainer(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	s.end("1 172.17.0.2:40001 192.0.2.9:443 dialled 0 0")
	s.end("1 127.0.0.1:90 127.0.0.1:40000 accepted 20 10")
	s.remove("db")
	s.sample()
	s.end("1 0.0.0.0:40000 127.0.0.1:0 aborted 0 0")
	s.expect(0)
}

// Aborted ends that fit nothing, or too much, take no room of other events.
func TestFloodOfAbortedEnds(t *testing.T) {
	for _, remote := range []string{"192.0.2.9:0", "172.17.0.2:0", "127.0.0.1:0"} {
		s := newScene(t, snapshotv1.CountAll)
		s.sample()
		s.end("2 172.17.0.3:40001 192.0.2.9:443 dialled 0 0", "1 172.17.0.2:40001 192.0.2.9:443 dialled 0 0")
		s.end("3 172.17.0.9:40000 192.0.2.9:443 dialled 1 2") // of a container that no snapshot shows yet
		var events []socket.Ended
		for i := range 2 * maxPending {
			server := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(1+i%1000))
			events = append(events, socket.Ended{Namespace: 1, Local: netip.MustParseAddrPort("0.0.0.0:999"), Remote: netip.MustParseAddrPort(remote), Outcome: socket.Aborted, At: s.now},
				socket.Ended{Namespace: 2, Local: server, Remote: netip.MustParseAddrPort("127.0.0.1:999"), DialledBy: socket.RemoteEnd, At: s.now})
		}
		s.table.Add(events, 0, s.now)
		if n := cap(s.table.aborted); len(s.table.aborted) > maxPending || n > 4*maxPending {
			t.Errorf("%s: %d aborted ends wait, in room for %d", remote, len(s.table.aborted), n)
		}
		s.add("job", "172.17.0.9")
		s.expect(0, "db 172.17.0.2 to 192.0.2.9 443: 1", "web 172.17.0.3 to 192.0.2.9 443: 1", "job 172.17.0.9 to 192.0.2.9 443: 1 sent 1 received 2")
	}
}

// Before a snapshot shows the client, it may be another machine.
func TestAbortedConnectionOfANewContainer(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	if !s.end("1 172.17.0.2:5432 172.17.0.9:40000 accepted 20 10", "3 0.0.0.0:40000 172.17.0.2:0 aborted 0 0") {
		t.Error("Add asks for no snapshot")
	}
	s.add("job", "172.17.0.9")
	s.expect(0, "job 172.17.0.9 to 172.17.0.2 5432: 1 sent 10 received 20")
}

// A number that moves to a container that no snapshot shows yet is not that of the old container any more.
func TestNumberMovesBeforeASnapshot(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.sample()
	s.end("1 172.17.0.3:40000 192.0.2.9:443 dialled 0 0")
	s.end("1 172.17.0.4:40000 192.0.2.9:443 dialled 0 0", "1 127.0.0.1:40000 127.0.0.1:90 dialled 10 20")
	s.now = s.now.Add(maxWait)
	s.expect(2, "web 172.17.0.3 to 192.0.2.9 443: 1")
}

// A binding at the container's own address is no port of the host.
func TestDirectBinding(t *testing.T) {
	s := newScene(t, snapshotv1.CountAll)
	s.container("db").Bindings[0].Direct = true
	s.sample()
	s.end("-1 10.0.0.1:15432 192.0.2.9:40000 either 20 10")
	s.expect(0)
}

// A flood of events takes bounded memory, and each of them is counted or reported.
func TestFlood(t *testing.T) {
	for _, maxSockets := range []int{0, 31_205} {
		t.Run(fmt.Sprint("at most ", maxSockets, " sockets"), func(t *testing.T) { testFlood(t, maxSockets) })
	}
}

func testFlood(t *testing.T, maxSockets int) {
	s := newScene(t, snapshotv1.CountAll)
	s.table = NewTable(snapshotv1.CountAll, maxSockets, noon)
	var open []string
	for i := range 3000 {
		open = append(open, fmt.Sprintf("172.17.0.3:%d 192.0.2.9:443", 1000+i))
	}
	s.open("web", open...)
	s.sample()
	s.open("web")
	const number = 100_000
	random := rand.New(rand.NewPCG(1, 2))
	var events []socket.Ended
	for i := range number {
		e := socket.Ended{Namespace: 1, At: s.now, Local: netip.MustParseAddrPort("172.17.0.3:40000"), DialledBy: socket.LocalEnd}
		e.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(random.Uint32()), byte(random.Uint32())}), uint16(1+random.IntN(100)))
		switch i % 4 {
		case 0: // of no container
			e.Namespace, e.Local = 9, netip.MustParseAddrPort("172.17.9.9:40000")
		case 1: // inside the host, without the other end
			e.Remote = netip.AddrPortFrom(netip.MustParseAddr("172.17.0.2"), uint16(random.Uint32()|1))
		}
		events = append(events, e)
	}
	s.table.Add(events, 1, s.now)
	s.now = s.now.Add(maxWait)
	s.sample()
	counted := uint64(0)
	for _, f := range s.container("web").Flows {
		counted += f.Opened
	}
	if total := counted + s.taken.Host.Counting.Unattributed; total != number || s.taken.Host.Counting.Losses != 1 {
		t.Errorf("%d counted, %d unattributed of %d, %d losses", counted, s.taken.Host.Counting.Unattributed, number, s.taken.Host.Counting.Losses)
	}
	if most := newBounds(maxSockets); len(s.table.flows) > most.flows || cap(s.table.pending) > 2*most.pending || len(s.table.halves) > most.halves || len(s.table.open) > most.open {
		t.Errorf("%d flows, %d pending, %d halves, %d open", len(s.table.flows), cap(s.table.pending), len(s.table.halves), len(s.table.open))
	}
	s.now = s.now.Add(idleTime + time.Second)
	s.sample()
	if n := len(s.container("web").Flows); n != 0 {
		t.Errorf("%d idle flows stay", n)
	}
}

// The counts equal the truth, in whatever order the events of the ends come and whenever snapshots are taken.
func TestCountsEqualTheTruth(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := newScene(t, snapshotv1.CountAll)
		const containers = 5
		for i := 2; i < containers; i++ {
			s.add(fmt.Sprint("c", i), fmt.Sprintf("172.17.0.%d", i+2), "0.0.0.0:5432")
		}
		s.container("web").Listeners = s.container("db").Listeners
		s.sample()
		type truth struct{ opened, sent, received uint64 }
		want := make(map[string]truth)
		var events []string
		for i := range 300 {
			client, server := random.IntN(containers), random.IntN(containers)
			if client == server {
				continue
			}
			from, to, sent, received := fmt.Sprintf("172.17.0.%d", client+2), fmt.Sprintf("172.17.0.%d", server+2), random.Uint64N(1000), random.Uint64N(1000)
			how := [][2]string{{"dialled", "either"}, {"either", "accepted"}, {"dialled", "accepted"}}[random.IntN(3)]
			events = append(events, fmt.Sprintf("%d %s:%d %s:5432 %s %d %d", client+1, from, 40000+i, to, how[0], sent, received+1),
				fmt.Sprintf("%d %s:5432 %s:%d %s %d %d", server+1, to, from, 40000+i, how[1], received, sent))
			was := want[from+" to "+to]
			want[from+" to "+to] = truth{was.opened + 1, was.sent + sent, was.received + received}
		}
		random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		for len(events) > 0 {
			n := min(len(events), 1+random.IntN(60))
			s.end(events[:n]...)
			events = events[n:]
			if random.IntN(2) == 0 {
				s.taken.TakenAt = s.now
				s.table.Update(&s.taken, s.now)
			}
		}
		s.sample()
		got := make(map[string]truth)
		for _, c := range s.taken.Containers {
			for _, f := range c.Flows {
				got[fmt.Sprintf("%s to %s", f.Local, f.Remote)] = truth{f.Opened, f.Sent, f.Received}
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(truth{})); diff != "" || s.taken.Host.Counting.Unattributed != 0 {
			t.Fatalf("seed %d, %d unattributed (-want +got):\n%s", seed, s.taken.Host.Counting.Unattributed, diff)
		}
	}
}

func TestFigures(t *testing.T) {
	var f flow
	for i, ms := range []int{9, 1, 5, 0} {
		f.add(&socket.Ended{At: noon.Add(time.Duration(i) * 20 * time.Second), RTT: time.Duration(ms) * time.Millisecond}, false)
	}
	f.add(&socket.Ended{At: noon.Add(61 * time.Second), Outcome: socket.Refused, RTT: time.Hour}, false)
	f.add(&socket.Ended{At: noon.Add(45 * time.Second)}, true) // the clock was set back a little
	if f.RTT != 0 || f.MinRTT != time.Millisecond || f.Opened != 4 || f.Refused != 1 {
		t.Errorf("%+v", f.Flow)
	}
	for after, want := range map[time.Duration][2]int{61 * time.Second: {4, 1}, 75 * time.Second: {4, 1}, 85 * time.Second: {3, 1}, 2 * time.Minute: {0, 0}} {
		copied := f
		if got := copied.publish(noon.Add(after)); got.Recent != want[0] || got.RecentFailed != want[1] || got.RTT != 5*time.Millisecond {
			t.Errorf("after %s: %+v, want %v", after, got, want)
		}
	}
}

// After the clock was set back by more than the window, the last minute begins again.
func TestWindowAfterTheClockWasSetBack(t *testing.T) {
	var w window
	for _, at := range []time.Time{noon, noon.Add(-time.Hour), noon.Add(-time.Hour), time.Unix(-1e9, 0), time.Unix(-1e9, 0), time.Unix(-1e9, 0)} {
		w.add(at)
	}
	if n := w.sum(time.Unix(-1e9, 0)); n != 3 {
		t.Errorf("%d, want those after the last change of the clock", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	s := newScene(&testing.T{}, snapshotv1.CountAll)
	s.sample()
	events := make([]socket.Ended, 0, 10_000)
	for i := range cap(events) / 2 {
		client, server := netip.AddrPortFrom(netip.MustParseAddr("172.17.0.3"), uint16(10_000+i)), netip.MustParseAddrPort("172.17.0.2:5432")
		events = append(events, socket.Ended{Namespace: 1, Local: client, Remote: server, DialledBy: socket.LocalEnd, At: noon}, socket.Ended{Namespace: 2, Local: server, Remote: client, At: noon})
	}
	b.ReportAllocs()
	for b.Loop() {
		s.table.Add(events, 0, noon)
	}
}
