package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/daemon"
	"github.com/PabloL007/outpost/internal/engine"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/inventory"
	"github.com/PabloL007/outpost/internal/mapper"
	"github.com/PabloL007/outpost/internal/metrics"
)

// outpost is what answers for this host.
type outpost struct {
	*daemon.Daemon
	names     *graph.Names
	metrics   *metrics.Metrics
	engine    *engine.Engine
	inventory *inventory.Inventory
	collector *collect.Collector
	log       zerolog.Logger
}

// assemble wires the parts. life is for what goes on after ctx of a request; close ends it.
func assemble(life context.Context, c config.Config, log zerolog.Logger) (*outpost, error) {
	measures := metrics.New(versionOf(), engine.Kinds())
	docker, err := engine.New(c.Workers, measures.Called)
	if err != nil {
		// Only what the client finds in the environment can be at fault, such as a file that is no certificate.
		return nil, usageError{fmt.Errorf("DOCKER_CERT_PATH=%q, DOCKER_HOST=%q: %w", c.DockerCertPath, c.DockerHost, err)}
	}
	options, err := collectOptions(c)
	if err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	names, err := namesIn(c.Names)
	if err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	containers := inventory.New(docker)
	collector := collect.New(life, containers, docker, options)
	sampling := collector
	if c.SampleInterval <= 0 && !c.IsMethodForced() { // nobody asked for commands to be run between requests
		sampling = collector.WithMethods(collect.Sockdiag, collect.Procfs)
	}
	return &outpost{
		names:     names,
		Daemon:    daemon.New(collector, sampling, hostEngine{docker, containers}, c.Interfaces, measures, log),
		metrics:   measures,
		engine:    docker,
		inventory: containers,
		collector: collector,
		log:       log,
	}, nil
}

// namesIn reads a file of names; none if there is no path.
func namesIn(path string) (*graph.Names, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no naming is one that names nothing
	}
	file, err := os.Open(path) //nolint:gosec // whoever starts the program says which
	if err != nil {
		return nil, usageError{fmt.Errorf("OUTPOST_NAMES=%q: %w", path, err)}
	}
	defer func() { _ = file.Close() }()
	names, err := graph.ReadNames(file)
	if err != nil {
		return nil, usageError{fmt.Errorf("OUTPOST_NAMES=%q: %w", path, err)}
	}
	return names, nil
}

// hostEngine is the engine, of whose words on itself the inventory keeps the last.
type hostEngine struct {
	*engine.Engine
	inventory *inventory.Inventory
}

func (e hostEngine) Host(ctx context.Context) (container.Host, error) { return e.inventory.Host(ctx) }

func collectOptions(c config.Config) (collect.Options, error) {
	options := collect.Options{CgroupFS: hostproc.CgroupFS, Workers: c.Workers, Timeout: c.Timeout}
	if c.IsMethodForced() {
		options.Methods = []collect.Method{collect.Method(c.Collector)}
	}
	var err error
	if options.Proc, err = hostproc.Find(c.Proc); err != nil && c.Proc != "" {
		return options, usageError{fmt.Errorf("OUTPOST_PROC=%q: %w", c.Proc, err)}
	}
	options.SelfContainer, err = collect.SelfContainerID("/proc")
	return options, err
}

// start follows the engine's events, tells the log what works here, and then samples for the map, until ctx ends; wait
// waits for that. Where one method alone may be used, unworkable gets the reason for which it cannot work.
func (o *outpost) start(ctx context.Context, c config.Config, own *mapper.LocalMap) (unworkable <-chan error, wait func()) {
	reasons := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { o.inventory.Run(ctx, o.Followed) })
	running.Go(func() {
		findings, err := o.probeUntilTried(ctx, c.IsMethodForced())
		if err != nil {
			return
		}
		if err := cannotWork(findings); c.IsMethodForced() && err != nil {
			reasons <- err
			return
		}
		if interval := sampleInterval(c, findings); interval > 0 {
			own.Run(ctx, interval)
		}
	})
	return reasons, running.Wait
}

// probeUntilTried probes until there was a container to try each way on or, where one way alone may be used, it is clear
// without one that it cannot work.
func (o *outpost) probeUntilTried(ctx context.Context, forced bool) (collect.ProbeResult, error) {
	findings, err := o.probe(ctx)
	if err != nil {
		return findings, err
	}
	o.Found(findings)
	for !findings.Tried() && (!forced || cannotWork(findings) == nil) {
		if err := pause(ctx, lastProbe); err != nil {
			return findings, err
		}
		if findings, err = o.probe(ctx); err != nil {
			return findings, err
		}
	}
	return findings, nil
}

// How often connections are looked at between requests: a reading through the host's /proc costs more, a command in each
// container far too much.
const (
	sampleBySockdiag = 5 * time.Second
	sampleByProcfs   = 15 * time.Second
)

// sampleInterval returns how often to sample; 0 means never.
func sampleInterval(c config.Config, findings collect.ProbeResult) time.Duration {
	if c.SampleInterval != 0 {
		return max(0, c.SampleInterval)
	}
	works := make(map[collect.Method]bool)
	for _, report := range findings.Methods {
		works[report.Method] = report.Works > 0
	}
	switch {
	case works[collect.Sockdiag]:
		return sampleBySockdiag
	case works[collect.Procfs]:
		return sampleByProcfs
	}
	return 0
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
func (o *outpost) probe(ctx context.Context) (collect.ProbeResult, error) {
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
func cannotWork(findings collect.ProbeResult) error {
	for _, report := range findings.Methods {
		if report.Works == 0 && report.HostWide {
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
