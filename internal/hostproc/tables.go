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

// CopyTables writes the socket tables (net/tcp and net/tcp6) of the process's network namespace to decoder. It skips
// a table that sockstat reports as empty, because reading one walks the hash table of all namespaces.
func (p *Process) CopyTables(decoder io.Writer) error {
	v4, err := p.sockstat("sockstat")
	counted := err == nil && v4.IPv4
	if !counted || v4.TCP > 0 || v4.TimeWait > 0 {
		if err := p.copyTable("tcp", decoder); err != nil {
			return err
		}
	}
	if counted && v4.TimeWait == 0 && p.hasNoTCP6() { // v4.TimeWait counts both tables
		return nil
	}
	err = p.copyTable("tcp6", decoder)
	if errors.Is(err, fs.ErrNotExist) && p.kernelLacksIPv6() {
		return nil
	}
	return err
}

// CountSockets returns the number of TCP sockets in the network namespace according to the kernel's counters.
// The count is unknown if timewait minisockets exist (TIME_WAIT, and some in FIN_WAIT2). It is also unknown if MPTCP
// sockets over IPv6 exist, because the kernel may count them elsewhere.
func (p *Process) CountSockets() (sockets int, known bool) {
	sockets, known = p.RecountSockets()
	return sockets, known && p.hasNoMPTCP6()
}

// RecountSockets is CountSockets without the check for MPTCP sockets over IPv6. Use it a moment after a known count.
func (p *Process) RecountSockets() (sockets int, known bool) {
	v4, err := p.sockstat("sockstat")
	if err != nil || !v4.IPv4 || v4.TimeWait > 0 {
		return 0, false
	}
	v6, err := p.sockstat("sockstat6")
	return addCounts(v4, v6, err)
}

// hasNoTCP6 reports whether net/tcp6 has no rows, apart from timewait minisockets.
func (p *Process) hasNoTCP6() bool {
	v6, err := p.sockstat("sockstat6")
	return err == nil && v6.IPv6 && v6.TCP6 == 0 && p.hasNoMPTCP6()
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
