// Package engine asks the Docker Engine API: which containers run, what each one is, and what a command in it
// prints. It is the only importer of the Docker module.
package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	words "github.com/PabloL007/outpost/internal/container"
)

// Engine is a client of one Docker engine. It may be used by several goroutines at once.
type Engine struct {
	parallel int
	called   func(kind string)
	current  atomic.Pointer[connection]
}

// connection is the Docker module's client, which settles the API's version with the first call and for good.
type connection struct {
	*client.Client
	negotiated atomic.Bool
}

// Kinds are the kinds of calls that are made of the engine; there are no others but a ping before the first.
func Kinds() []string {
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
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation(), keepConnections(e.parallel))
	if err != nil {
		return fmt.Errorf("docker client: %w", err)
	}
	if before := e.current.Swap(&connection{Client: c}); before != nil {
		return before.Close() // idle connections alone
	}
	return nil
}

func (e *Engine) client() *client.Client { return e.current.Load().Client }

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
func (e *Engine) Close() error { return e.client().Close() }

// Address returns the engine's address, such as unix:///var/run/docker.sock.
func (e *Engine) Address() string { return e.client().DaemonHost() }

// Host returns what the engine tells of itself and its host. Where /info is not permitted, that is the version.
func (e *Engine) Host(ctx context.Context) (words.Host, error) {
	e.called(kindInfo)
	info, err := e.client().Info(ctx)
	if err == nil {
		now, _ := time.Parse(time.RFC3339Nano, info.SystemTime) // zero if it does not tell
		return words.Host{ID: info.ID, Name: info.Name, Version: info.ServerVersion, API: e.client().ClientVersion(), Time: now}, nil
	}
	if err = translate("info", err); !errors.Is(err, words.ErrForbidden) {
		return words.Host{}, err
	}
	e.called(kindVersion)
	version, err := e.client().ServerVersion(ctx)
	if err != nil {
		return words.Host{}, translate("version", err)
	}
	return words.Host{Version: version.Version, API: e.client().ClientVersion()}, nil
}

// Ready returns nil if the engine answers what Outpost asks it first: a list of containers, here of one at
// the most. (A ping would not do: the client takes a ping that fails with 500 for an answer.)
func (e *Engine) Ready(ctx context.Context) error {
	e.called(kindList)
	_, err := e.client().ContainerList(ctx, container.ListOptions{Limit: 1})
	return translate("list containers", err)
}

// negotiate settles the API's version. The client does so by itself in all other calls; that for events reads the
// version before that.
func (e *Engine) negotiate(ctx context.Context) error {
	current := e.current.Load()
	if current.negotiated.Load() {
		return nil
	}
	err := e.Ready(ctx)
	current.negotiated.Store(err == nil)
	return err
}

// Containers lists the running containers in the engine's order; paused and restarting ones are among them.
func (e *Engine) Containers(ctx context.Context) ([]words.Summary, error) {
	e.called(kindList)
	list, err := e.client().ContainerList(ctx, container.ListOptions{})
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
	e.called(kindInspect)
	inspected, err := e.client().ContainerInspect(ctx, id)
	if err != nil {
		return words.Container{}, translate("inspect", err)
	}
	c, err := containerOf(inspected)
	return c, translate("inspect", err)
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
