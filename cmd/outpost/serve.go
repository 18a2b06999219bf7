package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/daemon"
	"github.com/PabloL007/outpost/internal/history"
)

const (
	// drainTimeout bounds how long requests in flight may take after a signal to end. closeTimeout then bounds the calls to
	// the engine, and after them a collection. Together they stay below the 10 s after which an engine kills a container.
	drainTimeout = 9 * time.Second
	closeTimeout = 250 * time.Millisecond
)

func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "serve",
		Short:             "Serve the connections of this host (the default)",
		Long:              "Serve the connections of this host: the page, the API and the metrics, at OUTPOST_LISTEN.\nOutpost does this if no command is named. See outpost --help for the variables.",
		Args:              rejectArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              runServe,
	}
}

func runServe(cmd *cobra.Command, _ []string) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	return serve(cmd.Context(), c, cmd.ErrOrStderr())
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, c config.Config, stderr io.Writer) (err error) {
	log, guard, err := prepare(c, stderr)
	if err != nil {
		return err
	}
	links, err := openLinks(c.Links, log)
	if err != nil {
		return err
	}
	life := context.WithoutCancel(ctx) // requests in flight when ctx ends are drained, not cut off
	o, err := assemble(life, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close(life)) }()
	past := history.New(c.Window)
	if o.memory.maxSockets > 0 {
		past.LimitLinks(o.memory.maxSockets)
		log.Info().Int("max_sockets", o.memory.maxSockets).Int64("limit_mib", o.memory.limit>>20).Msg("The memory limit bounds the sockets of an answer")
	}
	localMap := daemon.NewLocalMap(o, o.names, past)
	o.metrics.RegisterMap(localMap.Latest, c.MetricsMaxLinks)
	handler := api.New(api.Options{
		Daemon: o, Map: localMap, Metrics: o.metrics.Handler(), ContainerLinks: links, MaxSockets: o.memory.maxSockets, Version: buildVersion(), Log: log,
	})
	listener, err := listen(ctx, c, guard, log)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(ctx)
	unworkable, wait := o.start(background, c, localMap)
	defer func() {
		stop()
		wait()
	}()
	log.Info().Str("version", buildVersion()).Stringer("address", listener.Addr()).Str("engine", o.engine.Address()).
		Interface("interfaces", c.Interfaces).Int("workers", c.Workers).Msg("Serving")
	return serveUntil(ctx, api.NewServer(handler), guard, listener, unworkable, log)
}

// listen opens the listener, serves the profiles, and warns if everybody may ask. It logs the warning before "Serving",
// because scripts wait for that line.
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

// serveUntil serves until ctx ends, or until unworkable has a reason to stop, and drains the requests in flight.
func serveUntil(ctx context.Context, server *http.Server, guard *access.Guard, listener net.Listener, unworkable <-chan error, log zerolog.Logger) (err error) {
	served := make(chan error, 1)
	go func() { served <- guard.Serve(listener, server) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case err = <-unworkable:
	case <-ctx.Done():
	}
	log.Info().Msg("Shutting down: finishing the requests in flight")
	if err := closeWithin(context.WithoutCancel(ctx), drainTimeout, server.Shutdown); err != nil {
		log.Warn().Err(err).Msg("Requests were cut off")
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return err
}

func closeWithin(ctx context.Context, timeout time.Duration, closing func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return closing(ctx)
}

// prepare returns the log and the guard.
func prepare(c config.Config, stderr io.Writer) (zerolog.Logger, *access.Guard, error) {
	log, err := newLogger(c, stderr)
	if err != nil {
		return log, nil, err
	}
	guard, err := newGuard(c, log)
	return log, guard, err
}

// newLogger returns the log, after warnings about unknown variables.
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
