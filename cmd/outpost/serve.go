package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/mapper"
	"github.com/PabloL007/outpost/internal/metrics"
)

const (
	// drainTimeout is how long requests that run may go on when the daemon is told to end, and closeTimeout how
	// long calls to the engine, and then a collection, may after that: together less than the 10 s after which an engine kills.
	drainTimeout = 9 * time.Second
	closeTimeout = 250 * time.Millisecond
)

// serve answers requests until ctx ends.
func serve(ctx context.Context, c config.Config, stderr io.Writer) (err error) {
	log, guard, err := prepare(c, stderr)
	if err != nil {
		return err
	}
	life := context.WithoutCancel(ctx) // what runs when ctx ends is drained, not cut off
	o, err := assemble(life, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close(life)) }()
	own := mapper.NewLocalMap(o, o.names, mapper.NewHistory(c.Window))
	o.metrics.Map(own.Latest, c.MetricsMaxLinks)
	handler := api.New(api.Options{Source: o, Map: own, Metrics: o.metrics.Handler(), Version: versionOf(), Log: log})
	listener, err := listen(ctx, c, guard, log)
	if err != nil {
		return err
	}
	following, stop := context.WithCancel(ctx)
	unworkable, wait := o.start(following, c, own)
	defer func() {
		stop()
		wait()
	}()
	log.Info().Str("version", versionOf()).Stringer("address", listener.Addr()).Str("engine", o.engine.Address()).
		Interface("interfaces", c.Interfaces).Int("workers", c.Workers).Msg("Serving")
	return serveUntil(ctx, api.NewServer(handler), guard, listener, unworkable, log)
}

// serveMap polls daemons and answers with their map until ctx ends.
func serveMap(ctx context.Context, args []string, c config.Config, stderr io.Writer) error {
	texts := slices.Concat(args, c.Targets)
	if len(texts) == 0 {
		return usageError{errors.New("map: no targets: name daemons, such as outpost map host1 host2:9057, or set OUTPOST_TARGETS")}
	}
	targets, err := mapper.ParseTargets(texts)
	if err != nil {
		return usageError{fmt.Errorf("map: %w", err)}
	}
	names, err := namesIn(c.Names)
	if err != nil {
		return err
	}
	log, guard, err := prepare(c, stderr)
	if err != nil {
		return err
	}
	transport, err := transportOf(c, c.TargetToken, mapper.NewTransport)
	if err != nil {
		return err
	}
	m := mapper.New(mapper.Options{
		Targets: targets, Interval: c.Interval, StaleAfter: c.StaleAfter,
		Transport: transport, Naming: names,
	}, mapper.NewHistory(c.Window), log)
	handler := api.New(api.Options{
		Map: m, Metrics: metrics.OfMapper(versionOf(), m.Latest, c.MetricsMaxLinks), Version: versionOf(), Log: log,
	})
	listener, err := listen(ctx, c, guard, log)
	if err != nil {
		return err
	}
	polling, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { m.Run(polling) })
	defer func() {
		stop()
		running.Wait()
	}()
	log.Info().Str("version", versionOf()).Stringer("address", listener.Addr()).Strs("targets", mapper.Names(targets)).
		Dur("interval_ms", c.Interval).Msg("Serving")
	return serveUntil(ctx, api.NewServer(handler), guard, listener, nil, log)
}

// listen opens what is served on, and the profiles beside it, and warns where everybody may ask: that is said before
// the line that says that it is served, for those who wait for that.
func listen(ctx context.Context, c config.Config, guard *access.Guard, log zerolog.Logger) (net.Listener, error) {
	if err := serveProfiles(ctx, c.Pprof, log); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	warnIfOpen(guard, listener.Addr(), log)
	return listener, nil
}

// serveUntil serves those whom guard lets in until ctx ends or there is a reason for which that is of no use.
func serveUntil(ctx context.Context, server *http.Server, guard *access.Guard, listener net.Listener, unworkable <-chan error, log zerolog.Logger) (err error) {
	keepWithinMemory()
	served := make(chan error, 1)
	go func() { served <- guard.Serve(listener, server) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case err = <-unworkable:
	case <-ctx.Done():
	}
	log.Info().Msg("Ending: finishing the requests that run")
	if err := closeWithin(context.WithoutCancel(ctx), drainTimeout, server.Shutdown); err != nil {
		log.Warn().Err(err).Msg("Requests were cut off")
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return err
}

// keepWithinMemory has garbage collected more often rather than pass the limit of memory that the process's cgroup has. What
// is not garbage, such as the stacks and the binary, needs some of it too.
func keepWithinMemory() {
	const ratio = 0.8
	_, _ = memlimit.Set(memlimit.WithRatio(ratio)) // where the limit cannot be read it is as if there were none
}

func closeWithin(ctx context.Context, timeout time.Duration, closing func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return closing(ctx)
}

// prepare returns the log, and what lets those in who may ask.
func prepare(c config.Config, stderr io.Writer) (zerolog.Logger, *access.Guard, error) {
	log, err := newLogger(c, stderr)
	if err != nil {
		return log, nil, err
	}
	guard, err := newGuard(c, log)
	return log, guard, err
}

// newLogger returns the log, with what is to be said of the configuration in it.
func newLogger(c config.Config, stderr io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		return zerolog.Logger{}, fmt.Errorf("log level: %w", err)
	}
	if c.LogFormat == "console" {
		stderr = zerolog.ConsoleWriter{Out: stderr, NoColor: true, TimeFormat: time.RFC3339}
	}
	log := zerolog.New(stderr).Level(level).With().Timestamp().Logger()
	for _, name := range config.Unknown(os.Environ()) {
		log.Warn().Str("variable", name).Msg("Unknown variable: it has no effect")
	}
	return log, nil
}
