package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/daemon"
	"github.com/PabloL007/outpost/internal/engine"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/inventory"
	"github.com/PabloL007/outpost/internal/linkfile"
	"github.com/PabloL007/outpost/internal/metrics"
	"github.com/PabloL007/outpost/internal/textfile"
)

// outpost holds the wired parts that serve this host.
type outpost struct {
	*daemon.Daemon
	changes   *daemon.ChangeLog
	names     *graph.Names
	memory    memory
	metrics   *metrics.Metrics
	engine    *engine.Engine
	inventory *inventory.Inventory
	collector *collect.Collector
	log       zerolog.Logger
}

// assemble wires the parts. life bounds the work that outlives a request; close ends that work.
func assemble(life context.Context, c config.Config, log zerolog.Logger) (*outpost, error) {
	measures := metrics.New(buildVersion(), engine.CallKinds())
	docker, err := engine.New(engine.Options{MaxCalls: c.Workers, Observe: measures.EngineCalled, UseProxy: c.EngineProxy})
	if err != nil {
		// The client fails only for what it reads from the environment, such as an invalid certificate.
		return nil, usageError{fmt.Errorf("DOCKER_CERT_PATH=%q, DOCKER_HOST=%q: %w", c.DockerCertPath, c.DockerHost, err)}
	}
	limits := limitMemory()
	options, err := collectOptions(c)
	options.MaxSockets, options.MemoryLimit, options.Differed = limits.maxSockets, limits.limit, measures.Differed
	if err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	names, err := readNames(c.Names)
	if err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	containers := inventory.New(docker)
	collector := collect.New(life, containers, docker, options)
	containers.Observe(inventory.Observer{Following: collector.Following, Changed: collector.Changed})
	sampling := collector
	if c.SampleInterval <= 0 && !c.IsMethodForced() { // samples run no commands in containers unless the user asks for them
		sampling = collector.WithMethods(collect.Sockdiag, collect.Procfs)
	}
	changes := daemon.NewChangeLog(log)
	kernel := daemon.Kernel{BootID: collect.BootID("/proc"), RunsEngine: strings.HasPrefix(docker.Address(), "unix://")}
	served := daemon.New(collector, sampling, cachedEngine{docker, containers}, c.Interfaces, kernel, measures, changes)
	served.SetMaxSockets(limits.maxSockets)
	served.TranslateWith(collector)
	return &outpost{
		changes:   changes,
		names:     names,
		memory:    limits,
		Daemon:    served,
		metrics:   measures,
		engine:    docker,
		inventory: containers,
		collector: collector,
		log:       log,
	}, nil
}

// maxNames is the maximum length of a file of names in bytes.
const maxNames = 16 << 20

// readNames reads the file of names at path; none if path is empty.
func readNames(path string) (*graph.Names, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // nil names nothing
	}
	text, err := textfile.Read(path, maxNames)
	if err != nil {
		return nil, usageError{fmt.Errorf("OUTPOST_NAMES=%q: %w", path, err)}
	}
	names, err := graph.ReadNames(bytes.NewReader(text))
	if err != nil {
		return nil, usageError{fmt.Errorf("OUTPOST_NAMES=%q: %w", path, err)}
	}
	return names, nil
}

// openLinks opens the file of links at path. It returns nil if path is empty.
func openLinks(path string, log zerolog.Logger) (links func() []graph.ContainerLink, err error) {
	if path == "" {
		return nil, nil //nolint:nilnil // nil has no links
	}
	file, err := linkfile.Open(path, log)
	if err != nil {
		return nil, usageError{fmt.Errorf("OUTPOST_LINKS: %w", err)}
	}
	return file.Links, nil
}

// cachedEngine is the engine with the inventory's copies of its description of the host and of its networks.
type cachedEngine struct {
	*engine.Engine
	inventory *inventory.Inventory
}

func (e cachedEngine) Host(ctx context.Context) (container.Host, error) { return e.inventory.Host(ctx) }

func (e cachedEngine) Networks(ctx context.Context) ([]container.NetworkConfig, error) {
	return e.inventory.Networks(ctx)
}

func collectOptions(c config.Config) (collect.Options, error) {
	options := collect.Options{CgroupFS: hostproc.DefaultCgroupMount, Workers: c.Workers, Timeout: c.Timeout}
	if c.IsMethodForced() {
		options.Methods = []collect.Method{collect.Method(c.Collector)}
	}
	var err error
	if options.Proc, err = hostproc.Open(c.Proc); err != nil && c.Proc != "" {
		return options, usageError{fmt.Errorf("OUTPOST_PROC=%q: %w", c.Proc, err)}
	}
	options.SelfContainer, err = collect.SelfContainerID("/proc")
	return options, err
}

// start follows the engine's events, probes the methods, and then samples for the map, until ctx ends. If a method is
// forced and cannot work, unworkable receives the reason. wait blocks until all has ended.
func (o *outpost) start(ctx context.Context, c config.Config, localMap *daemon.LocalMap) (unworkable <-chan error, wait func()) {
	reasons := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { o.inventory.Run(ctx, o.changes.EventsFollowed) })
	running.Go(func() {
		result, err := o.probeUntilTried(ctx, c.IsMethodForced())
		if err != nil {
			return
		}
		if err := unworkableMethod(result); c.IsMethodForced() && err != nil {
			reasons <- err
			return
		}
		if interval := sampleInterval(c, result); interval > 0 {
			running.Go(func() { o.count(ctx, c, localMap) })
			localMap.Run(ctx, interval)
		}
	})
	return reasons, running.Wait
}

// close ends the calls in flight and closes the engine.
func (o *outpost) close(life context.Context) error {
	for _, closing := range []func(context.Context) error{o.collector.Close, o.Close} {
		if err := closeWithin(life, closeTimeout, closing); err != nil {
			o.log.Warn().Err(err).Msg("Shut down without waiting for the engine")
		}
	}
	return o.engine.Close()
}
