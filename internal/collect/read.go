package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/socket"
)

// read reads a namespace and, where it matters, whose its sockets are. The tables come first: a socket in them that
// later has no owner was closed meanwhile, whereas the other way round a new connection would be taken for nobody's.
func (r *round) read(ctx context.Context, n *namespace) {
	r.readTables(ctx, n)
	if n.Shared {
		inParallel(n.members, func(m *member) { r.readOwners(ctx, m) })
	}
}

// readTables reads the tables of a namespace by the best method that works through any of its members.
func (r *round) readTables(ctx context.Context, n *namespace) {
	n.err = errNoProcess
	for _, method := range r.methodsFor(n) {
		got, err := r.by(ctx, method, n.members)
		if n.keep(method, got, err); err == nil {
			return
		}
		if r.uses(method) && !ended(err) {
			n.unused = append(n.unused, Skipped{Method: method, Problem: problemOf(err)})
		}
	}
	n.unused = slices.DeleteFunc(n.unused, func(u Skipped) bool { return u.Method == n.method }) // it is, as far as it goes
}

// keep keeps what was read if nothing better was before.
func (n *namespace) keep(method Method, got tables, err error) {
	n.err = err
	if err == nil || len(got.sockets) > len(n.Sockets) {
		n.method, n.Sockets, n.problems = method, got.sockets, got.problems
	}
}

// methodsFor returns the methods that may be used. In Outpost's own container nothing is run: its own /proc tells as
// much.
func (r *round) methodsFor(n *namespace) []Method {
	for _, m := range n.members {
		if m.process.own && m.process.seen() && !r.uses(Procfs) && !r.uses(Sockdiag) {
			return []Method{Procfs, Exec}
		}
	}
	return r.Methods
}

// by reads tables by one method, through one member after the other until one can be used. Beside an error there may
// be a part of them.
func (r *round) by(ctx context.Context, method Method, members []*member) (tables, error) {
	if method == Exec {
		return r.byCommand(ctx, members)
	}
	var best tables
	var firstErr error
	for _, m := range members {
		var got tables
		err := r.withProcess(ctx, m, func(p *hostproc.Process) (err error) {
			got, err = r.tablesOf(ctx, method, p)
			return err
		})
		if err == nil {
			return got, nil
		}
		m.tablesErr = err
		firstErr = first(firstErr, err)
		if len(got.sockets) > len(best.sockets) {
			best = got
		}
	}
	return best, firstErr
}

func (r *round) tablesOf(ctx context.Context, method Method, p *hostproc.Process) (tables, error) {
	if method == Sockdiag {
		return r.dump(ctx, p)
	}
	return r.copyTables(p)
}

// dump asks the kernel for the sockets of the process's namespace. Outpost's own need not be entered.
func (r *round) dump(ctx context.Context, p *hostproc.Process) (tables, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	var namespace *os.File
	if p.Namespace() != r.self() {
		var err error
		namespace, err = p.NetNS()
		if errors.Is(err, fs.ErrPermission) {
			return tables{}, r.lacks("to enter its network namespace", err, hostproc.SysPtrace, hostproc.SysAdmin)
		}
		if err != nil { // whose words name the process, which may be another the next time
			return tables{}, fmt.Errorf("entering its network namespace: %w", err)
		}
		defer func() { _ = namespace.Close() }()
	}
	sockets, err := r.ask(ctx, p, namespace)
	switch {
	case errors.Is(err, sockdiag.ErrTooMany):
		return tables{sockets: sockets, problems: []Problem{{Reason: "the network namespace has " + sockdiag.ErrTooMany.Error()}}}, nil
	case errors.Is(err, unix.EPERM):
		return tables{}, r.lacks("to enter its network namespace", err, hostproc.SysAdmin)
	case errors.Is(err, sockdiag.ErrUnsupported):
		return tables{}, &explainedError{general: true, Problem: Problem{Reason: sockdiag.ErrUnsupported.Error(), Detail: err.Error()}}
	}
	return tables{sockets: sockets}, err
}

// ask asks the kernel for listeners and, unless it counts as many sockets as these are, for all: a walk through its
// table of the connections of all namespaces takes a thousand times as long. The count is taken before and after, so
// that a listener that comes or goes meanwhile does not stand for a connection.
func (r *round) ask(ctx context.Context, p *hostproc.Process, namespace *os.File) ([]socket.Socket, error) {
	count, known := p.Count()
	if known && count == 0 {
		return nil, nil
	}
	conn, err := sockdiag.Open(ctx, namespace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if known {
		listening, err := conn.Listening()
		if err != nil {
			return nil, err
		}
		if again, known := p.Recount(); known && len(listening) == count && again == count {
			return listening, nil
		}
	}
	return conn.All(r.withTCPInfo)
}

// copyTables decodes the tables that the host's /proc shows of the process.
func (r *round) copyTables(p *hostproc.Process) (tables, error) {
	decoder := r.decoders.Get().(*procnet.Decoder) //nolint:errcheck // it holds nothing else
	defer r.decoders.Put(decoder)
	decoder.Reset()
	err := p.Tables(decoder)
	if errors.Is(err, hostproc.ErrTooLong) {
		decoder.DropRest()
		read := tablesIn(decoder.Table())
		read.problems = append(read.problems, Problem{Reason: err.Error()})
		return read, nil
	}
	if err != nil {
		err = fmt.Errorf("reading of the host's /proc: %w", err)
	}
	return tablesIn(decoder.Table()), err
}

// lacks is the error of something that Outpost is not permitted.
func (r *round) lacks(purpose string, err error, needed ...hostproc.Capability) error {
	return &explainedError{general: true, Problem: Problem{Reason: r.capabilities().Lack(needed...) + " " + purpose, Detail: err.Error()}}
}
