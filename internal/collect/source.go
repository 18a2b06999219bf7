package collect

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// source implements one Method of reading socket tables. The section "Adding a source" of README.md lists the steps to add one.
type source interface {
	Method() Method
	// Read returns the tables of the network namespace that all targets are in, read through any of them. The tables
	// are partial if the error is not nil. Read sets tablesErr of each target through which it failed.
	Read(ctx context.Context, p *pass, targets []*target) (tables, error)
}

// processSource is a source that needs a process of the container in the host's /proc. To the probe, every
// other source runs a command.
type processSource interface {
	source
	// ReadProcess returns the tables of the process's network namespace, up to quota.
	ReadProcess(ctx context.Context, p *pass, process *hostproc.Process, quota *socket.Quota) (tables, error)
}

// allSources lists all sources, the best first.
var allSources = []source{sockdiagSource{}, procfsSource{}, execSource{}}

// selfSources are tried on Outpost's own container if only commands may be used. Its own /proc shows the same tables
// without a command.
var selfSources = []source{procfsSource{}, execSource{}}

// sourcesFor returns the sources of methods in their order.
func sourcesFor(methods []Method) []source {
	var sources []source
	for _, method := range methods {
		for _, s := range allSources {
			if s.Method() == method {
				sources = append(sources, s)
			}
		}
	}
	return sources
}

// uses reports whether a method may be used.
func (c *Collector) uses(method Method) bool { return slices.Contains(c.Methods, method) }

// usesProcesses reports whether a method may be used that reads the host's /proc.
func (c *Collector) usesProcesses() bool {
	return slices.ContainsFunc(c.sources, func(s source) bool { _, ok := s.(processSource); return ok })
}

// tables is what a source read of a network namespace.
type tables struct {
	sockets  []socket.Socket
	problems []Problem // of the tables, whichever target they were read through
	// addresses are those of the namespace, if the source reads them beside the tables.
	addresses []netip.Addr
	quota     *socket.Quota // of sockets
	udpUnread string        // why UDP sockets are missing
}

// release returns the room of tables that are not kept.
func (t tables) release() { t.quota.Release() }

func newTables(decoded procnet.Table, quota *socket.Quota) tables {
	read := tables{sockets: slices.Clone(decoded.Sockets), addresses: decoded.Addresses, quota: quota}
	if decoded.Malformed > 0 {
		read.problems = []Problem{{
			Reason: "rows of the socket table cannot be decoded",
			Detail: fmt.Sprintf("%d of %d; %v", decoded.Malformed, decoded.Malformed+len(decoded.Sockets), decoded.FirstMalformed),
		}}
	}
	return read
}

// readThroughProcess reads by s through one target after another until one succeeds.
func readThroughProcess(ctx context.Context, p *pass, s processSource, targets []*target) (best tables, firstErr error) {
	for _, t := range targets {
		var read tables
		err := p.withProcess(ctx, t, func(process *hostproc.Process) (err error) {
			read, err = s.ReadProcess(ctx, p, process, p.newQuota(targets))
			return err
		})
		if err == nil {
			return read, nil
		}
		t.tablesErr = err
		if firstErr == nil {
			firstErr = err
		}
		best = best.larger(read)
	}
	return best, firstErr
}

// larger returns the tables with more sockets, and releases the others.
func (t tables) larger(other tables) tables {
	if len(other.sockets) > len(t.sockets) {
		t, other = other, t
	}
	other.release()
	return t
}
