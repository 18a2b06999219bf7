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

	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/config"
)

const (
	// drainTimeout is how long requests that run may go on when the daemon is told to end, and closeTimeout how
	// long calls to the engine, and then a collection, may after that: together less than the 10 s after which an engine kills.
	drainTimeout = 9 * time.Second
	closeTimeout = 250 * time.Millisecond
)

// serve answers requests until ctx ends.
func serve(ctx context.Context, c config.Config, stderr io.Writer) (err error) {
	log, err := newLogger(c.LogLevel, stderr)
	if err != nil {
		return err
	}
	for _, name := range config.Unknown(os.Environ()) {
		log.Warn().Str("variable", name).Msg("Unknown variable: it has no effect")
	}

	life := context.WithoutCancel(ctx) // what runs when ctx ends is drained, not cut off
	o, err := assemble(life, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close(life)) }()

	server := api.NewServer(string(c.Listen), api.New(o, o.metrics.Handler(), versionOf(), log))
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", server.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	following, stop := context.WithCancel(ctx)
	unworkable, wait := o.start(following, c.Collector.Forced())
	defer func() {
		stop()
		wait()
	}()
	log.Info().Str("version", versionOf()).Stringer("address", listener.Addr()).Str("engine", o.engine.Address()).
		Interface("interfaces", c.Interfaces).Int("workers", int(c.Workers)).Msg("Serving")
	return serveUntil(ctx, server, listener, unworkable, log)
}

// serveUntil serves until ctx ends or there is a reason for which that is of no use.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener, unworkable <-chan error, log zerolog.Logger) (err error) {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
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

func closeWithin(ctx context.Context, timeout time.Duration, closing func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return closing(ctx)
}

func newLogger(level config.LogLevel, stderr io.Writer) (zerolog.Logger, error) {
	parsed, err := zerolog.ParseLevel(string(level))
	if err != nil {
		return zerolog.Logger{}, fmt.Errorf("log level: %w", err)
	}
	return zerolog.New(stderr).Level(parsed).With().Timestamp().Logger(), nil
}
