package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
)

// sight is what is seen of a container's first process.
type sight struct {
	process *hostproc.Process // one handle on it for the whole round: whoever gets its number later is not taken for it
	own     bool              // Outpost runs in the container
	err     error             // why it is not seen
}

func (s sight) seen() bool { return s.process != nil }

// Errors for which a process is not looked at.
var (
	errNoProcess = &explainedError{unseen: true, Problem: Problem{Reason: "the engine names no process of the container"}}
	errSandboxed = &explainedError{unseen: true, Problem: Problem{Reason: "its runtime keeps its sockets in a sandbox"}}
	errNotAsked  = &explainedError{unseen: true, Problem: Problem{Reason: "processes are not to be looked at"}}
)

// look looks for the container's process. What an error means, judge tells when all were looked for.
func (r *round) look(ctx context.Context, c container.Container) sight {
	if !r.uses(Sockdiag) && !r.uses(Procfs) && !r.isSelf(c) {
		return sight{err: errNotAsked}
	}
	done, err := r.pending.enter(ctx)
	if err != nil {
		return sight{err: err}
	}
	defer done()
	process, own, err := r.processOf(c)
	if err != nil {
		return sight{own: own, err: fmt.Errorf("looking at its process: %w", err)}
	}
	return sight{process: process, own: own}
}

// judge tells why a process is not seen. One that is in Outpost's own container may be of no name that Outpost sees.
func (r *round) judge(m *member) {
	if r.SelfContainer != "" && r.inSight.Load() && errors.Is(m.process.err, hostproc.ErrAnother) {
		if companion, err := r.Proc.Companion(m.Container.PID); err == nil {
			m.process = sight{process: companion, own: true}
		}
	}
	m.process.err = r.explained(m.process.err)
}

// leave gives the handles on the members' processes back.
func leave(members []*member) {
	for _, m := range members {
		if m.process.seen() {
			_ = m.process.process.Close()
		}
	}
}

// processOf opens the container's process. In Outpost's own container, of which it may see neither the number nor the
// cgroup of the process, any will do.
func (r *round) processOf(c container.Container) (process *hostproc.Process, own bool, err error) {
	switch {
	case c.Sandboxed:
		return nil, false, errSandboxed
	case c.PID == 0:
		return nil, false, errNoProcess
	}
	own = r.isSelf(c)
	process, err = r.Proc.Process(c.PID, c.ID)
	if err == nil {
		if !own {
			r.inSight.Store(true)
		}
		return process, own, nil
	}
	if own {
		process, err = r.Proc.Self()
	}
	return process, own, err
}

// withProcess does something with the member's process as soon as there is a slot.
func (r *round) withProcess(ctx context.Context, m *member, do func(*hostproc.Process) error) error {
	if m.process.err != nil {
		return m.process.err
	}
	done, err := r.pending.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	return r.explained(do(m.process.process))
}

// endedError is the error of a process that was there, and is not any more.
type endedError struct{ error }

func (e *endedError) Error() string { return "its process has ended: " + e.error.Error() }

func (e *endedError) Unwrap() error { return e.error }

func ended(err error) bool {
	var e *endedError
	return errors.As(err, &e)
}

// unseen reports whether a process may be there, out of Outpost's sight.
func unseen(err error) bool {
	var e *explainedError
	return errors.As(err, &e) && e.unseen
}

// explained puts into words what a user can do about a process that is not there: it is out of sight, or it has ended.
func (r *round) explained(err error) error {
	if err == nil || ended(err) || unseen(err) || !vanished(err) {
		return err
	}
	switch obstacle := r.obstacle(); {
	case obstacle != nil:
		return &explainedError{unseen: true, general: true, Problem: Problem{Reason: fmt.Sprintf("%s: %v", r.Proc.Path(), obstacle), Detail: err.Error()}}
	case r.inSight.Load():
		return &endedError{err}
	}
	return &explainedError{unseen: true, general: true, Problem: Problem{
		Reason: "its process cannot be seen: the host's /proc is needed, -v /proc:" + hostproc.Mounted + ":ro or --pid host", Detail: err.Error(),
	}}
}

// vanished reports whether err means that a process is not there, or not any more.
func vanished(err error) bool {
	return errors.Is(err, hostproc.ErrNoProcess) || errors.Is(err, hostproc.ErrAnother) ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// ownNamespace is Outpost's network namespace, or the zero value.
func (c *Collector) ownNamespace() hostproc.Namespace {
	self, err := c.Proc.Self()
	if err != nil {
		return hostproc.Namespace{}
	}
	defer func() { _ = self.Close() }()
	return self.Namespace()
}

// hostAddresses returns the addresses of the host's network namespace: that of a container on it, or else, if the
// engine's processes are in sight, Outpost's own if that is in no container, or process 1's. It returns none where no
// process of the engine's is in sight.
func (r *round) hostAddresses(members []*member) ([]procnet.Address, error) {
	inSight := false
	for _, m := range members {
		if !m.process.seen() {
			continue
		}
		inSight = inSight || !m.process.own
		if m.namespace == nil || !m.namespace.Host {
			continue
		}
		if addresses, err := m.process.process.Addresses(); err == nil {
			return addresses, nil // else it has just ended
		}
	}
	switch {
	case !inSight:
		return nil, nil
	case r.SelfContainer == "":
		return addressesOf(r.Proc.Self())
	}
	return addressesOf(r.Proc.Init())
}

func addressesOf(p *hostproc.Process, err error) ([]procnet.Address, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Close() }()
	return p.Addresses()
}
