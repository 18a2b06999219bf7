package collect

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
	"github.com/PabloL007/outpost/internal/socket"
)

const benchmarkedContainers = 100

// BenchmarkIdle compares polls of idle containers, each with one listener in a namespace of its own, with bare dumps of their listeners
// through sockets that stay open.
func BenchmarkIdle(b *testing.B) {
	w := &world{caches: true}
	for i := range benchmarkedContainers {
		name := fmt.Sprint("idle", i)
		w.containers = append(w.containers, running(name, startProcess(b, name, 0, "0.0.0.0:80"), "bridge"))
	}
	benchmarkMethods(b, w)
}

// BenchmarkIdleResolver is BenchmarkIdle with the UDP socket of the engine's resolver in each namespace, as in user-defined networks.
func BenchmarkIdleResolver(b *testing.B) {
	w := &world{caches: true}
	for i := range benchmarkedContainers {
		name := fmt.Sprint("idle", i)
		w.containers = append(w.containers, running(name, startProcess(b, name, 0, "0.0.0.0:80"), "bridge"))
		bindUDPIn(b, sockdiagtest.OpenNetNS(b, w.containers[i].PID), "udp4", "127.0.0.11:0")
	}
	benchmarkMethods(b, w)
}

// benchmarkMethods measures polls by each method beside the floor.
func benchmarkMethods(b *testing.B, w *world) {
	b.Helper()
	b.Run("floor", func(b *testing.B) {
		benchmarkFloor(b, w, func(netns *os.File) (dump, error) {
			conn, err := sockdiag.Keep(netns)
			return func() ([]socket.Socket, error) { return conn.Listeners(b.Context(), nil) }, err
		})
	})
	b.Run("floor/library", func(b *testing.B) {
		benchmarkFloor(b, w, func(netns *os.File) (dump, error) {
			conn, err := sockdiag.Open(b.Context(), netns)
			return conn.Listeners, err
		})
	})
	for _, method := range []Method{Sockdiag, Procfs} {
		for _, keeps := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/kept=%v", method, keeps), func(b *testing.B) { benchmarkIdle(b, w, method, keeps, nil) })
		}
	}
	assignNSIDs(b, w)
	b.Run("sockdiag/events", func(b *testing.B) { benchmarkIdle(b, w, Sockdiag, true, startHearing(b)) })
}

// BenchmarkIdleConnections compares polls of containers with 20 idle connections each, with and without events.
func BenchmarkIdleConnections(b *testing.B) {
	const containers, pairs = 300, 10
	w := &world{caches: true}
	for i := range containers {
		name := fmt.Sprint("idle", i)
		w.containers = append(w.containers, running(name, startProcess(b, name, 0, "0.0.0.0:80"), "bridge"))
		netns := sockdiagtest.OpenNetNS(b, w.containers[i].PID)
		at := listenIn(b, netns, "127.0.0.1:82")
		for range pairs {
			connectIn(b, netns, at)
		}
	}
	assignNSIDs(b, w)
	b.Run("dumped", func(b *testing.B) { benchmarkIdle(b, w, Sockdiag, true, nil) })
	b.Run("events", func(b *testing.B) { benchmarkIdle(b, w, Sockdiag, true, startHearing(b)) })
}

func assignNSIDs(b *testing.B, w *world) {
	for _, c := range w.containers {
		sockdiagtest.AssignNSID(b, sockdiagtest.OpenNetNS(b, c.PID))
	}
}

type dump func() ([]socket.Socket, error)

func benchmarkFloor(b *testing.B, w *world, open func(netns *os.File) (dump, error)) {
	var dumps []dump
	for _, c := range w.containers {
		netns, err := os.Open(filepath.Join("/proc", fmt.Sprint(c.PID), "ns", "net"))
		if err != nil {
			b.Fatal(err)
		}
		dump, err := open(netns)
		if err != nil {
			b.Fatal(err)
		}
		_ = netns.Close()
		dumps = append(dumps, dump)
	}
	for b.Loop() {
		for _, dump := range dumps {
			if sockets, err := dump(); err != nil || len(sockets) != 1 {
				b.Fatalf("%d listeners, %v", len(sockets), err)
			}
		}
	}
}

func benchmarkIdle(b *testing.B, w *world, method Method, keeps bool, endsIn EndsIn) {
	c := w.collector(b, method)
	c.HearEnds(endsIn)
	if c.Following(keeps); !keeps {
		c.kept.limit = 0
	}
	poll := func() {
		result, err := c.Collect(b.Context(), false)
		if err != nil || len(result.Readings) != len(w.containers) || len(result.Readings[0].Problems) > 0 {
			b.Fatalf("%d readings, %v", len(result.Readings), err)
		}
	}
	poll()
	for b.Loop() {
		poll()
	}
}
