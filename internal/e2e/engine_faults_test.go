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

// A real engine is killed, and started again: its containers end with it, or it finds them again.
func TestEngineKilled(t *testing.T) {
	t.Parallel()
	e := newEngine(t, "10.77.0.71/24", lab.EngineOptions{})
	e.peer("it", []string{"-p", "8080:80", "--restart", "always"}, "listen:tcp4:0.0.0.0:80")
	o := startReleased(t, "DOCKER_HOST="+e.Host(), "OUTPOST_INTERFACES=10.77.0.71", profiled)
	on := []string{"10.77.0.71 8080"}
	whole := complete(e.Name("it"), on, nil)
	o.recovers(whole)
	before := o.usage()
	var outages outages
	p := pollThrough(o, 3, outages.judge(whole, starting(e.Name("it"), on)), outages.touch)
	for range 2 {
		outages.begin()
		restart, err := e.Kill()
		if err != nil {
			t.Fatal(err)
		}
		down := p.so().unavailable
		eventually(t, func() bool { return p.so().unavailable > down })
		if err := restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.Ready(t.Context(), "it"); err != nil {
			t.Fatal(err)
		}
		o.recovers(whole)
		outages.end()
	}
	t.Log(p.end())
	o.returned(before)
}

// starting judges a container that may be gone, or may not listen yet.
func starting(name string, listening []string) judge {
	return func(a *answer, _, _ time.Time) error {
		c := a.containers["/"+name]
		if len(c.Established) > 0 || len(c.Listening) > 0 && fmt.Sprint(c.Listening) != fmt.Sprint(listening) {
			return fmt.Errorf("%s: %v", name, c)
		}
		return nil
	}
}

// A real engine is frozen for a minute.
func TestEngineFrozen(t *testing.T) {
	t.Parallel()
	const frozen = time.Minute
	e := newEngine(t, "10.77.0.72/24", lab.EngineOptions{})
	e.peer("it", []string{"-p", "8080:80"}, "listen:tcp4:0.0.0.0:80")
	o := startReleased(t, "DOCKER_HOST="+e.Host(), "OUTPOST_INTERFACES=10.77.0.72", profiled)
	whole := complete(e.Name("it"), []string{"10.77.0.72 8080"}, nil)
	o.recovers(whole)
	before := o.usage()
	p := poll(o, 3, exactly(e.Name("it"), []string{"10.77.0.72 8080"}, nil))
	if err := e.Freeze(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(frozen)
	seen := p.so()
	if err := e.Thaw(); err != nil {
		t.Fatal(err)
	}
	o.recovers(whole)
	tally := p.end()
	t.Log(tally)
	if seen.unavailable == 0 {
		t.Errorf("nobody was told: %s", seen)
	}
	o.returned(before)
}

// faulty is an engine that does as it is told to.
type faulty struct {
	well http.Handler

	mu    sync.Mutex
	fault http.HandlerFunc // nil where there is none
	cut   context.CancelFunc
	calls context.Context // of all calls until the engine is another one
}

// newFaulty returns an engine that is well, and the variable that leads to it.
func newFaulty(t testing.TB) (engine *faulty, variable string) {
	t.Helper()
	engine = &faulty{well: passOn(t)}
	engine.become(nil)
	path := filepath.Join(t.TempDir(), "engine.sock")
	serveSocket(t, path, engine)
	return engine, "DOCKER_HOST=unix://" + path
}

// become has the engine fail, or nil be well, and breaks off what it was asked before, events too.
func (f *faulty) become(fault http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut != nil {
		f.cut()
	}
	f.calls, f.cut = context.WithCancel(context.Background())
	f.fault = fault
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// rewriting passes requests on, and alters the answers of a path.
func rewriting(t testing.TB, path string, alter func(body []byte) []byte) http.Handler {
	proxy := passOn(t)
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

// withClock is an engine whose clock is off by so many hours all at once; shown counts how often it was looked at.
func withClock(t testing.TB, hours int, shown *atomic.Int64) http.HandlerFunc {
	return rewriting(t, "/info", func(body []byte) []byte {
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

// An engine that hangs, answers 500, garbage, a byte a second or by another clock, as where one's own was set back: to each request
// there is an answer in time, and when it is well again, so is Outpost.
func TestFaultyEngine(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	engine, host := newFaulty(t)
	// Without a limit Go gives back what an endless list took only after minutes.
	o := startReleased(t, interfaces, host, "GOMEMLIMIT=48MiB", profiled)
	whole := complete(l.Name("it"), l.on(0), nil)
	o.recovers(whole)
	before := o.usage()
	var clocks atomic.Int64
	for _, fault := range []struct {
		name    string
		handler http.HandlerFunc
		harms   bool // the answer cannot be whole
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
		{"clock set back", withClock(t, -1, &clocks), false},
		{"clock set forward", withClock(t, 1, &clocks), false},
	} {
		engine.become(fault.handler)
		if !fault.harms {
			o.recovers(whole) // from the break
		}
		p := poll(o, 2, whole)
		time.Sleep(5 * time.Second)
		tally := p.end()
		t.Logf("%s: %s", fault.name, tally)
		if tally.requests == 0 || fault.harms != (tally.unavailable == tally.requests) || !fault.harms && tally.unavailable > 0 {
			t.Errorf("%s: %s\n%s", fault.name, tally, o.logged())
		}
		engine.become(nil)
		o.recovers(whole)
	}
	if n := clocks.Load(); n < 2 {
		t.Errorf("the clock was looked at %d times", n)
	}
	o.returned(before)
}

// hangsOnMany is an engine that lists so many containers more, and hangs on each of them.
func hangsOnMany(t testing.TB, n int) http.HandlerFunc {
	var more strings.Builder
	for i := range n {
		fmt.Fprintf(&more, `,{"Id":"%064x","Names":["/hangs%d"],"Image":"hangs","State":"running"}`, i+1, i)
	}
	proxy := rewriting(t, "/containers/json", func(body []byte) []byte {
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

// An engine lists containers and hangs on a hundred of them: they are listed in time, as incomplete, and the one that it
// answers for is told.
func TestEngineHangsOnMany(t *testing.T) {
	t.Parallel()
	const hang = 100
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	engine, host := newFaulty(t)
	o := startReleased(t, interfaces, host, profiled)
	whole := complete(l.Name("it"), l.on(0), nil)
	o.recovers(whole)
	before := o.usage()
	engine.become(hangsOnMany(t, hang))
	listed := func(a *answer, _, _ time.Time) error {
		for i := range hang {
			if name := fmt.Sprint("hangs", i); !a.incomplete(name) {
				return fmt.Errorf("%s is not listed, or not incomplete", name)
			}
		}
		return nil
	}
	p := pollThrough(o, 3, all(exactly(l.Name("it"), l.on(0), nil), listed), func(time.Time, time.Time) bool { return false })
	for limit := time.Now().Add(2 * deadline); p.so().requests < 10 && time.Now().Before(limit); { // the first ones take their time
		time.Sleep(100 * time.Millisecond)
	}
	tally := p.end()
	t.Log(tally)
	if tally.requests < 10 {
		t.Errorf("they wait again for what hangs: only %d requests", tally.requests)
	}
	engine.become(nil)
	o.recovers(whole)
	o.returned(before)
}

// Half of the containers restart all the time: the other half is told completely.
func TestRestartingContainers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const each = 4
	var judges []judge
	for i := range each {
		l.peer(fmt.Sprint("well", i), []string{"-p", l.port(i) + ":80"}, "listen:tcp4:0.0.0.0:80")
		judges = append(judges, complete(l.Name(fmt.Sprint("well", i)), l.on(i), nil))
		l.run(fmt.Sprint("restarting", i), "--restart", "always", tools, "sleep", "0.2")
	}
	o := startReleased(t, interfaces, profiled)
	o.connections()
	before := o.usage()
	p := poll(o, 3, all(judges...))
	time.Sleep(15 * time.Second)
	tally := p.end()
	t.Log(tally)
	if tally.unavailable > 0 || tally.requests == 0 {
		t.Errorf("%s\n%s", tally, o.logged())
	}
	o.returned(before)
}

// smallDisk returns a log on a disk of its own, of one MiB, and what fills and empties the disk. It is gone with those who
// have them open.
func smallDisk(t testing.TB) (log, filler *os.File) {
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

// The disk on which the log is written is full for a while.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.run("scratch", bare, "/peer", "listen:tcp4:0.0.0.0:80") // of which there is something to log
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	log, filler := smallDisk(t)
	command := exec.Command(released(t)) //nolint:noctx // it is ended with SIGTERM
	command.Stderr = log
	o := startCommand(t, command, interfaces, execOnly, "LOG_LEVEL=DEBUG", profiled)
	right := func(a *answer, began, ended time.Time) error {
		if !a.incomplete(l.Name("scratch")) {
			return fmt.Errorf("%v %s", a.header, a.body)
		}
		return complete(l.Name("it"), l.on(0), nil)(a, began, ended)
	}
	o.recovers(right)
	before := o.usage()
	if _, err := filler.Write(make([]byte, 1<<20)); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	full := len(o.logged())
	p := pollThrough(o, 3, right, func(time.Time, time.Time) bool { return false })
	time.Sleep(5 * time.Second)
	t.Log(p.end())
	if grown := len(o.logged()) - full; grown >= 4096 {
		t.Errorf("%d bytes more were written", grown)
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	full = len(o.logged())
	eventually(t, func() bool { return o.connections().status == http.StatusOK && len(o.logged()) > full })
	o.recovers(right)
	o.returned(before)
}
