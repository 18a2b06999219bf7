package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/daemon"
	"github.com/PabloL007/outpost/internal/engine"
)

const (
	// drainTimeout is how long requests that run may go on when the daemon is told to end, and closeTimeout how
	// long calls to the engine may after that: together less than the 10 s after which an engine kills.
	drainTimeout = 9 * time.Second
	closeTimeout = 500 * time.Millisecond
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

	docker, err := engine.New(int(c.Workers))
	if err != nil {
		// Only what the client finds in the environment can be at fault, such as a file that is no certificate.
		return usageError{fmt.Errorf("DOCKER_CERT_PATH=%q, DOCKER_HOST=%q: %w", c.DockerCertPath, c.DockerHost, err)}
	}
	defer func() { err = errors.Join(err, docker.Close()) }()

	self, err := collect.FindSelf("/proc")
	if err != nil {
		return err
	}
	life := context.WithoutCancel(ctx) // what runs when ctx ends is drained, not cut off
	collector := collect.New(life, docker, self, int(c.Workers), time.Duration(c.Timeout))
	defer func() {
		if err := closeWithin(life, closeTimeout, collector.Close); err != nil {
			log.Warn().Err(err).Msg("Ended without waiting for the engine")
		}
	}()

	outpost := daemon.New(collector, docker.Ready, c.Interfaces, log)
	server := api.NewServer(string(c.Listen), api.New(outpost, versionOf(), log))
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", server.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Info().Str("version", versionOf()).Stringer("address", listener.Addr()).Str("engine", docker.Host()).
		Interface("interfaces", c.Interfaces).Int("workers", int(c.Workers)).Msg("Serving")
	var starting sync.WaitGroup
	defer starting.Wait()
	starting.Go(func() { _ = outpost.Ready(ctx) }) // an engine that is down is in the log before the first request
	return serveUntil(ctx, server, listener, log)
}

func serveUntil(ctx context.Context, server *http.Server, listener net.Listener, log zerolog.Logger) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
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
	return nil
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
