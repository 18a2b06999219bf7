package hostproc

import (
	"io"
	"path/filepath"

	"github.com/PabloL007/outpost/internal/conntrack"
)

// CopyConntrack writes the table of tracked connections of the process's network namespace (net/nf_conntrack) to decoder, until that
// fails. The kernel shows the file to root and to group 0 (net/netfilter/nf_conntrack_standalone.c, nf_conntrack_standalone_init_proc).
func (p *Process) CopyConntrack(decoder io.Writer) error {
	file, err := p.open(filepath.Join(p.thread, "net", "nf_conntrack"))
	if err != nil {
		return err
	}
	defer file.close()
	buffer := buffers.Get().(*[bufferSize]byte)[:] //nolint:errcheck // the pool holds no other type
	defer buffers.Put((*[bufferSize]byte)(buffer))
	_, err = io.CopyBuffer(decoder, file, buffer)
	return err
}

// CountConntrack returns the number of rows of that table. Every user may read it.
func (p *Process) CountConntrack() (int, error) {
	return decodeFile(p, filepath.Join("stat", "nf_conntrack"), conntrack.DecodeCount)
}
