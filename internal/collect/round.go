package collect

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procfd"
)

// round is one try of a collection: each container is met, placed in its network namespace, and each namespace read
// once.
type round struct {
	*Collector
	withTCPInfo  bool
	joined       map[string]bool           // ID or name of a container whose network another one joined
	self         func() hostproc.Namespace // Outpost's own; no other has the zero value
	capabilities func() hostproc.Capabilities
	obstacle     func() error
	pids         func(context.Context) (hostproc.PIDs, error)
	inspecting   *patience
	executing    *patience

	mu        sync.Mutex
	inspected map[string]func() (container.Container, error)
}

func newRound(c *Collector, listed []container.Summary, withTCPInfo bool) *round {
	r := &round{
		Collector:    c,
		withTCPInfo:  withTCPInfo,
		joined:       make(map[string]bool),
		self:         sync.OnceValue(c.ownNamespace),
		capabilities: sync.OnceValue(c.Proc.Capabilities),
		obstacle:     sync.OnceValue(c.Proc.Obstacle),
		pids:         onceWith(c.Proc.PIDs),
		inspecting:   newPatience(c.Timeout, c.Workers),
		executing:    newPatience(c.Timeout, c.Workers),
		inspected:    make(map[string]func() (container.Container, error)),
	}
	for _, summary := range listed {
		if target, ok := summary.Network.Joined(); ok {
			r.joined[target] = true
		}
	}
	return r
}

// onceWith is sync.OnceValues of what takes a context: the first caller's.
func onceWith[T any](f func(context.Context) (T, error)) func(context.Context) (T, error) {
	var once sync.Once
	var value T
	var err error
	return func(ctx context.Context) (T, error) {
		once.Do(func() { value, err = f(ctx) })
		return value, err
	}
}

// member is a container in a round, and its reading in the making.
type member struct {
	Reading
	place     place      // by the engine's words
	process   sight      // of its first process
	namespace *namespace // nil if nothing is known of it, or if it has no process
	gone      bool       // it is not running any more
	tablesErr error      // why the tables could not be read through it; counts only if they were not through another one
	ownersErr error
}

func (m *member) add(p Problem) { m.Problems = append(m.Problems, p) }

// meet asks the inventory for each container that is listed, and looks for its process.
func (r *round) meet(ctx context.Context, listed []container.Summary) []*member {
	members := make([]*member, len(listed))
	for i, summary := range listed {
		members[i] = &member{Reading: Reading{Method: None, Container: container.Container{
			ID: summary.ID, Name: summary.Name, Image: summary.Image, Network: summary.Network,
		}}}
	}
	inParallel(members, func(m *member) { r.inspectMember(ctx, m) })
	for _, m := range members {
		r.judge(m)
	}
	return members
}

func (r *round) inspectMember(ctx context.Context, m *member) {
	c, err := r.inspect(ctx, m.Container.ID)
	switch {
	case errors.Is(err, container.ErrNotFound), err == nil && c.State == container.Stopped:
		m.gone = true
		return
	case err != nil:
		m.add(problemOf(err))
		return
	}
	m.Container = c
	if len(c.Invalid) > 0 {
		m.add(Problem{Reason: "parts of the engine's answer make no sense", Detail: strings.Join(c.Invalid, "; ")})
	}
	if m.place, err = r.placeOf(ctx, c); err != nil {
		m.add(Problem{Reason: "the container whose network it joined cannot be inspected", Detail: err.Error()})
	}
	if c.State == container.Restarting {
		m.restarting()
		return
	}
	m.process = r.look(ctx, c)
}

// restarting ends the reading of a container that has no process, and so no socket.
func (m *member) restarting() {
	m.add(Problem{Reason: "the container is restarting"})
	m.Owners = &procfd.Owners{}
	m.namespace = nil
}

// finish adds what is known only when all containers have been read.
func (m *member) finish() Reading {
	n := m.namespace
	if n == nil {
		return m.Reading
	}
	m.NetNS = &n.NetNS
	m.Method, m.Skipped = n.method, n.unused
	if n.err != nil {
		m.add(problemOf(first(m.tablesErr, n.err)))
	}
	m.Problems = append(m.Problems, n.problems...)
	return m.Reading
}

// isSelf reports whether Outpost runs in c, as far as the files tell that are mounted into its container. One that
// joined another's network is given the other's files (moby daemon/container_operations_unix.go), so Outpost may be
// in any of those that share them: then it is not known to be in c.
func (r *round) isSelf(c container.Container) bool { return c.ID == r.SelfContainer && !r.isJoined(c) }

// isJoined reports whether another container joined c's network.
func (r *round) isJoined(c container.Container) bool {
	return r.joined[c.ID] || r.joined[strings.TrimPrefix(c.Name, "/")]
}

// inspect inspects a container, by ID or name, once in this round.
func (r *round) inspect(ctx context.Context, id string) (container.Container, error) {
	r.mu.Lock()
	inspected, ok := r.inspected[id]
	if !ok {
		inspected = sync.OnceValues(func() (container.Container, error) { return r.inspectBy(ctx, id, r.inventory.Inspect) })
		r.inspected[id] = inspected
	}
	r.mu.Unlock()
	return inspected()
}

func (r *round) inspectBy(ctx context.Context, id string, inspect func(context.Context, string) (container.Container, error)) (container.Container, error) {
	return await(ctx, r.pending, r.inspecting, call{kindInspect, id}, func(ctx context.Context) (container.Container, error) {
		return inspect(ctx, id)
	})
}
