package conntrack

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/lines"
)

// Rows as Linux 6.18 prints them.
const (
	published  = "ipv4     2 tcp      6 431999 ESTABLISHED src=192.0.2.7 dst=10.77.0.11 sport=40000 dport=18090 src=172.17.0.2 dst=192.0.2.7 sport=8080 dport=40000 [ASSURED] mark=0 zone=0 use=2\n"
	masquerade = "ipv4     2 tcp      6 98 TIME_WAIT src=172.17.0.3 dst=198.51.100.1 sport=40000 dport=443 packets=6 bytes=410 src=198.51.100.1 dst=10.77.0.11 sport=443 dport=40997 packets=4 bytes=512 [ASSURED] mark=0 secctx=system_u:object_r:unlabeled_t:s0 use=1\n"
	plain      = "ipv4     2 tcp      6 431999 ESTABLISHED src=172.17.0.3 dst=172.17.0.2 sport=40001 dport=8080 src=172.17.0.2 dst=172.17.0.3 sport=8080 dport=40001 [ASSURED] mark=0 use=1\n"
	offloaded  = "ipv4     2 tcp      6 src=192.0.2.8 dst=10.77.0.11 sport=40000 dport=18090 src=172.17.0.2 dst=192.0.2.8 sport=8080 dport=40000 [OFFLOAD] mark=0 use=2\n"
	dns        = "ipv4     2 udp      17 29 src=172.17.0.3 dst=198.51.100.53 sport=5353 dport=53 [UNREPLIED] src=198.51.100.53 dst=10.77.0.11 sport=53 dport=5353 mark=0 use=1\n"
	ipv6       = "ipv6     10 tcp      6 431999 ESTABLISHED src=2001:0db8:0000:0000:0000:0000:0000:0007 dst=2001:0db8:0000:0000:0000:0000:0000:0011 sport=1 dport=2 src=fd00:0000:0000:0000:0000:0000:0000:0002 dst=2001:0db8:0000:0000:0000:0000:0000:0007 sport=3 dport=1 [ASSURED] mark=0 use=1\n"
	ping       = "ipv4     2 icmp     1 29 src=172.17.0.3 dst=198.51.100.1 type=8 code=0 id=7 src=198.51.100.1 dst=10.77.0.11 type=0 code=0 id=7 mark=0 use=1\n"
	gre        = "ipv4     2 unknown  47 599 src=172.17.0.3 dst=198.51.100.1 src=198.51.100.1 dst=10.77.0.11 mark=0 use=1\n"
	zoned      = "ipv4     2 tcp      6 431999 ESTABLISHED src=192.0.2.7 dst=10.77.0.11 sport=40000 dport=18090 zone-orig=3 src=172.17.0.2 dst=192.0.2.7 sport=8080 dport=40000 [ASSURED] mark=0 use=2\n"
)

// text writes a flow as "protocol client > dialled, server > source".
func text(f Flow) string {
	line := fmt.Sprintf("%s %s > %s, %s > %s", f.Protocol, f.Original.Source, f.Original.Destination, f.Reply.Source, f.Reply.Destination)
	if f.Closing {
		line += " closing"
	}
	if !f.Replied {
		line += " unreplied"
	}
	return line
}

func texts(flows []Flow) (lines []string) {
	for _, f := range flows {
		lines = append(lines, text(f))
	}
	return lines
}

func decode(rows string) Table {
	d := NewDecoder()
	_, _ = d.Write([]byte(rows))
	return d.Table()
}

func TestDecoderKeepsTranslatedFlows(t *testing.T) {
	table := decode(published + masquerade + plain + offloaded + dns + ipv6 + ping + gre + zoned)
	want := []string{
		"tcp 192.0.2.7:40000 > 10.77.0.11:18090, 172.17.0.2:8080 > 192.0.2.7:40000",
		"tcp 172.17.0.3:40000 > 198.51.100.1:443, 198.51.100.1:443 > 10.77.0.11:40997 closing",
		"tcp 192.0.2.8:40000 > 10.77.0.11:18090, 172.17.0.2:8080 > 192.0.2.8:40000",
		"udp 172.17.0.3:5353 > 198.51.100.53:53, 198.51.100.53:53 > 10.77.0.11:5353 unreplied",
		"tcp [2001:db8::7]:1 > [2001:db8::11]:2, [fd00::2]:3 > [2001:db8::7]:1",
	}
	if diff := cmp.Diff(want, texts(table.Flows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if table.Rows != 9 || table.Malformed != 0 || table.Cut {
		t.Errorf("%d rows, %d malformed: %v, cut %v", table.Rows, table.Malformed, table.FirstMalformed, table.Cut)
	}
}

func TestDecoderKeepsAllFlowsIfAsked(t *testing.T) {
	d := NewDecoder()
	d.All = true
	_, _ = d.Write([]byte(plain + published + ping))
	if table := d.Table(); len(table.Flows) != 2 || table.Flows[0].IsTranslated() || !table.Flows[1].IsTranslated() {
		t.Errorf("%v", texts(table.Flows))
	}
}

func TestMalformedRowsAreCounted(t *testing.T) {
	for _, bad := range []string{
		"\n", "nonsense\n",
		strings.Replace(published, "dport=40000 ", "", 1),
		strings.Replace(published, "src=192.0.2.7", "src=192.0.2", 1),
		strings.Replace(published, "sport=8080", "sport=80800", 1),
		strings.Replace(published, "sport=8080", "sport=-1", 1),
		strings.Replace(published, "src=172.17.0.2", "src=2001:db8::1", 1),
		strings.Replace(published, " mark", " src=172.17.0.2 mark", 1),
		strings.TrimSuffix(published, "\n"),
	} {
		table := decode(masquerade + bad)
		if len(table.Flows) != 1 || table.Malformed != 1 {
			t.Errorf("%q: %v, %d malformed", bad, texts(table.Flows), table.Malformed)
		}
		if e, ok := errors.AsType[*lines.RowError](table.FirstMalformed); !ok || e.Line != 2 || !strings.Contains(e.Error(), "line 2") {
			t.Errorf("%q: %v", bad, table.FirstMalformed)
		}
	}
}

func TestLongTableIsCut(t *testing.T) {
	d := NewDecoder()
	rows := strings.Repeat(published, MaxFlows+1)
	if _, err := d.Write([]byte(rows)); err != nil {
		t.Fatal(err)
	}
	if table := d.Table(); len(table.Flows) != MaxFlows || !table.Cut {
		t.Errorf("%d flows, cut %v", len(table.Flows), table.Cut)
	}
	d = NewDecoder()
	if _, err := d.Write([]byte(strings.Repeat(plain, MaxRows+1) + "partial")); !errors.Is(err, ErrTooManyRows) || !d.Table().Cut || d.Table().Malformed != 0 {
		t.Errorf("%v, cut %v", err, d.Table().Cut)
	}
}

func TestCount(t *testing.T) {
	const header = "entries  clashres found new\n"
	if n, err := DecodeCount(strings.NewReader(header + "0000000c  00000000 00000000\n0000000c  00000000 00000001\n")); n != 12 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", header, "0000000c 1\n0000000c 1\n", header + "zz 1\n", header + "100000000 1\n"} {
		if n, err := DecodeCount(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %d", bad, n)
		}
	}
}

func TestReleaseDecidesWhetherReadsAreFast(t *testing.T) {
	for text, want := range map[string]bool{
		"6.18.44-fc": true, "6.16.0": true, "7.0-rc1": true, "6.15.9": false, "6.1.0-28-amd64": false, "5.14.0-503.el9": false, "": false, "linux": false,
	} {
		if got := ParseRelease(text).ReadsFast(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if KernelRelease() == (Release{}) {
		t.Error("the running kernel has no version")
	}
}

// FuzzDecoder checks that no text stops the decoder, and that it does not matter how the text is cut.
func FuzzDecoder(f *testing.F) {
	f.Add(published+masquerade+plain, true)
	f.Add(dns+ipv6+ping+gre+zoned+offloaded, false)
	f.Add("ipv4     2 tcp      6 1 SYN_SENT src=::ffff:1.2.3.4 dst=1.2.3.4%eth0 sport= dport=1 src=", false)
	f.Fuzz(func(t *testing.T, rows string, all bool) {
		whole, bytewise := NewDecoder(), NewDecoder()
		whole.All, bytewise.All = all, all
		_, _ = whole.Write([]byte(rows))
		for i := range len(rows) {
			_, _ = bytewise.Write([]byte{rows[i]})
		}
		sameText := cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
		table := whole.Table()
		if diff := cmp.Diff(table, bytewise.Table(), cmpopts.EquateComparable(netip.AddrPort{}), sameText); diff != "" {
			t.Errorf("whole and bytewise differ:\n%s", diff)
		}
		if lines := strings.Count(rows, "\n") + 1; len(table.Flows)+table.Malformed > lines {
			t.Errorf("%d flows and %d malformed rows of %d lines", len(table.Flows), table.Malformed, lines)
		}
		for _, flow := range table.Flows {
			if !flow.IsTranslated() && !all || !flow.Original.Source.IsValid() || !flow.Reply.Destination.IsValid() {
				t.Errorf("%s", text(flow))
			}
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	rows := []byte(strings.Repeat(plain+published, 25_000))
	b.SetBytes(int64(len(rows)))
	b.ReportAllocs()
	for b.Loop() {
		d := NewDecoder()
		if _, err := d.Write(rows); err != nil || len(d.Table().Flows) != 25_000 {
			b.Fatal(err, len(d.Table().Flows))
		}
	}
}

// FuzzMessage checks that no message stops its decoder.
func FuzzMessage(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0})
	f.Add([]byte{
		2, 0, 0, 0, 52, 0, 1, 128, 20, 0, 1, 128, 8, 0, 1, 0, 10, 0, 0, 2, 8, 0, 2, 0, 192, 0, 2, 1, 28, 0, 2, 128, 5, 0, 1, 0, 6, 0, 0, 0,
		6, 0, 2, 0, 4, 0, 0, 0, 6, 0, 3, 0, 70, 170, 0, 0, 8, 0, 3, 0, 0, 0, 0, 14,
	})
	f.Fuzz(func(t *testing.T, message []byte) {
		flow, skip, err := decodeMessage(message)
		if err == nil && !skip && (!flow.Original.Source.IsValid() || !flow.Reply.Destination.IsValid()) {
			t.Errorf("%s", text(flow))
		}
	})
}
