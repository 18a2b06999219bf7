package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The daemon has few descriptors. First idle clients hold their share, then hardly any are left for a collection. Requests get
// answers, unread containers are incomplete, and the daemon recovers completely.
func TestRecoversFromDescriptorExhaustion(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const containers, descriptors = 8, 240
	const idlers = descriptors / 4 * 3 / 2 // a quarter of the descriptors is for clients
	var checks []check
	var names []string
	for i := range containers {
		names = append(names, l.Name(fmt.Sprint("it", i)))
		checks = append(checks, hasEndpoints(names[i], nil, nil))
		l.run(fmt.Sprint("it", i), "--network", "none", tools, "peer", "listen:tcp4:0.0.0.0:80")
	}
	correct := allOf(checks...)
	limited := exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d; exec %s", descriptors, releaseBinary(t))) //nolint:noctx // it is ended with SIGTERM
	o := startCommand(t, limited, interfaces, profiled)
	o.awaitRecovery(requireComplete(correct, names...))
	before := o.usage()
	var dialer net.Dialer
	var idle []net.Conn
	for range idlers {
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(o.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	p := startPollers(o, 4, correct)
	time.Sleep(25 * time.Second) // the server closes each idle connection after 10 s
	tally := p.end()
	t.Log(tally)
	if tally.requests == tally.unavailable {
		t.Errorf("%s\n%s", tally, o.logged())
	}
	for _, conn := range idle {
		_ = conn.Close()
	}
	o.awaitRecovery(requireComplete(correct, names...))

	var short atomic.Int64
	p = startPollers(o, 4, func(a *answer, began, ended time.Time) error {
		if slices.ContainsFunc(names, a.incomplete) {
			short.Add(1)
		}
		return correct(a, began, ended)
	})
	o.limitDescriptors(o.descriptors()+2, descriptors)
	time.Sleep(5 * time.Second)
	o.limitDescriptors(descriptors, descriptors)
	tally = p.end()
	t.Logf("%s, %d short of descriptors", tally, short.Load())
	if tally.unavailable == 0 && short.Load() == 0 {
		t.Errorf("no request ran out of descriptors:\n%s", o.logged())
	}
	o.awaitRecovery(requireComplete(correct, names...))
	o.expectUsage(before)
}

// limitDescriptors sets the limits of open descriptors of the running daemon.
func (o *outpost) limitDescriptors(soft, hard int) {
	o.t.Helper()
	limit := unix.Rlimit{Cur: uint64(soft), Max: uint64(hard)}
	if err := unix.Prlimit(o.process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		o.t.Fatal(err)
	}
}

// A container with 64 MiB answers ten clients at once about 20,000 sockets. The test does not run in parallel: daemons of other
// tests would remember these connections.
func TestManySocketsFitInMemoryLimit(t *testing.T) {
	l := newLab(t)
	l.limits("Memory")
	const connections = 10_000
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, fmt.Sprintf("dial:%d:%s:80", connections, l.address("server")))
	l.run("outpost", "--memory", "64m", "--memory-swap", "64m", "-p", "127.0.0.1:"+l.port(0)+":9057", "-v", engineSocket(t)+":/var/run/docker.sock",
		"-v", "/proc:/host/proc:ro", outpostImage(t))
	o := l.answering("outpost", l.firstPort)
	p := startPollers(o, 10, func(a *answer, _, _ time.Time) error {
		if n := len(a.containers["/"+l.Name("client")].Established); n != connections {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	for limit := time.Now().Add(15 * time.Second); time.Now().Before(limit); {
		for _, route := range []string{"/v1/snapshot", "/v1/graph", "/metrics"} {
			if a := o.get(route); a.status != 200 {
				t.Errorf("%s: %d", route, a.status)
			}
		}
	}
	t.Log(p.end())
	if state := l.docker("inspect", "-f", "{{.State.OOMKilled}} {{.RestartCount}} {{.State.Running}}", l.Name("outpost")); state != "false 0 true" {
		t.Errorf("%s\n%s", state, l.logs("outpost"))
	}
}
