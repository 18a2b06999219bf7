package collect

import (
	"context"
	"slices"
	"time"
)

// read reads a network namespace and, if it is shared, the owners of its sockets. The tables come first: a socket in
// them without an owner was closed meanwhile. In the other order, a new connection would seem to have no owner.
func (p *pass) read(ctx context.Context, n *netnsRead) {
	if n.method == None { // else readCheaply has read them
		p.readTables(ctx, n)
	}
	p.readAddresses(ctx, n)
	if n.Shared {
		inParallel(n.targets, func(t *target) { p.readOwners(ctx, t) })
	}
}

// readCheaply reads the tables of a network namespace of one container, if that needs no full dump. It reports whether nothing else is left
// to read.
func (p *pass) readCheaply(ctx context.Context, n *netnsRead) bool {
	if n.Shared || len(n.targets) != 1 || !n.targets[0].process.visible() || p.sourcesOf(n)[0].Method() != Sockdiag {
		return false
	}
	quota := p.newQuota(n.targets)
	read, ok := p.queryCheaply(ctx, n.targets[0].process.process, quota)
	if !ok {
		return false
	}
	p.addQuotaProblem(&read)
	n.keepBest(Sockdiag, read, nil)
	return p.knowsAddresses(n, n.targets[0])
}

// readTables reads the tables by the best method that works through any target.
func (p *pass) readTables(ctx context.Context, n *netnsRead) {
	n.err = errNoProcess
	for _, s := range p.sourcesOf(n) {
		method := s.Method()
		read, err := s.Read(ctx, p, n.targets)
		p.addQuotaProblem(&read)
		if n.keepBest(method, read, err); err == nil {
			return
		}
		if p.uses(method) && !isExited(err) {
			n.unused = append(n.unused, UnusedMethod{Method: method, Problem: toProblem(err)})
		}
	}
	n.unused = slices.DeleteFunc(n.unused, func(s UnusedMethod) bool { return s.Method == n.method }) // its tables are used, even if they are partial
}

// keepBest keeps tables that are complete, or that have more sockets than those of earlier methods.
func (n *netnsRead) keepBest(method Method, read tables, err error) {
	n.err = err
	if err != nil && len(read.sockets) <= len(n.Sockets) {
		read.release()
		return
	}
	n.quota.Release()
	n.method, n.Sockets, n.problems, n.ReadAt = method, read.sockets, read.problems, time.Now()
	n.Addresses, n.quota = read.addresses, read.quota
	n.Truncated, n.UDPUnread = read.quota.Exceeded(), read.udpUnread
}

// sourcesOf returns the sources to try on a network namespace.
func (p *pass) sourcesOf(n *netnsRead) []source {
	for _, t := range n.targets {
		if t.process.self && t.process.visible() && !p.usesProcesses() {
			return selfSources
		}
	}
	return p.sources
}
