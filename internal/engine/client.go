package engine

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs/pkg/errhttp"
	"github.com/docker/docker/client"
	"golang.org/x/sync/semaphore"
)

// negotiatedClient is Docker's client. Its API version is negotiated once, before the first call.
type negotiatedClient struct {
	*client.Client
	negotiated  atomic.Bool
	negotiating *semaphore.Weighted // held by the one caller that negotiates
}

// reconnect replaces the client. The next one negotiates again, because the engine may have another version now.
func (e *Engine) reconnect() error {
	c, err := client.NewClientWithOpts(
		client.WithTLSClientConfigFromEnv(), client.WithHost(e.address.host), client.WithVersionFromEnv(), e.address.configure(e.maxCalls))
	if err != nil {
		return fmt.Errorf("docker client: %w", err)
	}
	next := &negotiatedClient{Client: c, negotiating: semaphore.NewWeighted(1)}
	next.negotiated.Store(os.Getenv(client.EnvOverrideAPIVersion) != "")
	e.rejectsRestarting.Store(false)
	if previous := e.current.Swap(next); previous != nil {
		return previous.Close() // closes only idle connections
	}
	return nil
}

// negotiateTimeout bounds the negotiation, which the engine answers without delay.
const negotiateTimeout = 10 * time.Second

// client returns the client for a call. It first negotiates the API version. Docker's client would do so during its first
// call, but would then block all other callers until that call ends, beyond their own deadlines.
func (e *Engine) client(ctx context.Context) (*client.Client, error) {
	c := e.current.Load()
	if c.negotiated.Load() {
		return c.Client, nil
	}
	ctx, cancel := context.WithTimeout(ctx, negotiateTimeout)
	defer cancel()
	if err := c.negotiating.Acquire(ctx, 1); err != nil {
		return nil, wrapError("ping", err)
	}
	defer c.negotiating.Release(1)
	if c.negotiated.Load() {
		return c.Client, nil
	}
	if err := e.negotiate(ctx, c.Client); err != nil {
		return nil, err
	}
	c.negotiated.Store(true)
	return c.Client, nil
}

// isRejection reports whether an error is a permanent answer, such as that of a proxy that forbids a call.
func isRejection(err error) bool {
	status := errhttp.ToHTTP(err) // 500 for an error without an HTTP status
	return status >= 400 && status < 500 && status != http.StatusTooManyRequests
}
