package collect

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// settle asks the engine for the containers that could not be read: that one has ended meanwhile, or was started anew,
// would explain it. outdated reports that another round would tell more.
func (r *round) settle(ctx context.Context, members []*member, last bool) (outdated bool) {
	failed := make([]*member, 0, len(members))
	for _, m := range members {
		if err := m.failure(); err != nil && !recalled(err) && !r.settled.has(m.Container, problemOf(err).Reason) {
			failed = append(failed, m)
		}
	}
	var stale atomic.Bool
	inParallel(failed, func(m *member) {
		if r.settleOne(ctx, m, last) {
			stale.Store(true)
		}
	})
	return stale.Load()
}

// failure returns for what the member is not complete that may be explained by what became of it.
func (m *member) failure() error {
	switch {
	case m.namespace == nil:
		return nil
	case ended(m.process.err):
		return m.process.err
	case m.namespace.err != nil:
		return first(m.tablesErr, m.namespace.err)
	}
	return m.ownersErr
}

// settleOne asks for one container, and reports whether it is worth while to start over.
func (r *round) settleOne(ctx context.Context, m *member, last bool) (outdated bool) {
	before, err := m.Container, m.failure()
	now, refreshErr := r.inspectBy(ctx, before.ID, r.inventory.Refresh)
	switch {
	case errors.Is(refreshErr, container.ErrNotFound), refreshErr == nil && now.State == container.Stopped:
		m.gone = true
		return false
	case refreshErr == nil && now.State == container.Restarting:
		r.failures.forget(before)
		m.Problems = nil
		m.restarting()
		return false
	case refreshErr == nil && (now.PID != before.PID || !now.StartedAt.Equal(before.StartedAt)):
		return !last
	case ended(err) && !last: // the engine will notice
		return true
	}
	r.settled.add(before, problemOf(err).Reason)
	return false
}

// settled remembers which containers could not be read although nothing had become of them: the engine is not asked
// again why.
type settled struct {
	mu      sync.Mutex
	reasons map[string]settledFor // by container ID
}

type settledFor struct {
	pid     int
	started time.Time
	reason  string
}

func newSettled() *settled { return &settled{reasons: make(map[string]settledFor)} }

func (s *settled) has(c container.Container, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.reasons[c.ID]
	return ok && known.pid == c.PID && known.reason == reason && known.started.Equal(c.StartedAt)
}

func (s *settled) add(c container.Container, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reasons[c.ID] = settledFor{c.PID, c.StartedAt, reason}
}

// keep forgets all containers but those of ids.
func (s *settled) keep(ids map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.reasons, func(id string, _ settledFor) bool { return !ids[id] })
}
