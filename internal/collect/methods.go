package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/sockdiag"
)

// readTables reads the tables of the container's network namespace by the best method that works. Beside an error
// there may be a part of them.
func (r *round) readTables(ctx context.Context, c container.Container) (tables, error) {
	var read tables
	var unused []Unused
	err := error(errNoProcess)
	for _, method := range r.methodsFor(c) {
		read, err = r.tablesBy(ctx, method, c)
		read.method = method
		if err == nil || outdated(err) { // what is outdated is read again, and no command is run for it
			break
		}
		unused = append(unused, Unused{Method: method, Problem: problemOf(err)})
	}
	read.unused = unused
	return read, err
}

// methodsFor returns the methods that may be used for c. In Outpost's own container nothing is run: its own /proc
// tells as much.
func (r *round) methodsFor(c container.Container) []Method {
	if r.isSelf(c) && len(r.Methods) == 1 && r.Methods[0] == Exec {
		return []Method{Procfs}
	}
	return r.Methods
}

func (r *round) tablesBy(ctx context.Context, method Method, c container.Container) (read tables, err error) {
	switch method {
	case Sockdiag:
		err = r.withProcess(ctx, c, func(p *hostproc.Process) error {
			read, err = r.dump(ctx, p)
			return err
		})
	case Procfs:
		err = r.withProcess(ctx, c, func(p *hostproc.Process) error {
			read, err = r.copyTables(p)
			return err
		})
	default:
		read, err = r.execute(ctx, c)
	}
	return read, err
}

// dump asks the kernel for the sockets of the process's namespace. Outpost's own need not be entered.
func (r *round) dump(ctx context.Context, p *hostproc.Process) (tables, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	var namespace *os.File
	if p.Namespace() != r.ownNamespace() {
		var err error
		namespace, err = p.NetNS()
		if errors.Is(err, fs.ErrPermission) {
			return tables{}, missing("CAP_SYS_PTRACE", "to reach its network namespace", err)
		}
		if err != nil {
			return tables{}, err
		}
		defer func() { _ = namespace.Close() }()
	}
	sockets, err := sockdiag.Dump(ctx, namespace, bool(r.detail))
	switch {
	case errors.Is(err, sockdiag.ErrTooMany):
		return tables{sockets: sockets, problems: []Problem{{Reason: "the network namespace has " + sockdiag.ErrTooMany.Error()}}}, nil
	case errors.Is(err, unix.EPERM):
		return tables{}, missing("CAP_SYS_ADMIN", "to enter its network namespace", err)
	}
	return tables{sockets: sockets}, err
}

// copyTables decodes the tables that the host's /proc shows of the process.
func (r *round) copyTables(p *hostproc.Process) (tables, error) {
	decoder := r.decoders.Get().(*procnet.Decoder) //nolint:errcheck // it holds nothing else
	defer r.decoders.Put(decoder)
	decoder.Reset()
	err := p.Tables(decoder)
	if errors.Is(err, hostproc.ErrTooLong) {
		decoder.DropRest()
		read := tablesOf(decoder.Table())
		read.problems = append(read.problems, Problem{Reason: err.Error()})
		return read, nil
	}
	return tablesOf(decoder.Table()), err
}

// execute runs a command in the container, unless that cannot be.
func (r *round) execute(ctx context.Context, c container.Container) (tables, error) {
	if err := executable(c); err != nil {
		return tables{}, err
	}
	return await(ctx, r.pending, r.Timeout, call{kindExec, c.ID}, func(ctx context.Context) (tables, error) {
		return r.executor.tables(ctx, c)
	})
}

func executable(c container.Container) error {
	if c.State == container.Paused {
		return &explainedError{Problem: Problem{Reason: "the container is paused: nothing can be run in it"}}
	}
	return nil
}

// ownNamespace is Outpost's network namespace; no other has the zero value.
func (c *Collector) ownNamespace() hostproc.Namespace {
	self, err := c.Proc.Self()
	if err != nil {
		return hostproc.Namespace{}
	}
	defer func() { _ = self.Close() }()
	return self.Namespace()
}

// missing is the error of something for which Outpost lacks a capability.
func missing(capability, purpose string, err error) error {
	return &explainedError{Problem: Problem{Reason: fmt.Sprintf("%s is missing %s", capability, purpose), Detail: err.Error()}}
}
