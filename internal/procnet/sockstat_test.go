package procnet

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/lines"
)

const (
	sockstat4 = "sockets: used 27\nTCP: inuse 12 orphan 1 tw 4 alloc 15 mem 2\nUDP: inuse 5 mem 0\nUDPLITE: inuse 9\nFRAG: inuse 0 memory 0\n"
	sockstat6 = "TCP6: inuse 3\nUDP6: inuse 2\nUDPLITE6: inuse 9\nFRAG6: inuse 0 memory 0\n"
)

func TestDecodeSockstat(t *testing.T) {
	tests := []struct {
		name string
		text string
		want Sockstat
	}{
		{name: "sockstat", text: sockstat4, want: Sockstat{TCP: 12, TimeWait: 4, IPv4: true, UDP: 5, HasUDP: true}},
		{name: "sockstat6", text: sockstat6, want: Sockstat{TCP6: 3, IPv6: true, UDP6: 2, HasUDP6: true}},
		{name: "both", text: sockstat4 + sockstat6, want: Sockstat{TCP: 12, TCP6: 3, TimeWait: 4, IPv4: true, IPv6: true, UDP: 5, UDP6: 2, HasUDP: true, HasUDP6: true}},
		{
			name: "empty namespace on a busy host",
			text: "TCP: inuse 0 orphan 9 tw 0 alloc 99 mem 7\nTCP6: inuse 0\n",
			want: Sockstat{IPv4: true, IPv6: true},
		},
		{name: "counts in another order", text: "TCP: mem 1 tw 2 other x inuse 3\n", want: Sockstat{TCP: 3, TimeWait: 2, IPv4: true}},
		{
			name: "UDP alone",
			text: "TCP: inuse 0 orphan 9 tw 0 alloc 99 mem 7\nUDP: inuse 1 mem 0\nTCP6: inuse 0\nUDP6: inuse 0\n",
			want: Sockstat{IPv4: true, IPv6: true, UDP: 1, HasUDP: true, HasUDP6: true},
		},
		{name: "largest count", text: "TCP6: inuse 2147483647\n", want: Sockstat{TCP6: 1<<31 - 1, IPv6: true}},
		{name: "strange lines", text: "\n \t\nTCP\nTCP:: inuse 9\n" + sockstat6, want: Sockstat{TCP6: 3, IPv6: true, UDP6: 2, HasUDP6: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := DecodeSockstat(strings.NewReader(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeSockstatRejectsMalformedText(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		text io.Reader
		want string
	}{
		{"nothing", strings.NewReader(""), "neither a TCP: nor a TCP6: line"},
		{"other lines alone", strings.NewReader("sockets: used 27\nUDP: inuse 0 mem 0\n"), "neither a TCP: nor a TCP6: line"},
		{"no counts", strings.NewReader("TCP6:\n"), `line 1 "TCP6:": no inuse`},
		{"name without a number", strings.NewReader("TCP6: inuse\n"), `line 1 "TCP6: inuse": no inuse`},
		{"no inuse", strings.NewReader("TCP: orphan 0 tw 0\n"), "no inuse"},
		{"no tw", strings.NewReader("TCP: inuse 0 orphan 0\n"), "no tw"},
		{"negative", strings.NewReader("TCP: inuse 0 orphan 0 tw -1 alloc 0 mem 0\n"), "tw is not a count"},
		{"signed", strings.NewReader("TCP6: inuse -0\n"), "inuse is not a count"},
		{"no number", strings.NewReader("TCP6: inuse none\n"), "inuse is not a count"},
		{"too large", strings.NewReader("TCP6: inuse 2147483648\n"), "inuse is not a count"},
		{"one line good, one bad", strings.NewReader(sockstat4 + "TCP6: inuse\n"), "line 6"},
		{"twice", strings.NewReader(sockstat4 + sockstat4), `line 7 "TCP: inuse 12 orphan 1 tw 4 alloc 15 mem 2": line is repeated`},
		{"TCP6 twice", strings.NewReader(sockstat6 + sockstat6), "line is repeated"},
		{"UDP twice", strings.NewReader(sockstat6 + "UDP6: inuse 2\n"), "line is repeated"},
		{"UDP without a count", strings.NewReader(sockstat6 + "UDP: mem 2\n"), "no inuse"},
		{"cut short in a number", strings.NewReader("TCP6: inuse 1"), "cut short"},
		{"line without end", strings.NewReader("TCP6: inuse " + strings.Repeat("0", lines.MaxLength)), "longer than 4096 bytes"},
		{"lines without end", strings.NewReader(sockstat6 + strings.Repeat("\n", maxSockstatRows)), `line 257 "": too many lines`},
		{"failed read", io.MultiReader(strings.NewReader(sockstat6), iotest.ErrReader(broken)), "read line 5: broken"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := DecodeSockstat(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if got != (Sockstat{}) {
				t.Errorf("got %+v beside an error", got)
			}
		})
	}
}

// The golden file comes from a Linux 6.18 host: `cat /proc/net/sockstat /proc/net/sockstat6`. Its tcp table had eight
// rows and two more in TIME_WAIT, its tcp6 table four and one more.
func TestDecodeSockstatGolden(t *testing.T) {
	f, err := os.Open("testdata/sockstat-6.18")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	got, err := DecodeSockstat(f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Sockstat{TCP: 8, TCP6: 4, TimeWait: 3, IPv4: true, IPv6: true, HasUDP: true, HasUDP6: true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A truncated text must yield the same counts as the whole text, or an error.
func FuzzSockstat(f *testing.F) {
	f.Add(sockstat4+sockstat6, uint(40))
	f.Add(sockstat6, uint(13))
	f.Add("TCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\n", uint(12))
	f.Fuzz(func(t *testing.T, text string, cut uint) {
		whole, err := DecodeSockstat(strings.NewReader(text))
		bytewise, bytewiseErr := DecodeSockstat(iotest.OneByteReader(strings.NewReader(text)))
		if whole != bytewise || !sameText(err, bytewiseErr) {
			t.Errorf("whole %+v, %v; bytewise %+v, %v", whole, err, bytewise, bytewiseErr)
		}
		if err != nil {
			if whole != (Sockstat{}) {
				t.Errorf("%+v beside %v", whole, err)
			}
			return
		}
		checkSockstat(t, whole)
		part, err := DecodeSockstat(strings.NewReader(text[:min(cut, uint(len(text)))]))
		if err != nil {
			return
		}
		checkSockstat(t, part)
		if part.IPv4 && (part.TCP != whole.TCP || part.TimeWait != whole.TimeWait) || part.IPv6 && part.TCP6 != whole.TCP6 ||
			part.HasUDP && part.UDP != whole.UDP || part.HasUDP6 && part.UDP6 != whole.UDP6 {
			t.Errorf("%+v of a part, %+v of the whole", part, whole)
		}
	})
}

func checkSockstat(t *testing.T, s Sockstat) {
	t.Helper()
	if !s.IPv4 && !s.IPv6 {
		t.Error("neither line, but no error")
	}
	if s.TCP < 0 || s.TCP6 < 0 || s.TimeWait < 0 || s.UDP < 0 || s.UDP6 < 0 {
		t.Errorf("negative: %+v", s)
	}
	if !s.IPv4 && (s.TCP != 0 || s.TimeWait != 0) || !s.IPv6 && s.TCP6 != 0 || !s.HasUDP && s.UDP != 0 || !s.HasUDP6 && s.UDP6 != 0 {
		t.Errorf("counts without their line: %+v", s)
	}
}
