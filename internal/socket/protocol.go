package socket

import "fmt"

// Protocol is the transport protocol of a socket. Its zero value is TCP, which documents without a protocol mean.
type Protocol uint8

// The protocols.
const (
	TCP Protocol = iota
	UDP
)

// String returns the name of the protocol as in URLs and in the engine's port bindings.
func (p Protocol) String() string {
	if p == UDP {
		return "udp"
	}
	return "tcp"
}

// MarshalText writes the name of the protocol.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses the name of a protocol. An empty name means TCP.
func (p *Protocol) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "tcp":
		*p = TCP
	case "udp":
		*p = UDP
	default:
		return fmt.Errorf("protocol %q is neither tcp nor udp", text)
	}
	return nil
}
