package collect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/PabloL007/outpost/internal/callpool"
	"github.com/PabloL007/outpost/internal/container"
)

// recheckFailures asks the engine again for the containers that could not be read: they may have ended or restarted
// meanwhile. outdated reports that another pass would show more.
func (p *pass) recheckFailures(ctx context.Context, targets []*target, last bool) (outdated bool) {
	failed := make([]*target, 0, len(targets))
	for _, t := range targets {
		if err := t.failure(); err != nil && !callpool.IsCached(err) && !p.isRechecked(t.Container, err) {
			failed = append(failed, t)
		}
	}
	var another atomic.Bool
	inParallel(failed, func(t *target) {
		if p.recheck(ctx, t, last) {
			another.Store(true)
		}
	})
	return another.Load()
}

// hasNewMember reports whether a container that is not listed shares a network namespace that may have been read: its sockets would seem to
// be those of another container or of the host. events are those before the pass.
func (p *pass) hasNewMember(ctx context.Context, listed []container.Summary, events uint64) bool {
	if p.inventory.Events() == events {
		return false
	}
	now, err := p.list(ctx)
	if err != nil {
		return false
	}
	known := make(map[string]bool, len(listed))
	for _, c := range listed {
		known[c.ID] = true
	}
	return slices.ContainsFunc(now, func(c container.Summary) bool {
		_, joined := c.NetworkMode.JoinedContainer()
		return !known[c.ID] && (joined || c.NetworkMode.IsHost())
	})
}

// failure returns why the reading is incomplete, if the end or restart of the container may explain it.
func (t *target) failure() error {
	switch {
	case t.netns == nil:
		return nil
	case isExited(t.process.err):
		return t.process.err
	case t.netns.err != nil:
		return cmp.Or(t.tablesErr, t.netns.err)
	}
	return t.ownersErr
}

// recheck asks for one container, and reports whether another pass is worthwhile.
func (p *pass) recheck(ctx context.Context, t *target, last bool) (outdated bool) {
	before, err := t.Container, t.failure()
	now, refreshErr := p.inspectWith(ctx, before.ID, p.inventory.Refresh)
	switch {
	case errors.Is(refreshErr, container.ErrNotFound), refreshErr == nil && now.State == container.Stopped:
		t.exited = true
		return false
	case refreshErr == nil && now.State == container.Restarting:
		p.pool.Failures.Forget(before.ID)
		t.Problems = nil
		t.setRestarting()
		return false
	case refreshErr == nil && (now.PID != before.PID || !now.StartedAt.Equal(before.StartedAt)):
		return !last
	case isExited(err) && !last: // The engine has not noticed yet.
		return true
	}
	p.pool.Failures.Put(p.recheckKey(before), newRecheckedError(before, err))
	return false
}

// recheckedError marks a container that could not be read although it neither ended nor restarted. The engine is not
// asked again for the same reason.
type recheckedError struct {
	pid    int
	reason string
}

func newRecheckedError(c container.Container, err error) recheckedError {
	return recheckedError{pid: c.PID, reason: toProblem(err).Reason}
}

func (e recheckedError) Error() string { return e.reason }

// Permanent keeps the mark until the container starts again.
func (e recheckedError) Permanent() bool { return true }

// recheckKey includes the methods: collectors with different methods share the cache and fail for different reasons.
func (p *pass) recheckKey(c container.Container) callpool.FailureKey {
	return failureKey(c, p.recheckOperation)
}

func (p *pass) isRechecked(c container.Container, err error) bool {
	known, ok := errors.AsType[recheckedError](p.pool.Failures.Get(p.recheckKey(c)))
	return ok && known == newRecheckedError(c, err)
}
