// Package conntrack reads the kernel's table of tracked connections, which has the addresses and ports before and after translation
// (NAT). It reads the text of /proc/<pid>/net/nf_conntrack, or netlink where the kernel has no such file.
package conntrack

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/socket"
)

// Flow is a tracked connection.
type Flow struct {
	Protocol socket.Protocol
	// Original is the direction of the first packet: from the client to the address that it dialled.
	Original Tuple
	// Reply is the direction of the answer: from the server to the source address that the server sees.
	Reply Tuple
	// Closing means that the kernel has seen a FIN or RST. It keeps such a flow for up to two minutes.
	Closing bool
	// Replied means that the server has answered.
	Replied bool
}

// Tuple is the source and the destination of the packets of one direction.
type Tuple struct{ Source, Destination netip.AddrPort }

// IsTranslated reports whether the kernel rewrites an address or a port of the flow.
func (f Flow) IsTranslated() bool {
	return f.Original.Source != f.Reply.Destination || f.Original.Destination != f.Reply.Source
}

// Table is what was read of a network namespace's table.
type Table struct {
	Flows []Flow
	// Rows is the number of rows that were read, of any protocol.
	Rows int
	// Malformed counts the rows that could not be decoded. FirstMalformed is the *lines.RowError of the first one.
	Malformed      int
	FirstMalformed error
	// Cut means that the table has more rows, or more flows to keep, than the limits allow.
	Cut bool
}

// Limits of a Table.
const (
	// MaxRows bounds the rows that are read: some 0.3 s of the kernel's time.
	MaxRows = 200_000
	// MaxFlows bounds the flows that are kept, some 150 bytes each.
	MaxFlows = 50_000
)
