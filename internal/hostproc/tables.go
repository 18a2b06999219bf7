package hostproc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/PabloL007/outpost/internal/procnet"
)

// UDPError is the error of a reading that failed only for UDP: the tables of TCP were read.
type UDPError struct{ Err error }

func (e *UDPError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UDPError) Unwrap() error { return e.Err }

// CopyTables writes the socket tables (net/tcp, net/tcp6, net/udp and net/udp6) of the process's network namespace to w. It skips
// a table that sockstat reports as empty, because reading one walks the hash table of all namespaces. It returns a *UDPError if the tables
// of TCP are complete.
func (p *Process) CopyTables(w io.Writer) error {
	counts := p.readSockstats()
	if err := p.copyTCP(counts, w); err != nil {
		return err
	}
	if err := p.copyUDP(counts.udp(), w); err != nil {
		return &UDPError{err}
	}
	return nil
}

// CopyUDPTables is CopyTables for UDP alone.
func (p *Process) CopyUDPTables(w io.Writer) error { return p.copyUDP(p.readSockstats().udp(), w) }

func (p *Process) copyTCP(counts sockstats, w io.Writer) error {
	counted := counts.err4 == nil && counts.v4.IPv4
	if !counted || counts.v4.TCP > 0 || counts.v4.TimeWait > 0 {
		if err := p.copyTable("tcp", w); err != nil {
			return err
		}
	}
	hasNoTCP6 := counts.err6 == nil && counts.v6.IPv6 && counts.v6.TCP6 == 0 // apart from timewait minisockets
	if counted && counts.v4.TimeWait == 0 && hasNoTCP6 && p.hasNoMPTCP6() {  // v4.TimeWait counts both tables
		return nil
	}
	return p.copyTable6("tcp6", w)
}

func (p *Process) copyUDP(counts UDPCounts, w io.Writer) error {
	if !counts.Known || counts.IPv4 > 0 {
		if err := p.copyTable("udp", w); err != nil {
			return err
		}
	}
	if counts.Known && counts.IPv6 == 0 {
		return nil
	}
	return p.copyTable6("udp6", w)
}

// copyTable6 copies a table of IPv6. A kernel without IPv6 has none.
func (p *Process) copyTable6(name string, w io.Writer) error {
	err := p.copyTable(name, w)
	if errors.Is(err, fs.ErrNotExist) && p.kernelLacksIPv6() {
		return nil
	}
	return err
}

// CountSockets returns the number of sockets in the network namespace according to the kernel's counters.
// The count of TCP is unknown if timewait minisockets exist (TIME_WAIT, and some in FIN_WAIT2). It is also unknown if MPTCP
// sockets over IPv6 exist, because the kernel may count them elsewhere.
func (p *Process) CountSockets() SocketCounts {
	counts := p.RecountSockets()
	counts.TCPKnown = counts.TCPKnown && p.hasNoMPTCP6()
	return counts
}

// RecountSockets is CountSockets without the check for MPTCP sockets over IPv6. Use it a moment after a known count.
func (p *Process) RecountSockets() SocketCounts { return p.readSockstats().sockets() }

func (p *Process) readSockstats() (counts sockstats) {
	counts.v4, counts.err4 = p.sockstat("sockstat")
	counts.v6, counts.err6 = p.sockstat("sockstat6")
	return counts
}

func (p *Process) hasNoMPTCP6() bool {
	sockets, err := decodeFile(p, "protocols", procnet.DecodeMPTCP6)
	return err == nil && sockets == 0
}

// kernelLacksIPv6 reports whether sockstat6 is missing although the process still exists.
func (p *Process) kernelLacksIPv6() bool {
	_, err := p.sockstat("sockstat6")
	_, alive := p.sockstat("sockstat")
	return errors.Is(err, fs.ErrNotExist) && alive == nil
}

func (p *Process) sockstat(name string) (procnet.Sockstat, error) {
	return decodeFile(p, name, procnet.DecodeSockstat)
}

// decodeFile decodes a file of the process's net directory.
func decodeFile[T any](p *Process, name string, decode func(io.Reader) (T, error)) (T, error) {
	file, err := p.open(filepath.Join(p.thread, "net", name))
	if err != nil {
		var zero T
		return zero, err
	}
	defer file.close()
	return decode(file)
}

const (
	bufferSize = 64 << 10
	// minFullChunk: read(2) returns as many whole rows as fit a page, and a row has less than 512 bytes. A shorter
	// chunk is the last one. Stopping there saves the read that returns nothing, which would walk the whole hash table again.
	minFullChunk = 4096 - 512
	// maxTableSize bounds how many bytes are read of one table: some 400,000 rows.
	maxTableSize = 64 << 20
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// ErrTableTooLong means that a table exceeds the limit and was read in part.
var ErrTableTooLong = fmt.Errorf("socket table exceeds %d MiB", maxTableSize>>20)

// copyTable copies one table to w. It opens the file for each copy, because some kernels fail to seek in it.
func (p *Process) copyTable(name string, w io.Writer) error {
	file, err := p.open(filepath.Join(p.thread, "net", name))
	if err != nil {
		return err
	}
	defer file.close()
	buffer := buffers.Get().(*[bufferSize]byte)[:] //nolint:errcheck // the pool holds no other type
	defer buffers.Put((*[bufferSize]byte)(buffer))
	for total := 0; total < maxTableSize; {
		n, err := file.Read(buffer)
		if _, err := w.Write(buffer[:n]); err != nil {
			return err
		}
		if n < minFullChunk || err != nil {
			return ignoreEOF(err)
		}
		total += n
	}
	return ErrTableTooLong
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
