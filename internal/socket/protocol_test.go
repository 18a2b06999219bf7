package socket

import "testing"

func TestProtocolNames(t *testing.T) {
	for text, want := range map[string]Protocol{"": TCP, "tcp": TCP, "udp": UDP, "UDP": OtherProtocol, "sctp": OtherProtocol, "tcp ": OtherProtocol} {
		var p Protocol
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want {
			t.Errorf("%q is %s, %v", text, p, err)
		}
	}
	for p, want := range map[Protocol]string{TCP: "tcp", UDP: "udp", OtherProtocol: "other"} {
		if text, err := p.MarshalText(); err != nil || string(text) != want {
			t.Errorf("%q, %v", text, err)
		}
	}
}
