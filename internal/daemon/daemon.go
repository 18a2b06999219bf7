// Package daemon answers for one host: it runs one collection at a time, shares it among all who ask meanwhile,
// and logs what changed since the last.
package daemon

import (
	"context"
	"net/netip"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Collector collects from all running containers.
type Collector interface {
	Collect(ctx context.Context, detail collect.Detail) (collect.Result, error)
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
	engine     Engine
	interfaces []netip.Addr
	journal    *journal
	observer   Observer
	collecting singleflight.Group

	one       chan struct{} // collection at a time, whatever is wanted of it
	hostRetry time.Time     // when the engine may be asked for itself again
}

// New returns a daemon. Listeners on all addresses are listed at each of interfaces or, without any, at those of the
// host that are found.
func New(collector Collector, engine Engine, interfaces []netip.Addr, observer Observer, log zerolog.Logger) *Daemon {
	return &Daemon{
		collector: collector, engine: engine, interfaces: interfaces, journal: newJournal(log), observer: observer, one: make(chan struct{}, 1),
	}
}

// Snapshot returns what is known of the host now; measured asks for what the kernel has measured of connections too.
// Whoever asks while a collection runs gets its result; it goes on for the others when one of them stops waiting.
func (d *Daemon) Snapshot(ctx context.Context, measured bool) (snapshot.Snapshot, error) {
	flight, detail := "plain", collect.Plain
	if measured {
		flight, detail = "measured", collect.Measured
	}
	first := false
	collected := d.collecting.DoChan(flight, func() (any, error) {
		first = true
		return d.collect(context.WithoutCancel(ctx), detail)
	})
	select {
	case <-ctx.Done():
		return snapshot.Snapshot{}, ctx.Err()
	case result := <-collected:
		if !first {
			d.observer.Coalesced()
		}
		if result.Err != nil {
			return snapshot.Snapshot{}, result.Err
		}
		return result.Val.(snapshot.Snapshot), nil //nolint:errcheck // as returned above
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
func (d *Daemon) Found(findings collect.Findings) { d.journal.found(findings) }

// Followed logs whether the engine's events are followed: err says why not.
func (d *Daemon) Followed(err error) { d.journal.followed(err) }

func (d *Daemon) collect(ctx context.Context, detail collect.Detail) (snapshot.Snapshot, error) {
	d.one <- struct{}{}
	defer func() { <-d.one }()
	started := time.Now()
	result, err := d.collector.Collect(ctx, detail)
	d.journal.engine(err)
	if err != nil {
		d.observer.Failed()
		return snapshot.Snapshot{}, err
	}
	interfaces := d.interfaces
	if len(interfaces) == 0 {
		interfaces = d.found(result)
	}
	taken := snapshot.Snapshot{
		Host:       d.host(ctx, result),
		Taken:      started,
		Containers: snapshot.Of(result, interfaces),
	}
	taken.Took = time.Since(started)
	d.journal.containers(taken, result.Gone)
	d.observer.Collected(taken)
	return taken, nil
}

// found returns the host's addresses that are in sight, or else the one that stands for all.
func (d *Daemon) found(result collect.Result) []netip.Addr {
	interfaces := snapshot.InterfacesOf(result)
	d.journal.interfaces(interfaces, result.AddressesErr)
	if len(interfaces) == 0 {
		return []netip.Addr{netip.IPv4Unspecified()}
	}
	return interfaces
}

// hostTimeout bounds the wait for what the engine tells of itself, without which an answer is as good. After
// hostPause it is asked again.
const (
	hostTimeout = 2 * time.Second
	hostPause   = time.Minute
)

func (d *Daemon) host(ctx context.Context, result collect.Result) snapshot.Host {
	host := snapshot.Host{Host: d.told(ctx), Addresses: snapshot.AddressesOf(result)}
	if len(host.Addresses) == 0 {
		host.Addresses = d.interfaces
	}
	return host
}

// told returns what the engine tells of itself; nothing for a while after it did not.
func (d *Daemon) told(ctx context.Context) container.Host {
	if time.Now().Before(d.hostRetry) {
		return container.Host{}
	}
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	host, err := d.engine.Host(ctx)
	d.journal.host(err)
	if err != nil {
		d.hostRetry = time.Now().Add(hostPause)
	}
	return host
}
