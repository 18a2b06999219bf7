package collect

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/PabloL007/outpost/internal/callpool"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/socket"
)

// pass is one attempt of a collection. It inspects each container, groups them by network namespace, and reads each
// namespace once.
type pass struct {
	*Collector
	withTCPInfo  bool
	joined       map[string]bool         // ID or name of each container that another one joined the network of
	ownNetNS     func() hostproc.NetNSID // Outpost's own; the zero value, which no other has, if it is unknown
	capabilities func() hostproc.Capabilities
	visibility   func() error // why Proc does not show all processes
	pids         func(context.Context) (hostproc.PIDs, error)
	inspects     *callpool.Budget
	execs        *callpool.Budget
	sockets      *socket.Budget // nil without a bound

	mu        sync.Mutex
	inspected map[string]func() (container.Container, error)
}

func newPass(c *Collector, listed []container.Summary, withTCPInfo bool) *pass {
	p := &pass{
		Collector:    c,
		withTCPInfo:  withTCPInfo,
		joined:       make(map[string]bool),
		ownNetNS:     sync.OnceValue(c.readOwnNetNS),
		capabilities: sync.OnceValue(c.Proc.SelfCapabilities),
		visibility:   sync.OnceValue(c.Proc.CheckVisibility),
		pids:         onceWith(c.Proc.PIDs),
		inspects:     c.pool.NewBudget(c.Timeout),
		execs:        c.pool.NewBudget(c.Timeout),
		inspected:    make(map[string]func() (container.Container, error)),
	}
	if c.MaxSockets > 0 {
		p.sockets = socket.NewBudget(c.MaxSockets, len(listed)+1) // and the host's own table
	}
	for _, summary := range listed {
		if joined, ok := summary.NetworkMode.JoinedContainer(); ok {
			p.joined[joined] = true
		}
	}
	return p
}

// onceWith is sync.OnceValues for a function of a context. It uses the first caller's context.
func onceWith[T any](f func(context.Context) (T, error)) func(context.Context) (T, error) {
	var once sync.Once
	var value T
	var err error
	return func(ctx context.Context) (T, error) {
		once.Do(func() { value, err = f(ctx) })
		return value, err
	}
}

// target is a container in a pass, and its unfinished reading.
type target struct {
	Reading
	network   networkRef // as the engine reports it
	process   procHandle // of its first process
	netns     *netnsRead // nil if it is unknown, or if the container has no process
	exited    bool
	tablesErr error // the tables could not be read through this target; reported only if no other one helped
	ownersErr error
}

func (t *target) addProblem(p Problem) { t.Problems = append(t.Problems, p) }

// inspectAll inspects each listed container and opens its process.
func (p *pass) inspectAll(ctx context.Context, listed []container.Summary) []*target {
	targets := make([]*target, len(listed))
	for i, summary := range listed {
		targets[i] = &target{Reading: Reading{Method: None, Container: container.Container{
			ID: summary.ID, Name: summary.Name, Image: summary.Image, NetworkMode: summary.NetworkMode,
		}}}
	}
	inParallel(skipDone(targets, func(t *target) bool { return p.inspectKept(ctx, t) }), func(t *target) { p.inspectTarget(ctx, t) })
	for _, t := range targets {
		p.resolveInvisible(t)
	}
	return targets
}

func (p *pass) inspectTarget(ctx context.Context, t *target) {
	c, err := p.inspect(ctx, t.Container.ID)
	switch {
	case errors.Is(err, container.ErrNotFound), err == nil && c.State == container.Stopped:
		t.exited = true
		return
	case err != nil:
		t.addProblem(toProblem(err))
		return
	}
	p.describe(ctx, t, c)
	if c.State == container.Restarting {
		t.setRestarting()
		return
	}
	t.process = p.openProcess(ctx, c)
}

// inspectKept is inspectTarget for a running container with a kept process that the inventory has. It calls nothing and does not block. It
// returns false for any other container.
func (p *pass) inspectKept(ctx context.Context, t *target) bool {
	c, ok := p.inventory.Cached(t.Container.ID)
	if _, joins := c.NetworkMode.JoinedContainer(); !ok || joins || c.State != container.Running {
		return false
	}
	process := p.takeKept(c)
	if process == nil {
		return false
	}
	p.describe(ctx, t, c)
	t.process = procHandle{process: process}
	return true
}

// describe sets what the engine says of the target.
func (p *pass) describe(ctx context.Context, t *target, c container.Container) {
	t.Container = c
	if len(c.Invalid) > 0 {
		t.addProblem(Problem{Reason: "parts of the engine's answer are invalid", Detail: strings.Join(c.Invalid, "; ")})
	}
	var err error
	if t.network, err = p.resolveNetwork(ctx, c); err != nil {
		t.addProblem(Problem{Reason: "the container that created its network namespace cannot be inspected", Detail: err.Error()})
	}
}

// setRestarting ends the reading of a container without a process: it has no sockets.
func (t *target) setRestarting() {
	t.addProblem(Problem{Reason: "the container is restarting"})
	t.Owned = &procfd.OwnedSockets{}
	t.netns = nil
}

// inspect inspects a container, by ID or name, once per pass.
func (p *pass) inspect(ctx context.Context, id string) (container.Container, error) {
	p.mu.Lock()
	inspected, ok := p.inspected[id]
	if !ok {
		inspected = sync.OnceValues(func() (container.Container, error) { return p.inspectWith(ctx, id, p.inventory.Inspect) })
		p.inspected[id] = inspected
	}
	p.mu.Unlock()
	return inspected()
}

func (p *pass) inspectWith(ctx context.Context, id string, inspect func(context.Context, string) (container.Container, error)) (container.Container, error) {
	return callpool.Do(ctx, p.inspects, callpool.Key{Kind: "inspect", ID: id}, func(ctx context.Context) (container.Container, error) {
		return inspect(ctx, id)
	})
}

func newResult(targets []*target) Result {
	result := Result{Readings: make([]Reading, 0, len(targets))}
	for _, t := range targets {
		if t.exited {
			result.Exited = append(result.Exited, t.Container.Name)
			continue
		}
		result.Readings = append(result.Readings, t.finish())
	}
	return result
}

// finish adds to the reading what is known once all targets of the namespace are read.
func (t *target) finish() Reading {
	n := t.netns
	if n == nil {
		return t.Reading
	}
	t.NetNS = &n.NetNS
	t.Method, t.Unused = n.method, n.unused
	if n.err != nil {
		t.addProblem(t.tablesProblem())
	}
	t.Problems = append(t.Problems, n.problems...)
	return t.Reading
}

// tablesProblem returns why the tables are incomplete. If a command failed because of the container, it adds why the host's /proc
// does not help: that can be repaired.
func (t *target) tablesProblem() Problem {
	err := cmp.Or(t.tablesErr, t.netns.err)
	problem := toProblem(err)
	if isHostWide(t.process.err) && !isInvisible(err) {
		problem.Reason += "; " + toProblem(t.process.err).Reason
	}
	return problem
}
