// Package enginetest serves a fake Docker Engine API over HTTP. Tests use it with the real client, for faults that a real
// engine does not produce on demand.
package enginetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Container is a container of the fake engine.
type Container struct {
	ID    string // 64 digits; derived from Name if empty
	Name  string // without slash
	Image string // the reference that the user typed
	// ListedImage is the image in the list, if it differs from Image.
	ListedImage string
	NetworkMode string // "default" if empty
	Runtime     string // "runc" if empty
	State       string // "running" if empty; paused, restarting, exited
	Health      string // no health check if empty
	Restarts    int
	Mounts      []Mount
	StartedAt   time.Time
	// Ports is NetworkSettings.Ports, by "80/tcp".
	Ports map[string][]Binding
	// Networks is NetworkSettings.Networks, by name.
	Networks map[string]Network
	Labels   map[string]string
	// Exec returns the result of a command in the container.
	Exec func(command []string) Exec
	// InspectHangs makes inspect hang until the engine is closed.
	InspectHangs bool
}

// Binding is an entry of NetworkSettings.Ports.
type Binding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

// Mount is an entry of Mounts.
type Mount struct{ Type, Source, Destination string }

// Network is an entry of NetworkSettings.Networks.
type Network struct {
	NetworkID         string
	IPAddress         string
	Gateway           string
	GlobalIPv6Address string
	IPv6Gateway       string
}

// Exec is the result of a command.
type Exec struct {
	Stdout, Stderr string
	Code           int
	// CreateStatus and StartStatus, if not 0, are the HTTP statuses of failing calls.
	CreateStatus, StartStatus int
	Message                   string // the message of a failing call
	// Raw, if not nil, is sent in place of well-formed frames.
	Raw []byte
	// Hangs, if not nil, keeps the command running until the channel is closed.
	Hangs <-chan struct{}
	// BeforeCreate, if not nil, is called before the command is created.
	BeforeCreate func()
}

// ExecOptions are the options of a created command.
type ExecOptions struct {
	Cmd, Env                     []string
	User                         string
	Privileged, Tty, AttachStdin bool
}

// apiVersion is the newest version that the engine supports.
const apiVersion = "1.41"

// Engine is a fake engine.
type Engine struct {
	server *httptest.Server
	closed chan struct{}

	mu         sync.Mutex
	containers []*Container
	execs      map[string]*exec
	options    []ExecOptions
	calls      map[string]int
	failStatus int // HTTP status of every response, if not 0
	running    int
	maxRunning int
	host       map[string]any // the answer to /info; not found if nil
	podman     bool
	networks   json.RawMessage // the answer to /networks; forbidden if nil
}

type exec struct {
	Exec
	started bool
}

// New starts a fake engine that ends with the test, and sets the Docker client's environment to its address.
func New(t *testing.T, containers ...*Container) *Engine {
	t.Helper()
	e := &Engine{closed: make(chan struct{}), execs: make(map[string]*exec), calls: make(map[string]int)}
	e.SetContainers(containers...)
	e.server = httptest.NewServer(e.handler())
	t.Cleanup(func() {
		close(e.closed)
		e.server.CloseClientConnections()
		e.server.Close()
	})
	t.Setenv("DOCKER_HOST", "tcp://"+e.server.Listener.Addr().String())
	t.Setenv("DOCKER_API_VERSION", "")
	t.Setenv("DOCKER_CERT_PATH", "")
	return e
}

// SetContainers replaces the containers.
func (e *Engine) SetContainers(containers ...*Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range containers {
		if c.ID == "" {
			c.ID = ID(c.Name)
		}
		if c.StartedAt.IsZero() {
			c.StartedAt = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
		}
	}
	e.containers = containers
}

// ID returns the ID of a container without a given one: its name in hexadecimal digits, padded with zeros to 64.
func ID(name string) string {
	id := fmt.Sprintf("%x", name)
	return (id + strings.Repeat("0", 64))[:64]
}

// FailWith makes every response an error with the given HTTP status, until it is called with 0.
func (e *Engine) FailWith(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failStatus = status
}

// Calls returns the number of calls of each kind: "list", "inspect", "exec create", "exec start", …
func (e *Engine) Calls() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.calls)
}

// Execs returns the options of all created commands, in order of creation.
func (e *Engine) Execs() []ExecOptions {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.options)
}

// UnstartedExecs returns the number of execs that were created and never started.
func (e *Engine) UnstartedExecs() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, x := range e.execs {
		if !x.started {
			n++
		}
	}
	return n
}

// MaxConcurrentExecs returns the highest number of commands that ran at the same time.
func (e *Engine) MaxConcurrentExecs() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.maxRunning
}

func (e *Engine) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", e.ping)
	e.handle(mux, "GET /{version}/containers/json", "list", e.list)
	e.handle(mux, "GET /{version}/containers/{id}/json", "inspect", e.inspect)
	e.handle(mux, "GET /{version}/networks", "networks", e.listNetworks)
	e.handle(mux, "GET /{version}/networks/{id}", "network", e.inspectNetwork)
	e.handle(mux, "GET /{version}/info", "info", e.info)
	e.handle(mux, "POST /{version}/containers/{id}/exec", "exec create", e.execCreate)
	e.handle(mux, "POST /{version}/exec/{id}/start", "exec start", e.execStart)
	e.handle(mux, "GET /{version}/exec/{id}/json", "exec inspect", e.execInspect)
	return mux
}

func (e *Engine) handle(mux *http.ServeMux, pattern, kind string, handler http.HandlerFunc) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.calls[kind]++
		failStatus := e.failStatus
		e.mu.Unlock()
		switch {
		case failStatus != 0:
			writeError(w, failStatus, "server error")
		case r.PathValue("version") > "v"+apiVersion: // versions of equal length
			writeError(w, http.StatusBadRequest, "client version "+r.PathValue("version")+" is too new. Maximum supported API version is "+apiVersion)
		default:
			handler(w, r)
		}
	})
}

func (e *Engine) ping(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls["ping"]++
	w.Header().Set("Api-Version", apiVersion)
	if e.failStatus != 0 {
		w.WriteHeader(e.failStatus)
	}
}

func (e *Engine) find(idOrName string) *Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if c.ID == idOrName || c.Name == idOrName {
			return c
		}
	}
	return nil
}

func writeError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, map[string]string{"message": message})
}

func writeJSON(w http.ResponseWriter, document any) {
	_ = json.NewEncoder(w).Encode(document) // the client may have disconnected
}
