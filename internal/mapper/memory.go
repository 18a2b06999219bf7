package mapper

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/semaphore"
)

const (
	// maxAnswer is how long a daemon's answer may be, in bytes as they are after decompression.
	maxAnswer = 64 << 20
	// smallAnswer is what every answer may take without asking. Of those that are longer, longAtOnce are read at once, so that
	// they wait for each other and none of the others for them.
	smallAnswer = 1 << 20
	longAtOnce  = 4
)

// memory bounds what answers take while they are read.
type memory struct {
	most, small int64
	long        *semaphore.Weighted
}

func newMemory(most, small, longAtOnce int64) *memory {
	return &memory{most, small, semaphore.NewWeighted(longAtOnce)}
}

// reader returns a reader of an answer's body, which must be released.
func (m *memory) reader(ctx context.Context, body io.Reader) *boundedReader {
	return &boundedReader{memory: m, ctx: ctx, body: body}
}

type boundedReader struct {
	*memory
	ctx    context.Context // of the request that the body is the answer to
	body   io.Reader
	read   int64
	isLong bool
}

// Read fails where the answer is too long, and waits until it may be long.
func (r *boundedReader) Read(p []byte) (int, error) {
	allowed := r.small
	switch {
	case r.read >= r.most:
		return 0, fmt.Errorf("its answer is longer than %d MiB", r.most>>20)
	case r.read >= r.small && !r.isLong:
		if err := r.long.Acquire(r.ctx, 1); err != nil {
			return 0, err
		}
		r.isLong = true
	}
	if r.isLong {
		allowed = r.most
	}
	n, err := r.body.Read(p[:min(int64(len(p)), allowed-r.read)])
	r.read += int64(n)
	return n, err
}

func (r *boundedReader) release() {
	if r.isLong {
		r.long.Release(1)
	}
}
