package procnet

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

var (
	errTooFewFields = errors.New("fewer than ten fields")
	errAddress      = errors.New("address is not 8 or 32 hexadecimal digits, a colon and a port of up to 4")
	errState        = errors.New("state is not two hexadecimal digits")
	errUDPState     = errors.New("state of a UDP socket is neither 01 nor 07")
	errPort         = errors.New("port is 0, which the state forbids")
	errInode        = errors.New("inode is not a decimal number")
)

// parseRow parses one row of a table of a protocol: of /proc/net/tcp or tcp6, for example
//
//	0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 45231 1 0000000000000000 100 0 0 10 0
//
// (net/ipv4/tcp_ipv4.c, get_tcp4_sock, get_timewait4_sock, get_openreq4; net/ipv6/tcp_ipv6.c alike).
// Addresses are printed as native-endian 32-bit integers, ports as plain numbers; both are hexadecimal. The tenth field is the
// inode, in decimal. TIME_WAIT and SYN_RECV rows end soon after it. Widths vary, so fields are separated by blanks.
//
// The first ten fields of /proc/net/udp and udp6 are equal (net/ipv4/udp.c, udp4_format_sock; net/ipv6/datagram.c,
// __ip6_dgram_sock_seq_show). A UDP socket may be connected to port 0: getaddrinfo(3) does so to find the source address.
func parseRow(line []byte, words wordOrder, protocol socket.Protocol) (row socket.Socket, err error) {
	var ok bool
	at := skipField(line, 0)
	if row.Local, at, ok = parseAddrPort(line, skipBlanks(line, at), words); !ok {
		return row, fieldError(errAddress, line, at)
	}
	if row.Remote, at, ok = parseAddrPort(line, skipBlanks(line, at), words); !ok {
		return row, fieldError(errAddress, line, at)
	}
	at = skipBlanks(line, at)
	state, end := parseHex(line, at, 2)
	if end != at+2 || !isFieldEnd(line, end) {
		return row, fieldError(errState, line, at)
	}
	row.State, row.Protocol = socket.State(state&0xFF), protocol
	if protocol == socket.UDP && row.State != socket.Established && row.State != socket.Close {
		return row, errUDPState
	}
	at = end
	at = skipField(line, at) // queues
	switch row.State {       //nolint:exhaustive // the others have no such field
	case socket.TimeWait:
		row.Remaining = parseTimeWait(line, skipBlanks(line, at))
	case socket.SynSent:
		row.Retransmits = parseRetransmits(line, skipBlanks(line, skipField(line, at)))
	}
	for range 4 { // timer, retransmits, uid, timeout
		at = skipField(line, at)
	}
	if row.Inode, at, ok = parseDecimal(line, skipBlanks(line, at)); !ok {
		return row, fieldError(errInode, line, at)
	}
	if row.Local.Port() == 0 || row.State == socket.Established && row.Remote.Port() == 0 && protocol == socket.TCP {
		return row, errPort
	}
	return row, nil
}

// parseTimeWait parses the timer of a socket in TIME_WAIT: its kind, 03, and the remaining time in ticks, both hexadecimal
// (get_timewait4_sock). The result is 0 if the field is something else.
func parseTimeWait(line []byte, at int) time.Duration {
	const tick = time.Second / 100 // USER_HZ is 100 on all architectures that Go supports
	kind, end := parseHex(line, at, 2)
	if end != at+2 || kind != 3 || end >= len(line) || line[end] != ':' {
		return 0
	}
	ticks, end := parseHex(line, end+1, 8)
	if !isFieldEnd(line, end) {
		return 0
	}
	return time.Duration(ticks) * tick
}

// parseRetransmits parses the hexadecimal field that starts at at, bounded to 255. The result is 0 if it is something else.
func parseRetransmits(line []byte, at int) uint8 {
	count, end := parseHex(line, at, 8)
	if !isFieldEnd(line, end) {
		return 0
	}
	return uint8(min(count, math.MaxUint8))
}

// fieldError returns err, or errTooFewFields if parsing stopped at the end of the line.
func fieldError(err error, line []byte, at int) error {
	if at >= len(line) {
		return errTooFewFields
	}
	return err
}

func skipBlanks(line []byte, at int) int {
	for at < len(line) && line[at] == ' ' {
		at++
	}
	return at
}

// skipField returns the end of the field that starts at or after at.
func skipField(line []byte, at int) int {
	for at = skipBlanks(line, at); at < len(line) && line[at] != ' '; {
		at++
	}
	return at
}

func isFieldEnd(line []byte, at int) bool { return at == len(line) || line[at] == ' ' }

// parseAddrPort parses the field that starts at at. It returns the position at which it stopped.
func parseAddrPort(line []byte, at int, words wordOrder) (netip.AddrPort, int, bool) {
	const digits = 8 // of a 32-bit word
	var b [16]byte
	size := 0 // of the address, in bytes
	for size < len(b) {
		word, end := parseHex(line, at, digits)
		if end != at+digits {
			return netip.AddrPort{}, end, false
		}
		words.put(b[size:size+4], word)
		size, at = size+4, end
		if at < len(line) && line[at] == ':' {
			break
		}
	}
	if at >= len(line) || line[at] != ':' || size != 4 && size != 16 {
		return netip.AddrPort{}, at, false
	}
	port, end := parseHex(line, at+1, 4)
	if end == at+1 || !isFieldEnd(line, end) {
		return netip.AddrPort{}, end, false
	}
	addr := netip.AddrFrom16(b).Unmap()
	if size == 4 {
		addr = netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrPortFrom(addr, uint16(port&0xFFFF)), end, true
}

// parseHex parses at most maxDigits hexadecimal digits from at on. It returns the position at which it stopped.
func parseHex(line []byte, at, maxDigits int) (value uint32, end int) {
	for end = at; end < len(line) && end < at+maxDigits; end++ {
		digit := hexDigits[line[end]]
		if digit == notHex {
			break
		}
		value = value<<4 | uint32(digit)
	}
	return value, end
}

const notHex = 0xFF

// hexDigits maps a byte to its value as a hexadecimal digit, or to notHex.
var hexDigits = func() (table [256]uint8) {
	for i := range table {
		table[i] = notHex
	}
	for i := range uint8(10) {
		table['0'+i] = i
	}
	for i := range uint8(6) {
		table['A'+i], table['a'+i] = 10+i, 10+i
	}
	return table
}()

// parseDecimal parses the field that starts at at. It returns the position at which it stopped.
func parseDecimal(line []byte, at int) (value uint64, end int, ok bool) {
	const maxDigits = 19 // every number of 19 digits fits into 64 bits
	for end = at; end < len(line) && end < at+maxDigits && '0' <= line[end] && line[end] <= '9'; end++ {
		value = value*10 + uint64(line[end]-'0')
	}
	return value, end, end > at && isFieldEnd(line, end)
}

// wordOrder restores the bytes that a printed word had in memory. It is a plain flag: a call through
// binary.ByteOrder for each word would cost a tenth of the decoder's throughput.
type wordOrder struct{ big bool }

func newWordOrder(order binary.ByteOrder) wordOrder {
	return wordOrder{big: order.Uint16([]byte{0, 1}) == 1}
}

func (o wordOrder) put(b []byte, word uint32) {
	if !o.big {
		word = bits.ReverseBytes32(word)
	}
	binary.BigEndian.PutUint32(b, word)
}
