package correlate

import (
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// unknownHost is the host of an outbound end's server until its inbound end is found.
const unknownHost int32 = -1

// netnsRef is a network namespace of a host. Both are indexes.
type netnsRef struct{ host, netns int32 }

// outboundEnd is the client's end of a connection, and what the phase knows of the server.
type outboundEnd struct {
	*connEnd       // belongs to a Host or to the local phase; never changed
	host     int32 // the client's
	server   netnsRef
	serverID int32       // as in linkKey
	port     socket.Port // on which the server listens, whatever port the client dialled
	via      graph.Via
	resolved bool // the remote address belongs to a server of this phase
	toHost   bool // the server is a process of the host server.host
	listens  bool // such a process is known to listen
	matched  bool // the inbound end was found
}

// inboundEnd is the server's end of a connection.
type inboundEnd struct {
	*connEnd
	host    int32 // the server's
	matched bool  // the outbound end was found
}

// netnsRef returns the network namespace of the server.
func (in *inboundEnd) netnsRef() netnsRef { return netnsRef{in.host, in.netns} }
