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
	// smallAnswer is what every answer may take without asking. What is longer shares allAnswers with other long ones, so that
	// long answers wait for each other and none of the others for them.
	smallAnswer = 1 << 20
	allAnswers  = 4 * maxAnswer
)

// memory bounds what answers take while they are read.
type memory struct{ shared *semaphore.Weighted }

func newMemory() *memory { return &memory{semaphore.NewWeighted(allAnswers)} }

// reader returns a reader of an answer's body, which must be released.
func (m *memory) reader(ctx context.Context, body io.Reader) *boundedReader {
	return &boundedReader{ctx: ctx, body: body, shared: m.shared}
}

type boundedReader struct {
	ctx    context.Context //nolint:containedctx // of the request that the body is the answer to
	body   io.Reader
	shared *semaphore.Weighted
	read   int64
	taken  int64
}

// Read fails where the answer is too long, and waits for memory.
func (r *boundedReader) Read(p []byte) (int, error) {
	if r.read >= maxAnswer {
		return 0, fmt.Errorf("its answer is longer than %d MiB", maxAnswer>>20)
	}
	if r.read >= smallAnswer+r.taken {
		if err := r.shared.Acquire(r.ctx, smallAnswer); err != nil {
			return 0, err
		}
		r.taken += smallAnswer
	}
	allowed := min(int64(len(p)), smallAnswer+r.taken-r.read)
	n, err := r.body.Read(p[:allowed])
	r.read += int64(n)
	return n, err
}

func (r *boundedReader) release() { r.shared.Release(r.taken) }
