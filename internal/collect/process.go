package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// procHandle is the first process of a container in the host's /proc.
type procHandle struct {
	// process stays open for the whole pass, so that a later process with the same PID is not mistaken for it.
	process *hostproc.Process
	self    bool  // Outpost runs in this container
	err     error // why process is nil
}

func (h procHandle) visible() bool { return h.process != nil }

// Reasons for not opening a process.
var (
	errNoProcess = &reasonError{invisible: true, Problem: Problem{Reason: "the engine reports no process of the container"}}
	errSandboxed = &reasonError{invisible: true, Problem: Problem{Reason: "its runtime keeps its sockets in a sandbox"}}
	errNotUsed   = &reasonError{invisible: true, Problem: Problem{Reason: "no enabled method reads the host's /proc"}}
)

// openProcess opens the container's process. resolveInvisible explains its error once all processes were tried.
func (p *pass) openProcess(ctx context.Context, c container.Container) procHandle {
	if !p.usesProcesses() && !p.isSelf(c) {
		return procHandle{err: errNotUsed}
	}
	if process := p.takeKept(c); process != nil {
		return procHandle{process: process}
	}
	release, err := p.pool.Acquire(ctx)
	if err != nil {
		return procHandle{err: err}
	}
	defer release()
	process, self, err := p.findProcess(c)
	if err != nil {
		return procHandle{self: self, err: fmt.Errorf("opening its process: %w", err)}
	}
	if !self {
		p.kept.add(c, process)
	}
	return procHandle{process: process, self: self}
}

// takeKept returns the process of c that is kept, or nil.
func (p *pass) takeKept(c container.Container) *hostproc.Process {
	if !p.usesProcesses() || p.isSelf(c) {
		return nil
	}
	process := p.kept.take(c)
	if process != nil {
		p.hostProcVerified.Store(true)
	}
	return process
}

// findProcess opens the container's process. In Outpost's own container, Outpost may see neither its PID nor its cgroup.
// Any process of that container serves as well.
func (p *pass) findProcess(c container.Container) (process *hostproc.Process, self bool, err error) {
	switch {
	case c.Sandboxed:
		return nil, false, errSandboxed
	case c.PID == 0:
		return nil, false, errNoProcess
	}
	self = p.isSelf(c)
	process, err = p.Proc.Process(c.PID, c.ID)
	if err == nil {
		self = self || !process.HasCgroupOf(c.ID) && p.isOwnProcess(c.PID)
		if !self {
			p.hostProcVerified.Store(true)
		}
		return process, self, nil
	}
	if self {
		process, err = p.Proc.Self()
	}
	return process, self, err
}

// isOwnProcess reports whether a process runs in Outpost's own container, where cgroups may name no container.
func (p *pass) isOwnProcess(pid int) bool {
	if p.SelfContainer == "" {
		return false
	}
	process, err := p.Proc.SelfContainerProcess(pid)
	if err != nil {
		return false
	}
	return process.Close() == nil
}

// isSelf reports whether Outpost runs in c. The ID of its container comes from the files that the engine mounts. A
// container that joined the network of another gets the other's files (moby daemon/container_operations_unix.go), so
// the answer is false if containers share them.
func (p *pass) isSelf(c container.Container) bool { return c.ID == p.SelfContainer && !p.isJoined(c) }

// resolveInvisible explains why a process is not visible. If it is a process of Outpost's own container, it opens it: in
// there, cgroups may name no container.
func (p *pass) resolveInvisible(t *target) {
	if p.SelfContainer != "" && p.hostProcVerified.Load() && errors.Is(t.process.err, hostproc.ErrForeignProcess) {
		if process, err := p.Proc.SelfContainerProcess(t.Container.PID); err == nil {
			t.process = procHandle{process: process, self: true}
		}
	}
	t.process.err = p.explain(t.process.err)
}

// closeProcesses gives back the processes that are kept, and closes all others.
func (p *pass) closeProcesses(targets []*target) {
	for _, t := range targets {
		if t.process.visible() {
			_ = p.kept.giveBack(t.process.process)
		}
	}
}

// withProcess calls do with the target's process when a slot is free.
func (p *pass) withProcess(ctx context.Context, t *target, do func(*hostproc.Process) error) error {
	if t.process.err != nil {
		return t.process.err
	}
	release, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	return p.explain(do(t.process.process))
}

// explain replaces the error of a process that is gone. Either the process has exited, or Outpost cannot see it; then the
// reason says what the user can do.
func (p *pass) explain(err error) error {
	if err == nil || isExited(err) || isInvisible(err) || !isGone(err) {
		return err
	}
	switch obstacle := p.visibility(); {
	case obstacle != nil:
		reason := fmt.Sprintf("%s: %v", p.Proc.Path(), obstacle)
		if errors.Is(obstacle, hostproc.ErrHidden) {
			reason += ": " + strings.Join(p.capabilities().FlagsFor(hostproc.SysPtrace), " ")
		}
		return &reasonError{invisible: true, hostWide: true, Problem: Problem{Reason: reason, Detail: err.Error()}}
	case p.hostProcVerified.Load():
		return &exitedError{err}
	}
	reason := "its process is not visible: mount the host's /proc with -v /proc:" + hostproc.DefaultMount + ":ro or --pid host"
	switch {
	case p.HasMountedProc() && errors.Is(err, hostproc.ErrForeignProcess):
		reason = "neither the cgroup nor the mounts of its process in " + p.Proc.Path() + " name the container: that /proc may be of another machine or PID namespace than the engine"
	case p.HasMountedProc():
		reason = "its process is not in " + p.Proc.Path() + ", which is of another machine or PID namespace than the engine"
	}
	return &reasonError{invisible: true, hostWide: true, Problem: Problem{Reason: reason, Detail: err.Error()}}
}

// HasMountedProc reports whether Proc is not the /proc of Outpost's own container.
func (c *Collector) HasMountedProc() bool {
	return c.Proc.Path() != "" && (c.Proc.Path() != ownProc || c.SelfContainer == "")
}

// ownProc is where each container has a /proc of its own PID namespace.
const ownProc = "/proc"

// isGone reports whether err means that a process does not exist, or belongs to another container by now.
func isGone(err error) bool {
	return errors.Is(err, hostproc.ErrNoProcess) || errors.Is(err, hostproc.ErrForeignProcess) ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}
