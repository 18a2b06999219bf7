// Package procnet decodes the text of files below /proc/net: the tables tcp and tcp6, the counts of sockstat and
// sockstat6, and the addresses of fib_trie, route and if_inet6.
package procnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/PabloL007/outpost/internal/lines"
	"github.com/PabloL007/outpost/internal/socket"
)

// Table is what a stream of tables held.
type Table struct {
	// Sockets has each socket once, in the order of the stream. A table that changes while it is read may
	// show a row twice, because the kernel takes up its walk at a position, not at a row.
	Sockets []socket.Socket
	// IPv4 and IPv6 tell which tables were there: a table without rows still has its header.
	IPv4, IPv6 bool
	// Malformed counts the rows that could not be decoded; FirstMalformed is the first one's *RowError.
	Malformed      int
	FirstMalformed error
}

// RowError is a row that could not be decoded.
type RowError struct {
	Line int    // counted from 1 over the whole stream
	Text string // the row's beginning
	Err  error
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d %q: %v", e.Line, e.Text, e.Err) }

// Unwrap returns the reason.
func (e *RowError) Unwrap() error { return e.Err }

var errCutShort = errors.New("cut short: the stream ends inside the row")

// Decoder decodes the tables that are written to it: one of them, or both one after the other as
// `cat /proc/net/tcp /proc/net/tcp6` prints them. Bad rows are counted and passed over. It must not be used
// by several goroutines at once; one after the other may, after a Reset, and saves the growing of its buffers.
type Decoder struct {
	lines lines.Writer
	words wordOrder
	seen  index
	table Table
	line  int
}

// NewDecoder returns a decoder of tables printed by a kernel of the given byte order: the kernel prints
// addresses as 32-bit words of its own order (net/ipv4/tcp_ipv4.c, get_tcp4_sock).
func NewDecoder(order binary.ByteOrder) *Decoder {
	d := &Decoder{words: wordOrderOf(order)}
	d.lines.Line = d.decode
	return d
}

// Write takes the next bytes of the stream. It never fails.
func (d *Decoder) Write(p []byte) (int, error) { return d.lines.Write(p) }

// Table returns what was decoded since the last Reset, in memory that the next Reset takes back. A row whose
// newline has not arrived counts as malformed.
func (d *Decoder) Table() Table {
	table := d.table
	if rest := d.lines.Partial(); len(rest) > 0 {
		table.addMalformed(d.line+1, rest, errCutShort)
	}
	return table
}

// DropRest forgets a row whose newline has not arrived.
func (d *Decoder) DropPartialRow() { d.lines.Reset() }

// Reset makes d ready for another stream.
func (d *Decoder) Reset() {
	d.lines.Reset()
	d.seen.reset()
	d.table = Table{Sockets: d.table.Sockets[:0]}
	d.line = 0
}

func (d *Decoder) decode(line []byte) {
	d.line++
	if d.header(line) {
		return
	}
	row, err := parseRow(line, d.words)
	if err != nil {
		d.table.addMalformed(d.line, line, err)
		return
	}
	if d.seen.add(d.table.Sockets, row) {
		d.table.append(row)
	}
}

// header recognises the two header lines (tcp4_seq_show and tcp6_seq_show); they differ in one word.
func (d *Decoder) header(line []byte) bool {
	if !bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("sl ")) {
		return false
	}
	if bytes.Contains(line, []byte("remote_address")) {
		d.table.IPv6 = true
	} else {
		d.table.IPv4 = true
	}
	return true
}

// append doubles the list when it is full: append's own factor of 1.25 for long slices copies and clears the
// list three times as often, which takes longer than decoding.
func (t *Table) append(row socket.Socket) {
	if len(t.Sockets) == cap(t.Sockets) {
		t.Sockets = slices.Grow(t.Sockets, max(16, len(t.Sockets)))
	}
	t.Sockets = append(t.Sockets, row)
}

func (t *Table) addMalformed(line int, text []byte, err error) {
	t.Malformed++
	if t.FirstMalformed == nil {
		const quoted = 120
		t.FirstMalformed = &RowError{Line: line, Text: string(text[:min(len(text), quoted)]), Err: err}
	}
}
