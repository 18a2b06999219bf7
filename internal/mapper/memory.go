package mapper

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxAnswer is how long a daemon's answer may be, in bytes as they are after decompression.
	maxAnswer = 64 << 20
	// smallAnswer is what every answer may take without asking. Of those that are longer, longAtOnce are read at once, so that
	// they wait for each other and none of the others for them.
	smallAnswer = 1 << 20
	longAtOnce  = 2
	// longPatience is how long a long answer may take for each smallAnswer of bytes from then on: one that comes in drips
	// would keep others out, one from a busy host takes its time.
	longPatience = 5 * time.Second
)

// memory bounds what answers take while they are read.
type memory struct {
	most, small int64
	slots       *semaphore.Weighted
	patience    time.Duration // with small bytes of a long answer
}

func newMemory(most, small, longAtOnce int64, patience time.Duration) *memory {
	return &memory{most, small, semaphore.NewWeighted(longAtOnce), patience}
}

// reader returns a reader of an answer's body, which must be released.
func (m *memory) reader(ctx context.Context, cancel context.CancelFunc, body io.Reader) *boundedReader {
	return &boundedReader{memory: m, ctx: ctx, cancel: cancel, body: body}
}

type boundedReader struct {
	*memory
	ctx    context.Context // of the request that the body is the answer to
	cancel context.CancelFunc
	body   io.Reader
	read   int64
	long   *time.Timer // ends a long answer that comes too slowly
	due    int64       // how much must have been read before it does
}

// Read fails where the answer is too long, and waits until it may be long.
func (r *boundedReader) Read(p []byte) (int, error) {
	allowed := r.small
	switch {
	case r.read >= r.most:
		return 0, fmt.Errorf("its answer is longer than %d MiB", r.most>>20)
	case r.read >= r.small && r.long == nil:
		if err := r.slots.Acquire(r.ctx, 1); err != nil {
			return 0, err
		}
		r.long, r.due = time.AfterFunc(r.patience, r.cancel), r.read+r.small
	}
	if r.long != nil {
		allowed = r.most
	}
	n, err := r.body.Read(p[:min(int64(len(p)), allowed-r.read)])
	r.read += int64(n)
	if r.long != nil && r.read >= r.due {
		r.long.Reset(r.patience)
		r.due = r.read + r.small
	}
	return n, err
}

func (r *boundedReader) release() {
	if r.long != nil {
		r.long.Stop()
		r.slots.Release(1)
	}
}
