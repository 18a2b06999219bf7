// Package socket defines the result of every socket table decoder: one TCP or UDP socket of one network namespace, and its state.
package socket

import (
	"fmt"
	"net/netip"
	"time"
)

// Socket is one row of a kernel's TCP or UDP table. IPv4-mapped IPv6 addresses are converted to IPv4, because the other end
// of the connection sees them so.
type Socket struct {
	Local  netip.AddrPort
	Remote netip.AddrPort // port 0 for a listener, and for a UDP socket without a peer
	// Inode is the socket's inode in sockfs, as /proc/<pid>/fd shows it. It is zero if no file descriptor refers to
	// the socket: TIME_WAIT, SYN_RECV, a closed orphan, or an established connection that no process has accepted yet.
	Inode uint64
	// CgroupID identifies the cgroup v2 that created the socket by its directory's inode. It is 0 if the source of the
	// table does not report it.
	CgroupID uint64
	// Remaining is how long the kernel keeps a socket in TIME_WAIT. It is 0 in other states, and if it is unknown.
	Remaining time.Duration
	// TCPInfo is nil unless it was requested and the source of the table reports it.
	TCPInfo  *TCPInfo
	Protocol Protocol
	// State of a UDP socket is Established if it is connected to a peer, and Close otherwise.
	State State
	// Retransmits is how often the kernel has repeated the SYN of a socket in SYN_SENT, at most 255. It is 0 in other states.
	Retransmits uint8
}

// LocalPort returns the local port with the protocol.
func (s Socket) LocalPort() Port { return NewPort(s.Local.Port(), s.Protocol) }

// RemotePort returns the remote port with the protocol.
func (s Socket) RemotePort() Port { return NewPort(s.Remote.Port(), s.Protocol) }

// TCPInfo contains the kernel's measurements of a connection (struct tcp_info of include/uapi/linux/tcp.h).
type TCPInfo struct {
	RTT time.Duration // smoothed round-trip time
	// Sent and Received are in bytes, without retransmissions.
	Sent, Received uint64
	// Idle is how long no data has passed in either direction, since the connection was established.
	Idle time.Duration
	// DialledBy is the end that dialled the connection. It is known only of an established connection without
	// unacknowledged data.
	DialledBy End
}

// End is one of the two ends of a connection.
type End uint8

// The ends of a connection, seen from one of them.
const (
	UnknownEnd End = iota
	LocalEnd
	RemoteEnd
)

// TimeWaitLength is how long the kernel keeps a socket in TIME_WAIT (TCP_TIMEWAIT_LEN of include/net/tcp.h).
const TimeWaitLength = time.Minute

// ClosedAt returns when s entered TIME_WAIT, truncated to the second. readAt is when its table was read. The result is the
// zero time if it is unknown. A segment of the peer may restart the kernel's timer.
func (s Socket) ClosedAt(readAt time.Time) time.Time {
	if s.State != TimeWait || s.Remaining <= 0 || s.Remaining > TimeWaitLength || readAt.IsZero() {
		return time.Time{}
	}
	return readAt.Add(s.Remaining - TimeWaitLength).Truncate(time.Second)
}

// DialledBy returns the end that dialled s, as far as its TCPInfo shows.
func (s Socket) DialledBy() End {
	if s.TCPInfo == nil {
		return UnknownEnd
	}
	return s.TCPInfo.DialledBy
}

// Unanswered reports whether s dials and waits for an answer in vain: the kernel has repeated the SYN, first after a second.
func (s Socket) Unanswered() bool { return s.State == SynSent && s.Retransmits > 0 }

// Unaccepted reports whether s is a connection in its listener's accept queue. It is live and belongs to the
// listener's owner.
func (s Socket) Unaccepted() bool { return s.State == Established && s.Inode == 0 }

// Listening reports whether s receives from any peer: a TCP socket in LISTEN, or a UDP socket that is not connected. The latter may also be
// a client that sends without connecting.
func (s Socket) Listening() bool {
	if s.Protocol == UDP {
		return s.State == Close && s.Remote.Port() == 0
	}
	return s.State == Listen
}

// State is a TCP state as numbered in include/net/tcp_states.h.
type State uint8

// The states of include/net/tcp_states.h.
const (
	Established State = iota + 1
	SynSent
	SynRecv
	FinWait1
	FinWait2
	TimeWait
	Close
	CloseWait
	LastAck
	Listen
	Closing
	NewSynRecv
	BoundInactive
)

// String returns the kernel's name of the state without its TCP_ prefix, or the number of an unknown state.
func (s State) String() string {
	switch s {
	case Established:
		return "ESTABLISHED"
	case SynSent:
		return "SYN_SENT"
	case SynRecv:
		return "SYN_RECV"
	case FinWait1:
		return "FIN_WAIT1"
	case FinWait2:
		return "FIN_WAIT2"
	case TimeWait:
		return "TIME_WAIT"
	case Close:
		return "CLOSE"
	case CloseWait:
		return "CLOSE_WAIT"
	case LastAck:
		return "LAST_ACK"
	case Listen:
		return "LISTEN"
	case Closing:
		return "CLOSING"
	case NewSynRecv:
		return "NEW_SYN_RECV"
	case BoundInactive:
		return "BOUND_INACTIVE"
	}
	return fmt.Sprintf("state(%02X)", uint8(s))
}
