package procnet

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"

	"github.com/PabloL007/outpost/internal/socket"
)

var (
	errTooFewFields = errors.New("fewer than ten fields")
	errAddress      = errors.New("address is not 8 or 32 hexadecimal digits, a colon and a port of up to 4")
	errState        = errors.New("state is not two hexadecimal digits")
	errPort         = errors.New("a port that no such socket has: 0")
	errInode        = errors.New("inode is not a decimal number")
)

// parseRow decodes one row of /proc/net/tcp or tcp6, for example
//
//	0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 45231 1 0000000000000000 100 0 0 10 0
//
// (net/ipv4/tcp_ipv4.c, get_tcp4_sock, get_timewait4_sock, get_openreq4; net/ipv6/tcp_ipv6.c alike).
// Addresses are words of the kernel's byte order, ports plain numbers, both hexadecimal; the inode is the
// tenth field, decimal. TIME_WAIT and SYN_RECV rows stop soon after it. Widths vary, so the row is read as
// fields between blanks.
func parseRow(line []byte, words wordOrder) (row socket.Socket, err error) {
	var ok bool
	at := skipField(line, 0)
	if row.Local, at, ok = parseAddrPort(line, skipBlanks(line, at), words); !ok {
		return row, tooFewOr(errAddress, line, at)
	}
	if row.Remote, at, ok = parseAddrPort(line, skipBlanks(line, at), words); !ok {
		return row, tooFewOr(errAddress, line, at)
	}
	at = skipBlanks(line, at)
	state, end := parseHex(line, at, 2)
	if end != at+2 || !fieldEnds(line, end) {
		return row, tooFewOr(errState, line, at)
	}
	row.State = socket.State(state & 0xFF)
	at = end
	for range 5 { // queues, timer, retransmits, uid, timeout
		at = skipField(line, at)
	}
	if row.Inode, at, ok = parseDecimal(line, skipBlanks(line, at)); !ok {
		return row, tooFewOr(errInode, line, at)
	}
	if row.Local.Port() == 0 || row.State == socket.Established && row.Remote.Port() == 0 {
		return row, errPort
	}
	return row, nil
}

func tooFewOr(err error, line []byte, at int) error {
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

// skipField returns where the field that starts at or behind at ends.
func skipField(line []byte, at int) int {
	for at = skipBlanks(line, at); at < len(line) && line[at] != ' '; {
		at++
	}
	return at
}

func fieldEnds(line []byte, at int) bool { return at == len(line) || line[at] == ' ' }

// parseAddrPort decodes the field that starts at at, and returns where it stopped reading.
func parseAddrPort(line []byte, at int, words wordOrder) (netip.AddrPort, int, bool) {
	const digits = 8 // of a word
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
	if end == at+1 || !fieldEnds(line, end) {
		return netip.AddrPort{}, end, false
	}
	addr := netip.AddrFrom16(b).Unmap()
	if size == 4 {
		addr = netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrPortFrom(addr, uint16(port&0xFFFF)), end, true
}

// parseHex decodes the hexadecimal digits from at on, so many at the most, and returns where it stopped.
func parseHex(line []byte, at, most int) (value uint32, end int) {
	for end = at; end < len(line) && end < at+most; end++ {
		digit := hexDigits[line[end]]
		if digit == notHex {
			break
		}
		value = value<<4 | uint32(digit)
	}
	return value, end
}

const notHex = 0xFF

// hexDigits maps a character to its value, or to notHex.
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

// parseDecimal decodes the field that starts at at, and returns where it stopped reading.
func parseDecimal(line []byte, at int) (value uint64, end int, ok bool) {
	const most = 19 // any number of so many digits fits
	for end = at; end < len(line) && end < at+most && '0' <= line[end] && line[end] <= '9'; end++ {
		value = value*10 + uint64(line[end]-'0')
	}
	return value, end, end > at && fieldEnds(line, end)
}

// wordOrder puts a printed word back as it stood in memory. A plain flag, because a call through
// binary.ByteOrder for each word would cost a tenth of the decoder's rate.
type wordOrder struct{ big bool }

func wordOrderOf(order binary.ByteOrder) wordOrder {
	return wordOrder{big: order.Uint16([]byte{0, 1}) == 1}
}

func (o wordOrder) put(b []byte, word uint32) {
	if !o.big {
		word = bits.ReverseBytes32(word)
	}
	binary.BigEndian.PutUint32(b, word)
}
