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
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Collector collects from all running containers.
type Collector interface {
	Collect(ctx context.Context) (collect.Result, error)
}

// Daemon answers for one host. It may be used by several goroutines at once.
type Daemon struct {
	collector  Collector
	ready      func(context.Context) error
	interfaces []netip.Addr
	journal    *journal
	collecting singleflight.Group
}

// New returns a daemon. ready tells whether the engine answers; listeners on all addresses are listed at each of
// interfaces.
func New(collector Collector, ready func(context.Context) error, interfaces []netip.Addr, log zerolog.Logger) *Daemon {
	return &Daemon{collector: collector, ready: ready, interfaces: interfaces, journal: newJournal(log)}
}

// Containers returns the running containers with their endpoints. Whoever asks while a collection runs gets its
// result; it goes on for the others when one of them stops waiting.
func (d *Daemon) Containers(ctx context.Context) ([]snapshot.Container, error) {
	collected := d.collecting.DoChan("", func() (any, error) {
		return d.collect(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-collected:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.([]snapshot.Container), nil //nolint:errcheck // as returned above
	}
}

// readyTimeout bounds the wait for the engine to say that it is there.
const readyTimeout = 5 * time.Second

// Ready returns nil if the engine answers.
func (d *Daemon) Ready(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := d.ready(asking)
	if ctx.Err() == nil { // an error because nobody waits any more says nothing of the engine
		d.journal.engine(err)
	}
	return err
}

func (d *Daemon) collect(ctx context.Context) ([]snapshot.Container, error) {
	started := time.Now()
	result, err := d.collector.Collect(ctx)
	d.journal.engine(err)
	if err != nil {
		return nil, err
	}
	containers := snapshot.Of(result, d.interfaces)
	d.journal.containers(containers, result.Gone, time.Since(started))
	return containers, nil
}
