// Package api serves what the daemon knows over HTTP.
package api

import (
	"bytes"
	"context"
	_ "embed" // of the description
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/snapshot"
)

// Source is where the answers come from.
type Source interface {
	// Snapshot returns what is known of the host now, or an error if the engine cannot be asked for its containers;
	// measured asks for what the kernel has measured of connections too.
	Snapshot(ctx context.Context, measured bool) (snapshot.Snapshot, error)
	// Ready returns nil if the engine answers.
	Ready(ctx context.Context) error
}

type handler struct {
	source  Source
	version string
	log     zerolog.Logger
}

// openAPI describes all routes.
//
//go:embed openapi.json
var openAPI []byte

// New returns the handler of all routes; metrics answers for the one of that name.
func New(source Source, metrics http.Handler, version string, log zerolog.Logger) http.Handler {
	h := &handler{source: source, version: version, log: log}
	const compression = 5 // gzip's and deflate's usual level
	router := chi.NewRouter()
	router.Use(h.recoverer, middleware.Compress(compression, "application/json", "text/plain"), middleware.GetHead)
	router.NotFound(h.notFound)
	router.MethodNotAllowed(h.methodNotAllowed(router))
	for _, path := range []string{"/connections", "/", "/index"} { // pollers of the original use the latter two
		router.Get(path, h.connections)
	}
	router.Get("/v1/snapshot", h.snapshot)
	router.Method(http.MethodGet, "/metrics", metrics)
	router.Get("/openapi.json", h.description)
	router.Get("/healthz", h.healthz)
	router.Get("/readyz", h.readyz)
	router.Get("/version", h.versionz)
	return router
}

// writeTimeout bounds the sending of an answer.
const writeTimeout = time.Minute

// NewServer returns a server of handler on addr that no slow or silent client can hold.
func NewServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

func (h *handler) description(w http.ResponseWriter, _ *http.Request) {
	h.write(w, http.StatusOK, slices.Clip(bytes.TrimSpace(openAPI)))
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	h.json(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	if err := h.source.Ready(r.Context()); err != nil {
		h.fail(w, err)
		return
	}
	h.json(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) versionz(w http.ResponseWriter, _ *http.Request) {
	h.json(w, http.StatusOK, map[string]string{"version": h.version})
}
