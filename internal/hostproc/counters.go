package hostproc

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procnet"
)

// FilesPerCounters is how many descriptors Counters keep open.
const FilesPerCounters = 4

// Counters are the kernel's counters of the sockets in a network namespace, in files that stay open. They keep that
// namespace alive, even after its last process has exited. Counters must not be used concurrently.
type Counters struct{ sockstat, sockstat6, protocols, snmp *file }

// OpenCounters opens the counters of the process's network namespace. It fails if the kernel lacks one of the files. The caller must
// close them.
func (p *Process) OpenCounters() (*Counters, error) {
	files, err := p.openNet("sockstat", "sockstat6", "protocols", "snmp")
	if err == nil {
		for _, opened := range files {
			if opened == nil {
				err = fs.ErrNotExist
			}
		}
	}
	if err != nil {
		files.close()
		return nil, err
	}
	return &Counters{files[0], files[1], files[2], files[3]}, nil
}

// Close closes the files.
func (c *Counters) Close() { netFiles{c.sockstat, c.sockstat6, c.protocols, c.snmp}.close() }

// CountSockets is like that of Process.
func (c *Counters) CountSockets() SocketCounts {
	counts := c.RecountSockets()
	if !counts.TCPKnown {
		return counts
	}
	mptcp, err := decodeAgain(c.protocols, procnet.DecodeMPTCP6)
	counts.TCPKnown = err == nil && mptcp == 0
	return counts
}

// RecountSockets is like that of Process.
func (c *Counters) RecountSockets() SocketCounts {
	var counts sockstats
	counts.v4, counts.err4 = decodeAgain(c.sockstat, procnet.DecodeSockstat)
	counts.v6, counts.err6 = decodeAgain(c.sockstat6, procnet.DecodeSockstat)
	return counts.sockets()
}

// Opens returns the counters of connections.
func (c *Counters) Opens() (procnet.Opens, error) { return decodeAgain(c.snmp, procnet.DecodeOpens) }

// decodeAgain decodes a file from its beginning. The kernel then prints it again (fs/seq_file.c, seq_read_iter).
func decodeAgain[T any](f *file, decode func(io.Reader) (T, error)) (T, error) {
	buffer := buffers.Get().(*[bufferSize]byte) //nolint:errcheck // the pool holds no other type
	defer buffers.Put(buffer)
	n, err := f.readAgain(buffer[:])
	if err != nil {
		var zero T
		return zero, err
	}
	return decode(bytes.NewReader(buffer[:n]))
}

// readAgain reads the file from its beginning, up to the size of buffer. A short chunk is the last one, as in copyTable.
func (f *file) readAgain(buffer []byte) (total int, err error) {
	for total < len(buffer) {
		n, err := unix.Pread(f.descriptor, buffer[total:], int64(total))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return total, &fs.PathError{Op: "read", Path: f.path, Err: err}
		}
		if total += n; n < minFullChunk {
			return total, nil
		}
	}
	return total, io.ErrShortBuffer
}

// Revalidate returns an error if the process has exited, or if it is no longer in the network namespace of NetNSID.
func (p *Process) Revalidate() error {
	name := filepath.Join(p.thread, "net", "tcp")
	id, err := p.statNetNS(name)
	if err == nil && id != p.netnsID {
		err = &fs.PathError{Op: "stat", Path: filepath.Join(p.directory.Name(), name), Err: errOtherNetNS}
	}
	return err
}

var errOtherNetNS = errors.New("another network namespace")
