package engine

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync/atomic"
)

// maxResponseSize bounds a response of the engine, in bytes. A list takes some 2 KB for each container. A longer stream of
// events ends, and the caller follows it again. The readers of an exec's output bound it themselves.
const maxResponseSize = 32 << 20

// dialFunc opens a connection.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// withBoundedResponses returns a dialFunc of connections that fail on a response longer than maxResponseSize. Docker's
// client reads a whole response into memory.
func withBoundedResponses(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundedConn{Conn: conn}, nil
	}
}

// boundedConn is a connection that carries one request at a time.
type boundedConn struct {
	net.Conn
	read      atomic.Int64 // bytes since the last request
	unbounded atomic.Bool  // the connection carries an exec's output
}

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read.Add(int64(n)) > maxResponseSize && !c.unbounded.Load() {
		return 0, fmt.Errorf("the engine's response is longer than %d MiB", maxResponseSize>>20)
	}
	return n, err
}

// Write implements net.Conn.
func (c *boundedConn) Write(p []byte) (int, error) {
	c.read.Store(0)
	if bytes.Contains(p, []byte("\r\nUpgrade: tcp\r\n")) { // the client's request for an exec's streams
		c.unbounded.Store(true)
	}
	return c.Conn.Write(p)
}

// CloseWrite ends the input of an exec. Docker's client looks for this method.
func (c *boundedConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}
