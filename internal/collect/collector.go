// Package collect reads the socket tables of running containers through the engine, with as few commands inside
// of them as possible.
package collect

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// Engine is what a Collector asks of a container engine.
type Engine interface {
	// Containers lists the running containers.
	Containers(ctx context.Context) ([]container.Summary, error)
	// Inspect returns one container, by ID or name, or container.ErrNotFound.
	Inspect(ctx context.Context, id string) (container.Container, error)
	// Exec runs a command in a container, hands on what it prints and returns its exit code.
	Exec(ctx context.Context, id string, command []string, stdout, stderr io.Writer) (int, error)
}

// listTimeout bounds the call that lists the containers.
const listTimeout = 10 * time.Second

// Collector collects from the containers of one engine. It may be used by several goroutines at once.
type Collector struct {
	engine   Engine
	self     Self
	timeout  time.Duration
	pending  *pending
	executor *executor
}

// New returns a collector that reads from so many containers at once and waits so long for each of a
// container's answers. In self, the container of Outpost itself, nothing is run. life is for calls that outlast the
// request for which they were made. The collector must be closed.
func New(life context.Context, engine Engine, self Self, workers int, timeout time.Duration) *Collector {
	return &Collector{
		engine:   engine,
		self:     self,
		timeout:  timeout,
		pending:  newPending(life, workers),
		executor: newExecutor(engine, newFailures(time.Now)),
	}
}

// Close ends the calls to the engine that are still under way and waits for them, no longer than ctx.
func (c *Collector) Close(ctx context.Context) error { return c.pending.close(ctx) }

// Collect reads all running containers. An error means that the engine could not be asked for them; what goes
// wrong with one container is a problem of its reading.
func (c *Collector) Collect(ctx context.Context) (Result, error) {
	listing, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := c.engine.Containers(listing)
	if err != nil {
		return Result{}, err
	}
	c.executor.failures.keep(listed)

	round := newRound(c, listed)
	reads := make([]*read, len(listed))
	var group sync.WaitGroup // bounded by the slots of pending
	for i, summary := range listed {
		group.Go(func() { reads[i] = round.read(ctx, summary) })
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("collection: %w", err)
	}
	return resultOf(listed, reads), nil
}

func resultOf(listed []container.Summary, reads []*read) Result {
	result := Result{Readings: make([]Reading, 0, len(reads))}
	for i, r := range reads {
		if r == nil {
			result.Gone = append(result.Gone, listed[i].Name)
			continue
		}
		result.Readings = append(result.Readings, r.finish())
	}
	return result
}
