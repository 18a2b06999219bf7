// Package api serves the snapshot of a daemon and the map of a daemon or mapper over HTTP.
package api

import (
	"context"
	_ "embed" // of the OpenAPI document
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Daemon takes snapshots of one host.
type Daemon interface {
	// Snapshot takes a snapshot; withTCPInfo adds what the kernel measures of connections. It fails if the engine does not list
	// its containers.
	Snapshot(ctx context.Context, withTCPInfo bool) (snapshot.Snapshot, error)
	// Ready returns nil if the engine responds.
	Ready(ctx context.Context) error
}

// Map is the map of a daemon or mapper.
type Map interface {
	// Graph returns the present and past links. It fails if the engine does not list its containers.
	Graph(ctx context.Context) (graph.Graph, error)
}

// Options are the parts that are served.
type Options struct {
	// Daemon serves the local host. It is nil for a mapper.
	Daemon  Daemon
	Map     Map
	Metrics http.Handler
	// ContainerLinks returns the templates of links from containers to other programs. It is nil if there are none.
	ContainerLinks func() []graph.ContainerLink
	// MaxSockets is the maximum number of sockets of a snapshot. Large answers then wait for each other. 0 means any number.
	MaxSockets int
	Version    string
	Log        zerolog.Logger
}

type handler struct {
	Options
	gates
}

// openAPI is the OpenAPI document of all routes.
//
//go:embed openapi.json
var openAPI []byte

// New returns the handler of all routes.
func New(options Options) http.Handler {
	h := &handler{options, newGates(options.MaxSockets)}
	const compression = 5 // the default level of gzip and deflate
	router := chi.NewRouter()
	router.Use(h.recoverer, middleware.GetHead,
		middleware.Compress(compression, typeJSON, "text/*", "image/svg+xml"))
	router.NotFound(h.notFound)
	router.MethodNotAllowed(h.methodNotAllowed(router))
	root := h.notFound
	if h.Daemon != nil {
		root = h.gates.connections.limit(h, h.connections)
		router.Get("/connections", root)
		router.Get("/index", root) // pollers of the original Outpost use this path and the root
		router.Get("/v1/snapshot", h.snapshots.limit(h, h.snapshot))
	}
	h.routePage(router, root)
	router.Get("/v1/graph", h.serveGraph(typeJSON, graph.WriteJSON))
	router.Get("/v1/graph.dot", h.serveGraph(typeDOT, graph.WriteDOT))
	router.Get("/v1/graph.mmd", h.serveGraph(typeMermaid, graph.WriteMermaid))
	router.Get("/v1/graph.csv", h.serveGraph(typeCSV, graph.WriteCSV))
	router.Get("/api/graph/fields", h.grafanaFields)
	router.Get("/api/graph/data", h.grafanaData)
	router.Get("/api/health", h.healthz)
	router.Method(http.MethodGet, "/metrics", h.Metrics)
	router.Get("/openapi.json", h.openAPI)
	router.Get("/healthz", h.healthz)
	router.Get("/readyz", h.readyz)
	router.Get("/version", h.version)
	return router
}

// writeTimeout bounds the sending of a response.
const writeTimeout = time.Minute

// ignoreBody keeps the server from waiting for a request body. No route reads one, and a client may announce a body that it
// never sends.
func ignoreBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close")                                            // otherwise the server reads the body before the response
			defer func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now()) }() // otherwise it reads the body after it
		}
		next.ServeHTTP(w, r)
	})
}

// NewServer returns a server of handler with timeouts against slow clients.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           ignoreBody(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

func (h *handler) openAPI(w http.ResponseWriter, _ *http.Request) {
	h.write(w, http.StatusOK, typeJSON, openAPI)
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	h.writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	if h.Daemon != nil {
		if err := h.Daemon.Ready(r.Context()); err != nil {
			h.writeError(w, err)
			return
		}
	}
	h.writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) version(w http.ResponseWriter, _ *http.Request) {
	h.writeJSON(w, http.StatusOK, map[string]string{"version": h.Version})
}
