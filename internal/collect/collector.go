// Package collect reads the socket tables of all running containers: through netlink or the host's /proc if Outpost has
// the rights, else through a command in each container.
package collect

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PabloL007/outpost/internal/callpool"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// Inventory lists and inspects the engine's containers.
type Inventory interface {
	// Containers lists the running containers.
	Containers(ctx context.Context) ([]container.Summary, error)
	// Events counts the engine's events. A change means that the list may have changed.
	Events() uint64
	// Inspect returns a container, by ID or name, or container.ErrNotFound. The answer may be cached.
	Inspect(ctx context.Context, id string) (container.Container, error)
	// Cached is Inspect without a call. It returns false if only the engine knows the container.
	Cached(id string) (container.Container, bool)
	// Refresh is Inspect without a cached answer.
	Refresh(ctx context.Context, id string) (container.Container, error)
}

// Engine runs commands in containers.
type Engine interface {
	// Exec runs a command in a container, writes its output to stdout and stderr, and returns its exit code.
	Exec(ctx context.Context, id string, command []string, stdout, stderr io.Writer) (int, error)
}

// Options configure a Collector.
type Options struct {
	// Methods may be used, in order of preference. Empty: all methods, the best first.
	Methods []Method
	// Proc is a /proc. It may turn out not to be the host's.
	Proc hostproc.FS
	// CgroupFS is the mount point of cgroup v2.
	CgroupFS string
	// SelfContainer is the ID of Outpost's own container. A command runs there only if its own /proc cannot be read.
	// Empty: Outpost runs in none.
	SelfContainer string
	// Workers is how many containers are read at once.
	Workers int
	// Timeout bounds each call about a container.
	Timeout time.Duration
	// MaxSockets is how many sockets a pass may hold at once. MemoryLimit is why, in bytes. Zero: no bound.
	MaxSockets  int
	MemoryLimit int64
	// Differed, if not nil, is called if sockets have changed without a sign in the kernel's counters and events. It must not block.
	Differed func()
}

const (
	// listTimeout bounds the call that lists the containers.
	listTimeout = 10 * time.Second
	// maxPasses bounds the passes of one collection. A pass is repeated if a container ended or restarted meanwhile, or if another one
	// joined a network namespace or has sockets there.
	maxPasses = 3
	// retryDelay is the pause before the next pass, in which the engine notices the change.
	retryDelay = 50 * time.Millisecond
)

// Collector reads the containers of one engine. It is safe for concurrent use.
type Collector struct {
	Options
	inventory        Inventory
	sources          []source // of Methods
	recheckOperation string   // names this collector's recheckedError marks in the failure cache
	pool             *callpool.Pool
	runner           *runner
	scan             *netnsScan
	cgroups          *cgroupCache
	decoders         *decoderPool
	addresses        *addressCache
	kept             *keptProcesses
	lacksUDPDiag     *atomic.Bool // the kernel cannot dump UDP sockets
	hostProcVerified atomic.Bool  // Proc showed a container's process, so the engine's PIDs are valid in it
}

// New returns a collector. Calls that outlast a request are cancelled when lifetime ends. The caller must call Close.
func New(lifetime context.Context, inventory Inventory, engine Engine, options Options) *Collector {
	if options.Differed == nil {
		options.Differed = func() {}
	}
	decoders := newDecoderPool(options.MaxSockets)
	pool := callpool.New(lifetime, options.Workers)
	sources := allSources
	if len(options.Methods) > 0 {
		sources = sourcesFor(options.Methods)
	}
	c := &Collector{
		Options:   options,
		inventory: inventory,
		pool:      pool,
		runner:    &runner{engine: engine, failures: pool.Failures, decoders: decoders},
		scan:      &netnsScan{},
		cgroups:   &cgroupCache{isV2: hostproc.IsCgroupV2(options.CgroupFS), unlisted: make(map[string]unlistedState)},
		decoders:  decoders,
		addresses: &addressCache{entries: make(map[addressKey]netnsAddresses)},
		kept:      newKeptProcesses(options.MaxSockets),

		lacksUDPDiag: new(atomic.Bool),
	}
	return c.setSources(sources)
}

// WithMethods returns a collector restricted to methods. It shares calls in flight, known failures and lifetime with c,
// and is closed with it.
func (c *Collector) WithMethods(methods ...Method) *Collector {
	restricted := &Collector{
		Options: c.Options, inventory: c.inventory, pool: c.pool, runner: c.runner, scan: c.scan, cgroups: c.cgroups, decoders: c.decoders,
		addresses: c.addresses, kept: c.kept, lacksUDPDiag: c.lacksUDPDiag,
	}
	return restricted.setSources(sourcesFor(methods))
}

func (c *Collector) setSources(sources []source) *Collector {
	c.sources = sources
	c.Methods = make([]Method, len(c.sources))
	for i, s := range c.sources {
		c.Methods[i] = s.Method()
	}
	c.recheckOperation = fmt.Sprint("recheck with ", c.Methods)
	return c
}

// Close cancels the calls in flight and waits for them until ctx ends. It closes what is kept open of containers.
func (c *Collector) Close(ctx context.Context) error {
	err := c.pool.Close(ctx)
	c.kept.close()
	return err
}

// Following sets whether the caller reports each container that ends to Changed. Only while it does, the collector keeps
// files and sockets open that keep network namespaces alive.
func (c *Collector) Following(following bool) { c.kept.setFollowing(following) }

// Changed reports that the container with an ID may have ended or restarted. The collector closes what it keeps of it.
func (c *Collector) Changed(id string) { c.kept.drop(id) }

// HearEnds sets what hears the ends of sockets, or nil. As long as it hears none of a container, and the kernel counts as many sockets, the
// collector does not dump them again.
func (c *Collector) HearEnds(endsIn EndsIn) {
	if endsIn == nil {
		c.kept.endsIn.Store(nil)
		return
	}
	c.kept.endsIn.Store(&endsIn)
}

// Collect reads all running containers. With withTCPInfo, sockets have their tcp_info if the method reports it. An
// error means that the engine did not list the containers. The failure of one container is a Problem of its Reading.
func (c *Collector) Collect(ctx context.Context, withTCPInfo bool) (Result, error) {
	for n := 1; ; n++ {
		result, outdated, err := c.collectOnce(ctx, withTCPInfo, n == maxPasses)
		if err != nil || !outdated {
			return result, err
		}
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
		}
	}
}

// collectOnce makes one pass. outdated reports that the inventory's answers were out of date. It is false in
// the last pass.
func (c *Collector) collectOnce(ctx context.Context, withTCPInfo, last bool) (result Result, outdated bool, err error) {
	listed, err := c.list(ctx)
	if err != nil {
		return Result{}, false, err
	}
	events := c.inventory.Events()
	c.addresses.expire()
	p := newPass(c, listed, withTCPInfo)
	targets := p.inspectAll(ctx, listed)
	defer p.closeProcesses(targets)
	host := p.readAll(ctx, groupByNetNS(targets))
	p.reportOtherNetNS(ctx, targets)
	outdated = p.recheckFailures(ctx, targets, last) || !last && p.hasNewMember(ctx, listed, events)
	if !outdated {
		outdated = p.dropUnlisted(ctx, host, targets) && !last
	}
	if err := ctx.Err(); err != nil {
		return Result{}, false, fmt.Errorf("collect: %w", err)
	}
	result = newResult(targets)
	result.Host = host
	result.Addresses, result.AddressesErr = p.hostAddresses(targets)
	return result, outdated, nil
}

// inParallel calls do for all items at once and waits. The slots of the pool bound what takes long.
func inParallel[T any](items []T, do func(T)) {
	var group sync.WaitGroup
	for _, item := range items {
		group.Go(func() { do(item) })
	}
	group.Wait()
}

// skipDone calls do for all items, and returns those for which it returns false. do must not block: unlike inParallel this starts no
// goroutine for each item.
func skipDone[T any](items []T, do func(T) bool) (rest []T) {
	rests := make([][]T, runtime.GOMAXPROCS(0))
	share := (len(items) + len(rests) - 1) / len(rests)
	var group sync.WaitGroup
	for i := range rests {
		group.Go(func() {
			for _, item := range items[min(i*share, len(items)):min((i+1)*share, len(items))] {
				if !do(item) {
					rests[i] = append(rests[i], item)
				}
			}
		})
	}
	group.Wait()
	return slices.Concat(rests...)
}

// list lists the running containers, and forgets failures of all others.
func (c *Collector) list(ctx context.Context) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := c.inventory.Containers(ctx)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(listed))
	for _, summary := range listed {
		ids[summary.ID] = true
	}
	c.pool.Failures.Retain(ids)
	c.kept.retain(ids)
	return listed, nil
}
