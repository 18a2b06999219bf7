// Package procnet decodes files below /proc/net: the socket tables tcp, tcp6, udp and udp6, the counters sockstat, sockstat6 and
// protocols, and the addresses in fib_trie, route and if_inet6.
package procnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/lines"
	"github.com/PabloL007/outpost/internal/socket"
)

// Table is the content of a stream of socket tables.
type Table struct {
	// Sockets contains each socket once, in the stream's order. The kernel resumes its walk at a position, not at a
	// row. So it may print a row twice if the table changes during the read.
	Sockets []socket.Socket
	// IPv4 and IPv6 report which tables the stream contained. A table without rows still has its header.
	IPv4, IPv6 bool
	// UDP and UDP6 report the same of the tables udp and udp6.
	UDP, UDP6 bool
	// Addresses are those of the rows of if_inet6 and fib_trie in the stream, except loopback ones, ascending, up to 1,000.
	// AddressRows reports whether there were such rows.
	Addresses   []netip.Addr
	AddressRows bool
	// Malformed counts the rows that could not be decoded. FirstMalformed is the *lines.RowError of the first one.
	Malformed      int
	FirstMalformed error
}

var errCutShort = errors.New("cut short: the stream ends inside the row")

// Decoder decodes the socket tables that are written to it: one table, or several in sequence as
// `cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6` prints them. if_inet6 and fib_trie may follow. Rows before the first
// header are of TCP. It counts malformed rows and skips them. A Decoder must not be used concurrently. Reusing one after Reset saves the
// growth of its buffers.
type Decoder struct {
	lines lines.Writer
	words wordOrder
	index rowIndex
	table Table
	line  int
	quota *socket.Quota

	protocol  socket.Protocol // of the rows since the last header
	addresses *addressRows
}

// NewDecoder returns a decoder of tables printed by a kernel of the given byte order: the kernel prints
// addresses as 32-bit words in its own order (net/ipv4/tcp_ipv4.c, get_tcp4_sock).
func NewDecoder(order binary.ByteOrder) *Decoder {
	d := &Decoder{words: newWordOrder(order), addresses: newAddressRows()}
	d.lines.Line = d.decode
	return d
}

// Write decodes the next bytes of the stream. It never fails.
func (d *Decoder) Write(p []byte) (int, error) { return d.lines.Write(p) }

// Table returns the rows decoded since the last Reset. The next Reset reuses its memory. A row without its newline
// counts as malformed.
func (d *Decoder) Table() Table {
	table := d.table
	table.Addresses, table.AddressRows = d.addresses.found.sorted(), d.addresses.begun
	if partial := d.lines.Partial(); len(partial) > 0 {
		table.addMalformed(d.line+1, partial, errCutShort)
	}
	return table
}

// DropPartialRow discards a row without its newline.
func (d *Decoder) DropPartialRow() { d.lines.Reset() }

// SetQuota bounds the sockets until the next Reset. Further rows are dropped.
func (d *Decoder) SetQuota(quota *socket.Quota) { d.quota = quota }

// Reset prepares d for another stream without a quota.
func (d *Decoder) Reset() {
	d.lines.Reset()
	d.index.reset()
	d.addresses.reset()
	d.table = Table{Sockets: d.table.Sockets[:0]}
	d.line, d.quota, d.protocol = 0, nil, socket.TCP
}

func (d *Decoder) decode(line []byte) {
	d.line++
	if d.decodeHeader(line) {
		return
	}
	row, err := parseRow(line, d.words, d.protocol)
	if err != nil && d.addresses.decode(line) {
		return
	}
	if err != nil {
		d.table.addMalformed(d.line, line, err)
		return
	}
	if d.quota != nil && !d.quota.Take(row.Listening()) { // the test saves a call for each row
		return
	}
	if d.index.add(d.table.Sockets, row) {
		d.table.append(row)
	}
}

// decodeHeader recognises the header lines (tcp4_seq_show and tcp6_seq_show; udp4_seq_show of net/ipv4/udp.c and udp6_seq_show of
// net/ipv6/udp.c). Those of the two families differ in one word. Those of UDP have three further columns: ref, pointer and drops.
func (d *Decoder) decodeHeader(line []byte) bool {
	if !bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("sl ")) {
		return false
	}
	isIPv6 := bytes.Contains(line, []byte("remote_address"))
	d.protocol = socket.TCP
	if bytes.Contains(line, []byte(" drops")) {
		d.protocol = socket.UDP
	}
	switch {
	case d.protocol == socket.UDP && isIPv6:
		d.table.UDP6 = true
	case d.protocol == socket.UDP:
		d.table.UDP = true
	case isIPv6:
		d.table.IPv6 = true
	default:
		d.table.IPv4 = true
	}
	return true
}

// append doubles the slice when it is full. The built-in append grows long slices by 1.25, so it copies and clears
// three times as often. That takes longer than decoding.
func (t *Table) append(row socket.Socket) {
	if len(t.Sockets) == cap(t.Sockets) {
		t.Sockets = slices.Grow(t.Sockets, max(16, len(t.Sockets)))
	}
	t.Sockets = append(t.Sockets, row)
}

func (t *Table) addMalformed(line int, text []byte, err error) {
	t.Malformed++
	if t.FirstMalformed == nil {
		t.FirstMalformed = newRowError(line, text, err)
	}
}
