package e2e

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/lab"
)

// eventually waits until a condition holds, at most a minute.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("condition not met within a minute")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// countLogLines counts the log lines that contain all parts.
func (o *outpost) countLogLines(parts ...string) int {
	n := 0
lines:
	for line := range strings.Lines(o.logged()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		n++
	}
	return n
}

// Containers in which no command can run are incomplete. The log gives the reason for each once. Other containers stay complete.
func TestUnreadableContainersAreIncomplete(t *testing.T) {
	l := newLab(t)
	const listen80 = "listen:tcp4:0.0.0.0:80"
	l.peer("well", []string{"-p", l.port(0) + ":80"}, listen80)
	l.peer("terminal", []string{"-t", "-p", l.port(1) + ":80"}, listen80)
	l.run("scratch", "-p", l.port(2)+":80", bare, "/peer", listen80)
	l.peer("paused", []string{"-p", l.port(3) + ":80"}, listen80)
	l.docker("pause", l.Name("paused"))
	t.Cleanup(func() { _, _ = l.Docker(context.WithoutCancel(t.Context()), "unpause", l.Name("paused")) })
	l.run("restarting", "--restart", "always", tools, "true")

	o := start(t, execOnly, interfaces)
	for range 3 {
		a := o.connections()
		a.expect(l.Name("well"), l.endpoints(0), nil)
		a.expect(l.Name("terminal"), l.endpoints(1), nil)
		for _, part := range []string{"scratch", "paused"} {
			a.expectPartial(l.Name(part), nil, nil)
		}
	}
	for part, reason := range map[string]string{
		"scratch": "the image has no cat",
		"paused":  "the container is paused",
	} {
		if n := o.countLogLines(l.Name(part), reason); n != 1 {
			t.Errorf("%s: %q is in the log %d times:\n%s", part, reason, n, o.logged())
		}
	}
	l.docker("unpause", l.Name("paused"))
	o.connections().expect(l.Name("paused"), l.endpoints(3), nil)
	eventually(t, func() bool { return o.connections().incomplete(l.Name("restarting")) })
	for range 5 {
		o.connections()
	}
	if n := o.countLogLines(l.Name("restarting"), "the container is restarting"); n != 1 {
		t.Errorf("the restarting container is in the log %d times, want once:\n%s", n, o.logged())
	}
}

// A container at its limit of processes is read from outside. Whether a command still starts in it depends on the runtime: the
// threads of runc count too. If it does not start, the log gives the reason, and other containers stay complete.
func TestContainerAtPidsLimitIsRead(t *testing.T) {
	l := newLab(t)
	if l.onCgroupV2() && l.docker("info", "-f", "{{.PidsLimit}}") == "false" {
		t.Skip("the machine has the controller of processes on cgroup v1")
	}
	l.peer("own", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("host", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:"+l.port(1))
	l.peer("well", []string{"-p", l.port(2) + ":80"}, "listen:tcp4:0.0.0.0:80")
	for _, part := range []string{"own", "host"} {
		threads := l.docker("exec", l.Name(part), "sh", "-c", "ls /proc/1/task")
		l.docker("update", "--pids-limit", strconv.Itoa(len(strings.Fields(threads))), l.Name(part))
		if output, err := l.Docker(t.Context(), "exec", l.Name(part), "sh", "-c", "true | true"); err == nil {
			t.Fatalf("%s can still fork: %s", part, output)
		}
	}
	a := start(t, interfaces).connections()
	a.expect(l.Name("own"), l.endpoints(0), nil)
	a.expect(l.Name("host"), l.endpoints(1), nil)

	o := start(t, execOnly, interfaces)
	a = o.connections()
	a.expect(l.Name("well"), l.endpoints(2), nil)
	for i, part := range []string{"own", "host"} {
		if !a.incomplete(l.Name(part)) {
			a.expect(l.Name(part), l.endpoints(i), nil)
		} else if o.countLogLines(l.Name(part), "could not be started") != 1 {
			t.Errorf("no reason for %s:\n%s", part, o.logged())
		}
	}
}

// While a command hangs in a container, no second one is started there. Other containers wait no longer than the timeout.
func TestHangingCommandRunsOnce(t *testing.T) {
	l := newLab(t)
	l.run("hung", l.imageWithCat("hanging", "exec sleep 1000"), "peer", "listen:tcp4:0.0.0.0:80")
	l.peer("well", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")

	o := start(t, execOnly, interfaces)
	for range 3 {
		a := o.connections()
		a.expect(l.Name("well"), l.endpoints(0), nil)
		a.expectPartial(l.Name("hung"), nil, nil)
	}
	if n := strings.Count(l.docker("top", l.Name("hung")), "sleep 1000"); n != 1 {
		t.Errorf("%d commands hang in the container", n)
	}
	if n := o.countLogLines(l.Name("hung"), "exec: no answer in time"); n != 1 {
		t.Errorf("the reason is in the log %d times:\n%s", n, o.logged())
	}
}

// imageWithCat returns a tools image in which cat is a shell script.
func (l *testLab) imageWithCat(part, script string) string {
	l.t.Helper()
	files := l.toolFiles()
	files["bin/cat"] = lab.File{Content: []byte("#!/bin/sh\n" + script + "\n")}
	return l.imported(part, files)
}

// A command that prints without end is abandoned, in bounded memory.
func TestEndlessOutputIsCutOff(t *testing.T) {
	l := newLab(t)
	l.run("endless", l.imageWithCat("printing", "exec yes '  sl  local_address rem_address and so on'"), "peer", "listen:tcp4:0.0.0.0:80")
	o := start(t, execOnly, interfaces, "OUTPOST_TIMEOUT=60s")
	for range 2 {
		o.connections().expectPartial(l.Name("endless"), nil, nil)
	}
	if n := strings.Count(l.docker("top", l.Name("endless")), "yes"); n > 1 {
		t.Errorf("%d commands print in the container", n)
	}
	if n := o.countLogLines(l.Name("endless"), "cat printed more than 16 MiB"); n != 1 {
		t.Errorf("the reason is in the log %d times:\n%s", n, o.logged())
	}
}

// engineSocket returns the path of the socket that the docker command uses.
func engineSocket(t testing.TB) string {
	t.Helper()
	if path, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		return path
	}
	return "/var/run/docker.sock"
}

// serveSocket serves handler on a Unix socket until stop is called or the test ends.
func serveSocket(t testing.TB, path string, handler http.Handler) (stop func()) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	stop = func() {
		_ = server.Close()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// A socket proxy that permits GET only, like Tecnativa's docker-socket-proxy, answers 403 to exec. The log says so once.
func TestProxyWithoutExecIsReported(t *testing.T) {
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	path := filepath.Join(t.TempDir(), "proxy.sock")
	serveSocket(t, path, newAPIFilter(t, isRead))
	// Without the host's /proc, exec is the only method.
	l.run("outpost", "-p", "127.0.0.1:"+l.port(1)+":9057", "-v", path+":/var/run/docker.sock", "-e", interfaces, outpostImage(t))
	o := l.answering("outpost", l.firstPort+1)
	for range 2 {
		o.connections().expectPartial(l.Name("it"), nil, nil)
	}
	logged := l.logs("outpost")
	for _, part := range []string{`"name":"/` + l.Name("it") + `","reason":"exec not permitted`, `"exec":"does not work: exec not permitted"`} {
		if n := strings.Count(logged, part); n != 1 {
			t.Errorf("%s is in the log %d times:\n%s", part, n, logged)
		}
	}
}

// engineProxy forwards requests to the engine.
func engineProxy(t testing.TB) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		FlushInterval: -1, // flush events at once
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", engineSocket(t))
		}},
	}
}

// The engine is absent when the daemon starts, then appears, disappears and appears again.
func TestEngineOutageIsReported(t *testing.T) {
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	path := filepath.Join(t.TempDir(), "engine.sock")
	o := start(t, interfaces, "DOCKER_HOST=unix://"+path)
	unavailable := func() {
		t.Helper()
		for _, route := range []string{"/connections", "/", "/index", "/readyz"} {
			if a := o.get(route); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `{"error":"the container engine cannot be reached"}`) {
				t.Errorf("%s: %d %s", route, a.status, a.body)
			}
		}
		if a := o.get("/healthz"); a.status != http.StatusOK {
			t.Errorf("/healthz: %d", a.status)
		}
	}
	available := func() {
		t.Helper()
		o.connections().expect(l.Name("it"), l.endpoints(0), nil)
		if a := o.get("/readyz"); a.status != http.StatusOK {
			t.Errorf("/readyz: %d %s", a.status, a.body)
		}
	}
	unavailable()
	// exec hijacks connections, so the relay forwards bytes, not requests.
	w := newRelay(t, path)
	available()
	w.close()
	unavailable()
	newRelay(t, path)
	available()
	if down, up := o.countLogLines("does not respond"), o.countLogLines("responds again"); down != 2 || up != 2 {
		t.Errorf("logged %d outages and %d recoveries, want 2 each:\n%s", down, up, o.logged())
	}
}

// Containers start and end while the daemon is polled. Every answer lists the container that stays.
func TestAnswersAreCompleteWhileContainersChange(t *testing.T) {
	l := newLab(t)
	l.peer("stays", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	o := start(t, interfaces, "OUTPOST_RATE_LIMIT=off") // a fast machine polls more often than the limit
	churning := make(chan struct{})
	t.Cleanup(func() { <-churning })
	go func() {
		defer close(churning)
		for i := range 8 {
			part := fmt.Sprint("goes", i)
			if _, err := l.Run(t.Context(), part, tools, "peer", "listen:tcp4:0.0.0.0:80"); err != nil {
				t.Error(err)
			}
			if _, err := l.Docker(t.Context(), "rm", "-f", l.Name(part)); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		o.connections().expect(l.Name("stays"), l.endpoints(0), nil)
		select {
		case <-churning:
			a := o.connections()
			for name := range a.containers {
				if strings.HasPrefix(name, "/"+l.Name("goes")) {
					t.Errorf("%s is gone and listed", name)
				}
			}
			return
		default:
		}
	}
}

// The image name is what the user typed, even after its tag moved to another image.
func TestImageNameIsTheTypedOne(t *testing.T) {
	l := newLab(t)
	name := l.imported("moving", l.toolFiles())
	l.run("it", name, "peer")
	files := l.toolFiles()
	files["bin/another"] = lab.File{Link: "busybox"}
	l.imported("moving", files)
	if got := start(t).connections().containers["/"+l.Name("it")].Artefact; got != name {
		t.Errorf("artefact %q, want %q", got, name)
	}
}

// After SIGTERM the running request gets its answer, new connections are refused, and the exit status is 0.
func TestSIGTERMFinishesRequests(t *testing.T) {
	l := newLab(t)
	l.run("slow", "-p", l.port(0)+":80", l.imageWithCat("slow", `sleep 2; exec busybox cat "$@"`), "peer", "listen:tcp4:0.0.0.0:80")
	if err := l.Ready(t.Context(), "slow"); err != nil {
		t.Fatal(err)
	}
	o := start(t, execOnly, interfaces)
	type outcome struct {
		answer *answer
		err    error
	}
	answered := make(chan outcome, 1)
	go func() {
		a, err := o.ask("/connections")
		answered <- outcome{a, err}
	}()
	eventually(t, func() bool { return strings.Contains(l.docker("top", l.Name("slow")), "sleep 2") })
	if err := o.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return o.countLogLines("Shutting down") == 1 })
	var dialer net.Dialer
	if _, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(o.url, "http://")); err == nil {
		t.Error("a new connection is accepted")
	}
	if got := <-answered; got.err != nil {
		t.Error(got.err)
	} else {
		got.answer.expect(l.Name("slow"), l.endpoints(0), nil)
	}
	<-o.done
	if o.status != 0 {
		t.Errorf("status %d:\n%s", o.status, o.logged())
	}
}

// After SIGTERM a hanging request is cut off before the engine's 10 s are over. The exit status is 0.
func TestSIGTERMCutsOffHangingRequests(t *testing.T) {
	l := newLab(t)
	l.run("hung", l.imageWithCat("hanging", "exec sleep 1000"), "peer", "listen:tcp4:0.0.0.0:80")
	o := start(t, execOnly, "OUTPOST_TIMEOUT=10m")
	cutOff := make(chan error, 1)
	go func() {
		_, err := o.ask("/connections")
		cutOff <- err
	}()
	eventually(t, func() bool { return strings.Contains(l.docker("top", l.Name("hung")), "sleep 1000") })
	if status := o.end(); status != 0 || o.countLogLines("cut off") != 1 {
		t.Errorf("status %d:\n%s", status, o.logged())
	}
	if err := <-cutOff; err == nil {
		t.Error("the request has an answer")
	}
}

// Many polls leave nothing behind: no exec in the engine, no process in a container, no descriptor and no goroutine in the
// daemon.
func TestPollsLeaveNothingBehind(t *testing.T) {
	l := newLab(t)
	l.peer("own", nil, "listen:tcp4:0.0.0.0:80")
	l.peer("host", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:"+l.port(1))
	before := map[string]string{"own": processes(l, "own"), "host": processes(l, "host")}
	// With one worker the daemon keeps one connection to the engine, so that the counts are exact. A connection from before the
	// event stream began is closed by the Docker client's timeout.
	const oneWorker = "WORKERS=1"
	const clientsTimeout = 30 * time.Second // IdleConnTimeout of moby's client/client.go
	idle := func(polls, maxDescriptors int) (descriptors, goroutines int) {
		o := start(t, execOnly, oneWorker)
		for range polls {
			o.connections()
		}
		http.DefaultClient.CloseIdleConnections()
		time.Sleep(500 * time.Millisecond) // the daemon closes its ends
		for limit := time.Now().Add(clientsTimeout + 5*time.Second); o.descriptors() > maxDescriptors && time.Now().Before(limit); {
			time.Sleep(500 * time.Millisecond)
		}
		return o.descriptors(), o.goroutines()
	}
	descriptors, goroutines := idle(1, math.MaxInt)
	if d, g := idle(20, descriptors); d > descriptors || g > goroutines {
		t.Errorf("after one poll %d descriptors and %d goroutines, after 20 polls %d and %d", descriptors, goroutines, d, g)
	}
	for part, list := range before {
		if now := processes(l, part); now != list {
			t.Errorf("processes of %s before and after:\n%s\n%s", part, list, now)
		}
		execs := l.docker("inspect", "-f", "{{json .ExecIDs}}", l.Name(part))
		if execs != "null" {
			t.Errorf("execs of %s still run: %s", part, execs)
		}
	}
}

func processes(l *testLab, part string) string {
	return l.docker("top", l.Name(part), "-o", "pid,args")
}

func (o *outpost) descriptors() int {
	o.t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(o.process.Pid), "fd"))
	if err != nil {
		o.t.Fatal(err)
	}
	return len(entries)
}

// goroutines ends the daemon with SIGQUIT and counts the goroutines in its dump.
func (o *outpost) goroutines() int {
	o.t.Helper()
	if err := o.process.Signal(syscall.SIGQUIT); err != nil {
		o.t.Fatal(err)
	}
	<-o.done
	o.status = 0 // expected
	n := 0
	for line := range strings.Lines(o.logged()) {
		// The garbage collector starts these goroutines when it first needs them.
		if strings.HasPrefix(line, "goroutine ") && !strings.Contains(line, "[finalizer wait") && !strings.Contains(line, "[cleanup wait") {
			n++
		}
	}
	if n == 0 {
		o.t.Fatalf("no goroutine dump in:\n%s", o.logged())
	}
	return n
}
