package engine

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
)

// dialError is why the engine could not be connected to. Docker's client replaces errors with the words "dial unix" or
// "connection refused", so no reason has them.
type dialError struct {
	reason string
	err    error
}

func (e *dialError) Error() string { return e.reason }

func (e *dialError) Unwrap() error { return e.err }

// explainFailures returns dial with errors that name the cause, and what the user can do.
func (a address) explainFailures(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, endpoint string) (net.Conn, error) {
		conn, err := dial(ctx, network, endpoint)
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		if _, ok := a.socketPath(); ok {
			return nil, err
		}
		reason := explainTCP(endpoint, err)
		if a.proxy != nil {
			reason = "the proxy " + a.proxyName() + " cannot be reached: " + reason
		}
		return nil, &dialError{reason, err}
	}
}

// socketPath returns the path of the engine's socket. ok is false if the engine is reached by TCP.
func (a address) socketPath() (path string, ok bool) { return strings.CutPrefix(a.host, "unix://") }

func explainTCP(endpoint string, err error) string {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "nothing listens on " + endpoint
	}
	return err.Error()
}
