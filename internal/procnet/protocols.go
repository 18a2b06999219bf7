package procnet

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// maxProtocolRows is many times the number of protocols in any kernel.
const maxProtocolRows = 1024

var (
	errNoProtocols   = errors.New("no header of the table of protocols")
	errProtocolCount = errors.New("no count of sockets")
)

// DecodeMPTCP6 returns the number of MPTCP sockets over IPv6 in a network namespace. It reads
// /proc/<pid>/net/protocols (net/core/sock.c, proto_seq_printf). Each such socket owns TCP sockets in the table tcp6.
// The rows are, for example,
//
//	protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em
//	MPTCPv6   2064      1     124   no       0   yes  kernel      y  y  y  n  y  y  y  y  y  y  y  y  n  n  y  y  y  n
//
// A kernel without MPTCP has no such row. The count is then zero.
func DecodeMPTCP6(r io.Reader) (sockets int, err error) {
	hasHeader := false
	err = eachRow(r, maxProtocolRows, func(row []byte) error {
		switch {
		case bytes.HasPrefix(row, []byte("protocol ")):
			hasHeader = true
		case bytes.HasPrefix(row, []byte("MPTCPv6 ")):
			sockets, err = parseSocketCount(row)
			return err
		}
		return nil
	})
	if err == nil && !hasHeader {
		err = errNoProtocols
	}
	if err != nil {
		return 0, err
	}
	return sockets, nil
}

// parseSocketCount parses the third column.
func parseSocketCount(row []byte) (int, error) {
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
