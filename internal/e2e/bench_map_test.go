package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// simulatedDaemon answers for a host with 50 containers of 20 connections each.
type simulatedDaemon struct {
	compressed     []byte       // the snapshot, by gzip
	pollsPerChange int32        // 0: the snapshot never changes
	polls          atomic.Int32 // starts with the number of the host, so that not all hosts change at once
}

func newSimulatedDaemon(b *testing.B, host int, pollsPerChange int32) *simulatedDaemon {
	b.Helper()
	at := func(addr netip.Addr, port int) snapshotv1.Endpoint {
		return snapshotv1.Endpoint{Address: addr.String(), Port: uint16(port)}
	}
	lan := func(host int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(host >> 8), byte(host)}) }
	document := snapshotv1.Snapshot{Version: snapshotv1.Version, TakenAt: time.Now(), Host: snapshotv1.Host{
		ID: fmt.Sprint("engine", host), Name: fmt.Sprint("host", host), Addresses: []netip.Addr{lan(host)}, AllAddresses: true,
	}}
	for c := range 50 {
		own := netip.AddrFrom4([4]byte{172, 17, 0, byte(c + 2)})
		container := snapshotv1.Container{
			ID: fmt.Sprintf("%060d%04d", host, c), Name: fmt.Sprint("/web-", c), Image: "web:1", NetworkMode: "default", Method: "sockdiag", Status: "ok",
			Networks:  []snapshotv1.Network{{ID: fmt.Sprint("net", host), Addresses: []netip.Addr{own}}},
			Listening: []snapshotv1.Listener{{Endpoint: at(netip.IPv4Unspecified(), 8080), Published: []snapshotv1.Endpoint{at(netip.IPv4Unspecified(), 20000+c)}}},
		}
		for i := range 20 {
			container.Connections = append(container.Connections, snapshotv1.Connection{
				Local: at(own, 40000+i), Remote: at(lan((host+i)%1000), 20000+c), Direction: "out", State: "ESTABLISHED",
			})
		}
		document.Containers = append(document.Containers, container)
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if err := json.NewEncoder(w).Encode(document); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	s := &simulatedDaemon{compressed: compressed.Bytes(), pollsPerChange: pollsPerChange}
	s.polls.Store(int32(host))
	return s
}

func (s *simulatedDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := int32(0)
	if poll := s.polls.Add(1); s.pollsPerChange > 0 {
		state = poll / s.pollsPerChange
	}
	tag := fmt.Sprintf(`W/"%d"`, state)
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(s.compressed)
}

// BenchmarkPolling runs a mapper that polls a thousand simulated daemons on loopback every 10 s for a minute. It reports the
// mapper's CPU time as a percentage of one core.
func BenchmarkPolling(b *testing.B) {
	if binary == "" {
		b.Skip("no Docker engine answers: nothing was built")
	}
	for _, test := range []struct {
		name           string
		pollsPerChange int32
	}{{"unchanged", 0}, {"changes=every-tenth-poll", 10}, {"changes=each-poll", 1}} {
		b.Run(test.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "targets")
			if err := os.WriteFile(path, []byte(strings.Join(serveSimulatedDaemons(b, 1000, test.pollsPerChange), "\n")), 0o600); err != nil {
				b.Fatal(err)
			}
			m := startMapper(b, []string{"file:" + path}, "OUTPOST_INTERVAL=10s")
			const warmUp, measured = 25 * time.Second, time.Minute
			time.Sleep(warmUp)
			before := m.cpu(b)
			for b.Loop() {
				time.Sleep(measured)
			}
			b.ReportMetric(100*(m.cpu(b)-before).Seconds()/(measured.Seconds()*float64(b.N)), "%core")
			b.ReportMetric(m.residentMiB(), "MiB-resident")
			ok := 0
			for _, target := range m.graph("?host=none").Targets {
				if target.State == "ok" {
					ok++
				}
			}
			if ok != 1000 {
				b.Errorf("%d of 1000 targets are ok", ok)
			}
		})
	}
}

func serveSimulatedDaemons(b *testing.B, count int, pollsPerChange int32) (addresses []string) {
	b.Helper()
	for i := range count {
		var config net.ListenConfig
		listener, err := config.Listen(b.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		server := &http.Server{Handler: newSimulatedDaemon(b, i, pollsPerChange), ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }()
		b.Cleanup(func() { _ = server.Close() })
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}

// cpu returns the CPU time of the process on all cores (utime and stime of proc_pid_stat(5)).
func (o *outpost) cpu(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", o.process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 everywhere
	return time.Duration(ticks) * tick
}
