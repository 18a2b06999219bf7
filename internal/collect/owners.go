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

// readOwners determines which sockets of a shared network namespace the target's processes hold.
func (p *pass) readOwners(ctx context.Context, t *target) {
	owners, err := p.findOwners(ctx, t)
	if err != nil {
		t.ownersErr = err
		problem := toProblem(err)
		t.addProblem(Problem{Reason: "its sockets cannot be distinguished from others in the shared network namespace: " + problem.Reason, Detail: problem.Detail})
		return
	}
	t.Owned = &owners
	if owners.Denied > 0 {
		t.addProblem(newDeniedProblem(owners))
	}
}

func (p *pass) findOwners(ctx context.Context, t *target) (procfd.OwnedSockets, error) {
	n := t.netns
	switch {
	case n.err == nil && len(n.Sockets) == 0: // There is no socket to own.
		return procfd.OwnedSockets{}, nil
	case isInvisible(t.process.err) && p.uses(Exec):
		return p.ownersByExec(ctx, t)
	}
	var owners procfd.OwnedSockets
	err := p.withProcess(ctx, t, func(process *hostproc.Process) (err error) {
		owners, err = p.ownersByHostProc(ctx, process, t)
		return err
	})
	return owners, err
}

// ownersByHostProc finds owners by the cgroup in which each socket was made. With CAP_SYS_PTRACE it adds the sockets that
// the container's processes hold. If the cgroups are unknown, it uses descriptors alone.
func (p *pass) ownersByHostProc(ctx context.Context, process *hostproc.Process, t *target) (procfd.OwnedSockets, error) {
	owners, err := p.ownersByCgroup(process, t.Container, t.netns.Sockets)
	if err != nil {
		return p.ownersFromFDs(ctx, t)
	}
	if p.capabilities().Has(hostproc.SysPtrace) {
		p.addFDHolders(ctx, &owners, t)
	}
	return owners, nil
}

var errNoCgroups = errors.New("the sockets' cgroups are unknown")

// ownersByCgroup selects the sockets that were made in the container's cgroup, even if another container holds their
// descriptors now.
func (p *pass) ownersByCgroup(process *hostproc.Process, c container.Container, sockets []socket.Socket) (procfd.OwnedSockets, error) {
	if !slices.ContainsFunc(sockets, func(s socket.Socket) bool { return s.CgroupID != 0 }) {
		return procfd.OwnedSockets{}, errNoCgroups
	}
	cgroups, err := process.CgroupIDs(p.CgroupFS, c.ID)
	if err != nil {
		return procfd.OwnedSockets{}, err
	}
	owners := procfd.OwnedSockets{Inodes: make(map[uint64]string), Readable: 1, ByCgroup: true}
	for _, s := range sockets {
		if cgroups[s.CgroupID] {
			owners.Inodes[s.Inode] = ""
		}
	}
	return owners, nil
}

// newDeniedProblem says which sockets have an unknown owner, and what is missing.
func newDeniedProblem(owners procfd.OwnedSockets) Problem {
	problem := Problem{
		Reason: "sockets of processes of another user cannot be distinguished from others in the shared network namespace",
		Detail: fmt.Sprintf("%d of %d processes", owners.Denied, owners.Denied+owners.Readable),
	}
	if owners.MissingCapabilities != "" {
		problem.Reason = "the owners of sockets in the shared network namespace are unknown: " + owners.MissingCapabilities
	}
	return problem
}
