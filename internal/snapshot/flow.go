package snapshot

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// Flow counts the connections between an address of an owner of sockets and another address at one port of the server, since Outpost
// counts them. All bytes are by the owner of the flow.
type Flow struct {
	FlowKey
	// Opened is the number of connections, the established ones included.
	Opened uint64
	// Refused and Unanswered are the numbers of dials without a connection.
	Refused, Unanswered uint64
	// Recent is the number of connections that ended within the last minute, RecentFailed that of failed dials.
	Recent, RecentFailed int
	// Sent and Received are the bytes of the connections that ended, without retransmissions.
	Sent, Received uint64
	// Retransmits is the number of segments that were sent again.
	Retransmits uint64
	// RTT is the median of the smoothed round-trip times of the latest connections that ended, MinRTT the least of all. They are 0 if
	// none was measured.
	RTT, MinRTT time.Duration
}

// FlowKey identifies a flow of one owner.
type FlowKey struct {
	Inbound       bool // the owner accepts the connections
	Local, Remote netip.Addr
	Port          socket.Port // of the server: a local port if Inbound
}

// Compare orders flows of one owner.
func (k FlowKey) Compare(other FlowKey) int {
	switch {
	case k.Inbound == other.Inbound:
	case other.Inbound:
		return -1
	default:
		return 1
	}
	return cmp.Or(k.Local.Compare(other.Local), k.Remote.Compare(other.Remote), k.Port.Compare(other.Port))
}

// Counting is how connections are counted. Its zero value means that they are not.
type Counting struct {
	// Scope is snapshotv1.CountAll, or snapshotv1.CountHost. It is empty if connections are not counted.
	Scope string
	Since time.Time
	// Losses is how often the kernel dropped events because Outpost read too slowly. Each time it drops at least one.
	Losses uint64
	// Unattributed is the number of ends that could not be attributed to an owner.
	Unattributed uint64
}
