package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// ledger knows which containers a test has started and removed, and when.
type ledger struct {
	mu      sync.Mutex
	entries map[string]entry
}

// entry is a container's life: it certainly runs from started until leaving, and certainly does not after gone.
type entry struct{ started, leaving, gone time.Time }

func (l *ledger) note(name string, change func(*entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[name]
	change(&e)
	l.entries[name] = e
}

// judge holds which containers are listed against which there were.
func (l *ledger) judge(a *answer, began, ended time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, e := range l.entries {
		_, listed := a.containers["/"+name]
		if runs := !e.started.IsZero() && e.started.Before(began) && (e.leaving.IsZero() || e.leaving.After(ended)); runs && !listed {
			return fmt.Errorf("%s runs since %s and is not listed", name, e.started.Format("15:04:05.000"))
		}
		if !e.gone.IsZero() && e.gone.Before(began) && listed {
			return fmt.Errorf("%s is gone since %s and listed", name, e.gone.Format("15:04:05.000"))
		}
	}
	return nil
}

// pass starts a container, lets it live for a moment, and removes it.
func (l *ledger) pass(ctx context.Context, lab *testLab, part string, life time.Duration, args ...string) error {
	name := lab.Name(part)
	if _, err := lab.Run(ctx, part, args...); err != nil {
		return err
	}
	l.note(name, func(e *entry) { e.started = time.Now() })
	_ = pauseFor(ctx, life) // it is removed then too
	l.note(name, func(e *entry) { e.leaving = time.Now() })
	_, err := lab.Docker(context.WithoutCancel(ctx), "rm", "-f", name)
	l.note(name, func(e *entry) { e.gone = time.Now() })
	return err
}

func pauseFor(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}

// Containers are started and removed while ten clients poll, 500 of them where SOAK is set, which takes an engine minutes:
// each answer has those that ran, and not those that were gone.
func TestManyContainersComeAndGo(t *testing.T) {
	l := newLab(t)
	containers, atOnce := 60, 6
	if os.Getenv("SOAK") != "" {
		containers = 500
	}
	l.peer("stays", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	o := startCommand(t, exec.Command(released(t)), interfaces) //nolint:noctx // it is ended with SIGTERM
	o.connections()
	before := o.usage()
	lives := &ledger{entries: make(map[string]entry)}
	p := poll(o, 10, all(exactly(l.Name("stays"), l.on(0), nil), lives.judge))
	var churn errgroup.Group
	churn.SetLimit(atOnce)
	for i := range containers {
		churn.Go(func() error {
			return lives.pass(t.Context(), l, fmt.Sprint("goes", i), 0, "--network", "none", bare, "/peer", "listen:tcp4:0.0.0.0:80")
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
	o.returned(before)
}

// For as long as SOAK says, by default a short while: containers and connections come and go, ten poll, the event stream is
// cut at random, and there is a fault every now and then. Every answer is held against what the test itself opened.
func TestSoak(t *testing.T) {
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
	w := newWire(t, path)
	l.peer("server", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:5:"+l.address("server")+":80")
	l.peer("visited", nil, "serve:tcp4:0.0.0.0:81")
	l.run("visitor", tools, "sleep", "100000")
	visited := l.address("visited")
	dialled := l.address("server") + " 80"
	o := startCommand(t, exec.Command(released(t)), interfaces, "DOCKER_HOST=unix://"+path) //nolint:noctx // it is ended with SIGTERM
	client := exactly(l.Name("client"), nil, []string{dialled, dialled, dialled, dialled, dialled})
	server := func(a *answer, _, _ time.Time) error {
		c, ok := a.containers["/"+l.Name("server")]
		if !ok || !a.incomplete(l.Name("server")) && (len(c.Established) != 5 || fmt.Sprint(c.Listening) != fmt.Sprint(l.on(0))) {
			return fmt.Errorf("server: %v", c)
		}
		return nil
	}
	lives := &ledger{entries: make(map[string]entry)}
	judge := all(client, server, lives.judge)
	o.recovers(judge)
	for range 20 { // what is made once is made before it is counted
		o.connections()
	}
	before := o.usage()

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	p := poll(o, 10, judge)
	var load errgroup.Group
	var passed, visits atomic.Int64
	for lane := range 2 {
		load.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				life := time.Duration(rand.IntN(3000)) * time.Millisecond
				if err := lives.pass(ctx, l, fmt.Sprintf("goes-%d-%d", lane, i), life, tools, "peer", "listen:tcp4:0.0.0.0:80"); err != nil && ctx.Err() == nil {
					return err
				}
				passed.Add(1)
			}
			return nil
		})
	}
	load.Go(func() error {
		for ctx.Err() == nil {
			if _, err := l.Docker(ctx, "exec", l.Name("visitor"), "peer", fmt.Sprintf("visit:100:%s:81", visited), "leave"); err != nil && ctx.Err() == nil {
				return err
			}
			visits.Add(100)
		}
		return nil
	})
	made := soakFaults(ctx, w, every)
	if err := load.Wait(); err != nil {
		t.Error(err)
	}
	tally := p.end()
	o.recovers(judge)
	t.Logf("%s: %s; %d containers and %d connections came and went; %d faults", duration, tally, passed.Load(), visits.Load(), made)
	o.returned(before)
	if made == 0 || passed.Load() == 0 || visits.Load() == 0 || tally.requests == tally.unavailable {
		t.Error("nothing was tried")
	}
}

// soakFaults makes faults in turns until ctx ends, and cuts the stream of events at random; it returns how many it made.
func soakFaults(ctx context.Context, w *wire, every time.Duration) (made int) {
	const longest = 3 * time.Second
	faults := w.faults()
	for {
		rand.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, fault := range faults {
			if errors.Is(pauseFor(ctx, every/2), context.DeadlineExceeded) {
				return made
			}
			if rand.IntN(2) == 0 {
				w.cut()
			}
			if pauseFor(ctx, every/2) != nil {
				return made
			}
			fault(min(longest, every/2))
			made++
		}
	}
}
