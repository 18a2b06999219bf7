// Package daemon answers for one host: it runs one collection at a time, shares it among all who ask meanwhile,
// and logs what changed since the last.
package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Collector collects from all running containers.
type Collector interface {
	Collect(ctx context.Context, withTCPInfo bool) (collect.Result, error)
}

// Engine is what a Daemon asks of the container engine itself.
type Engine interface {
	// Ready returns nil if the engine answers.
	Ready(ctx context.Context) error
	// Host returns what the engine tells of itself and its host.
	Host(ctx context.Context) (container.Host, error)
}

// Observer is told what happens.
type Observer interface {
	Collected(snapshot snapshot.Snapshot)
	Failed()
	Coalesced()
}

// Daemon answers for one host. It may be used by several goroutines at once.
type Daemon struct {
	collector  Collector
	sampling   Collector
	engine     Engine
	interfaces []netip.Addr
	journal    *journal
	observer   Observer

	mu      sync.Mutex
	next    *collection    // that has not begun
	running sync.WaitGroup // of collections

	// Of the collection that runs: one at a time.
	one       chan struct{}
	lastHost  container.Host // as the engine told last
	hostRetry time.Time      // when the engine may be asked for itself again
	recent    *recent
}

// collection is one for all who ask before it begins.
type collection struct {
	withTCPInfo bool
	done        chan struct{}
	taken       snapshot.Snapshot // after done
	err         error
}

// New returns a daemon. Samples are taken by sampling. Listeners on all addresses are listed at each of interfaces or, without any, at those of the
// host that are found.
func New(collector, sampling Collector, engine Engine, interfaces []netip.Addr, observer Observer, log zerolog.Logger) *Daemon {
	return &Daemon{
		collector: collector, sampling: sampling, recent: newRecent(), engine: engine, interfaces: interfaces, journal: newJournal(log), observer: observer, one: make(chan struct{}, 1),
	}
}

// Snapshot returns what is known of the host now; measured asks for what the kernel has measured of connections too.
// It goes on for the others when one of those who wait for it stops waiting.
func (d *Daemon) Snapshot(ctx context.Context, measured bool) (snapshot.Snapshot, error) {
	c := d.join(ctx, measured)
	select {
	case <-ctx.Done():
		return snapshot.Snapshot{}, ctx.Err()
	case <-c.done:
		return c.taken, c.err
	}
}

// join returns the next collection. One that has begun may have passed over what was started since.
func (d *Daemon) join(ctx context.Context, withTCPInfo bool) *collection {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		d.next = &collection{done: make(chan struct{})}
		next := d.next
		d.running.Go(func() { d.run(context.WithoutCancel(ctx), next) })
	} else {
		d.observer.Coalesced()
	}
	d.next.withTCPInfo = d.next.withTCPInfo || withTCPInfo
	return d.next
}

func (d *Daemon) run(ctx context.Context, c *collection) {
	d.one <- struct{}{}
	defer func() { <-d.one }()
	d.mu.Lock()
	d.next = nil
	withTCPInfo := c.withTCPInfo
	d.mu.Unlock()
	c.taken, c.err = d.collect(ctx, withTCPInfo)
	close(c.done)
}

// Sample returns what is known of the host now, with containers that only a way could read that is not used for samples
// as they were last.
func (d *Daemon) Sample(ctx context.Context) (snapshot.Snapshot, error) {
	select {
	case d.one <- struct{}{}:
		defer func() { <-d.one }()
	case <-ctx.Done():
		return snapshot.Snapshot{}, ctx.Err()
	}
	started := time.Now()
	result, err := d.sampling.Collect(ctx, false)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	taken := d.snapshot(ctx, result, started)
	d.recent.add(taken.Containers, true, time.Now())
	return taken, nil
}

// Close waits for the collections that run, no longer than ctx. None may be asked for any more.
func (d *Daemon) Close(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		d.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a collection has not ended: %w", ctx.Err())
	}
}

// readyTimeout bounds the wait for the engine to say that it is there.
const readyTimeout = 5 * time.Second

// Ready returns nil if the engine answers.
func (d *Daemon) Ready(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := d.engine.Ready(asking)
	if ctx.Err() == nil { // an error because nobody waits any more says nothing of the engine
		d.journal.engine(err)
	}
	return err
}

// Found logs what a probe found.
func (d *Daemon) Found(findings collect.ProbeResult) { d.journal.found(findings) }

// Followed logs whether the engine's events are followed: err says why not.
func (d *Daemon) Followed(err error) { d.journal.followed(err) }

func (d *Daemon) collect(ctx context.Context, withTCPInfo bool) (snapshot.Snapshot, error) {
	started := time.Now()
	result, err := d.collector.Collect(ctx, withTCPInfo)
	d.journal.engine(err)
	if err != nil {
		d.observer.Failed()
		return snapshot.Snapshot{}, err
	}
	taken := d.snapshot(ctx, result, started)
	d.journal.containers(taken, result.Exited)
	d.observer.Collected(taken)
	d.recent.add(taken.Containers, false, time.Now())
	return taken, nil
}

func (d *Daemon) snapshot(ctx context.Context, result collect.Result, started time.Time) snapshot.Snapshot {
	interfaces := snapshot.Interfaces{Addresses: d.interfaces}
	if len(d.interfaces) == 0 {
		interfaces = d.found(result)
	}
	taken := snapshot.Snapshot{
		Host:       d.host(ctx, result),
		TakenAt:    started,
		Containers: snapshot.Attribute(result, interfaces),
	}
	taken.Duration = time.Since(started)
	return taken
}

// found returns the host's addresses that are in sight, or else the one that stands for all.
func (d *Daemon) found(result collect.Result) snapshot.Interfaces {
	interfaces := snapshot.InterfacesOf(result)
	d.journal.interfaces(interfaces, result.AddressesErr)
	if len(interfaces) == 0 {
		return snapshot.Interfaces{Addresses: []netip.Addr{netip.IPv4Unspecified()}}
	}
	return snapshot.Interfaces{Addresses: interfaces, Found: true}
}

// hostTimeout bounds the wait for what the engine tells of itself, without which an answer is as good. After
// hostPause it is asked again.
const (
	hostTimeout = 2 * time.Second
	hostPause   = 10 * time.Second
)

func (d *Daemon) host(ctx context.Context, result collect.Result) snapshot.Host {
	host := snapshot.Host{Host: d.told(ctx), Addresses: snapshot.AddressesOf(result)}
	host.AllAddresses = len(host.Addresses) > 0
	if !host.AllAddresses {
		host.Addresses = d.interfaces
	}
	return host
}

// told returns what the engine tells of itself, or told last. For a while after it did not, it is not asked.
func (d *Daemon) told(ctx context.Context) container.Host {
	if time.Now().Before(d.hostRetry) {
		return d.lastHost
	}
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	host, err := d.engine.Host(ctx)
	d.journal.host(err)
	if err != nil {
		d.hostRetry = time.Now().Add(hostPause)
		return d.lastHost
	}
	d.lastHost = host
	return host
}
