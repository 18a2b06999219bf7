package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof" // what it registers by itself is not served
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
)

// serveProfiles serves Go's profiles on an address of their own until ctx ends, if there is one; but the command line, in which
// targets may have passwords.
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
	go func() { _ = server.Serve(listener) }() // it ends when it is closed
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Info().Stringer("address", listener.Addr()).Msg("Serving profiles")
	return nil
}
