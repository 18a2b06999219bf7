package socket

import (
	"slices"
	"testing"
)

func TestPort(t *testing.T) {
	for text, p := range map[string]Port{"0": 0, "53": NewPort(53, TCP), "53/udp": NewPort(53, UDP), "65535/other": NewPort(65535, OtherProtocol)} {
		if p.String() != text {
			t.Errorf("%q, want %q", p, text)
		}
		if again := NewPort(p.Number(), p.Protocol()); again != p {
			t.Errorf("%s becomes %s", p, again)
		}
	}
}

func TestPortsAreInOrderOfTheirNumbers(t *testing.T) {
	ports := []Port{NewPort(443, UDP), NewPort(8080, TCP), NewPort(53, UDP), NewPort(443, TCP)}
	want := []Port{NewPort(53, UDP), NewPort(443, TCP), NewPort(443, UDP), NewPort(8080, TCP)}
	if slices.SortFunc(ports, Port.Compare); !slices.Equal(ports, want) {
		t.Errorf("%v, want %v", ports, want)
	}
}
