package procnet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/socket"
)

const (
	headerUDP  = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n"
	headerUDP6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
)

// rowUDP returns a row as udp4_format_sock and, without the last blanks, __ip6_dgram_sock_seq_show print it.
func rowUDP(local, remote, state string, inode int) string {
	return fmt.Sprintf(" 6713: %s %s %s 00000000:00000000 00:00000000 00000000     0        0 %d 2 000000002bb626c3 0         \n", local, remote, state, inode)
}

func TestDecoderOfUDP(t *testing.T) {
	sock := func(protocol socket.Protocol, local, remote string, state socket.State, inode uint64) socket.Socket {
		return socket.Socket{Protocol: protocol, Local: addrPort(t, local), Remote: addrPort(t, remote), State: state, Inode: inode}
	}
	tcp4 := header4 + row4("00000000:0035", "00000000:0000", "0A", 1)
	tcp6 := header6 + row6(zero6+":0035", zero6+":0000", "0A", 2)
	udp4 := headerUDP + rowUDP("00000000:0035", "00000000:0000", "07", 3) + rowUDP("020011AC:C001", "030011AC:0035", "01", 4)
	udp6 := headerUDP6 + rowUDP(zero6+":0035", zero6+":0000", "07", 5) +
		rowUDP("0000000000000000FFFF0000020011AC:C002", "0000000000000000FFFF0000030011AC:0035", "01", 6)
	tcpSockets := []socket.Socket{sock(socket.TCP, "0.0.0.0:53", "0.0.0.0:0", socket.Listen, 1), sock(socket.TCP, "[::]:53", "[::]:0", socket.Listen, 2)}
	udpSockets := []socket.Socket{
		sock(socket.UDP, "0.0.0.0:53", "0.0.0.0:0", socket.Close, 3), sock(socket.UDP, "172.17.0.2:49153", "172.17.0.3:53", socket.Established, 4),
		sock(socket.UDP, "[::]:53", "[::]:0", socket.Close, 5), sock(socket.UDP, "172.17.0.2:49154", "172.17.0.3:53", socket.Established, 6),
	}
	for name, test := range map[string]struct {
		text      string
		want      Table // its Sockets and flags
		malformed int
	}{
		"four tables":   {tcp4 + tcp6 + udp4 + udp6, Table{Sockets: append(tcpSockets[:2:2], udpSockets...), IPv4: true, IPv6: true, UDP: true, UDP6: true}, 0},
		"UDP first":     {udp4 + udp6 + tcp4 + tcp6, Table{Sockets: append(udpSockets[:4:4], tcpSockets...), IPv4: true, IPv6: true, UDP: true, UDP6: true}, 0},
		"without IPv6":  {tcp4 + udp4, Table{Sockets: append(tcpSockets[:1:1], udpSockets[:2]...), IPv4: true, UDP: true}, 0},
		"headers alone": {headerUDP + headerUDP6, Table{UDP: true, UDP6: true}, 0},
		"connected to port 0": {
			headerUDP + rowUDP("020011AC:C001", "030011AC:0000", "01", 4),
			Table{Sockets: []socket.Socket{sock(socket.UDP, "172.17.0.2:49153", "172.17.0.3:0", socket.Established, 4)}, UDP: true}, 0,
		},
		"kernel's sockets without inodes beside TCP": {
			header4 + row4("020011AC:12B5", "030011AC:0050", "01", 0) + headerUDP + rowUDP("020011AC:12B5", "030011AC:0050", "01", 0),
			Table{Sockets: []socket.Socket{
				sock(socket.TCP, "172.17.0.2:4789", "172.17.0.3:80", socket.Established, 0), sock(socket.UDP, "172.17.0.2:4789", "172.17.0.3:80", socket.Established, 0),
			}, IPv4: true, UDP: true}, 0,
		},
		"row repeated":          {headerUDP + rowUDP("00000000:0035", "00000000:0000", "07", 3) + rowUDP("00000000:0035", "00000000:0000", "07", 3), Table{Sockets: udpSockets[:1], UDP: true}, 0},
		"state of TCP, no port": {headerUDP + rowUDP("00000000:0035", "00000000:0000", "0A", 3) + rowUDP("00000000:0000", "00000000:0000", "07", 3), Table{UDP: true}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got := decode(t, binary.LittleEndian, test.text)
			if got.Malformed != test.malformed {
				t.Errorf("%d malformed rows, want %d: %v", got.Malformed, test.malformed, got.FirstMalformed)
			}
			got.Malformed, got.FirstMalformed = 0, nil
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A Decoder begins each stream with TCP.
func TestResetForgetsUDP(t *testing.T) {
	d := NewDecoder(binary.LittleEndian)
	_, _ = d.Write([]byte(headerUDP))
	d.Reset()
	_, _ = d.Write([]byte(row4("00000000:0035", "00000000:0000", "0A", 1)))
	if table := d.Table(); len(table.Sockets) != 1 || table.Sockets[0].Protocol != socket.TCP || table.UDP {
		t.Errorf("%+v", table)
	}
}

// Unconnected UDP sockets take the share that is reserved for listeners.
func TestQuotaKeepsUnconnectedUDP(t *testing.T) {
	text := header4
	for i := range 1000 {
		text += row4(fmt.Sprintf("0100007F:%04X", 1000+i), "0100007F:0050", "01", 10+i)
	}
	text += headerUDP + rowUDP("020011AC:C001", "030011AC:0035", "01", 4) + rowUDP("00000000:0035", "00000000:0000", "07", 3)
	d := NewDecoder(binary.LittleEndian)
	d.SetQuota(socket.NewBudget(100, 1).Quota(1))
	_, _ = d.Write([]byte(text))
	sockets := d.Table().Sockets
	if last := sockets[len(sockets)-1]; last.Protocol != socket.UDP || !last.Listening() || sockets[len(sockets)-2].Protocol != socket.TCP {
		t.Errorf("%+v", last)
	}
}
