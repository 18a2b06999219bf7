package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
)

// strangers are the containers whose process cannot be found by the number that the engine gives, although that is
// new: there is no use in asking the engine again.
type strangers struct {
	mu   sync.Mutex
	pids map[string]int // by container ID
}

func newStrangers() *strangers { return &strangers{pids: make(map[string]int)} }

func (s *strangers) has(c container.Container) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, ok := s.pids[c.ID]
	return ok && pid == c.PID
}

func (s *strangers) add(c container.Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pids[c.ID] = c.PID
}

func (s *strangers) keep(ids map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.pids, func(id string, _ int) bool { return !ids[id] })
}

var (
	errNoProcess = &explainedError{Problem: Problem{Reason: "it has no process"}}
	errSandboxed = &explainedError{Problem: Problem{Reason: "its runtime keeps its sockets in a sandbox"}}
)

// withProcess calls do with the container's first process, in a slot. Where the process is another one than the
// inventory has it, the collection is to start over with what the engine says now.
func (r *round) withProcess(ctx context.Context, c container.Container, do func(*hostproc.Process) error) error {
	err := r.tryProcess(ctx, c, do)
	if known := (*explainedError)(nil); errors.As(err, &known) {
		return err
	}
	if !vanished(err) || r.strangers.has(c) {
		return r.explained(err)
	}
	fresh, freshErr := r.refresh(ctx, c.ID)
	switch {
	case errors.Is(freshErr, container.ErrNotFound), freshErr == nil && fresh.PID != c.PID:
		r.outdated.Store(true)
		return &outdatedError{r.explained(err)}
	case freshErr == nil:
		r.strangers.add(c)
	}
	return r.explained(err)
}

// outdatedError is the error of a container that ended or was started anew since the inventory heard of it.
type outdatedError struct{ error }

func (e *outdatedError) Unwrap() error { return e.error }

func outdated(err error) bool {
	var e *outdatedError
	return errors.As(err, &e)
}

func (r *round) tryProcess(ctx context.Context, c container.Container, do func(*hostproc.Process) error) error {
	leave, err := r.pending.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	process, err := r.processOf(c)
	if err != nil {
		return err
	}
	defer func() { _ = process.Close() }()
	return do(process)
}

func (r *round) processOf(c container.Container) (*hostproc.Process, error) {
	switch {
	case c.Sandboxed:
		return nil, errSandboxed
	case c.PID == 0:
		return nil, errNoProcess
	}
	process, err := r.Proc.Process(c.PID, c.ID)
	if err != nil && r.isSelf(c) {
		return r.Proc.Self()
	}
	return process, err
}

// vanished reports whether err means that a process is not there, or not any more.
func vanished(err error) bool {
	return errors.Is(err, hostproc.ErrNoProcess) || errors.Is(err, hostproc.ErrAnother) ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// explained puts into words what a user can do about an error.
func (r *round) explained(err error) error {
	switch {
	case err == nil:
		return nil
	case !vanished(err):
		return fmt.Errorf("reading of the host's /proc: %w", err)
	case r.Proc.Hidden():
		return &explainedError{unseen: true, Problem: Problem{Reason: "processes are hidden from Outpost: " + r.Proc.Path() + " is mounted with hidepid", Detail: err.Error()}}
	}
	return &explainedError{unseen: true, Problem: Problem{
		Reason: "its process cannot be seen: the host's /proc is needed, -v /proc:" + hostproc.Mounted + ":ro or --pid host", Detail: err.Error(),
	}}
}

// hostAddresses returns the addresses of the host's network namespace: that of a container on it, or else, if the
// engine's processes are in sight, Outpost's own if that is in no container, or process 1's. It returns none where no
// process of the engine's is in sight.
func (r *round) hostAddresses(readings []Reading) ([]procnet.Address, error) {
	inSight := false
	for _, reading := range readings {
		if reading.Namespace != nil && reading.Namespace.Host {
			if addresses, err := addressesOf(r.processOf(reading.Container)); err == nil {
				return addresses, nil // else it has just ended, or is out of sight
			}
		}
		read := reading.Method == Sockdiag || reading.Method == Procfs
		inSight = inSight || read && reading.Container.ID != r.Self
	}
	switch {
	case !inSight:
		return nil, nil
	case r.Self == "":
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
