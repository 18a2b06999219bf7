package collect

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// isTruncated reports whether the reading says that sockets did not fit into a memory limit of 64 MiB.
func (r Reading) isTruncated() bool {
	return r.NetNS.Truncated && slices.ContainsFunc(r.Problems, func(p Problem) bool {
		return strings.Contains(p.Reason, "memory limit of 64 MiB")
	})
}

func countListeners(sockets []socket.Socket) (n int) {
	for _, s := range sockets {
		if s.State == socket.Listen {
			n++
		}
	}
	return n
}

// One long table does not make the others incomplete, and keeps its listeners.
func TestCommandsStayWithinTheMemoryLimit(t *testing.T) {
	w := &world{containers: []container.Container{running("long", 0, "bridge")}}
	for i := range 9 {
		w.containers = append(w.containers, running(fmt.Sprint("short-", i), 0, "bridge"))
	}
	var long strings.Builder
	long.WriteString(table(80))
	for i := range 3000 {
		_, _ = fmt.Fprintf(&long, "   1: 0100007F:%04X 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 20 4 30 10 -1\n", 1000+i, 10+i)
	}
	w.exec = func(ctx context.Context, container string, stdout io.Writer) error {
		if container != id("long") {
			return printTable(80)(ctx, container, stdout)
		}
		_, err := io.WriteString(stdout, long.String())
		return err
	}
	c := w.collector(t, Exec)
	c.MaxSockets, c.MemoryLimit = 1100, 64<<20
	result, err := c.Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range result.Readings {
		n, isLong := len(r.NetNS.Sockets), r.Container.Name == "/long"
		if r.isTruncated() != isLong || countListeners(r.NetNS.Sockets) != 1 || isLong && (n < 825 || n > 1100) || !isLong && len(r.Problems) > 0 {
			t.Errorf("%s: %d sockets, %v", r.Container.Name, n, r.Problems)
		}
	}
}

// The host's table is long. It is cut, and says so. A container beside it is complete.
func TestProcessesStayWithinTheMemoryLimit(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	for range 400 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	for _, method := range []Method{Procfs, Sockdiag} {
		t.Run(string(method), func(t *testing.T) {
			w := &world{containers: []container.Container{web}}
			c := w.collector(t, method)
			c.MaxSockets, c.MemoryLimit = 400, 64<<20
			for range 3 { // the decoders are used again
				result, err := c.Collect(t.Context(), false)
				if err != nil {
					t.Fatal(err)
				}
				host, r := result.Host, result.Readings[0]
				if n := len(host.Sockets); host.Method != method || !host.Incomplete || !host.Truncated || n < 300 || n > 400 || !host.hasListener(listener) {
					t.Errorf("host: method %s, incomplete %v, truncated %v, %d sockets", host.Method, host.Incomplete, host.Truncated, n)
				}
				if len(r.Problems) > 0 || len(r.NetNS.Sockets) != 1 {
					t.Errorf("%v, %d sockets", r.Problems, len(r.NetNS.Sockets))
				}
			}
		})
	}
}
