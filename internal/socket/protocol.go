package socket

// Protocol is the transport protocol of a socket. Its zero value is TCP, which documents without a protocol mean.
type Protocol uint8

// The protocols. OtherProtocol is that of a document of a later version.
const (
	TCP Protocol = iota
	UDP
	OtherProtocol
)

// String returns the name of the protocol, as in the engine's port bindings.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case OtherProtocol:
	}
	return "other"
}

// Suffix returns the protocol as it follows a port, such as /udp. It is empty for TCP.
func (p Protocol) Suffix() string {
	if p == TCP {
		return ""
	}
	return "/" + p.String()
}

// MarshalText writes the name of the protocol.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the name of a protocol. An empty name means TCP. Any unknown name means OtherProtocol: it must not make a whole
// document invalid.
func (p *Protocol) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "tcp":
		*p = TCP
	case "udp":
		*p = UDP
	default:
		*p = OtherProtocol
	}
	return nil
}
