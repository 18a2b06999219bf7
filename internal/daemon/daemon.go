// Package daemon serves one host: it runs one collection at a time, shares it among concurrent requests, and logs what
// changed since the previous one.
package daemon

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/wait"
)

// Collector collects from all running containers.
type Collector interface {
	Collect(ctx context.Context, withTCPInfo bool) (collect.Result, error)
}

// Engine is what a Daemon needs from the container engine itself.
type Engine interface {
	// Ready returns nil if the engine responds.
	Ready(ctx context.Context) error
	// Host returns the engine's description of itself and its host.
	Host(ctx context.Context) (container.Host, error)
	// Networks returns the engine's networks.
	Networks(ctx context.Context) ([]container.NetworkConfig, error)
}

// Observer counts events.
type Observer interface {
	// Collected records a finished collection.
	Collected(snapshot snapshot.Snapshot)
	// Failed records a failed collection.
	Failed()
	// Coalesced records a request that shares the collection of another.
	Coalesced()
}

// Counter counts connections. A traffic.Table is one.
type Counter interface {
	// Update adds to a snapshot what is counted, and learns from it where sockets belong.
	Update(taken *snapshot.Snapshot, now time.Time)
}

// Kernel is the kernel that Outpost runs on.
type Kernel struct {
	BootID string // empty if it is unknown
	// RunsEngine means that the engine is known to run on it too.
	RunsEngine bool
}

// Daemon serves one host. It is safe for concurrent use.
type Daemon struct {
	collector  Collector
	sampling   Collector
	engine     Engine
	interfaces []netip.Addr
	kernel     Kernel
	instanceID string
	changes    *ChangeLog
	observer   Observer

	mu          sync.Mutex
	next        *collection    // that has not begun
	collections sync.WaitGroup // in progress

	collectSem chan struct{} // held during a collection or sample; guards all below
	engineInfo lastKnown[container.Host]
	networks   lastKnown[[]container.NetworkConfig]
	conns      *connCache
	counter    Counter // nil if connections are not counted
	tracker    Tracker // nil if translations are not read
}

// collection is shared by all requests that arrive before it begins.
type collection struct {
	withTCPInfo bool
	done        chan struct{}
	taken       snapshot.Snapshot // valid after done
	err         error             // valid after done
}

// New returns a daemon that takes snapshots with collector and samples with sampling. A listener on the unspecified address is
// listed at each of interfaces or, if there are none, at the detected addresses of the host.
func New(collector, sampling Collector, engine Engine, interfaces []netip.Addr, kernel Kernel, observer Observer, changes *ChangeLog) *Daemon {
	return &Daemon{
		collector: collector, sampling: sampling, engine: engine, interfaces: interfaces, kernel: kernel, changes: changes, observer: observer,
		instanceID: rand.Text(),
		collectSem: make(chan struct{}, 1), conns: newConnCache(0),
	}
}

// SetMaxSockets bounds the connections that the daemon remembers. Call it before the first snapshot.
func (d *Daemon) SetMaxSockets(maxSockets int) { d.conns = newConnCache(maxSockets) }

// CountWith adds to all further snapshots what counter counts.
func (d *Daemon) CountWith(counter Counter) {
	d.collectSem <- struct{}{}
	defer func() { <-d.collectSem }()
	d.counter = counter
}

// complete adds to a snapshot what is remembered of earlier ones, and what is counted. Those for maps also get the translations.
func (d *Daemon) complete(ctx context.Context, taken *snapshot.Snapshot, sample, forMaps bool) {
	now := time.Now()
	d.conns.update(taken, sample, now)
	if forMaps {
		d.addTranslations(ctx, taken)
	}
	if d.counter != nil {
		d.counter.Update(taken, now)
	}
}

// Snapshot takes a snapshot; withTCPInfo adds what the kernel measures of connections. Concurrent requests share a collection,
// which continues when one of them is cancelled.
func (d *Daemon) Snapshot(ctx context.Context, withTCPInfo bool) (snapshot.Snapshot, error) {
	c := d.nextCollection(ctx, withTCPInfo)
	select {
	case <-ctx.Done():
		return snapshot.Snapshot{}, ctx.Err()
	case <-c.done:
		return c.taken, c.err
	}
}

// nextCollection returns the collection that begins next. A running one may have missed containers that started meanwhile.
func (d *Daemon) nextCollection(ctx context.Context, withTCPInfo bool) *collection {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		d.next = &collection{done: make(chan struct{})}
		next := d.next
		d.collections.Go(func() { d.run(context.WithoutCancel(ctx), next) })
	} else {
		d.observer.Coalesced()
	}
	d.next.withTCPInfo = d.next.withTCPInfo || withTCPInfo
	return d.next
}

func (d *Daemon) run(ctx context.Context, c *collection) {
	d.collectSem <- struct{}{}
	defer func() { <-d.collectSem }()
	d.mu.Lock()
	d.next = nil
	withTCPInfo := c.withTCPInfo
	d.mu.Unlock()
	c.taken, c.err = d.collect(ctx, withTCPInfo)
	close(c.done)
}

// Sample takes a snapshot with the sampling collector. A container that this collector cannot read has the sockets of its
// last reading.
func (d *Daemon) Sample(ctx context.Context) (snapshot.Snapshot, error) {
	select {
	case d.collectSem <- struct{}{}:
		defer func() { <-d.collectSem }()
	case <-ctx.Done():
		return snapshot.Snapshot{}, ctx.Err()
	}
	started := time.Now()
	result, err := d.sampling.Collect(ctx, false)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	taken := d.newSnapshot(ctx, result, started)
	d.complete(ctx, &taken, true, true)
	return taken, nil
}

// Close waits for running collections until ctx ends. Snapshot must not be called any more.
func (d *Daemon) Close(ctx context.Context) error {
	if err := wait.Group(ctx, &d.collections); err != nil {
		return fmt.Errorf("wait for running collections: %w", err)
	}
	return nil
}

// readyTimeout bounds the wait for the engine in Ready.
const readyTimeout = 5 * time.Second

// Ready returns nil if the engine responds within readyTimeout.
func (d *Daemon) Ready(ctx context.Context) error {
	pinging, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := d.engine.Ready(pinging)
	if ctx.Err() == nil { // a cancelled request is no sign of an engine problem
		d.changes.engine(err)
	}
	return err
}

func (d *Daemon) collect(ctx context.Context, withTCPInfo bool) (snapshot.Snapshot, error) {
	started := time.Now()
	result, err := d.collector.Collect(ctx, withTCPInfo)
	d.changes.engine(err)
	if err != nil {
		d.observer.Failed()
		return snapshot.Snapshot{}, err
	}
	taken := d.newSnapshot(ctx, result, started)
	d.changes.collected(taken, result.Exited)
	d.complete(ctx, &taken, false, withTCPInfo)
	d.observer.Collected(taken)
	return taken, nil
}

func (d *Daemon) newSnapshot(ctx context.Context, result collect.Result, started time.Time) snapshot.Snapshot {
	networks, err := d.networks.update(ctx, networksPause, d.engine.Networks)
	d.changes.networks(err)
	result.Readings = snapshot.WithServicePorts(result.Readings, networks)
	interfaces := snapshot.Interfaces{Addresses: d.interfaces}
	if len(d.interfaces) == 0 {
		interfaces = d.detectInterfaces(result, networks)
	}
	taken := snapshot.Snapshot{
		Host:       d.newHost(ctx, result),
		TakenAt:    started,
		Containers: snapshot.Attribute(result, interfaces),
		Networks:   networks,
	}
	taken.Host.Gateways = snapshot.EngineGateways(result, networks, interfaces.Addresses)
	taken.Duration = time.Since(started)
	return taken
}
