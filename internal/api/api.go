// Package api serves what a daemon or a mapper knows over HTTP.
package api

import (
	"context"
	_ "embed" // of the description
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/graph"
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

// Map is who talks to whom.
type Map interface {
	// Graph returns the links that there are and were, or an error if the engine cannot be asked for its containers.
	Graph(ctx context.Context) (graph.Graph, error)
}

// Options are what is served.
type Options struct {
	// Source is the own host; nil for a mapper, which has none.
	Source  Source
	Map     Map
	Metrics http.Handler
	Version string
	Log     zerolog.Logger
}

type handler struct{ Options }

// openAPI describes all routes.
//
//go:embed openapi.json
var openAPI []byte

// New returns the handler of all routes.
func New(options Options) http.Handler {
	h := &handler{options}
	const compression = 5 // gzip's and deflate's usual level
	router := chi.NewRouter()
	router.Use(h.recoverer, middleware.GetHead,
		middleware.Compress(compression, typeJSON, "text/*", "image/svg+xml"))
	router.NotFound(h.notFound)
	router.MethodNotAllowed(h.methodNotAllowed(router))
	root := h.notFound
	if h.Source != nil {
		root = h.connections
		router.Get("/connections", root)
		router.Get("/index", root) // pollers of the original use this path and the root
		router.Get("/v1/snapshot", h.snapshot)
	}
	h.routePage(router, root)
	router.Get("/v1/graph", h.graphAs(typeJSON, graph.WriteJSON))
	router.Get("/v1/graph.dot", h.graphAs(typeDOT, graph.WriteDOT))
	router.Get("/v1/graph.mmd", h.graphAs(typeMermaid, graph.WriteMermaid))
	router.Get("/v1/graph.csv", h.graphAs(typeCSV, graph.WriteCSV))
	router.Get("/api/graph/fields", h.grafanaFields)
	router.Get("/api/graph/data", h.grafanaData)
	router.Get("/api/health", h.healthz)
	router.Method(http.MethodGet, "/metrics", h.Metrics)
	router.Get("/openapi.json", h.description)
	router.Get("/healthz", h.healthz)
	router.Get("/readyz", h.readyz)
	router.Get("/version", h.versionz)
	return router
}

// writeTimeout bounds the sending of an answer.
const writeTimeout = time.Minute

// bodiless does not wait for a body that a client says it sends: no request has one, and one that does not come would hold what
// answers.
func bodiless(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close")                                            // else the server reads it before it answers
			defer func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now()) }() // and else when it has
		}
		next.ServeHTTP(w, r)
	})
}

// NewServer returns a server of handler that no slow or silent client can hold.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           bodiless(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

func (h *handler) description(w http.ResponseWriter, _ *http.Request) {
	h.write(w, http.StatusOK, typeJSON, openAPI)
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	h.json(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	if h.Source != nil {
		if err := h.Source.Ready(r.Context()); err != nil {
			h.fail(w, err)
			return
		}
	}
	h.json(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) versionz(w http.ResponseWriter, _ *http.Request) {
	h.json(w, http.StatusOK, map[string]string{"version": h.Version})
}
