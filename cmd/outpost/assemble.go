package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/daemon"
	"github.com/PabloL007/outpost/internal/engine"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/inventory"
	"github.com/PabloL007/outpost/internal/metrics"
)

// outpost is what answers for this host.
type outpost struct {
	*daemon.Daemon
	metrics   *metrics.Metrics
	engine    *engine.Engine
	inventory *inventory.Inventory
	collector *collect.Collector
	log       zerolog.Logger
}

// assemble wires the parts. life is for what goes on after ctx of a request; close ends it.
func assemble(life context.Context, c config.Config, log zerolog.Logger) (*outpost, error) {
	measures := metrics.New(versionOf(), engine.Kinds())
	docker, err := engine.New(int(c.Workers), measures.Called)
	if err != nil {
		// Only what the client finds in the environment can be at fault, such as a file that is no certificate.
		return nil, usageError{fmt.Errorf("DOCKER_CERT_PATH=%q, DOCKER_HOST=%q: %w", c.DockerCertPath, c.DockerHost, err)}
	}
	options, err := collectOptions(c)
	if err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	containers := inventory.New(docker)
	collector := collect.New(life, containers, docker, options)
	return &outpost{
		Daemon:    daemon.New(collector, hostEngine{docker, containers}, c.Interfaces, measures, log),
		metrics:   measures,
		engine:    docker,
		inventory: containers,
		collector: collector,
		log:       log,
	}, nil
}

// hostEngine is the engine, of whose words on itself the inventory keeps the last.
type hostEngine struct {
	*engine.Engine
	inventory *inventory.Inventory
}

func (e hostEngine) Host(ctx context.Context) (container.Host, error) { return e.inventory.Host(ctx) }

func collectOptions(c config.Config) (collect.Options, error) {
	options := collect.Options{CgroupFS: hostproc.CgroupFS, Workers: int(c.Workers), Timeout: time.Duration(c.Timeout)}
	if c.Collector.Forced() {
		options.Methods = []collect.Method{collect.Method(c.Collector)}
	}
	var err error
	if options.Proc, err = hostproc.Find(string(c.Proc)); err != nil && c.Proc != "" {
		return options, usageError{fmt.Errorf("OUTPOST_PROC=%q: %w", c.Proc, err)}
	}
	options.Self, err = collect.FindSelf("/proc")
	return options, err
}

// start follows the engine's events and tells the log what works here, until ctx ends; wait waits for that. Where one
// method alone may be used, unworkable gets the reason for which it cannot work.
func (o *outpost) start(ctx context.Context, forced bool) (unworkable <-chan error, wait func()) {
	reasons := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { o.inventory.Run(ctx, o.Followed) })
	running.Go(func() {
		findings, err := o.probe(ctx)
		if err != nil {
			return
		}
		o.Found(findings)
		for forced && !findings.Tried() && cannotWork(findings) == nil { // there was no container to try it on
			if pause(ctx, lastProbe) != nil {
				return
			}
			if findings, err = o.probe(ctx); err != nil {
				return
			}
		}
		if err := cannotWork(findings); forced && err != nil {
			reasons <- err
		}
	})
	return reasons, running.Wait
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}

// How long after the engine did not answer a probe it is asked again.
const (
	firstProbe = time.Second
	lastProbe  = 10 * time.Second
)

// probe finds out what works here as soon as the engine answers. An error means that ctx has ended.
func (o *outpost) probe(ctx context.Context) (collect.Findings, error) {
	for wait := firstProbe; ; wait = min(2*wait, lastProbe) {
		_ = o.Ready(ctx) // an engine that is down is in the log before the first request
		findings, err := o.collector.Probe(ctx)
		if err == nil {
			return findings, nil
		}
		if err := pause(ctx, wait); err != nil {
			return findings, err
		}
	}
}

// works returns why a method that alone may be used cannot work.
func (o *outpost) works(ctx context.Context) error {
	findings, err := o.collector.Probe(ctx)
	if err != nil {
		return err
	}
	return cannotWork(findings)
}

// cannotWork returns why a method that alone may be used cannot work, if that is not a container's fault.
func cannotWork(findings collect.Findings) error {
	for _, report := range findings.Reports {
		if report.Works == 0 && report.General {
			return fmt.Errorf("OUTPOST_COLLECTOR=%s %s", report.Method, report)
		}
	}
	return nil
}

// close ends the calls to the engine that are still under way.
func (o *outpost) close(life context.Context) error {
	for _, closing := range []func(context.Context) error{o.collector.Close, o.Close} {
		if err := closeWithin(life, closeTimeout, closing); err != nil {
			o.log.Warn().Err(err).Msg("Ended without waiting for the engine")
		}
	}
	return o.engine.Close()
}
