package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof" // registers its handlers on a mux that is not served
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
)

// serveProfiles serves Go's profiles at address until ctx ends, if address is not empty. It leaves out /debug/pprof/cmdline:
// the targets on the command line may have passwords.
func serveProfiles(ctx context.Context, address string, log zerolog.Logger) error {
	if address == "" {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/debug/pprof/", pprof.Index)
	routes.HandleFunc("/debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: access.Local(routes), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, ErrorLog: access.ErrorLog(log)}
	go func() { _ = server.Serve(listener) }() // until Close
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Info().Stringer("address", listener.Addr()).Msg("Serving profiles")
	return nil
}
