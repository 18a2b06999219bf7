package socket

import "testing"

func TestProtocolNames(t *testing.T) {
	for text, want := range map[string]Protocol{"": TCP, "tcp": TCP, "udp": UDP} {
		var p Protocol
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want {
			t.Errorf("%q is %s, %v", text, p, err)
		}
	}
	var p Protocol
	for _, text := range []string{"UDP", "sctp", "tcp "} {
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted as %s", text, p)
		}
	}
	for p, want := range map[Protocol]string{TCP: "tcp", UDP: "udp"} {
		if text, err := p.MarshalText(); err != nil || string(text) != want {
			t.Errorf("%q, %v", text, err)
		}
	}
}
