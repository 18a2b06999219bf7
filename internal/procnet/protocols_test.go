package procnet

import (
	"strings"
	"testing"
)

const protocolsHead = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\n"

func TestDecodeMPTCP6(t *testing.T) {
	const tcp = "TCPv6     2432      3     124   no     192   yes  kernel      y  y  y  y\n"
	for text, want := range map[string]int{
		protocolsHead: 0,
		protocolsHead + tcp + "MPTCP     1936      5     124   no       0   yes  kernel      y  y\n":       0,
		protocolsHead + "MPTCPv6   2064      0     124   no       0   yes  kernel      y  y\n" + tcp:       0,
		protocolsHead + tcp + "MPTCPv6   2064     17     124   no       0   yes  kernel      y  y\n" + tcp: 17,
	} {
		if got, err := DecodeMPTCP6(strings.NewReader(text)); got != want || err != nil {
			t.Errorf("%d, %v, want %d of\n%s", got, err, want, text)
		}
	}
}

// A malformed text is an error, never a zero.
func TestDecodeMPTCP6RejectsMalformedText(t *testing.T) {
	for _, text := range []string{
		"", "MPTCPv6   2064      1\n", protocolsHead + "MPTCPv6   2064\n", protocolsHead + "MPTCPv6   2064     -1     124\n",
		protocolsHead + "MPTCPv6   2064     x\n", protocolsHead + "MPTCPv6   2064     0", protocolsHead + strings.Repeat("\n", maxProtocolRows),
	} {
		if got, err := DecodeMPTCP6(strings.NewReader(text)); err == nil || got != 0 {
			t.Errorf("%d, %v of %q", got, err, text)
		}
	}
}

func FuzzMPTCP6(f *testing.F) {
	f.Add(protocolsHead + "MPTCPv6   2064     17     124\n")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := DecodeMPTCP6(strings.NewReader(text)); n < 0 || err != nil && n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}
