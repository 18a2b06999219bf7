package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/socket"
)

// readOwners finds out which sockets of the shared namespace are the member's.
func (r *round) readOwners(ctx context.Context, m *member) {
	owners, err := r.ownersOf(ctx, m)
	if err != nil {
		m.ownersErr = err
		p := problemOf(err)
		m.add(Problem{Reason: "its sockets cannot be told from those of others in the same network namespace: " + p.Reason, Detail: p.Detail})
		return
	}
	m.Owners = &owners
	if owners.Denied > 0 {
		m.add(deniedProblem(owners))
	}
}

func (r *round) ownersOf(ctx context.Context, m *member) (procfd.Owners, error) {
	n := m.namespace
	switch {
	case n.err == nil && len(n.Sockets) == 0: // nobody owns any
		return procfd.Owners{}, nil
	case unseen(m.process.err) && r.uses(Exec):
		return r.ownersByCommand(ctx, m)
	}
	var owners procfd.Owners
	err := r.withProcess(ctx, m, func(p *hostproc.Process) (err error) {
		owners, err = r.ownersByKernel(ctx, p, m)
		return err
	})
	return owners, err
}

// ownersByKernel asks for the cgroup in which each socket was made, which needs no permission, or else for the
// descriptors of the container's processes.
func (r *round) ownersByKernel(ctx context.Context, p *hostproc.Process, m *member) (procfd.Owners, error) {
	owners, err := r.ownersByCgroup(p, m.Container, m.namespace.Sockets)
	if err != nil {
		return r.ownersByDescriptors(ctx, m)
	}
	if r.capabilities().Has(hostproc.SysPtrace) {
		r.addHolders(ctx, &owners, m)
	}
	return owners, nil
}

var errNoCgroups = errors.New("the sockets' cgroups are not known")

// ownersByCgroup picks the sockets that were made in the container's cgroup, wherever their descriptors are now.
func (r *round) ownersByCgroup(p *hostproc.Process, c container.Container, all []socket.Socket) (procfd.Owners, error) {
	if !slices.ContainsFunc(all, func(s socket.Socket) bool { return s.Cgroup != 0 }) {
		return procfd.Owners{}, errNoCgroups
	}
	cgroups, err := p.CgroupIDs(r.CgroupFS, c.ID)
	if err != nil {
		return procfd.Owners{}, err
	}
	owners := procfd.Owners{Inodes: make(map[uint64]string), Readable: 1}
	for _, s := range all {
		if cgroups[s.Cgroup] {
			owners.Inodes[s.Inode] = ""
		}
	}
	return owners, nil
}

// fewDescriptors is how many of a process's are looked at where the makers of sockets are known anyway.
const fewDescriptors = 256

// addHolders adds the sockets that the container was given by another, and the names of the processes that hold any, as
// far as few descriptors tell.
func (r *round) addHolders(ctx context.Context, owners *procfd.Owners, m *member) {
	pids, err := r.pidsOf(ctx, m)
	if err != nil || r.failures.recall(m.Container, descriptors) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	defer func() { r.failures.note(m.Container, descriptors, ctx.Err()) }()
	for _, pid := range pids {
		process, err := r.processWith(pid, m)
		if err != nil {
			continue
		}
		held, _ := process.Sockets(ctx, fewDescriptors) // what it tells is true, beside an error too
		_ = process.Close()
		for _, inode := range held.Inodes {
			owners.Inodes[inode] = held.Name
		}
	}
}

// maxOwned bounds the memory that one container's sockets can take.
const maxOwned = 1 << 20

// descriptors is what a failure to look at all descriptors in time is remembered by.
const descriptors = "descriptors"

// ownersByDescriptors looks at the descriptors of all processes of the container, no longer than it may take. One that
// holds too many is, like a command that fails, not looked at again at once.
func (r *round) ownersByDescriptors(ctx context.Context, m *member) (procfd.Owners, error) {
	if err := r.failures.recall(m.Container, descriptors); err != nil {
		return procfd.Owners{}, &recalledError{err}
	}
	pids, err := r.pidsOf(ctx, m)
	if err != nil {
		return procfd.Owners{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	owners, err := r.heldBy(bounded, m, pids)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, hostproc.ErrTooManyDescriptors) {
		err = &explainedError{Problem: Problem{Reason: "its processes hold too many descriptors to be looked at", Detail: err.Error()}}
		r.failures.note(m.Container, descriptors, err)
	} else if err == nil {
		r.failures.note(m.Container, descriptors, nil)
	}
	return owners, err
}

func (r *round) heldBy(ctx context.Context, m *member, pids []int) (procfd.Owners, error) {
	owners := procfd.Owners{Inodes: make(map[uint64]string)}
	for _, pid := range pids {
		process, err := r.processWith(pid, m)
		if err == nil {
			err = r.addSockets(ctx, &owners, process)
			_ = process.Close()
		}
		if err != nil && !vanished(err) {
			return procfd.Owners{}, fmt.Errorf("looking at its processes: %w", err)
		}
	}
	if errors.Is(r.obstacle(), hostproc.ErrHidden) { // who knows how many there are
		owners.Denied++
		owners.Missing = r.capabilities().Lack(hostproc.SysPtrace)
	}
	return owners, nil
}

// pidsOf returns the processes of the container.
func (r *round) pidsOf(ctx context.Context, m *member) ([]int, error) {
	pids, err := r.pids(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing of processes: %w", err)
	}
	if m.process.own {
		return append(slices.Clone(pids[m.Container.ID]), pids[""]...), nil
	}
	return pids[m.Container.ID], nil
}

// processWith opens one of the container's processes.
func (r *round) processWith(pid int, m *member) (*hostproc.Process, error) {
	process, err := r.Proc.Process(pid, m.Container.ID)
	if m.process.own && errors.Is(err, hostproc.ErrAnother) {
		return r.Proc.Companion(pid)
	}
	return process, err
}

func (r *round) addSockets(ctx context.Context, owners *procfd.Owners, p *hostproc.Process) error {
	held, err := p.Sockets(ctx, maxOwned)
	if err != nil {
		return err
	}
	if len(held.Needed) > 0 {
		owners.Denied++
		owners.Missing = r.capabilities().Lack(held.Needed...)
	} else {
		owners.Readable++
	}
	for _, inode := range held.Inodes {
		owners.Inodes[inode] = held.Name
	}
	if len(owners.Inodes) > maxOwned {
		return hostproc.ErrTooManyDescriptors
	}
	return nil
}

// deniedProblem says of which sockets the owner is unknown, and what is missing.
func deniedProblem(owners procfd.Owners) Problem {
	p := Problem{
		Reason: "the sockets of processes that run as another user cannot be told from those of others in the same network namespace",
		Detail: fmt.Sprintf("%d of %d processes", owners.Denied, owners.Denied+owners.Readable),
	}
	if owners.Missing != "" {
		p.Reason = "the owners of sockets in the shared network namespace are unknown: " + owners.Missing +
			" to look at its processes' descriptors"
	}
	return p
}
