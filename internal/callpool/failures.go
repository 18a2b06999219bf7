package callpool

import (
	"maps"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Bounds of the time after which a failed operation is repeated: each attempt costs the engine a process and three
// events.
const (
	minRetry = 2 * time.Second
	maxRetry = 5 * time.Minute
)

// FailureCache remembers which operation failed in which container, so that it is not repeated at each collection. The
// time until the next attempt doubles with each failure. A FailureCache is safe for concurrent use.
type FailureCache struct {
	now func() time.Time

	mu       sync.Mutex
	failures map[failureID]failure
}

// FailureKey identifies an operation in one life of a container.
type FailureKey struct {
	Container string    // ID
	StartedAt time.Time // a failure is forgotten when the container starts again
	Operation string
}

// failureID is a FailureKey without the time. A container has one entry per operation, so a container that restarts in
// a loop leaves no entries of earlier lives.
type failureID struct{ container, operation string }

func (k FailureKey) id() failureID { return failureID{k.Container, k.Operation} }

type failure struct {
	startedAt time.Time
	err       error
	backoff   *backoff.ExponentialBackOff
	retryAt   time.Time
}

// NewFailureCache returns an empty cache.
func NewFailureCache() *FailureCache {
	return &FailureCache{now: time.Now, failures: make(map[failureID]failure)}
}

// Get returns the failure of the operation as a *CachedError. It returns nil if the operation has not failed or may be
// repeated now. A PermanentError is returned until the container starts again.
func (f *FailureCache) Get(key FailureKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, ok := f.failures[key.id()]
	if !ok || !last.startedAt.Equal(key.StartedAt) {
		return nil
	}
	if !isPermanent(last.err) && !f.now().Before(last.retryAt) {
		return nil
	}
	return &CachedError{last.err}
}

// Put records the outcome of an operation. A nil error removes its failure.
func (f *FailureCache) Put(key FailureKey, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.failures, key.id())
		return
	}
	last, ok := f.failures[key.id()]
	if !ok || !last.startedAt.Equal(key.StartedAt) {
		last = failure{startedAt: key.StartedAt, backoff: newBackOff()}
	}
	last.err = err
	last.retryAt = f.now().Add(last.backoff.NextBackOff())
	f.failures[key.id()] = last
}

// newBackOff is without jitter: the collections that trigger attempts are not synchronised between hosts.
func newBackOff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: minRetry, Multiplier: 2, MaxInterval: maxRetry}
}

// Forget removes all failures of a container.
func (f *FailureCache) Forget(container string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.failures, func(id failureID, _ failure) bool { return id.container == container })
}

// Retain removes the failures of all containers except these.
func (f *FailureCache) Retain(containers map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.failures, func(id failureID, _ failure) bool { return !containers[id.container] })
}
