package procnet

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Sockstat is how many TCP sockets a network namespace has. Only a count whose line was there is known: see
// IPv4 and IPv6.
type Sockstat struct {
	// TCP counts the rows of the tcp table that are neither TIME_WAIT nor SYN_RECV. The latter are in no
	// count, but their listener is.
	TCP int
	// TCP6 does the same for the tcp6 table, but zero proves that table empty only where there is no MPTCP socket
	// over IPv6 (DecodeMPTCP6): kernels whose mptcp_subflow_init (net/mptcp/subflow.c) copies tcpv6_prot before it
	// is registered count the listeners and connections of those elsewhere.
	TCP6 int
	// TimeWait counts the TIME_WAIT rows of both tables. It stands in the TCP line alone.
	TimeWait int
	// IPv4 and IPv6 tell which lines were there, IPv4 the one of TCP and TimeWait, IPv6 the one of TCP6.
	IPv4, IPv6 bool
}

var (
	errNoTCP    = errors.New("neither a TCP: nor a TCP6: line")
	errRepeated = errors.New("line is there twice")
)

// maxSockstatRows is many times the eleven lines that the two files have.
const maxSockstatRows = 256

// DecodeSockstat decodes /proc/<pid>/net/sockstat (net/ipv4/proc.c, sockstat_seq_show), sockstat6
// (net/ipv6/proc.c, sockstat6_seq_show), or both one after the other. The lines it reads are, for example,
//
//	TCP: inuse 12 orphan 0 tw 4 alloc 15 mem 2
//	TCP6: inuse 3
//
// Counts of use are of the network namespace, except orphan, alloc and mem, which are the whole host's. A text
// without either line, and one in which either is malformed, is an error and never a zero. The kernel adds up
// one counter a processor without a lock, so sockets that come and go meanwhile can hide one that stays.
func DecodeSockstat(r io.Reader) (Sockstat, error) {
	var s Sockstat
	err := eachRow(r, maxSockstatRows, s.decode)
	if err == nil && !s.IPv4 && !s.IPv6 {
		err = errNoTCP
	}
	if err != nil {
		return Sockstat{}, err
	}
	return s, nil
}

func (s *Sockstat) decode(row []byte) error {
	fields := splitFields(row)
	if len(fields) == 0 {
		return nil
	}
	switch string(fields[0]) {
	case "TCP:":
		return s.decodeTCP(fields[1:])
	case "TCP6:":
		return s.decodeTCP6(fields[1:])
	}
	return nil
}

func (s *Sockstat) decodeTCP(counts [][]byte) (err error) {
	if s.IPv4 {
		return errRepeated
	}
	s.IPv4 = true
	if s.TCP, err = count(counts, "inuse"); err != nil {
		return err
	}
	s.TimeWait, err = count(counts, "tw")
	return err
}

func (s *Sockstat) decodeTCP6(counts [][]byte) (err error) {
	if s.IPv6 {
		return errRepeated
	}
	s.IPv6 = true
	s.TCP6, err = count(counts, "inuse")
	return err
}

// count returns the number behind name in a list of names and numbers.
func count(counts [][]byte, name string) (int, error) {
	for i := 0; i+1 < len(counts); i += 2 {
		if string(counts[i]) != name {
			continue
		}
		n, err := strconv.ParseUint(string(counts[i+1]), 10, 31)
		if err != nil {
			return 0, fmt.Errorf("%s is not a count", name)
		}
		return int(n), nil
	}
	return 0, fmt.Errorf("no %s", name)
}
