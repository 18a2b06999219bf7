package collect

import (
	"context"
	"slices"
	"sync"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/socket"
)

// HostNetNS is the host's own network namespace.
type HostNetNS struct {
	*NetNS
	Method Method // Sockdiag or Procfs
	// Incomplete means that sockets are missing.
	Incomplete bool
	// Apart means that it was not read together with the owners of its sockets, so these may be older.
	Apart bool
	// Closed are the inodes of sockets that closed while the owners were being read. Such a socket seems to have no owner.
	Closed map[uint64]bool
}

// readAll reads all network namespaces at once. It also reads the host's own, unless it is one of them. It returns nil for the
// host's if that cannot be read. A command in a container does not count: the container could invent sockets of the host.
func (p *pass) readAll(ctx context.Context, namespaces []*netnsRead) *HostNetNS {
	i := slices.IndexFunc(namespaces, (*netnsRead).isHost)
	var host *HostNetNS
	var group sync.WaitGroup
	if i < 0 {
		group.Go(func() { host = p.readHost(ctx) })
	}
	inParallel(p.skipCheap(ctx, namespaces), func(n *netnsRead) { p.read(ctx, n) })
	group.Wait()
	if i < 0 {
		return host
	}
	if n := namespaces[i]; n.method == Sockdiag || n.method == Procfs {
		return p.checkClosed(ctx, n)
	}
	if host = p.readHost(ctx); host != nil {
		host.Apart = true
	}
	return host
}

// skipCheap reads the network namespaces that take microseconds, and returns the others.
func (p *pass) skipCheap(ctx context.Context, namespaces []*netnsRead) (rest []*netnsRead) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	return skipDone(namespaces, func(n *netnsRead) bool { return p.readCheaply(ctx, n) })
}

// isHost reports whether n is the host's own network namespace and not that of a sandbox.
func (n *netnsRead) isHost() bool {
	return n.Host && slices.ContainsFunc(n.targets, func(t *target) bool { return !t.Container.Sandboxed })
}

func (n *netnsRead) asHost() *HostNetNS {
	return &HostNetNS{NetNS: &n.NetNS, Method: n.method, Incomplete: n.err != nil || len(n.problems) > 0}
}

// checkClosed finds the sockets of the host that closed while descriptors were being read. They are missing in a second table.
// With cgroups the kernel lists the owner beside the socket.
func (p *pass) checkClosed(ctx context.Context, n *netnsRead) *HostNetNS {
	host := n.asHost()
	if !slices.ContainsFunc(n.targets, func(t *target) bool { return t.Owned != nil && !t.Owned.ByCgroup }) {
		return host
	}
	sources := p.sourcesOf(n)
	source := sources[slices.IndexFunc(sources, func(s source) bool { return s.Method() == n.method })]
	again, err := source.Read(ctx, p, n.targets)
	defer again.release()
	if err != nil || again.quota.Exceeded() {
		host.Apart = true
		return host
	}
	host.Closed = closedInodes(host.Sockets, again.sockets)
	return host
}

// closedInodes returns the inodes of sockets that are missing in a later table.
func closedInodes(sockets, later []socket.Socket) map[uint64]bool {
	open, closed := make(map[uint64]bool, len(later)), make(map[uint64]bool)
	for _, s := range later {
		open[s.Inode] = true
	}
	for _, s := range sockets {
		if s.Inode != 0 && !open[s.Inode] {
			closed[s.Inode] = true
		}
	}
	return closed
}

// readHost reads the host's own network namespace through one of the host's processes.
func (p *pass) readHost(ctx context.Context) *HostNetNS {
	process, err := p.hostProcess()
	if err != nil {
		return nil
	}
	defer func() { _ = process.Close() }()
	n := &netnsRead{NetNS: NetNS{ID: hostKey, Host: true, Shared: true}, method: None}
	for _, s := range p.sources {
		if s, ok := s.(processSource); ok {
			read, err := p.readThrough(ctx, s, process)
			p.addQuotaProblem(&read)
			if n.keepBest(s.Method(), read, err); err == nil {
				break
			}
		}
	}
	if n.method == None {
		return nil
	}
	return n.asHost()
}

func (p *pass) readThrough(ctx context.Context, s processSource, process *hostproc.Process) (tables, error) {
	release, err := p.pool.Acquire(ctx)
	if err != nil {
		return tables{}, err
	}
	defer release()
	return s.ReadProcess(ctx, p, process, p.sockets.Quota(1))
}

// hostProcess opens a process in the host's own network namespace: Outpost's own if that runs in no container, else PID 1. Both
// are known to be the host's only if Proc has shown a process of the engine's containers.
func (p *pass) hostProcess() (*hostproc.Process, error) {
	switch {
	case !p.usesProcesses() || !p.hostProcVerified.Load():
		return nil, errNotUsed
	case p.SelfContainer == "":
		return p.Proc.Self()
	}
	return p.Proc.Init()
}
