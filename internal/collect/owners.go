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

// readOwners finds out which sockets of the shared namespace are the container's: by the cgroup that made them, or
// by the descriptors of its processes. A command is run in the container only if the tables were read so too, or if its
// processes are out of sight.
func (r *round) readOwners(ctx context.Context, c container.Container, read tables) (procfd.Owners, error) {
	if read.method == Exec {
		return r.ownersByCommand(ctx, c)
	}
	var owners procfd.Owners
	err := r.withProcess(ctx, c, func(p *hostproc.Process) error {
		var err error
		if owners, err = r.ownersByCgroup(p, c, read.sockets); err != nil {
			owners, err = r.ownersByDescriptors(p, c)
		}
		return err
	})
	var e *explainedError
	if errors.As(err, &e) && e.unseen && !outdated(err) && slices.Contains(r.Methods, Exec) {
		return r.ownersByCommand(ctx, c)
	}
	return owners, err
}

func (r *round) ownersByCommand(ctx context.Context, c container.Container) (procfd.Owners, error) {
	if err := executable(c); err != nil {
		return procfd.Owners{}, err
	}
	return await(ctx, r.pending, r.Timeout, call{kindExec, c.ID}, func(ctx context.Context) (procfd.Owners, error) {
		return r.executor.owners(ctx, c)
	})
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

// ownersByDescriptors looks at the descriptors of all processes of the container. Of Outpost's own, which may have
// no host's /proc to find others in, its own process has them all.
func (r *round) ownersByDescriptors(p *hostproc.Process, c container.Container) (procfd.Owners, error) {
	owners := procfd.Owners{Inodes: make(map[uint64]string)}
	if r.isSelf(c) {
		return owners, addSockets(&owners, p)
	}
	pids, err := r.pids()
	if err != nil {
		return procfd.Owners{}, fmt.Errorf("listing of processes: %w", err)
	}
	for _, pid := range pids[c.ID] {
		process, err := r.Proc.Process(pid, c.ID)
		if err == nil {
			err = addSockets(&owners, process)
			_ = process.Close()
		}
		if err != nil && !vanished(err) {
			return procfd.Owners{}, err
		}
	}
	return owners, nil
}

func addSockets(owners *procfd.Owners, p *hostproc.Process) error {
	held, err := p.Sockets()
	if err != nil {
		return err
	}
	if held.Missing != "" {
		owners.Denied++
		owners.Missing = held.Missing
	} else {
		owners.Readable++
	}
	for _, inode := range held.Inodes {
		owners.Inodes[inode] = held.Name
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
			" is missing to look at its processes' descriptors"
	}
	return p
}
