package collect

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// newQuota returns the quota for a table of the network namespace of targets. If the owners of its sockets are unknown, each
// target lists all of them. On the host's network none does.
func (p *pass) newQuota(targets []*target) *socket.Quota {
	if targets[0].network.host {
		return p.sockets.Quota(1)
	}
	return p.sockets.Quota(len(targets))
}

// addQuotaProblem adds why the tables have not all sockets.
func (p *pass) addQuotaProblem(read *tables) {
	if !read.quota.Exceeded() {
		return
	}
	read.problems = append(read.problems, Problem{
		Reason: fmt.Sprintf("more sockets than fit into the memory limit of %d MiB: raise the limit of Outpost's container (--memory)", p.MemoryLimit>>20),
		Detail: fmt.Sprintf("it holds %d sockets of all containers and the host at once", p.MaxSockets),
	})
}

// decoderPool holds decoders for further use: their buffers grow once to the size of the tables. If the sockets are bounded, it
// does not keep the buffers of long tables.
type decoderPool struct {
	pool    sync.Pool
	maxRows int // of a decoder that is kept; 0: any number
}

func newDecoderPool(maxSockets int) *decoderPool {
	const part = 32
	return &decoderPool{maxRows: maxSockets / part, pool: sync.Pool{New: func() any {
		// The tables come from the engine's kernel. It is assumed to have Outpost's own byte order.
		return procnet.NewDecoder(binary.NativeEndian)
	}}}
}

// get returns a decoder for another stream. It keeps as many rows as quota allows.
func (d *decoderPool) get(quota *socket.Quota) *procnet.Decoder {
	decoder := d.pool.Get().(*procnet.Decoder) //nolint:errcheck // the pool holds only decoders
	decoder.Reset()
	decoder.SetQuota(quota)
	return decoder
}

func (d *decoderPool) put(decoder *procnet.Decoder) {
	if d.maxRows == 0 || len(decoder.Table().Sockets) <= d.maxRows {
		d.pool.Put(decoder)
	}
}
