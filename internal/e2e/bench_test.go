package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	benchContainers = 100
	benchParallel   = 5 // WORKERS of Outpost and of the floor
)

// startMany starts the containers of a benchmark and returns their IDs.
func startMany(b *testing.B, l *testLab) []string {
	b.Helper()
	ids := make([]string, benchContainers)
	for i := range ids {
		ids[i] = l.run(fmt.Sprint(i), tools, "peer", "listen:tcp4:0.0.0.0:80")
	}
	return ids
}

// BenchmarkConnections reads 100 containers on bridge networks by exec. It alternates between the floor, which runs cat once in
// each container and discards the output, and GET /connections of a warm daemon. The ratio is the result: it does not depend on
// the current speed of the machine.
func BenchmarkConnections(b *testing.B) {
	l := newLab(b)
	ids := startMany(b, l)
	o := start(b, execOnly, "WORKERS="+strconv.Itoa(benchParallel))
	if n := len(o.connections().containers); n < benchContainers {
		b.Fatalf("%d containers", n)
	}
	floor := newFloor(b)
	var byFloor, byOutpost time.Duration
	for b.Loop() {
		started := time.Now()
		floor.readTables(b.Context(), ids)
		byFloor += time.Since(started)
		started = time.Now()
		o.connections()
		byOutpost += time.Since(started)
	}
	b.ReportMetric(0, "ns/op") // the total means nothing
	b.ReportMetric(byFloor.Seconds()/float64(b.N), "s/floor")
	b.ReportMetric(byOutpost.Seconds()/float64(b.N), "s/outpost")
	b.ReportMetric(byOutpost.Seconds()/byFloor.Seconds(), "outpost/floor")
}

// floor runs cat in containers with the fewest possible calls to the engine.
type floor struct {
	b      *testing.B
	socket string
	client *http.Client
}

func newFloor(b *testing.B) *floor {
	b.Helper()
	f := &floor{b: b, socket: engineSocket(b)}
	f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchParallel, DialContext: f.dial}}
	return f
}

func (f *floor) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", f.socket)
}

func (f *floor) readTables(ctx context.Context, ids []string) {
	var group sync.WaitGroup
	slots := make(chan struct{}, benchParallel)
	for _, id := range ids {
		slots <- struct{}{}
		group.Go(func() {
			if err := f.read(ctx, id); err != nil {
				f.b.Error(err)
			}
			<-slots
		})
	}
	group.Wait()
}

func (f *floor) read(ctx context.Context, id string) error {
	created, err := f.post(ctx, "/containers/"+id+"/exec", `{"AttachStdout":true,"AttachStderr":true,"Cmd":["cat","/proc/net/tcp","/proc/net/tcp6"]}`)
	if err != nil {
		return err
	}
	exec := strings.Split(string(created), `"`)[3] // {"Id":"…"}
	output, err := f.post(ctx, "/exec/"+exec+"/start", `{"Detach":false,"Tty":false}`)
	if err == nil && !bytes.Contains(output, []byte("local_address")) {
		err = fmt.Errorf("no table: %q", output)
	}
	return err
}

func (f *floor) post(ctx context.Context, path, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/v1.41"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

// BenchmarkAtRest polls 100 containers 100 times. It reports the memory of the daemon afterwards, and the growth of its
// goroutines and descriptors since the first poll.
func BenchmarkAtRest(b *testing.B) {
	l := newLab(b)
	startMany(b, l)
	for _, method := range []string{"sockdiag", "exec"} {
		b.Run(method, func(b *testing.B) {
			for b.Loop() {
				o := start(b, "OUTPOST_COLLECTOR="+method)
				o.connections()
				descriptors := o.descriptors()
				for range 99 {
					o.connections()
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(o.residentMiB(), "MiB-resident")
				b.ReportMetric(float64(o.descriptors()-descriptors), "descriptors-more")
				once := start(b, "OUTPOST_COLLECTOR="+method)
				once.connections()
				b.ReportMetric(float64(o.goroutines()-once.goroutines()), "goroutines-more")
			}
		})
	}
}

// residentMiB returns VmRSS of /proc/<pid>/status (proc_pid_status(5)).
func (o *outpost) residentMiB() float64 {
	o.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.process.Pid))
	if err != nil {
		o.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == "VmRSS:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				o.t.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	o.t.Fatal("no VmRSS")
	return 0
}
