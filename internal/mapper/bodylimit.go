package mapper

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxBody is the maximum length of a response body in bytes, after decompression.
	maxBody = 64 << 20
	// smallBody is how many bytes of every body are read without a limit of concurrency. Only maxLargeBodies longer bodies are
	// read at a time: they wait for each other and never delay small ones.
	smallBody      = 1 << 20
	maxLargeBodies = 2
	// slowBodyTimeout is the maximum time for each smallBody bytes of a large body. A slow trickle would block other large
	// bodies, while a busy host needs time.
	slowBodyTimeout = 5 * time.Second
)

// bodyLimiter bounds the memory that response bodies take while they are read.
type bodyLimiter struct {
	maxBytes, smallBytes int64
	sem                  *semaphore.Weighted // for large bodies
	timeout              time.Duration       // for each smallBytes of a large body
}

func newBodyLimiter(maxBytes, smallBytes, maxLarge int64, timeout time.Duration) *bodyLimiter {
	return &bodyLimiter{maxBytes, smallBytes, semaphore.NewWeighted(maxLarge), timeout}
}

// reader returns a limited reader of body. The caller must release it.
func (l *bodyLimiter) reader(ctx context.Context, cancel context.CancelFunc, body io.Reader) *limitedBody {
	return &limitedBody{bodyLimiter: l, ctx: ctx, cancel: cancel, body: body}
}

type limitedBody struct {
	*bodyLimiter
	ctx    context.Context // of the request
	cancel context.CancelFunc
	body   io.Reader
	read   int64
	slow   *time.Timer // cancels the request of a large body that is too slow; nil while the body is small
	due    int64       // how many bytes must be read before slow fires
}

// Read fails if the body exceeds maxBytes. It waits for the semaphore before the body exceeds smallBytes.
func (b *limitedBody) Read(p []byte) (int, error) {
	allowed := b.smallBytes
	switch {
	case b.read >= b.maxBytes:
		return 0, fmt.Errorf("the response exceeds %d MiB", b.maxBytes>>20)
	case b.read >= b.smallBytes && b.slow == nil:
		if err := b.sem.Acquire(b.ctx, 1); err != nil {
			return 0, err
		}
		b.slow, b.due = time.AfterFunc(b.timeout, b.cancel), b.read+b.smallBytes
	}
	if b.slow != nil {
		allowed = b.maxBytes
	}
	n, err := b.body.Read(p[:min(int64(len(p)), allowed-b.read)])
	b.read += int64(n)
	if b.slow != nil && b.read >= b.due {
		b.slow.Reset(b.timeout)
		b.due = b.read + b.smallBytes
	}
	return n, err
}

func (b *limitedBody) release() {
	if b.slow != nil {
		b.slow.Stop()
		b.sem.Release(1)
	}
}
