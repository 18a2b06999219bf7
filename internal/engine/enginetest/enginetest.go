// Package enginetest is a Docker Engine API over HTTP for tests of faults that a real engine cannot be made to
// have: the real client talks to it.
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
	ID    string // 64 digits; made from Name if empty
	Name  string // without slash
	Image string // what the user typed
	// ListedImage is what the list says of the image, if not the same.
	ListedImage string
	NetworkMode string // "default" if empty
	Runtime     string // "runc" if empty
	State       string // "running" if empty; paused, restarting, exited
	StartedAt   time.Time
	// Ports is NetworkSettings.Ports, by "80/tcp".
	Ports map[string][]Binding
	// Networks is NetworkSettings.Networks, by name.
	Networks map[string]Network
	Labels   map[string]string
	// Exec answers a command that is run in the container.
	Exec func(command []string) Exec
	// InspectHangs makes inspect wait until the engine is closed.
	InspectHangs bool
}

// Binding is an entry of NetworkSettings.Ports.
type Binding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

// Network is an entry of NetworkSettings.Networks.
type Network struct {
	NetworkID         string
	IPAddress         string
	Gateway           string
	GlobalIPv6Address string
	IPv6Gateway       string
}

// Exec is how a command ends.
type Exec struct {
	Stdout, Stderr string
	Code           int
	// CreateStatus and StartStatus, if not 0, are the HTTP statuses with which the calls fail.
	CreateStatus, StartStatus int
	Message                   string // of such a failure
	// Raw is sent instead of well-formed frames, if not nil.
	Raw []byte
	// Hangs, if not nil, keeps the command running until it is closed.
	Hangs <-chan struct{}
	// Before is called before the command is created.
	BeforeCreate func()
}

// Options are what a command is created with.
type ExecOptions struct {
	Cmd, Env                     []string
	User                         string
	Privileged, Tty, AttachStdin bool
}

// apiVersion is the newest that the engine speaks.
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
	failing    int // HTTP status of every answer, if not 0
	running    int
	mostAtOnce int
	host       map[string]any // the answer to /info; not found if nil
}

type exec struct {
	Exec
	started bool
}

// New starts a fake engine that ends with the test, and points the Docker client's environment to it.
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

// Set replaces the containers.
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

// ID returns the ID of a container for which none is given: hexadecimal digits of its name, filled up to 64.
func ID(name string) string {
	id := fmt.Sprintf("%x", name)
	return (id + strings.Repeat("0", 64))[:64]
}

// Fail makes every answer an error of that HTTP status, until it is called with 0.
func (e *Engine) FailWith(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failing = status
}

// Calls returns how often each kind of call was made: "list", "inspect", "exec create", "exec start", …
func (e *Engine) Calls() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.calls)
}

// Execs returns what commands were created with, in their order.
func (e *Engine) Execs() []ExecOptions {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.options)
}

// NeverStarted returns how many execs were created and not started.
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

// MostAtOnce returns how many commands ran at the same time at most.
func (e *Engine) MaxConcurrentExecs() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mostAtOnce
}

func (e *Engine) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", e.ping)
	e.handle(mux, "GET /{version}/containers/json", "list", e.list)
	e.handle(mux, "GET /{version}/containers/{id}/json", "inspect", e.inspect)
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
		failing := e.failing
		e.mu.Unlock()
		switch {
		case failing != 0:
			fail(w, failing, "the engine is in trouble")
		case r.PathValue("version") > "v"+apiVersion: // versions of equal length
			fail(w, http.StatusBadRequest, "client version "+r.PathValue("version")+" is too new. Maximum supported API version is "+apiVersion)
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
	if e.failing != 0 {
		w.WriteHeader(e.failing)
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

func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	answer(w, map[string]string{"message": message})
}

func answer(w http.ResponseWriter, document any) {
	_ = json.NewEncoder(w).Encode(document) // the client may be gone
}
