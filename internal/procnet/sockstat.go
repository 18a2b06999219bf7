package procnet

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Sockstat contains the number of TCP and UDP sockets in a network namespace. A count is known only if its line was present:
// see IPv4, IPv6, HasUDP and HasUDP6.
type Sockstat struct {
	// TCP counts the rows of the tcp table that are neither timewait minisockets nor in SYN_RECV. No counter contains
	// the latter, but their listener is counted.
	TCP int
	// TCP6 is the same for the tcp6 table. Zero proves that table empty only if no MPTCP socket over IPv6 exists
	// (DecodeMPTCP6): some kernels count the listeners and connections of MPTCP elsewhere. There mptcp_subflow_init
	// (net/mptcp/subflow.c) copies tcpv6_prot before it is registered.
	TCP6 int
	// TimeWait counts the timewait minisockets of both tables, including those that print as FIN_WAIT2. Only the TCP line
	// contains it.
	TimeWait int
	// IPv4 and IPv6 report which lines were present: IPv4 the line of TCP and TimeWait, IPv6 the line of TCP6.
	IPv4, IPv6 bool
	// UDP and UDP6 count the rows of the tables udp and udp6: the sockets with a port. UDP-Lite has other lines.
	UDP, UDP6 int
	// HasUDP and HasUDP6 report whether the lines of UDP and UDP6 were present.
	HasUDP, HasUDP6 bool
}

var (
	errNoTCP    = errors.New("neither a TCP: nor a TCP6: line")
	errRepeated = errors.New("line is repeated")
)

// maxSockstatRows is many times the eleven lines of the two files.
const maxSockstatRows = 256

// DecodeSockstat decodes /proc/<pid>/net/sockstat (net/ipv4/proc.c, sockstat_seq_show), sockstat6
// (net/ipv6/proc.c, sockstat6_seq_show), or both in sequence. It reads lines such as
//
//	TCP: inuse 12 orphan 0 tw 4 alloc 15 mem 2
//	UDP: inuse 3 mem 1
//	TCP6: inuse 3
//	UDP6: inuse 1
//
// The counts inuse and tw belong to the network namespace; orphan, alloc and mem belong to the whole host. A text
// without a line of TCP, or with a malformed one, is an error and never a zero. The kernel adds up one counter for
// each processor without a lock. A socket that stays can therefore be hidden by sockets that come and go meanwhile.
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
		return decodeInUse(fields[1:], &s.TCP6, &s.IPv6)
	case "UDP:":
		return decodeInUse(fields[1:], &s.UDP, &s.HasUDP)
	case "UDP6:":
		return decodeInUse(fields[1:], &s.UDP6, &s.HasUDP6)
	}
	return nil
}

func (s *Sockstat) decodeTCP(counts [][]byte) (err error) {
	if err = decodeInUse(counts, &s.TCP, &s.IPv4); err != nil {
		return err
	}
	s.TimeWait, err = parseCount(counts, "tw")
	return err
}

// decodeInUse decodes the count inuse of a line, which may be present once.
func decodeInUse(counts [][]byte, inUse *int, isPresent *bool) (err error) {
	if *isPresent {
		return errRepeated
	}
	*isPresent = true
	*inUse, err = parseCount(counts, "inuse")
	return err
}

// parseCount returns the number after name in a list of alternating names and numbers.
func parseCount(counts [][]byte, name string) (int, error) {
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
