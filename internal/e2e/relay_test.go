package e2e

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// wire passes bytes between the daemon and the engine, and can be made to fail as a wire does.
type relay struct {
	t      testing.TB
	socket string

	mu       sync.Mutex
	refuses  bool
	garbles  bool
	gate     chan struct{} // closed where bytes pass
	carriers map[net.Conn]struct{}

	close func() // ends it, as the end of the test does
}

func newRelay(t testing.TB, path string) *relay {
	t.Helper()
	w := &relay{t: t, socket: engineSocket(t), gate: make(chan struct{}), carriers: make(map[net.Conn]struct{})}
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
			running.Go(func() { w.carry(client) })
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

func (w *relay) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	w.mu.Lock()
	refuses, garbles := w.refuses, w.garbles
	w.mu.Unlock()
	if garbles {
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\x00\xff[{]")
	}
	if refuses || garbles {
		return
	}
	var dialer net.Dialer
	engine, err := dialer.DialContext(context.Background(), "unix", w.socket)
	if err != nil {
		return
	}
	defer func() { _ = engine.Close() }()
	w.mu.Lock()
	if w.refuses { // since it was asked
		w.mu.Unlock()
		return
	}
	w.carriers[client], w.carriers[engine] = struct{}{}, struct{}{}
	w.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { w.copy(engine, client) })
	both.Go(func() { w.copy(client, engine) })
	both.Wait()
	w.mu.Lock()
	delete(w.carriers, client)
	delete(w.carriers, engine)
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

// cut breaks all connections off, that of the events too.
func (w *relay) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.carriers {
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

func (w *relay) set(refuses, garbles bool) {
	w.mu.Lock()
	w.refuses, w.garbles = refuses, garbles
	w.mu.Unlock()
	w.cut()
}

// faults are those of the wire, each of which lasts as long as it is given.
func (w *relay) faults() []func(time.Duration) {
	return []func(time.Duration){
		func(d time.Duration) { w.set(true, false); time.Sleep(d); w.set(false, false) },
		func(d time.Duration) { w.set(false, true); time.Sleep(d); w.set(false, false) },
		func(d time.Duration) { w.freeze(); time.Sleep(d); w.thaw() },
		func(time.Duration) { w.cut() },
	}
}
