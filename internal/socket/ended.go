package socket

import (
	"net/netip"
	"time"
)

// Ended is what the kernel reports of a socket that ends: when it enters TIME_WAIT, or when it is destroyed. Of a UDP socket it reports the
// endpoints only. Remote has the port 0 if the socket was connected to no peer.
type Ended struct {
	Local, Remote netip.AddrPort
	Protocol      Protocol
	// Namespace numbers the socket's network namespace, as the listener's namespace does (network_namespaces(7), nsid). It is
	// OwnNamespace for the listener's own. The kernel uses the number of a removed namespace again.
	Namespace int32
	// Cookie identifies the socket, as in a Socket of inet_diag.
	Cookie uint64
	// At is when the event was read.
	At time.Time
	// Outcome is what became of the connection.
	Outcome Outcome
	// DialledBy is the end that dialled. It is unknown if the kernel's counters fit both.
	DialledBy End
	// Sent is in bytes, without retransmissions.
	Sent uint64
	// Received is in bytes. It may be off by one byte: the kernel counts the FIN of the other end too, if it has arrived. The Sent of the
	// other end is exact.
	Received uint64
	// Retransmits is the number of segments that were sent again.
	Retransmits uint32
	// RTT is the smoothed round-trip time. It is 0 if it was not measured.
	RTT time.Duration
}

// LocalPort returns the local port with the protocol.
func (e *Ended) LocalPort() Port { return NewPort(e.Local.Port(), e.Protocol) }

// RemotePort returns the remote port with the protocol.
func (e *Ended) RemotePort() Port { return NewPort(e.Remote.Port(), e.Protocol) }

// OwnNamespace is the Namespace of sockets in the listener's own network namespace.
const OwnNamespace int32 = -1

// Outcome is what became of a connection.
type Outcome uint8

// The outcomes of a connection.
const (
	Connected  Outcome = iota
	Refused            // the other side answered the SYN with a reset
	Unanswered         // no answer to the SYN
	// Aborted means that this end reset the connection (SO_LINGER of 0). The kernel then reports only the port of Local, the address of
	// Remote and no figures. Sockets that no process accepted look equal.
	Aborted
)
