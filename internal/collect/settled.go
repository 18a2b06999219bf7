package collect

import (
	"slices"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/socket"
)

// EndsIn returns a number that is another one after each end of a socket in a network namespace. nsid is the number of that namespace in
// Outpost's own (network_namespaces(7)). ok is false if its ends are not heard.
type EndsIn func(nsid int32) (ends uint64, ok bool)

const (
	// maxReuses is how often a dump is answered again before the sockets are dumped to prove it. The kernel's counters and events do not
	// show that the other side of a connection has closed it.
	maxReuses = 29
	// maxSettled bounds the sockets of one dump that stay in memory, and maxAllSettled those of all: some 7 MB.
	maxSettled    = 1 << 10
	maxAllSettled = 1 << 16
)

// settled is a dump in which no socket changes by itself: each one listens, is an established connection that a process holds, or is of UDP.
// It stays true while no socket ends and the kernel counts as many. A UDP socket may also connect to another peer, and the kernel reports no
// ends of its own sockets, such as those of VXLAN. Nil is no dump.
type settled struct {
	sockets        []socket.Socket
	counts         hostproc.SocketCounts
	hasConnections bool
	seen           sight // from before the dump
	reuses         int
}

// recheckMPTCP is how many reuses trust the counters without another check for MPTCP sockets over IPv6.
const recheckMPTCP = 10

// isCurrent reports whether nothing is known to have changed since the dump. now is from before the sockets are counted. The peer of a
// connection may have reset it without an end, so the counters of connections must be equal too.
func (s *settled) isCurrent(now sight, counters *hostproc.Counters) bool {
	if s == nil || s.seen.ends != now.ends || s.hasConnections && s.seen.opens != now.opens {
		return false
	}
	recount := counters.RecountSockets
	if s.reuses%recheckMPTCP == recheckMPTCP-1 {
		recount = counters.CountSockets
	}
	return recount() == s.counts
}

// reuse returns the sockets again. It returns false if they are too many for quota, or if the dump must be proven.
func (s *settled) reuse(quota *socket.Quota) (sockets []socket.Socket, ok bool) {
	if s.reuses == maxReuses {
		return nil, false
	}
	for i := range s.sockets {
		if !quota.Take(s.sockets[i].Listening()) {
			quota.Release()
			return nil, false
		}
	}
	s.reuses++
	return slices.Clone(s.sockets), true
}

// equals reports whether another dump has the same sockets, in any order.
func (s *settled) equals(sockets []socket.Socket) bool {
	if len(s.sockets) != len(sockets) {
		return false
	}
	counts := make(map[socket.Socket]int, len(sockets))
	for i := range s.sockets {
		counts[s.sockets[i]]++
		counts[withoutTCPInfo(sockets[i])]--
	}
	for _, n := range counts {
		if n != 0 {
			return false
		}
	}
	return true
}

// newSettled returns what stays true of a dump, or nil if it has not all sockets or one of them changes by itself. counts are from before the
// dump, and known.
func newSettled(sockets []socket.Socket, counts hostproc.SocketCounts, seen sight, counters *hostproc.Counters) *settled {
	s := &settled{sockets: make([]socket.Socket, 0, len(sockets)), counts: counts, seen: seen}
	tcp := 0
	for i := range sockets {
		if sockets[i].Protocol == socket.TCP {
			tcp++
			s.hasConnections = s.hasConnections || !sockets[i].Listening()
		}
		s.sockets = append(s.sockets, withoutTCPInfo(sockets[i]))
	}
	hasAll := tcp == counts.TCP && len(sockets)-tcp == counts.UDP.IPv4+counts.UDP.IPv6
	if !hasAll || !isStable(sockets) || counters.RecountSockets() != counts {
		return nil
	}
	return s
}

// isStable reports whether no socket changes by itself.
func isStable(sockets []socket.Socket) bool {
	return !slices.ContainsFunc(sockets, func(s socket.Socket) bool {
		return s.Protocol == socket.TCP && s.State != socket.Listen && (s.State != socket.Established || s.Unaccepted())
	})
}

func withoutTCPInfo(s socket.Socket) socket.Socket {
	s.TCPInfo = nil
	return s
}
