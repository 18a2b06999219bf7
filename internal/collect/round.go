package collect

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procfd"
)

// round is one collection: each container is inspected once in it and each namespace read once.
type round struct {
	*Collector
	detail       Detail
	joined       map[string]bool // ID or name of a container whose network another one joined
	ownNamespace func() hostproc.Namespace
	pids         func() (map[string][]int, error) // of each container
	outdated     atomic.Bool                      // what the inventory had of a container

	mu         sync.Mutex
	inspected  map[string]func() (container.Container, error)
	namespaces map[string]*namespace
}

func newRound(c *Collector, listed []container.Summary, detail Detail) *round {
	r := &round{
		Collector:    c,
		detail:       detail,
		joined:       make(map[string]bool),
		ownNamespace: sync.OnceValue(c.ownNamespace),
		pids:         sync.OnceValues(c.Proc.PIDs),
		inspected:    make(map[string]func() (container.Container, error)),
		namespaces:   make(map[string]*namespace),
	}
	for _, summary := range listed {
		if target, ok := summary.Network.Joined(); ok {
			r.joined[target] = true
		}
	}
	return r
}

// read is a reading in the making.
type read struct {
	Reading
	namespace *namespace
	tablesErr error // counts only if no other container of the namespace could be used either
}

// finish adds what is known only when all containers have been read.
func (r *read) finish() Reading {
	r.Method = None
	if r.namespace == nil {
		return r.Reading
	}
	r.Namespace = &r.namespace.Namespace
	r.Namespace.Sockets = r.namespace.read.sockets
	r.Unused = r.namespace.read.unused
	if r.namespace.done {
		r.Method = r.namespace.read.method
	} else if r.tablesErr != nil {
		r.add(problemOf(r.tablesErr))
	}
	r.Problems = append(r.Problems, r.namespace.read.problems...)
	return r.Reading
}

func (r *read) add(p Problem) { r.Problems = append(r.Problems, p) }

// read reads one container; nil if it is gone.
func (r *round) read(ctx context.Context, listed container.Summary) *read {
	c, err := r.inspect(ctx, listed.ID)
	if err != nil {
		if errors.Is(err, container.ErrNotFound) {
			return nil
		}
		known := container.Container{ID: listed.ID, Name: listed.Name, Image: listed.Image, Network: listed.Network}
		return &read{Reading: Reading{Container: known, Problems: []Problem{problemOf(err)}}}
	}
	if c.State == container.Stopped {
		return nil
	}
	reading := &read{Reading: Reading{Container: c}}
	if len(c.Invalid) > 0 {
		reading.add(Problem{Reason: "parts of the engine's answer make no sense", Detail: strings.Join(c.Invalid, "; ")})
	}
	var namespaceErr error
	if reading.namespace, namespaceErr = r.namespaceOf(ctx, c); namespaceErr != nil {
		reading.add(Problem{Reason: "the container whose network it joined cannot be inspected", Detail: namespaceErr.Error()})
	}
	if c.State == container.Restarting {
		reading.restarting()
		return reading
	}
	if err := r.look(ctx, reading); err == nil || recalled(err) {
		return reading
	}
	// What became of the container meanwhile may explain the failure.
	now, err := r.refresh(ctx, c.ID)
	switch {
	case errors.Is(err, container.ErrNotFound), err == nil && now.State == container.Stopped:
		return nil
	case err == nil && now.State == container.Restarting:
		r.executor.failures.forget(c)
		reading.tablesErr, reading.Problems = nil, nil
		reading.restarting()
	}
	return reading
}

// restarting ends the reading of a container that has no process, and so no socket.
func (r *read) restarting() {
	r.add(Problem{Reason: "the container is restarting"})
	r.Owners = &procfd.Owners{}
}

// look reads the tables and, where it matters, their owners. The tables come first: a socket in them that later has
// no owner was closed meanwhile, whereas the other way round a new connection would be taken for nobody's.
func (r *round) look(ctx context.Context, reading *read) error {
	c := reading.Container
	var got tables
	got, reading.tablesErr = reading.namespace.readOnce(func() (tables, error) { return r.readTables(ctx, c) })
	if !reading.namespace.Shared {
		return reading.tablesErr
	}
	owners, err := r.readOwners(ctx, c, got)
	if err != nil {
		p := problemOf(err)
		reading.add(Problem{Reason: "its sockets cannot be told from those of others in the same network namespace: " + p.Reason, Detail: p.Detail})
		return err
	}
	reading.Owners = &owners
	if owners.Denied > 0 {
		reading.add(deniedProblem(owners))
	}
	return reading.tablesErr
}

// isSelf reports whether Outpost runs in c. A container that joined another's network is given the other's files
// (moby daemon/container_operations_unix.go), so Outpost may be in any of those that share them: then it is not
// known to be in c.
func (r *round) isSelf(c container.Container) bool { return c.ID == r.Self && !r.isJoined(c) }

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

// refresh inspects a container anew.
func (r *round) refresh(ctx context.Context, id string) (container.Container, error) {
	return r.inspectBy(ctx, id, r.inventory.Refresh)
}

func (r *round) inspectBy(ctx context.Context, id string, inspect func(context.Context, string) (container.Container, error)) (container.Container, error) {
	return await(ctx, r.pending, r.Timeout, call{kindInspect, id}, func(ctx context.Context) (container.Container, error) {
		return inspect(ctx, id)
	})
}

// problemOf puts an error into a problem's words.
func problemOf(err error) Problem {
	var failed *explainedError
	switch {
	case errors.As(err, &failed):
		return failed.Problem
	case unanswered(err):
		return Problem{Reason: err.Error()}
	}
	operation, detail, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		return Problem{Reason: operation}
	}
	return Problem{Reason: operation + " failed", Detail: detail}
}
