package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/PabloL007/outpost/internal/hostproc"
)

// MethodStatus says of a method whether it works here.
type MethodStatus struct {
	Method Method
	// Works and Tried count containers; none were tried if none runs in which to, or for which it would be needed.
	Works, Tried int
	// Problem says what the first one lacks that it did not work for, and General that it is not the container that
	// lacks it.
	Problem  Problem
	HostWide bool
	// NotNeeded: a better method works for all containers.
	NotNeeded bool
}

// ProbeResult are what a probe found.
type ProbeResult struct {
	// Methods are those of the methods that may be used, the best first.
	Methods []MethodStatus
	// CgroupProblem is empty if the cgroup of a socket can be told to be a container's, or says why not.
	CgroupProblem string
}

// Tried reports whether there was a container to try any method on.
func (f ProbeResult) Tried() bool {
	return slices.ContainsFunc(f.Methods, func(r MethodStatus) bool { return r.Tried > 0 })
}

const (
	// probed is how many containers a probe tries.
	probed = 20
	// probedByCommand is how many of them it runs a command in.
	probedByCommand = 3
)

// Probe tries each method on running containers or, if there are none, on process 1; and Exec only on containers for
// which no better one works. An error means that the engine could not be asked for containers.
func (c *Collector) Probe(ctx context.Context) (ProbeResult, error) {
	listed, err := c.list(ctx)
	if err != nil {
		return ProbeResult{}, err
	}
	r := newRound(c, listed, false)
	p := &probe{round: r, unread: make(map[*member]bool)}
	members := r.meet(ctx, listed[:min(len(listed), probed)])
	defer leave(members)
	for _, m := range members {
		// That Outpost can read itself, or cannot, tells nothing of others.
		if !m.gone && m.Container.PID != 0 && !m.process.own && !m.Container.Sandboxed && m.Container.ID != r.SelfContainer {
			p.subjects = append(p.subjects, m)
			p.unread[m] = true
		}
	}
	var findings ProbeResult
	for _, method := range c.Methods {
		findings.Methods = append(findings.Methods, p.report(ctx, method))
	}
	findings.CgroupProblem = p.ownersByCgroup(ctx, findings.Methods)
	return findings, nil
}

// probe is a probe under way.
type probe struct {
	*round
	subjects []*member
	unread   map[*member]bool // by the methods that were tried
}

func (p *probe) report(ctx context.Context, method Method) MethodStatus {
	report := MethodStatus{Method: method}
	for _, m := range p.subjects {
		if method == Exec && (!p.unread[m] || report.Works > 0 || report.Tried == probedByCommand || executable(m) != nil) {
			continue
		}
		_, err := p.by(ctx, method, []*member{m})
		if ended(err) {
			continue // which tells nothing
		}
		report.Tried++
		if err == nil {
			report.Works++
			delete(p.unread, m)
		} else {
			report.lacks(err)
		}
	}
	switch {
	case report.Tried > 0:
	case method == Exec:
		report.NotNeeded = len(p.subjects) > 0 && len(p.unread) == 0
	default:
		if err := p.tryInit(ctx, method); err != nil {
			report.lacks(err)
		}
	}
	return report
}

func (r *MethodStatus) lacks(err error) {
	var e *explainedError
	general := errors.As(err, &e) && e.general
	if r.Problem == (Problem{}) || general && !r.HostWide {
		r.Problem, r.HostWide = problemOf(err), general
	}
}

func (p *probe) tryInit(ctx context.Context, method Method) error {
	process, err := p.Proc.Init()
	if err != nil {
		return p.explained(err)
	}
	defer func() { _ = process.Close() }()
	_, err = p.tablesOf(ctx, method, process)
	return err
}

// ownersByCgroup returns why the makers of sockets cannot be told by cgroup; empty if they can.
func (p *probe) ownersByCgroup(ctx context.Context, reports []MethodStatus) string {
	if len(p.subjects) == 0 {
		return "no container runs in which to look"
	}
	netlink := false
	for _, report := range reports {
		netlink = netlink || report.Method == Sockdiag && report.Works > 0
	}
	missing := ""
	for _, m := range p.subjects {
		var untold error
		err := p.withProcess(ctx, m, func(process *hostproc.Process) error {
			_, untold = process.CgroupIDs(p.CgroupFS, m.Container.ID)
			return nil
		})
		switch {
		case err != nil:
			missing = problemOf(err).Reason
		case untold != nil:
			missing = untold.Error()
		case netlink || p.uses(Sockdiag) && m.process.seen() && m.Container.Network.Host() && m.process.process.Namespace() == p.self():
			return ""
		default:
			missing = "cgroups are told by netlink alone: it takes --network host, or what sockdiag lacks"
		}
	}
	return missing
}

// String says it in a few words.
func (r MethodStatus) String() string {
	switch {
	case r.NotNeeded:
		return "not needed"
	case r.Tried == 0 && r.Problem == Problem{}:
		return "seems to work; no container runs to try it on"
	case r.Works == r.Tried && r.Tried > 0:
		return "works"
	case r.Works > 0:
		return fmt.Sprintf("works for %d of %d containers; else %s", r.Works, r.Tried, r.Problem.Reason)
	}
	return "does not work: " + r.Problem.Reason
}
