package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// ledger records when a test started and removed each container.
type ledger struct {
	mu      sync.Mutex
	entries map[string]entry
}

// entry is the life of a container. The check applies from started to leaving. After gone, the container must not be listed.
type entry struct {
	check                  check
	dialled                int // its connections
	started, leaving, gone time.Time
}

func (e *entry) runs(began, ended time.Time) bool {
	return !e.started.IsZero() && e.started.Before(began) && (e.leaving.IsZero() || e.leaving.After(ended))
}

func (e *entry) over(began time.Time) bool { return !e.gone.IsZero() && e.gone.Before(began) }

func (l *ledger) update(name string, change func(*entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[name]
	change(&e)
	l.entries[name] = e
}

// check compares the listed containers with those that existed during the request.
func (l *ledger) check(a *answer, began, ended time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, e := range l.entries {
		if e.runs(began, ended) {
			if err := e.check(a, began, ended); err != nil {
				return fmt.Errorf("running since %s: %w", e.started.Format("15:04:05.000"), err)
			}
		}
		if _, listed := a.containers["/"+name]; listed && e.over(began) {
			return fmt.Errorf("%s was removed at %s and is still listed", name, e.gone.Format("15:04:05.000"))
		}
	}
	return nil
}

// dialled returns the minimum and maximum number of connections that all containers hold.
func (l *ledger) dialled(began, ended time.Time) (minConns, maxConns int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.runs(began, ended) {
			minConns += e.dialled
		}
		if !e.over(began) {
			maxConns += e.dialled
		}
	}
	return minConns, maxConns
}

// runContainer starts a container, waits for life, and removes the container. The container listens on the given endpoints and
// holds dialled connections to address.
func (l *ledger) runContainer(ctx context.Context, lab *testLab, part string, life time.Duration, listening []string, dialled int, address string, args ...string) error {
	name := lab.Name(part)
	l.update(name, func(e *entry) {
		e.check, e.dialled = hasEndpoints(name, listening, slices.Repeat([]string{strings.ReplaceAll(address, ":", " ")}, dialled)), dialled
	})
	if dialled > 0 {
		args = append(args, fmt.Sprintf("dial:%d:%s", dialled, address))
	}
	uncancelled := context.WithoutCancel(ctx) // a cancelled docker command may leave a container behind
	_, err := lab.Run(uncancelled, part, args...)
	if err == nil {
		err = lab.Ready(uncancelled, part)
	}
	if err == nil {
		l.update(name, func(e *entry) { e.started = time.Now() })
		_ = pause(ctx, life) // the container is removed after an error too
	}
	l.update(name, func(e *entry) { e.leaving = time.Now() })
	if _, removed := lab.Docker(uncancelled, "rm", "-f", name); removed != nil {
		return errors.Join(err, removed)
	}
	l.update(name, func(e *entry) { e.gone = time.Now() })
	return err
}

func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}

// 100 containers start and end while ten clients poll, with SOAK 500. Each answer lists the running containers and none of the
// removed ones.
func TestManyContainersComeAndGo(t *testing.T) {
	l := newLab(t)
	const maxParallel = 6
	containers := 100
	if os.Getenv("SOAK") != "" {
		containers = 500
	}
	l.peer("stays", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	o := startRelease(t, interfaces, profiled)
	o.connections()
	before := o.usage()
	lives := &ledger{entries: make(map[string]entry)}
	p := startPollers(o, 10, allOf(isComplete(l.Name("stays"), l.endpoints(0), nil), lives.check))
	var churn errgroup.Group
	churn.SetLimit(maxParallel)
	for i := range containers {
		churn.Go(func() error {
			return lives.runContainer(t.Context(), l, fmt.Sprint("goes", i), 0, nil, 0, "", "--network", "none", bare, "/peer", "listen:tcp4:0.0.0.0:80")
		})
	}
	if err := churn.Wait(); err != nil {
		t.Error(err)
	}
	tally := p.end()
	t.Log(tally)
	if tally.unavailable > 0 {
		t.Errorf("%s\n%s", tally, o.logged())
	}
	o.expectUsage(before)
}

// For the duration of SOAK, by default 30 s, containers and connections come and go while ten clients poll. The event stream is
// cut at random, and faults occur at intervals. Every answer is compared with what the test itself opened.
func TestSoak(t *testing.T) {
	t.Parallel()
	duration, every := 30*time.Second, 6*time.Second
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		every = min(20*time.Second, duration/5)
	}
	l := newLab(t)
	path := filepath.Join(t.TempDir(), "engine.sock")
	w := newRelay(t, path)
	l.peer("server", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:5:"+l.address("server")+":80")
	l.peer("visited", nil, "serve:tcp4:0.0.0.0:81")
	l.run("visitor", tools, "sleep", "100000")
	visited := l.address("visited") + ":81"
	dialled := l.address("server") + " 80"
	o := startRelease(t, interfaces, profiled, "OUTPOST_WINDOW=1m", "DOCKER_HOST=unix://"+path)
	lives := &ledger{entries: make(map[string]entry)}
	stay := []string{l.Name("client"), l.Name("server"), l.Name("visited"), l.Name("visitor")}
	check := allOf(
		hasEndpoints(l.Name("client"), nil, slices.Repeat([]string{dialled}, 5)),
		accepted(l.Name("server"), l.endpoints(0), "", func(time.Time, time.Time) (int, int) { return 5, 5 }),
		accepted(l.Name("visited"), nil, l.address("visitor"), lives.dialled),
		visits(l.Name("visitor"), strings.ReplaceAll(visited, ":", " ")),
		lives.check,
	)
	healthy := requireComplete(check, stay...)
	o.awaitRecovery(healthy)
	for range 20 { // reach a steady state before the measurement
		o.connections()
	}
	before := o.usage()

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var outages outages
	p := startPollersAllowing(o, 10, outages.check(healthy, check), outages.touch)
	var load errgroup.Group
	defer func() { // if the test fails before they have ended
		cancel()
		_ = load.Wait()
	}()
	var passed, opened atomic.Int64
	for lane := range 2 {
		load.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				life, dialled := time.Duration(rand.IntN(3000))*time.Millisecond, rand.IntN(6)
				if err := lives.runContainer(ctx, l, fmt.Sprintf("goes-%d-%d", lane, i), life, l.endpoints(1+lane), dialled, visited,
					"-p", l.port(1+lane)+":80", tools, "peer", "listen:tcp4:0.0.0.0:80"); err != nil && ctx.Err() == nil {
					return err
				}
				passed.Add(1)
				opened.Add(int64(dialled))
			}
			return nil
		})
	}
	load.Go(func() error {
		for ctx.Err() == nil {
			if _, err := l.Docker(ctx, "exec", l.Name("visitor"), "peer", fmt.Sprintf("visit:%d:%s", connectionsPerVisit, visited), "leave"); err != nil && ctx.Err() == nil {
				return err
			}
			opened.Add(connectionsPerVisit)
		}
		return nil
	})
	made := runFaults(ctx, w, every, func(fault func()) {
		outages.begin()
		fault()
		o.awaitRecovery(healthy)
		outages.end()
	})
	if err := load.Wait(); err != nil {
		t.Error(err)
	}
	tally := p.end()
	o.awaitRecovery(healthy)
	time.Sleep(min(duration, time.Minute)) // until past links are forgotten
	t.Logf("%s: %s; %d containers and %d connections came and went; %d faults", duration, tally, passed.Load(), opened.Load(), made)
	o.expectUsage(before)
	if made == 0 || passed.Load() == 0 || opened.Load() == 0 || tally.requests == tally.unavailable {
		t.Error("the test made no fault, no load or no successful request")
	}
}

// accepted checks the listeners of a container and its number of clients, which count bounds. Clients at the address passing do
// not count.
func accepted(name string, listening []string, passing string, count func(began, ended time.Time) (minConns, maxConns int)) check {
	return func(a *answer, began, ended time.Time) error {
		c, ok := a.containers["/"+name]
		if ok && a.incomplete(name) {
			return nil
		}
		n := 0
		for _, client := range c.Established {
			if client.Address != passing {
				n++
			}
		}
		if minConns, maxConns := count(began, ended); !ok || n < minConns || n > maxConns || fmt.Sprint(c.Listening) != fmt.Sprint(listening) {
			return fmt.Errorf("%s: %d connections, want %d to %d: %v", name, n, minConns, maxConns, c)
		}
		return nil
	}
}

// visits checks a container without listeners. All its connections, at most connectionsPerVisit, lead to one endpoint.
func visits(name, at string) check {
	return func(a *answer, _, _ time.Time) error {
		c, ok := a.containers["/"+name]
		if !ok || len(c.Listening) > 0 || len(c.Established) > connectionsPerVisit || slices.ContainsFunc(c.Established, func(e endpoint) bool { return e.String() != at }) {
			return fmt.Errorf("%s: %v", name, c)
		}
		return nil
	}
}

// connectionsPerVisit is the number of connections that a visitor makes per command, one after the other.
const connectionsPerVisit = 100

// runFaults causes faults in random order until ctx ends, and cuts the event stream at random. It returns their number.
func runFaults(ctx context.Context, w *relay, every time.Duration, through func(fault func())) (faulted int) {
	const maxFault = 3 * time.Second
	faults := w.faults()
	for {
		rand.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, fault := range faults {
			if errors.Is(pause(ctx, every/2), context.DeadlineExceeded) {
				return faulted
			}
			if rand.IntN(2) == 0 {
				through(w.cut)
			}
			if pause(ctx, every/2) != nil {
				return faulted
			}
			through(func() { fault(min(maxFault, every/2)) })
			faulted++
		}
	}
}
