package procnet

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// maxProtocolRows is many times the number of protocols that a kernel has.
const maxProtocolRows = 1024

var (
	errNoProtocols   = errors.New("no heading of the table of protocols")
	errProtocolCount = errors.New("no count of sockets")
)

// DecodeMPTCP6 returns how many MPTCP sockets over IPv6 a network namespace has, as /proc/<pid>/net/protocols says
// (net/core/sock.c, proto_seq_printf). Each holds TCP sockets in the table tcp6. The rows are, for example,
//
//	protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em
//	MPTCPv6   2064      1     124   no       0   yes  kernel      y  y  y  n  y  y  y  y  y  y  y  y  n  n  y  y  y  n
//
// A kernel without that protocol has no such row, and zero sockets.
func DecodeMPTCP6(r io.Reader) (sockets int, err error) {
	headed := false
	err = eachRow(r, maxProtocolRows, func(row []byte) error {
		switch {
		case bytes.HasPrefix(row, []byte("protocol ")):
			headed = true
		case bytes.HasPrefix(row, []byte("MPTCPv6 ")):
			sockets, err = countOf(row)
			return err
		}
		return nil
	})
	if err == nil && !headed {
		err = errNoProtocols
	}
	if err != nil {
		return 0, err
	}
	return sockets, nil
}

// countOf reads the third column.
func countOf(row []byte) (int, error) {
	const column = 2
	fields := splitFields(row)
	if len(fields) <= column {
		return 0, errProtocolCount
	}
	n, err := strconv.ParseUint(string(fields[column]), 10, 31)
	if err != nil {
		return 0, errProtocolCount
	}
	return int(n), nil
}
