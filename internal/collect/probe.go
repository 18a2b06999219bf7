package collect

import (
	"context"

	"github.com/PabloL007/outpost/internal/hostproc"
)

const (
	// maxProbed is how many containers a probe tries.
	maxProbed = 20
	// maxProbedByExec is how many of them it runs a command in.
	maxProbedByExec = 3
)

// Probe tries each method on running containers. A method that reads processes is tried on PID 1 if no container runs.
// Exec is tried only on containers for which no better method works. An error means that the engine did not list the
// containers.
func (c *Collector) Probe(ctx context.Context) (ProbeResult, error) {
	listed, err := c.list(ctx)
	if err != nil {
		return ProbeResult{}, err
	}
	p := &probe{pass: newPass(c, listed, false), unread: make(map[*target]bool)}
	targets := p.inspectAll(ctx, listed[:min(len(listed), maxProbed)])
	defer p.closeProcesses(targets)
	for _, t := range targets {
		if p.isSubject(t) {
			p.subjects = append(p.subjects, t)
			p.unread[t] = true
		}
	}
	var result ProbeResult
	for _, s := range c.sources {
		result.Methods = append(result.Methods, p.try(ctx, s))
	}
	result.CgroupProblem = p.cgroupProblem(ctx, result.Methods)
	return result, nil
}

// probe is the state of one Probe.
type probe struct {
	*pass
	subjects []*target
	unread   map[*target]bool // by the methods tried so far
}

// isSubject reports whether methods are tried on t. Outpost can read its own container, or a sandbox, in other cases
// than the rest.
func (p *probe) isSubject(t *target) bool {
	return !t.exited && t.Container.PID != 0 && !t.process.self && !t.Container.Sandboxed && t.Container.ID != p.SelfContainer
}

// try tries a source on each subject alone.
func (p *probe) try(ctx context.Context, s source) MethodStatus {
	status := MethodStatus{Method: s.Method()}
	byProcess, readsProcesses := s.(processSource)
	for _, t := range p.subjects {
		if !readsProcesses && !p.needsCommand(t, status) {
			continue
		}
		read, err := s.Read(ctx, p.pass, []*target{t})
		read.release()
		if isExited(err) { // This says nothing about the method.
			continue
		}
		status.Tried++
		if err == nil {
			status.Works++
			delete(p.unread, t)
		} else {
			status.addFailure(err)
		}
	}
	switch {
	case status.Tried > 0:
	case !readsProcesses:
		status.NotNeeded = len(p.subjects) > 0 && len(p.unread) == 0
	default:
		if err := p.tryInit(ctx, byProcess); err != nil {
			status.addFailure(err)
		}
	}
	return status
}

// needsCommand reports whether a command runs in t to try a source. Each command costs the container a process, so it
// runs only where no other method works, and until one succeeds.
func (p *probe) needsCommand(t *target, status MethodStatus) bool {
	return p.unread[t] && status.Works == 0 && status.Tried < maxProbedByExec && checkExecutable(t) == nil
}

// tryInit tries a source on PID 1.
func (p *probe) tryInit(ctx context.Context, s processSource) error {
	process, err := p.Proc.Init()
	if err != nil {
		return p.explain(err)
	}
	defer func() { _ = process.Close() }()
	read, err := s.ReadProcess(ctx, p.pass, process, p.sockets.Quota(1))
	read.release()
	return err
}

// cgroupProblem returns why sockets cannot be attributed by cgroup. It is empty if they can.
func (p *probe) cgroupProblem(ctx context.Context, methods []MethodStatus) string {
	if len(p.subjects) == 0 {
		return "no running container to test it on"
	}
	sockdiagWorks := false
	for _, status := range methods {
		sockdiagWorks = sockdiagWorks || status.Method == Sockdiag && status.Works > 0
	}
	problem := ""
	for _, t := range p.subjects {
		var cgroupErr error
		err := p.withProcess(ctx, t, func(process *hostproc.Process) error {
			_, cgroupErr = process.CgroupIDs(p.CgroupFS, t.Container.ID)
			return nil
		})
		switch {
		case err != nil:
			problem = toProblem(err).Reason
		case cgroupErr != nil:
			problem = cgroupErr.Error()
		case sockdiagWorks || p.uses(Sockdiag) && p.isOnHostNetwork():
			return ""
		default:
			problem = "only sockdiag reports cgroups: start Outpost with --network host, or with the capabilities that sockdiag lacks"
		}
	}
	return problem
}

// isOnHostNetwork reports whether Outpost is in the network namespace of PID 1.
func (c *Collector) isOnHostNetwork() bool {
	init, err := c.Proc.Init()
	if err != nil {
		return false
	}
	defer func() { _ = init.Close() }()
	return init.NetNSID() == c.readOwnNetNS()
}

// IsHostProcVerified reports whether the host's /proc has shown a process of one of the engine's containers.
func (c *Collector) IsHostProcVerified() bool { return c.hostProcVerified.Load() }

// IsInHostNetNS reports whether Outpost is known to be in the host's network namespace.
func (c *Collector) IsInHostNetNS() bool { return c.IsHostProcVerified() && c.isOnHostNetwork() }
