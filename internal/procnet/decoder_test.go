package procnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/lines"
	"github.com/PabloL007/outpost/internal/socket"
)

const (
	header4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n"
	header6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	tail4   = " 1 0000000000000000 100 0 0 10 0                     \n"
	zero6   = "00000000000000000000000000000000"
)

// row4 returns a row as tcp4_seq_show prints it.
func row4(local, remote, state string, inode int) string {
	return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000     0        0 %d%s", local, remote, state, inode, tail4)
}

func row6(local, remote, state string, inode int) string {
	return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 100 0 0 10 0\n", local, remote, state, inode)
}

func addrPort(t *testing.T, s string) netip.AddrPort {
	t.Helper()
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func decode(t *testing.T, order binary.ByteOrder, text string) Table {
	t.Helper()
	d := NewDecoder(order)
	if n, err := d.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("Write = %d, %v; want %d, nil", n, err, len(text))
	}
	return d.Table()
}

func TestDecoder(t *testing.T) {
	sock := func(local, remote string, state socket.State, inode uint64) socket.Socket {
		return socket.Socket{Local: addrPort(t, local), Remote: addrPort(t, remote), State: state, Inode: inode}
	}
	dialling := func(local string, inode uint64, retransmits uint8) socket.Socket {
		s := sock(local, "172.17.0.3:5432", socket.SynSent, inode)
		s.Retransmits = retransmits
		return s
	}
	closed := func(local, remote string, remaining time.Duration) socket.Socket {
		row := sock(local, remote, socket.TimeWait, 0)
		row.Remaining = remaining
		return row
	}
	listener := row4("00000000:1F90", "00000000:0000", "0A", 45231)
	listening := sock("0.0.0.0:8080", "0.0.0.0:0", socket.Listen, 45231)

	tests := []struct {
		name      string
		text      string
		bigEndian bool
		want      []socket.Socket
		malformed int
	}{
		{name: "nothing"},
		{name: "header alone", text: header4},
		{name: "tcp6 missing", text: header4 + listener, want: []socket.Socket{listening}},
		{
			name: "both tables in one stream",
			text: header4 + listener + header6 + row6(zero6+":0050", zero6+":0000", "0A", 7),
			want: []socket.Socket{listening, sock("[::]:80", "[::]:0", socket.Listen, 7)},
		},
		{
			name: "wide slot and uid",
			text: header4 + "10000: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 4294967294 0 45231 1 0 100 0 0 10 0\n",
			want: []socket.Socket{listening},
		},
		{
			name: "short TIME_WAIT row",
			text: header4 + "   1: 020011AC:1F90 030011AC:C001 06 00000000:00000000 03:00000F2A 00000000     0        0 0 3 0000000000000000 \n",
			want: []socket.Socket{closed("172.17.0.2:8080", "172.17.0.3:49153", 38820*time.Millisecond)},
		},
		{
			name: "TIME_WAIT of IPv6",
			text: header6 + "   1: 0000000000000000FFFF0000020011AC:1F90 0000000000000000FFFF0000030011AC:C001 06 00000000:00000000 03:00000001 00000000     0        0 0 3 0000000000000000\n",
			want: []socket.Socket{closed("172.17.0.2:8080", "172.17.0.3:49153", 10*time.Millisecond)},
		},
		{
			name: "TIME_WAIT with another timer, without one, and with ticks of nine digits",
			text: header4 + row4("020011AC:1F90", "030011AC:C001", "06", 0) +
				"   1: 020011AC:1F90 030011AC:C002 06 0:0 nonsense 0 0 0 0\n" +
				"   2: 020011AC:1F90 030011AC:C003 06 0:0 03:100000001 0 0 0 0\n",
			want: []socket.Socket{
				closed("172.17.0.2:8080", "172.17.0.3:49153", 0), closed("172.17.0.2:8080", "172.17.0.3:49154", 0),
				closed("172.17.0.2:8080", "172.17.0.3:49155", 0),
			},
		},
		{
			name: "unaccepted ESTABLISHED",
			text: header4 + row4("020011AC:1F90", "030011AC:C001", "01", 0),
			want: []socket.Socket{sock("172.17.0.2:8080", "172.17.0.3:49153", socket.Established, 0)},
		},
		{
			name: "FIN_WAIT2 orphan",
			text: header4 + row4("020011AC:1F90", "030011AC:C001", "05", 0),
			want: []socket.Socket{sock("172.17.0.2:8080", "172.17.0.3:49153", socket.FinWait2, 0)},
		},
		{
			name: "SYN_RECV",
			text: header4 + "   2: 020011AC:1F90 030011AC:C001 03 00000000:00000000 01:00000064 00000000     0        0 0 1 0000000000000000\n",
			want: []socket.Socket{sock("172.17.0.2:8080", "172.17.0.3:49153", socket.SynRecv, 0)},
		},
		{
			name: "SYN_SENT",
			text: header4 +
				"   0: 020011AC:A000 030011AC:1538 02 00000001:00000000 01:00000050 00000002  1000        0 7 2 0000000000000000 200 0 0 1 7\n" +
				"   1: 020011AC:A001 030011AC:1538 02 00000001:00000000 01:00000050 FFFFFFFF  1000        0 8 2 0000000000000000 200 0 0 1 7\n" +
				"   2: 020011AC:A002 030011AC:1538 02 00000001:00000000 01:00000050 00000000  1000        0 9 2 0000000000000000 200 0 0 1 7\n" +
				"   3: 020011AC:A003 030011AC:1538 02 00000001:00000000 01:00000050 2?        1000        0 9 2 0000000000000000 200 0 0 1 7\n" +
				"   4: 020011AC:A004 030011AC:1538 01 00000001:00000000 01:00000050 00000002  1000        0 9 2 0000000000000000 200 0 0 1 7\n",
			want: []socket.Socket{
				dialling("172.17.0.2:40960", 7, 2), dialling("172.17.0.2:40961", 8, 255), dialling("172.17.0.2:40962", 9, 0), dialling("172.17.0.2:40963", 9, 0),
				sock("172.17.0.2:40964", "172.17.0.3:5432", socket.Established, 9),
			},
		},
		{
			name: ":: listener with a v4 client",
			text: header6 + row6(zero6+":1F90", zero6+":0000", "0A", 7) +
				row6("0000000000000000FFFF0000020011AC:1F90", "0000000000000000FFFF0000030011AC:C001", "01", 8),
			want: []socket.Socket{
				sock("[::]:8080", "[::]:0", socket.Listen, 7),
				sock("172.17.0.2:8080", "172.17.0.3:49153", socket.Established, 8),
			},
		},
		{
			name: "v6-only beside dual-stack",
			text: header6 + row6(zero6+":1F90", zero6+":0000", "0A", 7) + row6(zero6+":1F91", zero6+":0000", "0A", 8),
			want: []socket.Socket{
				sock("[::]:8080", "[::]:0", socket.Listen, 7),
				sock("[::]:8081", "[::]:0", socket.Listen, 8),
			},
		},
		{
			name: "listener on ::ffff:127.0.0.1",
			text: header6 + row6("0000000000000000FFFF00000100007F:1F90", zero6+":0000", "0A", 7),
			want: []socket.Socket{sock("127.0.0.1:8080", "[::]:0", socket.Listen, 7)},
		},
		{
			name: "IPv6 address in words",
			text: header6 + row6("B80D0120000000000000000001000000:01BB", zero6+":0000", "0A", 7),
			want: []socket.Socket{sock("[2001:db8::1]:443", "[::]:0", socket.Listen, 7)},
		},
		{
			name: "two SO_REUSEPORT listeners",
			text: header4 + listener + row4("00000000:1F90", "00000000:0000", "0A", 45232),
			want: []socket.Socket{listening, sock("0.0.0.0:8080", "0.0.0.0:0", socket.Listen, 45232)},
		},
		{
			name: "MPTCP subflows share the descriptor's inode",
			text: header4 + row4("020011AC:1F90", "030011AC:C001", "01", 9) + row4("020011AC:1F90", "040011AC:C002", "01", 9),
			want: []socket.Socket{
				sock("172.17.0.2:8080", "172.17.0.3:49153", socket.Established, 9),
				sock("172.17.0.2:8080", "172.17.0.4:49154", socket.Established, 9),
			},
		},
		{
			name: "row repeated at the tail",
			text: header4 + listener + row4("020011AC:1F90", "030011AC:C001", "01", 9) + listener,
			want: []socket.Socket{listening, sock("172.17.0.2:8080", "172.17.0.3:49153", socket.Established, 9)},
		},
		{
			name: "row repeated in its next state",
			text: header4 + row4("020011AC:1F90", "030011AC:C001", "01", 9) + row4("020011AC:1F90", "030011AC:C001", "08", 9),
			want: []socket.Socket{sock("172.17.0.2:8080", "172.17.0.3:49153", socket.Established, 9)},
		},
		{
			name:      "row cut short by the end of the stream",
			text:      header4 + listener + "   1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:0000",
			want:      []socket.Socket{listening},
			malformed: 1,
		},
		{
			name:      "row cut short before its newline",
			text:      header4 + "   1: 00000000:1F91 00000000:0000 0A 00000000:00000000\n" + listener,
			want:      []socket.Socket{listening},
			malformed: 1,
		},
		{
			name:      "port 0",
			text:      header4 + row4("00000000:0000", "00000000:0000", "0A", 1) + row4("020011AC:1F90", "030011AC:0000", "01", 2) + listener,
			want:      []socket.Socket{listening},
			malformed: 2,
		},
		{
			name: "states 0D and FF",
			text: header4 + row4("00000000:1F90", "00000000:0000", "0D", 1) + row4("00000000:1F91", "00000000:0000", "FF", 2),
			want: []socket.Socket{
				sock("0.0.0.0:8080", "0.0.0.0:0", socket.BoundInactive, 1),
				sock("0.0.0.0:8081", "0.0.0.0:0", socket.State(0xFF), 2),
			},
		},
		{
			name:      "big-endian table",
			bigEndian: true,
			text: header4 + row4("7F000001:1F90", "00000000:0000", "0A", 1) +
				header6 + row6("20010DB8000000000000000000000001:01BB", zero6+":0000", "0A", 7),
			want: []socket.Socket{
				sock("127.0.0.1:8080", "0.0.0.0:0", socket.Listen, 1),
				sock("[2001:db8::1]:443", "[::]:0", socket.Listen, 7),
			},
		},
		{
			name: "rows that are no rows",
			text: header4 + listener + "\n" +
				"OCI runtime exec failed: exec failed: unable to start container process: exec: \"cat\": executable file not found\n" +
				row4("0000000G:1F90", "00000000:0000", "0A", 1) +
				row4("00000000:1F90", "00000000:", "0A", 1) +
				row4("00000000:1F90", "00000000:10000", "0A", 1) +
				row4("00000000 1F90", "00000000:0000", "0A", 1) +
				row4("00000000:1F90", "00000000:0000", "0AA", 1) +
				row4("00000000:1F90", "00000000:0000", "ZZ", 1) +
				row4("00000000:1F90", "00000000:0000", "0A", -1) +
				row6(zero6+"0:1F90", zero6+":0000", "0A", 1) +
				"   0: 00000000:1F90 00000000:0000 0A 0:0 0:0 0 0 0 99999999999999999999 1\n",
			want:      []socket.Socket{listening},
			malformed: 11,
		},
		{
			name:      "a line without end",
			text:      header4 + strings.Repeat("A", 1<<20) + "\n" + listener,
			want:      []socket.Socket{listening},
			malformed: 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			order := binary.ByteOrder(binary.LittleEndian)
			if test.bigEndian {
				order = binary.BigEndian
			}
			got := decode(t, order, test.text)
			if diff := cmp.Diff(test.want, got.Sockets, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); diff != "" {
				t.Errorf("sockets (-want +got):\n%s", diff)
			}
			if got.Malformed != test.malformed {
				t.Errorf("Malformed = %d, want %d (%v)", got.Malformed, test.malformed, got.FirstMalformed)
			}
			if (got.FirstMalformed != nil) != (test.malformed > 0) {
				t.Errorf("FirstMalformed = %v with %d malformed rows", got.FirstMalformed, test.malformed)
			}
			if got.IPv4 != strings.Contains(test.text, "rem_address") || got.IPv6 != strings.Contains(test.text, "remote_address") {
				t.Errorf("IPv4, IPv6 = %v, %v", got.IPv4, got.IPv6)
			}
		})
	}
}

func TestDecoderAcceptsChunksOfAnySize(t *testing.T) {
	text := header4 + row4("00000000:1F90", "00000000:0000", "0A", 1) + header6 + row6(zero6+":0050", zero6+":0000", "0A", 7)
	want := decode(t, binary.LittleEndian, text)
	for size := 1; size < len(text); size++ {
		d := NewDecoder(binary.LittleEndian)
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			_, _ = d.Write([]byte(rest[:min(size, len(rest))]))
		}
		if diff := cmp.Diff(want, d.Table(), cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); diff != "" {
			t.Fatalf("chunks of %d bytes (-want +got):\n%s", size, diff)
		}
	}
}

func TestDecoderReportsFirstMalformedRow(t *testing.T) {
	table := decode(t, binary.LittleEndian, header4+"nonsense\nmore\n")
	var rowError *lines.RowError
	if !errors.As(table.FirstMalformed, &rowError) || rowError.Line != 2 || rowError.Text != "nonsense" {
		t.Errorf("FirstMalformed = %v, want line 2, nonsense", table.FirstMalformed)
	}
	if !errors.Is(table.FirstMalformed, errTooFewFields) {
		t.Errorf("FirstMalformed = %v, want it to wrap the reason", table.FirstMalformed)
	}
}

func TestDecoderReadsTenThousandListeners(t *testing.T) {
	var text strings.Builder
	text.WriteString(header4)
	for port := range 10_000 {
		text.WriteString(row4(fmt.Sprintf("00000000:%04X", port+1), "00000000:0000", "0A", port+1))
	}
	table := decode(t, binary.LittleEndian, text.String())
	if len(table.Sockets) != 10_000 || table.Malformed != 0 {
		t.Fatalf("%d sockets, %d malformed; want 10000, 0", len(table.Sockets), table.Malformed)
	}
	for i, s := range table.Sockets {
		if int(s.Local.Port()) != i+1 {
			t.Fatalf("socket %d has port %d", i, s.Local.Port())
		}
	}
}

// The golden file comes from a Linux 6.18 host: `cat /proc/net/tcp /proc/net/tcp6`.
func TestDecoderGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/linux-6.18")
	if err != nil {
		t.Fatal(err)
	}
	table := decode(t, binary.LittleEndian, string(text))
	if table.Malformed != 0 || !table.IPv4 || !table.IPv6 {
		t.Fatalf("malformed %d (%v), IPv4 %v, IPv6 %v", table.Malformed, table.FirstMalformed, table.IPv4, table.IPv6)
	}
	var got strings.Builder
	for _, s := range table.Sockets {
		fmt.Fprintf(&got, "%v %v %v %d\n", s.State, s.Local, s.Remote, s.Inode)
	}
	want, err := os.ReadFile("testdata/linux-6.18.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(header4+row4("00000000:1F90", "00000000:0000", "0A", 1), false)
	f.Add(header6+row6(zero6+":0050", zero6+":0000", "0A", 7), true)
	f.Add("   1: 00000000:1F91", false)
	f.Add(headerUDP+rowUDP("00000000:0035", "00000000:0000", "07", 1)+headerUDP6+rowUDP(zero6+":0035", zero6+":0000", "07", 2)+header4, false)
	f.Add(header4+inet6Row("fd00::1", "00", "80", "eth0")+trie("Local", "10.0.0.2"), false)
	f.Fuzz(func(t *testing.T, text string, bigEndian bool) {
		order := binary.ByteOrder(binary.LittleEndian)
		if bigEndian {
			order = binary.BigEndian
		}
		whole := decode(t, order, text)
		bytewise := NewDecoder(order)
		for i := range len(text) {
			_, _ = bytewise.Write([]byte{text[i]})
		}
		if diff := cmp.Diff(whole, bytewise.Table(), cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}), cmp.Comparer(sameText)); diff != "" {
			t.Errorf("whole and bytewise differ:\n%s", diff)
		}
		for _, s := range whole.Sockets {
			isUDP := s.Protocol == socket.UDP
			if isUDP && (!whole.UDP && !whole.UDP6 || s.State != socket.Established && s.State != socket.Close) || s.Local.Port() == 0 {
				t.Errorf("%+v", s)
			}
		}
		if lines := strings.Count(text, "\n") + 1; len(whole.Sockets)+whole.Malformed > lines {
			t.Errorf("%d sockets and %d malformed rows of %d lines", len(whole.Sockets), whole.Malformed, lines)
		}
	})
}

func sameText(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// A remote peer chooses addresses and ports, so rows that differ only in the local address must not collide. If they
// did, each row would be compared with all others and this test would time out.
func TestManyLocalAddressesDoNotCollide(t *testing.T) {
	const rows = 300_000
	var text strings.Builder
	text.WriteString(header4)
	for i := range rows {
		text.WriteString(row4(fmt.Sprintf("%08X:1000", i<<8|0x7F), "0100007F:0050", "06", 0))
	}
	if table := decode(t, binary.LittleEndian, text.String()); len(table.Sockets) != rows {
		t.Errorf("%d sockets", len(table.Sockets))
	}
}

// Connections beyond the quota are dropped. The listeners of tcp6 come after them, and are kept.
func TestQuotaKeepsListeners(t *testing.T) {
	text := header4 + row4("00000000:0050", "00000000:0000", "0A", 1)
	for i := range 1000 {
		text += row4(fmt.Sprintf("0100007F:%04X", 1000+i), "0100007F:0050", "01", 10+i)
	}
	text += header6 + row6(zero6+":0051", zero6+":0000", "0A", 2) + row6(zero6+":0052", zero6+":0000", "0A", 3)
	d := NewDecoder(binary.LittleEndian)
	for range 2 {
		quota := socket.NewBudget(100, 1).Quota(1)
		d.SetQuota(quota)
		_, _ = d.Write([]byte(text))
		var listeners []uint16
		for _, s := range d.Table().Sockets {
			if s.State == socket.Listen {
				listeners = append(listeners, s.Local.Port())
			}
		}
		if n := len(d.Table().Sockets); n != 96 || fmt.Sprint(listeners) != "[80 81 82]" || !quota.Exceeded() {
			t.Errorf("%d sockets, listeners %v, exceeded %v", n, listeners, quota.Exceeded())
		}
		d.Reset()
	}
	_, _ = d.Write([]byte(text))
	if n := len(d.Table().Sockets); n != 1003 {
		t.Errorf("%d sockets without a quota", n)
	}
}
