package conntrack

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/PabloL007/outpost/internal/lines"
	"github.com/PabloL007/outpost/internal/socket"
)

// ErrTooManyRows is the error of Write for more than MaxRows rows. The caller stops reading, and the table is cut.
var ErrTooManyRows = fmt.Errorf("more than %d rows", MaxRows)

var (
	errCutShort  = errors.New("cut short: the stream ends inside the row")
	errNoTuple   = errors.New("want src, dst, sport and dport of both directions")
	errDuplicate = errors.New("more than two directions")
	errFamily    = errors.New("the addresses are of different families")
)

// Decoder decodes the text of /proc/<pid>/net/nf_conntrack that is written to it (net/netfilter/nf_conntrack_standalone.c, ct_seq_show):
//
//	ipv4     2 tcp      6 431999 ESTABLISHED src=192.0.2.7 dst=10.0.0.1 sport=40000 dport=80 src=172.17.0.2 dst=192.0.2.7 sport=8080 dport=40000 [ASSURED] mark=0 zone=0 use=2
//
// The first four tuple fields are the original direction, the next four the reply. It keeps the translated flows of TCP and UDP in the
// default zone. It counts malformed rows and skips them. A Decoder must not be used concurrently.
type Decoder struct {
	// All keeps flows without a translation too.
	All   bool
	lines lines.Writer
	table Table
}

// NewDecoder returns a decoder.
func NewDecoder() *Decoder {
	d := &Decoder{}
	d.lines.Line = d.decode
	return d
}

// Write decodes the next bytes of the stream. It fails only with ErrTooManyRows.
func (d *Decoder) Write(p []byte) (int, error) {
	n, _ := d.lines.Write(p)
	if d.table.Rows > MaxRows {
		return n, ErrTooManyRows
	}
	return n, nil
}

// Table returns what was decoded. A row without its newline counts as malformed, unless the table is cut.
func (d *Decoder) Table() Table {
	table := d.table
	if partial := d.lines.Partial(); len(partial) > 0 && !table.Cut {
		table.addMalformed(table.Rows+1, partial, errCutShort)
	}
	return table
}

func (d *Decoder) decode(line []byte) {
	d.table.Rows++
	if d.table.Rows > MaxRows {
		d.table.Cut = true
		return
	}
	r, skip, err := splitRow(line)
	if err == nil && !skip && (d.All || r.isTranslated()) {
		err = d.keep(&r)
	}
	if err != nil {
		d.table.addMalformed(d.table.Rows, line, err)
	}
}

// keep adds the flow of a row.
func (d *Decoder) keep(r *row) error {
	flow, err := r.flow()
	if err != nil {
		return err
	}
	d.table.add(flow, d.All)
	return nil
}

// add adds a flow, within MaxFlows. Unless all is set it drops one without a translation.
func (t *Table) add(f Flow, all bool) {
	switch {
	case !all && !f.IsTranslated():
	case len(t.Flows) == MaxFlows:
		t.Cut = true
	default:
		t.Flows = append(t.Flows, f)
	}
}

func (t *Table) addMalformed(line int, text []byte, err error) {
	const quoted = 80
	if t.Malformed == 0 {
		t.FirstMalformed = &lines.RowError{Line: line, Text: string(text[:min(len(text), quoted)]), Err: err}
	}
	t.Malformed++
}

// row is a row with values that are not parsed yet: most rows are skipped by their text.
type row struct {
	protocol         socket.Protocol
	directions       [2]direction // original, reply
	closing, replied bool
}

// direction is the text of a tuple.
type direction struct{ source, destination, sourcePort, destinationPort []byte }

// closingStates are the states in which the kernel has seen a FIN or RST (net/netfilter/nf_conntrack_proto_tcp.c, tcp_conntrack_names).
var closingStates = [][]byte{[]byte("FIN_WAIT"), []byte("CLOSE_WAIT"), []byte("LAST_ACK"), []byte("TIME_WAIT"), []byte("CLOSE")}

// splitRow returns the fields of a row. skip is true for other protocols than TCP and UDP, and for other zones than the default one.
func splitRow(line []byte) (r row, skip bool, err error) {
	r.replied = true
	number, tuple := 0, -1
	for field := range bytes.FieldsSeq(line) {
		key, value, hasValue := bytes.Cut(field, []byte("="))
		switch {
		case number == 2 && string(field) == "udp":
			r.protocol = socket.UDP
		case number == 2 && string(field) != "tcp":
			return r, true, nil
		case hasValue && string(key) == "src":
			if tuple++; tuple == len(r.directions) {
				return r, false, errDuplicate
			}
			r.directions[tuple].source = value
		case hasValue && tuple >= 0:
			skip = skip || r.directions[tuple].set(key, value)
		case string(field) == "[UNREPLIED]":
			r.replied = false
		case tuple < 0:
			r.closing = r.closing || isClosing(field)
		}
		number++
	}
	if !skip && (tuple != 1 || !r.directions[0].isComplete() || !r.directions[1].isComplete()) {
		return r, false, errNoTuple
	}
	return r, skip, nil
}

func isClosing(state []byte) bool {
	for _, s := range closingStates {
		if bytes.Equal(s, state) {
			return true
		}
	}
	return false
}

// set sets a field of the direction. It reports whether the field names another zone than the default one.
func (d *direction) set(key, value []byte) (otherZone bool) {
	switch string(key) {
	case "dst":
		d.destination = value
	case "sport":
		d.sourcePort = value
	case "dport":
		d.destinationPort = value
	case "zone", "zone-orig", "zone-reply":
		return string(value) != "0"
	}
	return false
}

func (d *direction) isComplete() bool {
	return len(d.source) > 0 && len(d.destination) > 0 && len(d.sourcePort) > 0 && len(d.destinationPort) > 0
}

// isTranslated compares the text of both directions. The kernel prints equal values equally.
func (r *row) isTranslated() bool {
	a, b := &r.directions[0], &r.directions[1]
	return !bytes.Equal(a.source, b.destination) || !bytes.Equal(a.destination, b.source) ||
		!bytes.Equal(a.sourcePort, b.destinationPort) || !bytes.Equal(a.destinationPort, b.sourcePort)
}

func (r *row) flow() (Flow, error) {
	original, err := r.directions[0].tuple()
	if err != nil {
		return Flow{}, err
	}
	reply, err := r.directions[1].tuple()
	if err != nil {
		return Flow{}, err
	}
	return Flow{Protocol: r.protocol, Original: original, Reply: reply, Closing: r.closing, Replied: r.replied}, nil
}

func (d *direction) tuple() (Tuple, error) {
	source, err := parseEndpoint(d.source, d.sourcePort)
	if err != nil {
		return Tuple{}, err
	}
	destination, err := parseEndpoint(d.destination, d.destinationPort)
	if err == nil && source.Addr().Is4() != destination.Addr().Is4() {
		err = errFamily
	}
	return Tuple{source, destination}, err
}

// parseEndpoint parses an address, and a port in decimal.
func parseEndpoint(addr, port []byte) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(string(addr))
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(string(port), 10, 16)
	return netip.AddrPortFrom(a.WithZone("").Unmap(), uint16(p)), err
}
