// Package engine is a client of the Docker Engine API. It lists and inspects containers, lists networks, follows their events
// and runs commands in containers. No other package imports Docker's module.
package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/PabloL007/outpost/internal/container"
)

// Engine is a client of one Docker engine. It is safe for concurrent use.
type Engine struct {
	address  address
	maxCalls int
	observe  func(kind string)
	current  atomic.Pointer[negotiatedClient]
	lastID   atomic.Value // string: the ID in the last answer to /info
	// changesID: the engine reports another ID in each answer to /info.
	changesID atomic.Bool
	// rejectsRestarting: the engine rejects a list of containers in the state "restarting".
	rejectsRestarting atomic.Bool
}

// CallKinds returns all kinds of calls, except the ping before the first call.
func CallKinds() []string {
	return []string{kindList, kindInspect, kindNetworks, kindEvents, kindInfo, kindVersion, kindExecCreate, kindExecStart, kindExecInspect}
}

const (
	kindList        = "list"
	kindInspect     = "inspect"
	kindNetworks    = "networks"
	kindEvents      = "events"
	kindInfo        = "info"
	kindVersion     = "version"
	kindExecCreate  = "exec_create"
	kindExecStart   = "exec_start"
	kindExecInspect = "exec_inspect"
)

// Options configure an Engine.
type Options struct {
	// MaxCalls is the number of concurrent calls and of idle connections that are kept. With the default limit of idle
	// connections, most calls would open a connection.
	MaxCalls int
	// Observe receives the kind of each call.
	Observe func(kind string)
	// UseProxy makes all calls but commands use the proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
	UseProxy bool
}

// New returns a client of the engine that the environment selects (DOCKER_HOST, DOCKER_API_VERSION,
// DOCKER_CERT_PATH, DOCKER_TLS_VERIFY). The engine may still be down: the first call that reaches it negotiates the API
// version.
func New(options Options) (*Engine, error) {
	a, err := addressFromEnv(options.UseProxy)
	if err != nil {
		return nil, fmt.Errorf("proxy of the engine: %w", err)
	}
	e := &Engine{address: a, maxCalls: options.MaxCalls, observe: options.Observe}
	return e, e.reconnect()
}

// Close closes idle connections.
func (e *Engine) Close() error { return e.current.Load().Close() }

// Address returns the engine's address, such as unix:///var/run/docker.sock, and the proxy if one is used.
func (e *Engine) Address() string { return e.address.String() }

// Host returns information about the engine and its host. If /info is not permitted, it contains only the versions.
func (e *Engine) Host(ctx context.Context) (container.Host, error) {
	c, err := e.client(ctx)
	if err != nil {
		return container.Host{}, err
	}
	e.observe(kindInfo)
	info, err := c.Info(ctx)
	if err == nil {
		id, err := e.confirmID(ctx, c, info.ID)
		now, _ := time.Parse(time.RFC3339Nano, info.SystemTime) // zero if the engine does not report it
		return container.Host{
			ID: id, Name: info.Name, Version: info.ServerVersion, APIVersion: c.ClientVersion(), Time: now,
			RemapsUsers: slices.Contains(info.SecurityOptions, "name=userns"),
		}, err
	}
	if err = wrapError("info", err); !errors.Is(err, container.ErrForbidden) {
		return container.Host{}, err
	}
	e.observe(kindVersion)
	version, err := c.ServerVersion(ctx)
	if err != nil {
		return container.Host{}, wrapError("version", err)
	}
	return container.Host{Version: version.Version, APIVersion: c.ClientVersion()}, nil
}

// confirmID returns an engine's ID, or "" if the engine reports another ID at each call, as Podman does. It calls the engine
// again unless the last answers show which of the two it is: Podman takes up to seconds for an answer.
func (e *Engine) confirmID(ctx context.Context, c *client.Client, id string) (string, error) {
	last := e.lastID.Swap(id)
	if last == id {
		e.changesID.Store(false)
		return id, nil
	}
	if e.changesID.Load() {
		return "", nil
	}
	e.observe(kindInfo)
	again, err := c.Info(ctx)
	if err != nil && last == nil {
		return "", wrapError("info", err) // the next call has two IDs to compare
	}
	e.changesID.Store(again.ID != id)
	if again.ID != id {
		return "", nil
	}
	return id, nil
}

// Ready returns nil if the engine answers the call that Outpost needs first: a list of containers, here limited to one.
func (e *Engine) Ready(ctx context.Context) error {
	c, err := e.client(ctx)
	if err != nil {
		return err
	}
	e.observe(kindList)
	_, err = c.ContainerList(ctx, dockercontainer.ListOptions{Limit: 1})
	return wrapError(listOperation, err)
}

// Inspect returns one container by ID or name, running or not.
func (e *Engine) Inspect(ctx context.Context, idOrName string) (container.Container, error) {
	c, err := e.client(ctx)
	if err != nil {
		return container.Container{}, err
	}
	e.observe(kindInspect)
	inspected, err := c.ContainerInspect(ctx, idOrName)
	if err != nil {
		return container.Container{}, wrapError("inspect", err)
	}
	result, err := toContainer(inspected)
	if err != nil {
		return container.Container{}, wrapError("inspect", err)
	}
	own, _ := e.address.socketPath()
	result.EngineSocket = mountsSocket(inspected.Mounts, own)
	return result, nil
}

const listOperation = "list containers"

// wrapError wraps an error of Docker's client. It converts those on which callers branch to errors of package container.
func wrapError(operation string, err error) error {
	if err == nil {
		return nil
	}
	if cause, ok := errors.AsType[*dialError](err); ok {
		return fmt.Errorf("%s: %w: %w", operation, container.ErrUnreachable, cause)
	}
	if denied := explainDenial(operation, err); denied != nil {
		return fmt.Errorf("%s: %w", operation, denied)
	}
	switch {
	case errdefs.IsNotFound(err):
		err = container.ErrNotFound
	case client.IsErrConnectionFailed(err):
		err = fmt.Errorf("%w: %w", container.ErrUnreachable, err)
	case isVersionError(err):
		err = fmt.Errorf("%w: Outpost speaks %s to %s: %w", container.ErrAPIVersion, oldestAPIVersion, newestAPIVersion, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}
