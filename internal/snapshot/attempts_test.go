package snapshot

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// dialling returns a socket in SYN_SENT that has repeated its SYN.
func dialling(local, remote string, inode uint64) socket.Socket {
	s := in(socket.SynSent, established(local, remote, inode))
	s.Retransmits = 1
	return s
}

func attemptsOf(sockets ...socket.Socket) []snapshotv1.Attempt {
	result := collect.Result{Readings: []collect.Reading{{Container: container.Container{Name: "/it"}, NetNS: &collect.NetNS{Sockets: sockets}}}}
	taken := Snapshot{Containers: Attribute(result, Interfaces{})}
	return taken.ToV1().Containers[0].Attempts
}

// Unanswered attempts are counted by their endpoints. They are neither connections nor left out.
func TestAttempts(t *testing.T) {
	got := attemptsOf(
		dialling("172.17.0.2:40001", "172.17.0.3:5432", 1), dialling("172.18.0.2:40002", "172.17.0.3:5432", 2), dialling("172.17.0.2:40003", "172.17.0.3:5432", 3),
		dialling("172.17.0.2:40001", "10.0.0.1:80", 4), in(socket.SynSent, established("172.17.0.2:40005", "10.0.0.2:80", 5)),
	)
	attempt := func(local, remote string, port uint16, count int) snapshotv1.Attempt {
		return snapshotv1.Attempt{LocalAddress: netip.MustParseAddr(local), Remote: snapshotv1.Endpoint{Address: remote, Port: port}, Count: count}
	}
	want := []snapshotv1.Attempt{attempt("172.17.0.2", "10.0.0.1", 80, 1), attempt("172.17.0.2", "172.17.0.3", 5432, 2), attempt("172.18.0.2", "172.17.0.3", 5432, 1)}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	var sockets []socket.Socket
	for i := range 3 * snapshotv1.MaxAttempts {
		sockets = append(sockets, dialling("172.17.0.2:40001", fmt.Sprintf("10.0.%d.%d:80", i/250, i%250+1), uint64(i+1)))
	}
	if got := attemptsOf(sockets...); len(got) != snapshotv1.MaxAttempts || got[0].Remote.Address != "10.0.0.1" {
		t.Errorf("%d attempts, %+v", len(got), got[:1])
	}
}

// In a shared namespace an attempt belongs to the container that holds its socket. Without a known owner it is left out.
func TestAttemptsInASharedNamespace(t *testing.T) {
	shared := &collect.NetNS{Shared: true, Sockets: []socket.Socket{dialling("172.17.0.2:40001", "172.17.0.3:5432", 1), dialling("172.17.0.2:40002", "172.17.0.3:5433", 2)}}
	reading := func(name string, inodes map[uint64]string) collect.Reading {
		return collect.Reading{Container: container.Container{Name: name}, NetNS: shared, Owned: &procfd.OwnedSockets{Inodes: inodes, Readable: 1, Denied: 1}}
	}
	var got []string
	for _, c := range Attribute(collect.Result{Readings: []collect.Reading{reading("/a", map[uint64]string{1: "a"}), reading("/b", nil)}}, Interfaces{}) {
		got = append(got, fmt.Sprint(c.Name, " ", len(c.Attempts)))
	}
	if diff := cmp.Diff([]string{"/a 1", "/b 0"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
