package traffic

import (
	"net/netip"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// newUDPScene returns a host with dns at 172.17.0.2, published as 5353, and web at 172.17.0.3.
func newUDPScene(t *testing.T) *scene {
	s := newScene(t, snapshotv1.CountAll)
	s.add("dns", "172.17.0.4", "0.0.0.0:53/udp", "127.0.0.1:54/udp").Bindings = []container.Binding{{
		ContainerPort: socket.NewPort(53, socket.UDP), Host: netip.MustParseAddrPort("0.0.0.0:5353"),
	}}
	s.sample()
	s.end("7 172.17.0.3:1 172.17.0.2:5432 dialled 1 2") // shows which network namespace has the number
	return s
}

const shown = "web 172.17.0.3 to 172.17.0.2 5432: 1 sent 1 received 0"

// The kernel reports sockets that sent nothing alike. So those without a server do not count.
func TestUDPCountsWhereAServerListens(t *testing.T) {
	s := newUDPScene(t)
	s.end(
		"7 172.17.0.3:40000 172.17.0.4:53 udp 0 0", "7 172.17.0.3:40001 172.17.0.4:53 udp 0 0",
		"7 172.17.0.3:40000 172.17.0.1:5353 udp 0 0", "7 127.0.0.1:40000 127.0.0.11:53 udp 0 0", "7 172.17.0.3:40000 192.0.2.53:53 udp 0 0",
		// of getaddrinfo
		"7 172.17.0.3:40000 172.17.0.2:5432 udp 0 0", "7 172.17.0.3:40000 172.17.0.1:15432 udp 0 0", "7 127.0.0.1:40000 127.0.0.1:53 udp 0 0",
		"7 172.17.0.3:40000 192.0.2.9:443 udp 0 0", "7 127.0.0.1:40000 127.0.0.11:54 udp 0 0",
		// of no peer
		"7 0.0.0.0:40000 0.0.0.0:0 udp 0 0",
	)
	s.expect(0, "web 127.0.0.1 to 127.0.0.11 53/udp: 1", "web 172.17.0.3 to 172.17.0.1 5353/udp: 1", shown,
		"web 172.17.0.3 to 172.17.0.4 53/udp: 2", "web 172.17.0.3 to 192.0.2.53 53/udp: 1",
	)
}

func TestUDPToAnotherMachineCountsOnceItWasSeen(t *testing.T) {
	s := newUDPScene(t)
	s.open("web", "172.17.0.3:40000 192.0.2.9:443 udp")
	s.sample()
	s.end("7 172.17.0.3:40001 192.0.2.9:443 udp 0 0") // one snapshot has shown another socket: perhaps by chance
	s.sample()
	s.end("7 172.17.0.3:40002 192.0.2.9:443 udp 0 0", "7 172.17.0.3:40000 192.0.2.9:443 udp 0 0")
	s.expect(0, shown, "web 172.17.0.3 to 192.0.2.9 443/udp: 2")
}

func TestUDPSocketThatASnapshotHasShownCounts(t *testing.T) {
	s := newUDPScene(t)
	s.open("web", "172.17.0.3:40000 192.0.2.9:443 udp")
	s.sample()
	s.end("7 172.17.0.3:40000 192.0.2.9:443 udp 0 0")
	s.expect(0, shown, "web 172.17.0.3 to 192.0.2.9 443/udp: 1")
}

// Each dial to a name leaves UDP sockets that wait for a snapshot with a server. Those are the first to be dropped.
func TestWaitingUDPDisplacesNoConnections(t *testing.T) {
	s := newUDPScene(t)
	s.table.max.pending = 4
	s.end("9 172.17.0.9:40000 172.17.0.2:5432 dialled 5 6") // of a container that no snapshot has shown
	for range 3 {
		s.end("7 172.17.0.3:40000 172.17.0.2:5432 udp 0 0", "7 172.17.0.3:40001 172.17.0.2:5432 udp 0 0")
	}
	s.add("late", "172.17.0.9")
	s.expect(0, shown, "late 172.17.0.9 to 172.17.0.2 5432: 1 sent 5 received 0")
}

// A connection of UDP is another one than that of TCP with the same endpoints.
func TestUDPBesideTCP(t *testing.T) {
	s := newUDPScene(t)
	s.add("both", "172.17.0.5", "0.0.0.0:90", "0.0.0.0:90/udp")
	s.open("web", "172.17.0.3:40000 172.17.0.5:90", "172.17.0.3:40000 172.17.0.5:90 udp")
	s.sample()
	s.sample()
	s.end("7 172.17.0.3:40000 172.17.0.5:90 udp 0 0")
	s.open("web", "172.17.0.3:40000 172.17.0.5:90")
	s.expect(0, shown, "web 172.17.0.3 to 172.17.0.5 90: 1", "web 172.17.0.3 to 172.17.0.5 90/udp: 1")
}

// The end of a server that is connected to its client says nothing more than the client's.
func TestUDPServerConnectedToItsClient(t *testing.T) {
	s := newUDPScene(t)
	s.end("7 172.17.0.3:40000 172.17.0.4:53 udp 0 0", "8 172.17.0.4:53 172.17.0.3:40000 udp 0 0")
	s.expect(0, shown, "web 172.17.0.3 to 172.17.0.4 53/udp: 1")
}

// A server that no snapshot has shown yet may be in the next one. If it is not, the end is not reported: the socket may have been unused.
func TestUDPWaitsForItsServer(t *testing.T) {
	s := newUDPScene(t)
	s.end("7 172.17.0.3:40000 172.17.0.2:9000 udp 0 0", "7 172.17.0.3:40000 172.17.0.2:9001 udp 0 0")
	db := s.container("db")
	db.Listeners = append(db.Listeners, s.container("dns").Listeners[0])
	db.Listeners[1].Local = netip.MustParseAddrPort("0.0.0.0:9000")
	s.expect(0, shown, "web 172.17.0.3 to 172.17.0.2 9000/udp: 1")
}
