package e2e

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// relay forwards bytes between the daemon and the engine. It can refuse, corrupt, suspend or cut connections.
type relay struct {
	t      testing.TB
	socket string

	mu       sync.Mutex
	refuses  bool
	corrupts bool
	gate     chan struct{} // closed while bytes pass
	conns    map[net.Conn]struct{}

	close func() // stops the relay; the end of the test does so too
}

func newRelay(t testing.TB, path string) *relay {
	t.Helper()
	w := &relay{t: t, socket: engineSocket(t), gate: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	close(w.gate)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.forward(client) })
		}
	})
	w.close = sync.OnceFunc(func() {
		_ = listener.Close()
		w.thaw()
		w.set(true, false)
		running.Wait()
	})
	t.Cleanup(w.close)
	return w
}

func (w *relay) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	w.mu.Lock()
	refuses, corrupts := w.refuses, w.corrupts
	w.mu.Unlock()
	if corrupts {
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\x00\xff[{]")
	}
	if refuses || corrupts {
		return
	}
	var dialer net.Dialer
	engine, err := dialer.DialContext(context.Background(), "unix", w.socket)
	if err != nil {
		return
	}
	defer func() { _ = engine.Close() }()
	w.mu.Lock()
	if w.refuses { // changed since the connection began
		w.mu.Unlock()
		return
	}
	w.conns[client], w.conns[engine] = struct{}{}, struct{}{}
	w.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { w.copy(engine, client) })
	both.Go(func() { w.copy(client, engine) })
	both.Wait()
	w.mu.Lock()
	delete(w.conns, client)
	delete(w.conns, engine)
	w.mu.Unlock()
}

func (w *relay) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		gate := w.gate
		w.mu.Unlock()
		<-gate
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut closes all connections, including the event stream.
func (w *relay) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		_ = conn.Close()
	}
}

func (w *relay) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = make(chan struct{})
}

func (w *relay) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.gate:
	default:
		close(w.gate)
	}
}

func (w *relay) set(refuses, corrupts bool) {
	w.mu.Lock()
	w.refuses, w.corrupts = refuses, corrupts
	w.mu.Unlock()
	w.cut()
}

// faults returns the faults of the relay. Each lasts for a given time.
func (w *relay) faults() []func(time.Duration) {
	return []func(time.Duration){
		func(d time.Duration) { w.set(true, false); time.Sleep(d); w.set(false, false) },
		func(d time.Duration) { w.set(false, true); time.Sleep(d); w.set(false, false) },
		func(d time.Duration) { w.freeze(); time.Sleep(d); w.thaw() },
		func(time.Duration) { w.cut() },
	}
}
