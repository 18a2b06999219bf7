// Package socket holds the words in which every source of socket tables speaks: one TCP socket of one
// network namespace, and its state.
package socket

import (
	"fmt"
	"net/netip"
	"time"
)

// Socket is one row of a kernel's TCP table. IPv4-mapped IPv6 addresses are held as IPv4: that is how the
// other end, which may know nothing of IPv6, sees them.
type Socket struct {
	Local  netip.AddrPort
	Remote netip.AddrPort // port 0 for a listener
	// Inode is the socket's number in sockfs, the one that /proc/<pid>/fd shows. Zero means that no
	// descriptor refers to it: TIME_WAIT, SYN_RECV, a closed orphan, or an established connection that
	// no process has accepted yet.
	Inode uint64
	// Cgroup is the ID of the cgroup v2 in which the socket was made, the inode of its directory; 0 where the
	// source of the table does not tell.
	CgroupID uint64
	// Info is nil unless it was asked for and the source of the table tells.
	TCPInfo *TCPInfo
	State   State
}

// Info is what the kernel has measured of a connection (struct tcp_info of include/uapi/linux/tcp.h).
type TCPInfo struct {
	RTT time.Duration // smoothed
	// Sent and Received are in bytes, each counted once however often it was sent.
	Sent, Received uint64
}

// Unaccepted reports whether s is a connection that waits in its listener's queue: it is live and belongs to
// whoever owns the listener.
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

// String gives the kernel's name of the state without its TCP_ prefix, or the number of a state that this
// list does not know.
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
