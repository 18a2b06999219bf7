// Package engine asks the Docker Engine API: which containers run, what each one is, and what a command in it
// prints. It is the only importer of the Docker module.
package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errhttp"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"golang.org/x/sync/semaphore"

	words "github.com/PabloL007/outpost/internal/container"
)

// Engine is a client of one Docker engine. It may be used by several goroutines at once.
type Engine struct {
	parallel int
	called   func(kind string)
	current  atomic.Pointer[connection]
}

// connection is the Docker module's client, with which the API's version is settled before the first call and for good.
type connection struct {
	*client.Client
	isSettled atomic.Bool
	settling  *semaphore.Weighted // for one
}

// Kinds are the kinds of calls that are made of the engine; there are no others but a ping before the first.
func CallKinds() []string {
	return []string{kindList, kindInspect, kindEvents, kindInfo, kindVersion, kindExecCreate, kindExecStart, kindExecInspect}
}

const (
	kindList        = "list"
	kindInspect     = "inspect"
	kindEvents      = "events"
	kindInfo        = "info"
	kindVersion     = "version"
	kindExecCreate  = "exec_create"
	kindExecStart   = "exec_start"
	kindExecInspect = "exec_inspect"
)

// New returns a client of the engine that the environment names (DOCKER_HOST, DOCKER_API_VERSION,
// DOCKER_CERT_PATH, DOCKER_TLS_VERIFY). The engine need not answer yet: the API's version is negotiated with
// the first call that reaches it. parallel is how many calls will be made at once: so many connections are
// kept, because the client's own limit would open a new one for most calls. called is told the kind of each call.
func New(parallel int, called func(kind string)) (*Engine, error) {
	e := &Engine{parallel: parallel, called: called}
	return e, e.renew()
}

// renew makes a client to which nothing is known of the engine: it may have become one of another version.
func (e *Engine) renew() error {
	c, err := client.NewClientWithOpts(client.FromEnv, keepConnections(e.parallel))
	if err != nil {
		return fmt.Errorf("docker client: %w", err)
	}
	next := &connection{Client: c, settling: semaphore.NewWeighted(1)}
	next.isSettled.Store(os.Getenv(client.EnvOverrideAPIVersion) != "")
	if before := e.current.Swap(next); before != nil {
		return before.Close() // idle connections alone
	}
	return nil
}

// settleTimeout bounds the wait for an engine to tell its version. It is at hand.
const settleTimeout = 10 * time.Second

// client returns the client for a call. The API's version is settled before, by a ping. (The client would do that by itself
// within its first call; but all others would wait for that one, however long that takes and they may wait.)
func (e *Engine) client(ctx context.Context) (*client.Client, error) {
	c := e.current.Load()
	if c.isSettled.Load() {
		return c.Client, nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if err := c.settling.Acquire(ctx, 1); err != nil {
		return nil, translate("ping", err)
	}
	defer c.settling.Release(1)
	if c.isSettled.Load() {
		return c.Client, nil
	}
	switch ping, err := c.Ping(ctx); {
	case err == nil:
		c.NegotiateAPIVersionPing(ping)
	case !isRefusal(err): // else the newest has to do
		return nil, translate("ping", err)
	}
	c.isSettled.Store(true)
	return c.Client, nil
}

// isRefusal reports whether an error is an answer that will be the same the next time, such as a proxy's that forbids a call.
func isRefusal(err error) bool {
	status := errhttp.ToHTTP(err) // 500 for what is no answer
	return status >= 400 && status < 500 && status != http.StatusTooManyRequests
}

// keepConnections has the client keep as many connections as there are calls at once, each of bounded answers.
func keepConnections(parallel int) client.Opt {
	return func(c *client.Client) error {
		if transport, ok := c.HTTPClient().Transport.(*http.Transport); ok {
			transport.MaxIdleConns, transport.MaxIdleConnsPerHost = parallel, parallel
			dial := transport.DialContext
			if dial == nil {
				dial = (&net.Dialer{}).DialContext
			}
			transport.DialContext = bounded(dial)
		}
		return nil
	}
}

// Close closes idle connections.
func (e *Engine) Close() error { return e.current.Load().Close() }

// Address returns the engine's address, such as unix:///var/run/docker.sock.
func (e *Engine) Address() string { return e.current.Load().DaemonHost() }

// Host returns what the engine tells of itself and its host. Where /info is not permitted, that is the version.
func (e *Engine) Host(ctx context.Context) (words.Host, error) {
	c, err := e.client(ctx)
	if err != nil {
		return words.Host{}, err
	}
	e.called(kindInfo)
	info, err := c.Info(ctx)
	if err == nil {
		now, _ := time.Parse(time.RFC3339Nano, info.SystemTime) // zero if it does not tell
		return words.Host{ID: info.ID, Name: info.Name, Version: info.ServerVersion, APIVersion: c.ClientVersion(), Time: now}, nil
	}
	if err = translate("info", err); !errors.Is(err, words.ErrForbidden) {
		return words.Host{}, err
	}
	e.called(kindVersion)
	version, err := c.ServerVersion(ctx)
	if err != nil {
		return words.Host{}, translate("version", err)
	}
	return words.Host{Version: version.Version, APIVersion: c.ClientVersion()}, nil
}

// Ready returns nil if the engine answers what Outpost asks it first: a list of containers, here of one at the most.
func (e *Engine) Ready(ctx context.Context) error {
	c, err := e.client(ctx)
	if err != nil {
		return err
	}
	e.called(kindList)
	_, err = c.ContainerList(ctx, container.ListOptions{Limit: 1})
	return translate("list containers", err)
}

// Containers lists the running containers in the engine's order; paused and restarting ones are among them.
func (e *Engine) Containers(ctx context.Context) ([]words.Summary, error) {
	c, err := e.client(ctx)
	if err != nil {
		return nil, err
	}
	e.called(kindList)
	list, err := c.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return nil, translate("list containers", err)
	}
	summaries := make([]words.Summary, len(list))
	for i, c := range list {
		summaries[i] = summaryOf(c)
	}
	return summaries, nil
}

// Inspect returns what the engine knows of one container, running or not. id may also be a name.
func (e *Engine) Inspect(ctx context.Context, id string) (words.Container, error) {
	c, err := e.client(ctx)
	if err != nil {
		return words.Container{}, err
	}
	e.called(kindInspect)
	inspected, err := c.ContainerInspect(ctx, id)
	if err != nil {
		return words.Container{}, translate("inspect", err)
	}
	it, err := containerOf(inspected)
	return it, translate("inspect", err)
}

// translate wraps an error of the Docker client: what callers branch on becomes an error of package container.
func translate(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err):
		err = words.ErrNotFound
	case client.IsErrConnectionFailed(err):
		err = fmt.Errorf("%w: %w", words.ErrUnreachable, err)
	case errdefs.IsPermissionDenied(err):
		err = fmt.Errorf("%w: %w", words.ErrForbidden, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}
