// Package collect reads the socket tables of running containers: by netlink or from the host's /proc where it may, by
// a command in the container where it must.
package collect

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
)

// Inventory is what a Collector asks of the containers that there are.
type Inventory interface {
	// Containers lists the running containers.
	Containers(ctx context.Context) ([]container.Summary, error)
	// Inspect returns one container, by ID or name, or container.ErrNotFound. The answer may have been kept.
	Inspect(ctx context.Context, id string) (container.Container, error)
	// Refresh is Inspect whose answer is new.
	Refresh(ctx context.Context, id string) (container.Container, error)
}

// Engine runs commands in containers.
type Engine interface {
	// Exec runs a command in a container, hands on what it prints and returns its exit code.
	Exec(ctx context.Context, id string, command []string, stdout, stderr io.Writer) (int, error)
}

// Options say how a Collector collects.
type Options struct {
	// Methods are those that may be used, the best first; all of them if there are none.
	Methods []Method
	// Proc is the host's /proc, or what may turn out to be it.
	Proc hostproc.Root
	// CgroupFS is where cgroup v2 is mounted.
	CgroupFS string
	// SelfContainer is the container of Outpost itself, in which nothing is run. Empty if it runs in none.
	SelfContainer string
	// Workers is how many containers are read at once, and Timeout how long each answer of the engine about a
	// container is waited for.
	Workers int
	Timeout time.Duration
}

const (
	// listTimeout bounds the call that lists the containers.
	listTimeout = 10 * time.Second
	// rounds bounds how often a collection starts over because a container ended or was started anew meanwhile, and
	// roundPause is how long the engine then has to notice.
	rounds     = 3
	roundPause = 50 * time.Millisecond
)

// Collector collects from the containers of one engine. It may be used by several goroutines at once.
type Collector struct {
	Options
	inventory Inventory
	pending   *pending
	failures  *failures
	settled   *settled
	executor  *executor
	decoders  *sync.Pool  // of *procnet.Decoder: their buffers grow to the size of the tables once
	inSight   atomic.Bool // the process of some container was seen in Proc, so that the engine's numbers mean something there
}

// New returns a collector. life is for calls that outlast the request for which they were made. The collector must be
// closed.
func New(life context.Context, inventory Inventory, engine Engine, options Options) *Collector {
	if len(options.Methods) == 0 {
		options.Methods = []Method{Sockdiag, Procfs, Exec}
	}
	decoders := &sync.Pool{New: func() any {
		// The kernel is the engine's; that it has Outpost's own byte order is taken for granted.
		return procnet.NewDecoder(binary.NativeEndian)
	}}
	failures := newFailures(time.Now)
	return &Collector{
		Options:   options,
		inventory: inventory,
		pending:   newPending(life, options.Workers),
		failures:  failures,
		settled:   newSettled(),
		executor:  &executor{engine: engine, failures: failures, decoders: decoders},
		decoders:  decoders,
	}
}

// WithMethods returns a collector that uses no other methods than these. It makes no call that hangs with c already, and is closed
// with it.
func (c *Collector) WithMethods(methods ...Method) *Collector {
	options := c.Options
	options.Methods = methods
	return &Collector{
		Options: options, inventory: c.inventory, pending: c.pending, failures: c.failures, settled: newSettled(), executor: c.executor, decoders: c.decoders,
	}
}

// Close ends the calls to the engine that are still under way and waits for them, no longer than ctx.
func (c *Collector) Close(ctx context.Context) error { return c.pending.close(ctx) }

// Collect reads all running containers. An error means that the engine could not be asked for them; what goes
// wrong with one container is a problem of its reading.
func (c *Collector) Collect(ctx context.Context, withTCPInfo bool) (Result, error) {
	for n := 1; ; n++ {
		result, outdated, err := c.collectOnce(ctx, withTCPInfo, n == rounds)
		if err != nil || !outdated {
			return result, err
		}
		select {
		case <-time.After(roundPause):
		case <-ctx.Done():
		}
	}
}

// collectOnce reads all running containers. outdated reports whether what the inventory had of one was, unless this
// is the last round.
func (c *Collector) collectOnce(ctx context.Context, withTCPInfo bool, last bool) (result Result, outdated bool, err error) {
	listed, err := c.list(ctx)
	if err != nil {
		return Result{}, false, err
	}
	r := newRound(c, listed, withTCPInfo)
	members := r.meet(ctx, listed)
	defer leave(members)
	inParallel(r.place(members), func(n *namespace) { r.read(ctx, n) })
	outdated = r.settle(ctx, members, last)
	if err := ctx.Err(); err != nil {
		return Result{}, false, fmt.Errorf("collection: %w", err)
	}
	result = resultOf(members)
	result.Addresses, result.AddressesErr = r.hostAddresses(members)
	return result, outdated, nil
}

// inParallel does something with each of all, and waits. What takes long is bounded by the slots of pending.
func inParallel[T any](all []T, do func(T)) {
	var group sync.WaitGroup
	for _, one := range all {
		group.Go(func() { do(one) })
	}
	group.Wait()
}

func (c *Collector) list(ctx context.Context) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := c.inventory.Containers(ctx)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(listed))
	for _, c := range listed {
		ids[c.ID] = true
	}
	c.failures.keep(ids)
	c.settled.keep(ids)
	return listed, nil
}

// uses reports whether a method may be used.
func (c *Collector) uses(method Method) bool { return slices.Contains(c.Methods, method) }

func resultOf(members []*member) Result {
	result := Result{Readings: make([]Reading, 0, len(members))}
	for _, m := range members {
		if m.gone {
			result.Exited = append(result.Exited, m.Container.Name)
			continue
		}
		result.Readings = append(result.Readings, m.finish())
	}
	return result
}
