package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/lab"
)

// A real engine is killed and started again. Its containers end with it, or it finds them again.
func TestRecoversFromKilledEngine(t *testing.T) {
	t.Parallel()
	e := newEngine(t, "10.77.0.71/24", lab.EngineOptions{})
	e.peer("it", []string{"-p", "8080:80", "--restart", "always"}, "listen:tcp4:0.0.0.0:80")
	o := startRelease(t, "DOCKER_HOST="+e.Host(), "OUTPOST_INTERFACES=10.77.0.71", profiled)
	on := []string{"10.77.0.71 8080"}
	healthy := isComplete(e.Name("it"), on, nil)
	o.awaitRecovery(healthy)
	before := o.usage()
	var outages outages
	p := startPollersAllowing(o, 3, outages.check(healthy, starting(e.Name("it"), on)), outages.touch)
	for range 2 {
		outages.begin()
		restart, err := e.Kill()
		if err != nil {
			t.Fatal(err)
		}
		down := p.current().unavailable
		eventually(t, func() bool { return p.current().unavailable > down })
		if err := restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.Ready(t.Context(), "it"); err != nil {
			t.Fatal(err)
		}
		o.awaitRecovery(healthy)
		outages.end()
	}
	t.Log(p.end())
	o.expectUsage(before)
}

// An engine is killed and makes a new socket. A container that mounts the file of the old socket says so and becomes unhealthy.
// A restart of the container helps. A container that mounts the socket's directory finds the new socket itself.
func TestReplacedSocketIsReported(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	e := newEngine(t, "10.77.0.73/24", lab.EngineOptions{})
	e.peer("it", []string{"-p", "8080:80", "--restart", "always"}, "listen:tcp4:0.0.0.0:80")
	const inContainer = "/run/engine/docker.sock"
	l.run("file", "-v", e.Socket()+":"+inContainer, "-e", "DOCKER_HOST=unix://"+inContainer, "--health-interval", "200ms", "--health-retries", "1", outpostImage(t))
	l.run("directory", "-v", filepath.Dir(e.Socket())+":/run/engine:ro", "-e", "DOCKER_HOST=unix://"+inContainer, outpostImage(t))
	says := func(part, command string) (string, error) {
		output, err := exec.CommandContext(t.Context(), "docker", "exec", l.Name(part), "/outpost", command).CombinedOutput()
		return string(output), err
	}
	for _, part := range []string{"file", "directory"} {
		eventually(t, func() bool { _, err := says(part, "doctor"); return err == nil })
	}
	restart, err := e.Kill()
	if err != nil {
		t.Fatal(err)
	}
	if err := restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	const reason = inContainer + " is the file of an earlier socket: the engine made a new one; restart Outpost's container"
	for _, command := range []string{"healthcheck", "doctor"} {
		if said, err := says("file", command); err == nil || !strings.Contains(said, reason) {
			t.Errorf("%s: %v, %s", command, err, said)
		}
	}
	eventually(t, func() bool {
		return l.docker("inspect", "-f", "{{.State.Health.Status}}", l.Name("file")) == "unhealthy"
	})
	l.docker("restart", "-t", "1", l.Name("file"))
	for _, part := range []string{"file", "directory"} {
		eventually(t, func() bool { _, err := says(part, "doctor"); return err == nil })
		if said, err := says(part, "healthcheck"); err != nil {
			t.Errorf("%s: %v, %s", part, err, said)
		}
	}
}

// starting accepts a container that is gone or does not listen yet.
func starting(name string, listening []string) check {
	return func(a *answer, _, _ time.Time) error {
		c := a.containers["/"+name]
		if len(c.Established) > 0 || len(c.Listening) > 0 && fmt.Sprint(c.Listening) != fmt.Sprint(listening) {
			return fmt.Errorf("%s: %v", name, c)
		}
		return nil
	}
}

// A real engine is frozen for a minute.
func TestRecoversFromFrozenEngine(t *testing.T) {
	t.Parallel()
	const frozen = time.Minute
	e := newEngine(t, "10.77.0.72/24", lab.EngineOptions{})
	e.peer("it", []string{"-p", "8080:80"}, "listen:tcp4:0.0.0.0:80")
	o := startRelease(t, "DOCKER_HOST="+e.Host(), "OUTPOST_INTERFACES=10.77.0.72", profiled)
	healthy := isComplete(e.Name("it"), []string{"10.77.0.72 8080"}, nil)
	o.awaitRecovery(healthy)
	before := o.usage()
	p := startPollers(o, 3, hasEndpoints(e.Name("it"), []string{"10.77.0.72 8080"}, nil))
	if err := e.Freeze(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(frozen)
	seen := p.current()
	if err := e.Thaw(); err != nil {
		t.Fatal(err)
	}
	o.awaitRecovery(healthy)
	tally := p.end()
	t.Log(tally)
	if seen.unavailable == 0 {
		t.Errorf("no answer reported the frozen engine: %s", seen)
	}
	o.expectUsage(before)
}

// faultyEngine passes requests to the engine, or answers with a fault.
type faultyEngine struct {
	well http.Handler

	mu    sync.Mutex
	fault http.HandlerFunc // nil: none
	cut   context.CancelFunc
	calls context.Context // parent of all calls since the last change of the fault
}

// newFaultyEngine returns an engine without a fault, and the variable that selects it.
func newFaultyEngine(t testing.TB) (engine *faultyEngine, variable string) {
	t.Helper()
	engine = &faultyEngine{well: engineProxy(t)}
	engine.setFault(nil)
	path := filepath.Join(t.TempDir(), "engine.sock")
	serveSocket(t, path, engine)
	return engine, "DOCKER_HOST=unix://" + path
}

// setFault sets the fault; nil clears it. It cancels all calls in flight, including event streams.
func (f *faultyEngine) setFault(fault http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut != nil {
		f.cut()
	}
	f.calls, f.cut = context.WithCancel(context.Background())
	f.fault = fault
}

func (f *faultyEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault, calls := f.fault, f.calls
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(calls, cancel)()
	if r = r.WithContext(ctx); fault != nil {
		fault(w, r)
		return
	}
	f.well.ServeHTTP(w, r)
}

// rewriteAnswers passes requests to the engine and alters its answers for a path.
func rewriteAnswers(t testing.TB, path string, alter func(body []byte) []byte) http.Handler {
	proxy := engineProxy(t)
	proxy.ModifyResponse = func(r *http.Response) error {
		if !strings.HasSuffix(r.Request.URL.Path, path) {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body = alter(body)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	}
	return proxy
}

// withClockOffset is an engine with a clock that is off by some hours. shown counts the answers with that clock.
func withClockOffset(t testing.TB, hours int, shown *atomic.Int64) http.HandlerFunc {
	return rewriteAnswers(t, "/info", func(body []byte) []byte {
		const hour = "2006-01-02T15:"
		now := time.Now().UTC()
		off := now.Add(time.Duration(hours) * time.Hour)
		altered := bytes.ReplaceAll(body, []byte(`"SystemTime":"`+now.Format(hour)), []byte(`"SystemTime":"`+off.Format(hour)))
		if !bytes.Equal(altered, body) {
			shown.Add(1)
		}
		return altered
	}).ServeHTTP
}

// The engine hangs, answers 500, garbage or a byte a second, or its clock jumps. Outpost answers each request in time, and
// recovers with the engine.
func TestRecoversFromFaultyEngine(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	engine, host := newFaultyEngine(t)
	// Without a limit, Go returns the memory of an endless list to the kernel only after minutes.
	o := startRelease(t, interfaces, host, "GOMEMLIMIT=48MiB", profiled)
	healthy := isComplete(l.Name("it"), l.endpoints(0), nil)
	o.awaitRecovery(healthy)
	before := o.usage()
	var clocks atomic.Int64
	for _, fault := range []struct {
		name    string
		handler http.HandlerFunc
		breaks  bool // no answer can be complete
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"no"}`, http.StatusInternalServerError)
		}, true},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte{0xff, '{', 0}, 10_000))
		}, true},
		{"JSON of another kind", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"Id":1},null,[]]`) }, true},
		{"drips", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		}, true},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, true},
		{"an endless list", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "[")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat(`{"Id":"`+strings.Repeat("a", 64)+`","Labels":{"a":"`+strings.Repeat("b", 2000)+`"}},`, 100)); err != nil {
					return
				}
			}
		}, true},
		{"breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"clock set back", withClockOffset(t, -1, &clocks), false},
		{"clock set forward", withClockOffset(t, 1, &clocks), false},
	} {
		engine.setFault(fault.handler)
		if !fault.breaks {
			o.awaitRecovery(healthy) // from the cancelled calls
		}
		p := startPollers(o, 2, healthy)
		time.Sleep(5 * time.Second)
		tally := p.end()
		t.Logf("%s: %s", fault.name, tally)
		if tally.requests == 0 || fault.breaks != (tally.unavailable == tally.requests) || !fault.breaks && tally.unavailable > 0 {
			t.Errorf("%s: %s\n%s", fault.name, tally, o.logged())
		}
		engine.setFault(nil)
		o.awaitRecovery(healthy)
	}
	if n := clocks.Load(); n < 2 {
		t.Errorf("the engine's clock was read %d times, want at least 2", n)
	}
	o.expectUsage(before)
}

// hangingContainers is an engine that lists n more containers. To inspect one of them hangs.
func hangingContainers(t testing.TB, n int) http.HandlerFunc {
	var more strings.Builder
	for i := range n {
		fmt.Fprintf(&more, `,{"Id":"%064x","Names":["/hangs%d"],"Image":"hangs","State":"running"}`, i+1, i)
	}
	proxy := rewriteAnswers(t, "/containers/json", func(body []byte) []byte {
		return []byte(strings.TrimSuffix(strings.TrimSpace(string(body)), "]") + more.String() + "]")
	})
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/containers/"+strings.Repeat("0", 32)) {
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	}
}

// The engine hangs on a hundred containers. Outpost lists them in time as incomplete, and the other container completely.
func TestHangingContainersAreIncomplete(t *testing.T) {
	t.Parallel()
	const hang = 100
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	engine, host := newFaultyEngine(t)
	o := startRelease(t, interfaces, host, profiled)
	healthy := isComplete(l.Name("it"), l.endpoints(0), nil)
	o.awaitRecovery(healthy)
	before := o.usage()
	engine.setFault(hangingContainers(t, hang))
	listed := func(a *answer, _, _ time.Time) error {
		for i := range hang {
			if name := fmt.Sprint("hangs", i); !a.incomplete(name) {
				return fmt.Errorf("%s is not listed, or not incomplete", name)
			}
		}
		return nil
	}
	p := startPollersAllowing(o, 3, allOf(hasEndpoints(l.Name("it"), l.endpoints(0), nil), listed), func(time.Time, time.Time) bool { return false })
	for limit := time.Now().Add(2 * deadline); p.current().requests < 10 && time.Now().Before(limit); { // the first requests wait for timeouts
		time.Sleep(100 * time.Millisecond)
	}
	tally := p.end()
	t.Log(tally)
	if tally.requests < 10 {
		t.Errorf("requests wait again for hanging calls: only %d were answered", tally.requests)
	}
	engine.setFault(nil)
	o.awaitRecovery(healthy)
	o.expectUsage(before)
}

// Half of the containers restart all the time. The other half is complete in every answer.
func TestRestartingContainersAffectNoOthers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const each = 4
	var checks []check
	for i := range each {
		l.peer(fmt.Sprint("well", i), []string{"-p", l.port(i) + ":80"}, "listen:tcp4:0.0.0.0:80")
		checks = append(checks, isComplete(l.Name(fmt.Sprint("well", i)), l.endpoints(i), nil))
		l.run(fmt.Sprint("restarting", i), "--restart", "always", tools, "sleep", "0.2")
	}
	o := startRelease(t, interfaces, profiled)
	o.connections()
	before := o.usage()
	p := startPollers(o, 3, allOf(checks...))
	time.Sleep(15 * time.Second)
	tally := p.end()
	t.Log(tally)
	if tally.unavailable > 0 || tally.requests == 0 {
		t.Errorf("%s\n%s", tally, o.logged())
	}
	o.expectUsage(before)
}

// newSmallDisk returns two files on a new disk of 1 MiB: a log, and a file to fill the disk. The disk ends with its last open
// file.
func newSmallDisk(t testing.TB) (log, filler *os.File) {
	t.Helper()
	at := t.TempDir()
	if err := unix.Mount("disk", at, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	open := func(name string) *os.File {
		fd, err := unix.Open(filepath.Join(at, name), unix.O_CREAT|unix.O_RDWR|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Error(err)
		}
		file := os.NewFile(uintptr(fd), fmt.Sprintf("/proc/self/fd/%d", fd))
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	log, filler = open("log"), open("filler")
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	return log, filler
}

// The disk of the log is full for a while. Answers stay complete, and the log continues afterwards.
func TestFullLogDiskAffectsNoAnswers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.run("scratch", bare, "/peer", "listen:tcp4:0.0.0.0:80") // unreadable, so that there is something to log
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	log, filler := newSmallDisk(t)
	command := exec.Command(releaseBinary(t)) //nolint:noctx // it is ended with SIGTERM
	command.Stderr = log
	o := startCommand(t, command, interfaces, execOnly, "LOG_LEVEL=DEBUG", profiled)
	correct := func(a *answer, began, ended time.Time) error {
		if !a.incomplete(l.Name("scratch")) {
			return fmt.Errorf("%v %s", a.header, a.body)
		}
		return isComplete(l.Name("it"), l.endpoints(0), nil)(a, began, ended)
	}
	o.awaitRecovery(correct)
	before := o.usage()
	if _, err := filler.Write(make([]byte, 1<<20)); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	full := len(o.logged())
	p := startPollersAllowing(o, 3, correct, func(time.Time, time.Time) bool { return false })
	time.Sleep(5 * time.Second)
	t.Log(p.end())
	if grown := len(o.logged()) - full; grown >= 4096 {
		t.Errorf("%d bytes were written to a full disk", grown)
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	full = len(o.logged())
	eventually(t, func() bool { return o.connections().status == http.StatusOK && len(o.logged()) > full })
	o.awaitRecovery(correct)
	o.expectUsage(before)
}
