package engine

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync/atomic"
)

// maxAnswer is how long an answer of the engine may be, in bytes: a list has some 2 KB for a container. A stream of events
// that is longer ends, and is followed anew. What a command prints is bounded by those who read it, as it comes.
const maxAnswer = 32 << 20

// dialer opens a connection.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// bounded returns a dialer of connections that fail where an answer is too long: the client reads one into memory whole.
func bounded(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundedConn{Conn: conn}, nil
	}
}

// boundedConn is a connection on which one request is answered after the other.
type boundedConn struct {
	net.Conn
	read    atomic.Int64 // since something was asked
	streams atomic.Bool  // what a command prints
}

func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read.Add(int64(n)) > maxAnswer && !c.streams.Load() {
		return 0, fmt.Errorf("the engine's answer is longer than %d MiB", maxAnswer>>20)
	}
	return n, err
}

func (c *boundedConn) Write(p []byte) (int, error) {
	c.read.Store(0)
	if bytes.Contains(p, []byte("\r\nUpgrade: tcp\r\n")) { // as the client asks for a command's streams
		c.streams.Store(true)
	}
	return c.Conn.Write(p)
}

// CloseWrite is what a command's input is ended by.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
