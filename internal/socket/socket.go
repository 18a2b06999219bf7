// Package socket defines the result of every socket table decoder: one TCP socket of one network namespace, and its state.
package socket

import (
	"fmt"
	"net/netip"
	"time"
)

// Socket is one row of a kernel's TCP table. IPv4-mapped IPv6 addresses are converted to IPv4, because the other end
// of the connection sees them so.
type Socket struct {
	Local  netip.AddrPort
	Remote netip.AddrPort // port 0 for a listener
	// Inode is the socket's inode in sockfs, as /proc/<pid>/fd shows it. It is zero if no file descriptor refers to
	// the socket: TIME_WAIT, SYN_RECV, a closed orphan, or an established connection that no process has accepted yet.
	Inode uint64
	// CgroupID identifies the cgroup v2 that created the socket by its directory's inode. It is 0 if the source of the
	// table does not report it.
	CgroupID uint64
	// TCPInfo is nil unless it was requested and the source of the table reports it.
	TCPInfo *TCPInfo
	State   State
}

// TCPInfo contains the kernel's measurements of a connection (struct tcp_info of include/uapi/linux/tcp.h).
type TCPInfo struct {
	RTT time.Duration // smoothed round-trip time
	// Sent and Received are in bytes, without retransmissions.
	Sent, Received uint64
	// DialledBy is the end that dialled the connection.
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

// Unaccepted reports whether s is a connection in its listener's accept queue. It is live and belongs to the
// listener's owner.
func (s Socket) Unaccepted() bool { return s.State == Established && s.Inode == 0 }

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
