package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procfd"
)

const (
	// maxOwnedSockets bounds the memory for the sockets of one container.
	maxOwnedSockets = 1 << 20
	// maxDescriptorsBesideCgroups is how many descriptors of a process are read if cgroups give the owners already.
	maxDescriptorsBesideCgroups = 256
	// descriptorsOperation is the operation in the failure cache of reading all descriptors in time.
	descriptorsOperation = "descriptors"
)

// ownersFromFDs reads the descriptors of all processes of the container, for Timeout at most. A container with too many
// descriptors is not read again at once.
func (p *pass) ownersFromFDs(ctx context.Context, t *target) (procfd.OwnedSockets, error) {
	key := failureKey(t.Container, descriptorsOperation)
	if err := p.pool.Failures.Get(key); err != nil {
		return procfd.OwnedSockets{}, err
	}
	pids, err := p.pidsOf(ctx, t)
	if err != nil {
		return procfd.OwnedSockets{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	owners, err := p.readDescriptors(bounded, t, pids)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, hostproc.ErrTooManyDescriptors) {
		err = &reasonError{Problem: Problem{Reason: "its processes hold too many descriptors to read", Detail: err.Error()}}
		p.pool.Failures.Put(key, err)
	} else if err == nil {
		p.pool.Failures.Put(key, nil)
	}
	return owners, err
}

func (p *pass) readDescriptors(ctx context.Context, t *target, pids []int) (procfd.OwnedSockets, error) {
	owners := procfd.OwnedSockets{Inodes: make(map[uint64]string)}
	for _, pid := range pids {
		process, err := p.openPID(pid, t)
		if err == nil {
			err = p.addDescriptors(ctx, &owners, process, t)
			_ = process.Close()
		}
		if err != nil && !isGone(err) {
			return procfd.OwnedSockets{}, fmt.Errorf("reading its processes' descriptors: %w", err)
		}
	}
	if errors.Is(p.visibility(), hostproc.ErrHidden) { // An unknown number of processes is hidden: count one.
		owners.Denied++
		owners.MissingCapabilities = p.explainDescriptors(t, hostproc.SysPtrace)
	}
	return owners, nil
}

func (p *pass) addDescriptors(ctx context.Context, owners *procfd.OwnedSockets, process *hostproc.Process, t *target) error {
	held, err := process.Sockets(ctx, maxOwnedSockets)
	if err != nil {
		return err
	}
	if len(held.RequiredCapabilities) > 0 {
		owners.Denied++
		owners.MissingCapabilities = p.explainDescriptors(t, held.RequiredCapabilities...)
	} else {
		owners.Readable++
	}
	for _, inode := range held.Inodes {
		owners.Inodes[inode] = held.Name
	}
	if len(owners.Inodes) > maxOwnedSockets {
		return hostproc.ErrTooManyDescriptors
	}
	return nil
}

// explainDescriptors explains why descriptors of the target's processes are denied. On the host's network, cgroups give the
// owners without capabilities.
func (p *pass) explainDescriptors(t *target, required ...hostproc.Capability) string {
	denial := p.capabilities().ExplainDenial("to read its processes' descriptors", required...)
	if flags := p.flagsForCgroups(t); len(flags) > 0 {
		return denial + "; or start Outpost with " + strings.Join(flags, " ")
	}
	return denial
}

// flagsForCgroups returns the flags with which cgroups show the owners of the target's sockets, or none if no flags without
// capabilities do.
func (p *pass) flagsForCgroups(t *target) (flags []string) {
	if !t.netns.Host || !t.process.visible() {
		return nil
	}
	if t.process.process.NetNSID() != p.ownNetNS() {
		flags = append(flags, "--network host")
	}
	switch _, err := t.process.process.CgroupIDs(p.CgroupFS, t.Container.ID); {
	case errors.Is(err, hostproc.ErrCgroupNamespace):
		return append(flags, "--cgroupns host")
	case err != nil:
		return nil
	}
	return flags
}

// addFDHolders adds sockets that another container passed to this one, and the names of the processes that hold
// sockets. It reads a bounded number of descriptors.
func (p *pass) addFDHolders(ctx context.Context, owners *procfd.OwnedSockets, t *target) {
	key := failureKey(t.Container, descriptorsOperation)
	pids, err := p.pidsOf(ctx, t)
	if err != nil || p.pool.Failures.Get(key) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	defer func() { p.pool.Failures.Put(key, ctx.Err()) }()
	for _, pid := range pids {
		process, err := p.openPID(pid, t)
		if err != nil {
			continue
		}
		held, _ := process.Sockets(ctx, maxDescriptorsBesideCgroups) // The sockets beside an error are valid.
		_ = process.Close()
		for _, inode := range held.Inodes {
			owners.Inodes[inode] = held.Name
		}
	}
}

// pidsOf returns the processes of the container. For Outpost's own container it adds those without a container in their
// cgroup.
func (p *pass) pidsOf(ctx context.Context, t *target) ([]int, error) {
	pids, err := p.pids(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	if t.process.self {
		return append(slices.Clone(pids[t.Container.ID]), pids[""]...), nil
	}
	if t.process.visible() && !t.process.process.HasCgroupOf(t.Container.ID) {
		return nil, errNoContainerCgroup
	}
	return pids[t.Container.ID], nil
}

var errNoContainerCgroup = &reasonError{Problem: Problem{Reason: "no cgroup shows which processes are of the container"}}

// openPID opens a process of the container.
func (p *pass) openPID(pid int, t *target) (*hostproc.Process, error) {
	process, err := p.Proc.Process(pid, t.Container.ID)
	if t.process.self && errors.Is(err, hostproc.ErrForeignProcess) {
		return p.Proc.SelfContainerProcess(pid)
	}
	return process, err
}
