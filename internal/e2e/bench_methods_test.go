package e2e

import (
	byteorder "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/lab"
)

// BenchmarkMethods polls growing numbers of unchanged containers on bridge networks, each with one listener. It alternates with
// the floor of the method, the minimum of kernel calls that read the same tables. The ratio is the result.
func BenchmarkMethods(b *testing.B) {
	l := newLab(b)
	var pids []string
	for _, n := range []int{10, 30, 100, 300} {
		for i := len(pids); i < n; i++ {
			id := l.run(fmt.Sprint(i), tools, "peer", "listen:tcp4:0.0.0.0:80")
			pids = append(pids, l.docker("inspect", "-f", "{{.State.Pid}}", id))
		}
		b.Run(fmt.Sprint("sockdiag/", n), func(b *testing.B) {
			floor := openDiagSockets(b, pids)
			benchAgainstFloor(b, "sockdiag", n, func() { dumpSockets(b, floor) }, func() {}, "OUTPOST_EVENTS=off")
		})
		b.Run(fmt.Sprint("events/", n), func(b *testing.B) {
			floor := openDiagSockets(b, pids)
			benchAgainstFloor(b, "sockdiag", n, func() { dumpSockets(b, floor) }, func() {})
		})
		b.Run(fmt.Sprint("procfs/", n), func(b *testing.B) {
			benchAgainstFloor(b, "procfs", n, func() { readTables(b, pids) }, func() { readTablesOnAllCores(b, pids) })
		})
		if n == benchContainers {
			b.Run("loop/100", func(b *testing.B) { benchLoop(b, n) })
		}
	}
}

// BenchmarkConnected does the same for containers with a connection and listeners of both families. There the kernel walks its
// table for each container by sockdiag too, and both files have to be read.
func BenchmarkConnected(b *testing.B) {
	l := newLab(b)
	var pids []string
	for i := range benchContainers {
		id := l.run(fmt.Sprint(i), tools, "peer", "listen:tcp4:0.0.0.0:80", "listen:tcp6:[::]:81", "dial:1:127.0.0.1:80")
		pids = append(pids, l.docker("inspect", "-f", "{{.State.Pid}}", id))
	}
	b.Run("sockdiag", func(b *testing.B) {
		floor := openDiagSockets(b, pids)
		benchAgainstFloor(b, "sockdiag", benchContainers, func() { dumpSockets(b, floor) }, func() {})
	})
	b.Run("procfs", func(b *testing.B) {
		benchAgainstFloor(b, "procfs", benchContainers, func() { readTables(b, pids) }, func() { readTablesOnAllCores(b, pids) })
	})
}

// benchAgainstFloor alternates polls with the floor, and reports their times and ratio. floor runs on one core; the daemon and
// parallel use all cores.
func benchAgainstFloor(b *testing.B, method string, containers int, floor, parallel func(), variables ...string) {
	b.Helper()
	o := start(b, append(variables, "OUTPOST_COLLECTOR="+method)...)
	for range 3 {
		if n := len(o.connections().containers); n < containers {
			b.Fatalf("%d containers", n)
		}
	}
	var byFloor, inParallel, byOutpost time.Duration
	for b.Loop() {
		started := time.Now()
		floor()
		byFloor += time.Since(started)
		started = time.Now()
		parallel()
		inParallel += time.Since(started)
		started = time.Now()
		o.fetch()
		byOutpost += time.Since(started)
	}
	b.ReportMetric(0, "ns/op") // the total means nothing
	b.ReportMetric(byFloor.Seconds()*1000/float64(b.N), "ms/floor")
	b.ReportMetric(inParallel.Seconds()*1000/float64(b.N), "ms/floor-on-all-cores")
	b.ReportMetric(byOutpost.Seconds()*1000/float64(b.N), "ms/outpost")
	b.ReportMetric(byOutpost.Seconds()/byFloor.Seconds(), "outpost/floor")
	b.ReportMetric(byOutpost.Seconds()/byFloor.Seconds()*float64(runtime.NumCPU()), "outpost/floor-by-cores")
}

// fetch requests /connections and discards the answer.
func (o *outpost) fetch() {
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.url+"/connections", http.NoBody)
	if err != nil {
		o.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		o.t.Fatalf("%s, %v", response.Status, err)
	}
}

// openDiagSockets opens a NETLINK_INET_DIAG socket in the network namespace of each process.
func openDiagSockets(b *testing.B, pids []string) []*netlink.Conn {
	b.Helper()
	conns := make([]*netlink.Conn, len(pids))
	for i, pid := range pids {
		namespace, err := os.Open(filepath.Join("/proc", pid, "ns", "net"))
		if err != nil {
			b.Fatal(err)
		}
		conns[i], err = netlink.Dial(unix.NETLINK_INET_DIAG, &netlink.Config{NetNS: int(namespace.Fd())})
		_ = namespace.Close()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conns[i].Close() })
	}
	return conns
}

// dumpSockets dumps both families in each namespace with one request (TCPDIAG_GETSOCK, net/ipv4/inet_diag.c).
func dumpSockets(b *testing.B, conns []*netlink.Conn) {
	b.Helper()
	request := netlink.Message{Header: netlink.Header{Type: 18, Flags: netlink.Request | netlink.Dump}, Data: make([]byte, 60)}
	request.Data[0] = unix.AF_INET
	byteorder.NativeEndian.PutUint32(request.Data[52:], 1<<10|1<<1|1<<6) // LISTEN, ESTABLISHED, TIME_WAIT
	for _, conn := range conns {
		if _, err := conn.Execute(request); err != nil {
			b.Fatal(err)
		}
	}
}

// readTables reads both tables of each process, in large chunks and without the last read at the end of the file.
func readTables(b *testing.B, pids []string) {
	b.Helper()
	buffer := make([]byte, 64<<10)
	for _, pid := range pids {
		for _, name := range []string{"tcp", "tcp6"} {
			file, err := os.Open(filepath.Join("/proc", pid, "net", name))
			if err != nil {
				b.Error(err)
				return
			}
			const lastChunk = 3584
			for n := lastChunk; n >= lastChunk; {
				if n, err = file.Read(buffer); err != nil && !errors.Is(err, io.EOF) {
					b.Error(err)
					return
				}
			}
			_ = file.Close()
		}
	}
}

// readTablesOnAllCores is readTables with one reader for each core.
func readTablesOnAllCores(b *testing.B, pids []string) {
	b.Helper()
	var group sync.WaitGroup
	readers := runtime.NumCPU()
	for i := range readers {
		group.Go(func() { readTables(b, pids[i*len(pids)/readers:(i+1)*len(pids)/readers]) })
	}
	group.Wait()
}

// benchLoop alternates polls with a shell loop of nsenter and ss.
func benchLoop(b *testing.B, containers int) {
	o := start(b, "OUTPOST_COLLECTOR=sockdiag")
	for range 3 {
		o.connections()
	}
	const loop = `for c in $(docker ps -q); do nsenter -t $(docker inspect -f '{{.State.Pid}}' $c) -n ss -Htan; done`
	var byLoop, byOutpost time.Duration
	for b.Loop() {
		started := time.Now()
		output, err := exec.CommandContext(b.Context(), "sh", "-c", loop).CombinedOutput()
		byLoop += time.Since(started)
		if n := strings.Count(string(output), "LISTEN"); err != nil || n < containers {
			b.Fatalf("%d listeners, %v: %s", n, err, output)
		}
		started = time.Now()
		o.fetch()
		byOutpost += time.Since(started)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(byLoop.Seconds()*1000/float64(b.N), "ms/loop")
	b.ReportMetric(byOutpost.Seconds()*1000/float64(b.N), "ms/outpost")
	b.ReportMetric(byLoop.Seconds()/byOutpost.Seconds(), "loop/outpost")
}

// BenchmarkSockets polls a container with growing numbers of connections.
func BenchmarkSockets(b *testing.B) {
	l := newLab(b)
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
	server := l.address("server")
	connections := 0
	for _, n := range []int{0, 1000, 5000} {
		if n > 0 {
			l.peer(fmt.Sprint("client", n), nil, fmt.Sprintf("dial:%d:%s:80", n-connections, server))
			connections = n
		}
		for _, method := range []string{"sockdiag", "procfs"} {
			b.Run(fmt.Sprint(method, "/", n), func(b *testing.B) {
				o := start(b, "OUTPOST_COLLECTOR="+method)
				o.connections()
				for b.Loop() {
					o.fetch()
				}
			})
		}
	}
}

// BenchmarkOwners polls 50 host-network containers, first alone and then beside one with 10,000 sockets. Owners are found by
// cgroup.
func BenchmarkOwners(b *testing.B) {
	e := newEngine(b, "10.77.0.24/24", lab.EngineOptions{CgroupV2: true})
	host := []string{"--network", "host"}
	for i := range 50 {
		e.peer(fmt.Sprint(i), host, fmt.Sprintf("listen:tcp4:0.0.0.0:%d", 8100+i))
	}
	poll := func(b *testing.B, sockets int) {
		o := e.start()
		defer o.end()
		s := o.snapshot()
		if c := s.container(b, e.Name("7")); c.Status != "ok" || len(c.Listening) != 1 || c.Method != "sockdiag" {
			b.Fatalf("%+v", c)
		}
		found := 0
		for _, c := range s.Containers {
			found += len(c.Listening) + len(c.Connections)
		}
		if found < sockets+50 {
			b.Fatalf("%d sockets", found)
		}
		for b.Loop() {
			o.fetch()
		}
	}
	b.Run("sockets=0", func(b *testing.B) { poll(b, 0) })
	e.peer("many", host, "listen:tcp4:0.0.0.0:8099", "dial:5000:127.0.0.1:8099")
	b.Run("sockets=10000", func(b *testing.B) { poll(b, 10000) })
}
