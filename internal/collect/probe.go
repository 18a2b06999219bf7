package collect

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// Report says of a method whether it works here.
type Report struct {
	Method Method
	// Works and Tried count containers; none were tried if none runs.
	Works, Tried int
	// Missing says what the first one lacks that it did not work for.
	Missing Problem
}

// Findings are what a probe found.
type Findings struct {
	// Reports are those of the methods that may be used but for Exec, the best first: whether that works only a
	// command would tell.
	Reports []Report
	// OwnersByCgroup is empty if the cgroup of a socket can be told to be a container's, or says why not.
	OwnersByCgroup string
}

// probed is how many containers a probe tries.
const probed = 20

// Probe tries each method but Exec on running containers or, if there are none or the engine does not answer, on
// process 1.
func (c *Collector) Probe(ctx context.Context) Findings {
	listed, err := c.list(ctx)
	if err != nil {
		listed = nil
	}
	listed = slices.DeleteFunc(slices.Clone(listed), func(s container.Summary) bool {
		return s.ID == c.Self // that Outpost can read itself, or cannot, tells nothing of others
	})
	r := newRound(c, listed, Plain)
	subjects := r.subjects(ctx, listed[:min(len(listed), probed)])
	var findings Findings
	for _, method := range c.Methods {
		if method != Exec {
			findings.Reports = append(findings.Reports, r.report(ctx, method, subjects))
		}
	}
	findings.OwnersByCgroup = r.cgroupsTold(ctx, subjects)
	return findings
}

// subjects are the containers that have a process in which a method may be tried.
func (r *round) subjects(ctx context.Context, listed []container.Summary) []container.Container {
	inspected := make([]container.Container, len(listed))
	var group sync.WaitGroup // bounded by the slots of pending
	for i, summary := range listed {
		group.Go(func() { inspected[i], _ = r.inspect(ctx, summary.ID) }) // a collection will say what is wrong
	}
	group.Wait()
	var subjects []container.Container
	for _, c := range inspected {
		if c.PID != 0 && !c.Sandboxed {
			subjects = append(subjects, c)
		}
	}
	return subjects
}

func (r *round) report(ctx context.Context, method Method, subjects []container.Container) Report {
	report := Report{Method: method}
	for _, c := range subjects {
		_, err := r.tablesBy(ctx, method, c)
		if outdated(err) {
			continue // it ended or was started anew meanwhile, which tells nothing
		}
		report.Tried++
		switch {
		case err == nil:
			report.Works++
		case report.Missing == Problem{}:
			report.Missing = problemOf(err)
		}
	}
	if report.Tried == 0 {
		if err := r.tryInit(ctx, method); err != nil {
			report.Missing = problemOf(err)
		}
	}
	return report
}

func (r *round) tryInit(ctx context.Context, method Method) error {
	process, err := r.Proc.Init()
	if err != nil {
		return r.explained(err)
	}
	defer func() { _ = process.Close() }()
	if method == Sockdiag {
		_, err = r.dump(ctx, process)
	} else {
		_, err = r.copyTables(process)
	}
	return err
}

func (r *round) cgroupsTold(ctx context.Context, subjects []container.Container) string {
	missing := "no container runs in which to look"
	for _, c := range subjects {
		var untold error
		err := r.withProcess(ctx, c, func(p *hostproc.Process) error {
			_, untold = p.CgroupIDs(r.CgroupFS, c.ID)
			return nil
		})
		switch {
		case err != nil:
			missing = problemOf(err).Reason
		case untold != nil:
			missing = untold.Error()
		default:
			return ""
		}
	}
	return missing
}

// String says it in a few words.
func (r Report) String() string {
	switch {
	case r.Tried == 0 && r.Missing == Problem{}:
		return "seems to work; no container runs to try it on"
	case r.Works == r.Tried && r.Tried > 0:
		return "works"
	case r.Works > 0:
		return fmt.Sprintf("works for %d of %d containers; else %s", r.Works, r.Tried, r.Missing.Reason)
	}
	return "does not work: " + r.Missing.Reason
}
