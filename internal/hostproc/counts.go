package hostproc

import "github.com/PabloL007/outpost/internal/procnet"

// SocketCounts are the kernel's counts of the sockets in a network namespace.
type SocketCounts struct {
	// TCP counts both families. It is known only if TCPKnown is true.
	TCP      int
	TCPKnown bool
	UDP      UDPCounts
}

// UDPCounts are the UDP sockets with a port by family: the rows of net/udp and net/udp6.
type UDPCounts struct {
	IPv4, IPv6 int
	Known      bool // both are known
}

// None reports whether there are certainly no UDP sockets.
func (c UDPCounts) None() bool { return c == UDPCounts{Known: true} }

// sockstats are the files sockstat and sockstat6, and the errors of reading them.
type sockstats struct {
	v4, v6     procnet.Sockstat
	err4, err6 error
}

func (s sockstats) sockets() SocketCounts {
	counts := SocketCounts{UDP: s.udp()}
	if s.err4 == nil && s.v4.IPv4 && s.v4.TimeWait == 0 && s.err6 == nil && s.v6.IPv6 {
		counts.TCP, counts.TCPKnown = s.v4.TCP+s.v6.TCP6, true
	}
	return counts
}

func (s sockstats) udp() UDPCounts {
	if s.err4 != nil || s.err6 != nil || !s.v4.HasUDP || !s.v6.HasUDP6 {
		return UDPCounts{}
	}
	return UDPCounts{IPv4: s.v4.UDP, IPv6: s.v6.UDP6, Known: true}
}
