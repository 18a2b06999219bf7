package collect

import (
	"maps"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// How long after a failed command the next is tried: each costs the engine a process and three events.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 5 * time.Minute
)

// failures remembers which command failed in which container, so that it is not run again at each request.
type failures struct {
	now func() time.Time

	mu     sync.Mutex
	failed map[failureKey]failure
}

type failureKey struct{ container, command string }

type failure struct {
	started time.Time // the container's life in which it failed
	err     error
	wait    time.Duration
	retry   time.Time
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, failed: make(map[failureKey]failure)}
}

// recall returns the error with which command failed in c, unless it is time to try again. An error that is
// final for the life of a container is recalled until the container is started anew.
func (f *failures) recall(c container.Container, command string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, ok := f.failed[failureKey{c.ID, command}]
	if !ok || !last.started.Equal(c.StartedAt) {
		return nil
	}
	if !final(last.err) && !f.now().Before(last.retry) {
		return nil
	}
	return last.err
}

// note remembers how command ended in c.
func (f *failures) note(c container.Container, command string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := failureKey{c.ID, command}
	if err == nil {
		delete(f.failed, key)
		return
	}
	wait := firstRetry
	if last, ok := f.failed[key]; ok && last.started.Equal(c.StartedAt) {
		wait = min(2*last.wait, lastRetry)
	}
	f.failed[key] = failure{started: c.StartedAt, err: err, wait: wait, retry: f.now().Add(wait)}
}

// forget forgets what failed in c.
func (f *failures) forget(c container.Container) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.failed, func(key failureKey, _ failure) bool { return key.container == c.ID })
}

// keep forgets all containers but those of ids.
func (f *failures) keep(ids map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.failed, func(key failureKey, _ failure) bool { return !ids[key.container] })
}
