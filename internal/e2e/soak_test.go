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

// ledger knows which containers a test has started and removed, and when.
type ledger struct {
	mu      sync.Mutex
	entries map[string]entry
}

// entry is a container's life: it is as judged from started until leaving, and certainly not there after gone.
type entry struct {
	judge                  judge
	dialled                int // connections that it holds
	started, leaving, gone time.Time
}

func (e *entry) runs(began, ended time.Time) bool {
	return !e.started.IsZero() && e.started.Before(began) && (e.leaving.IsZero() || e.leaving.After(ended))
}

func (e *entry) over(began time.Time) bool { return !e.gone.IsZero() && e.gone.Before(began) }

func (l *ledger) note(name string, change func(*entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[name]
	change(&e)
	l.entries[name] = e
}

// judge holds which containers are listed, and what of them is, against which there were.
func (l *ledger) judge(a *answer, began, ended time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, e := range l.entries {
		if e.runs(began, ended) {
			if err := e.judge(a, began, ended); err != nil {
				return fmt.Errorf("since %s: %w", e.started.Format("15:04:05.000"), err)
			}
		}
		if _, listed := a.containers["/"+name]; listed && e.over(began) {
			return fmt.Errorf("%s is gone since %s and listed", name, e.gone.Format("15:04:05.000"))
		}
	}
	return nil
}

// dialled is how many connections all of them hold at the least and at the most.
func (l *ledger) dialled(began, ended time.Time) (least, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.runs(began, ended) {
			least += e.dialled
		}
		if !e.over(began) {
			most += e.dialled
		}
	}
	return least, most
}

// pass starts a container, lets it live for a moment, and removes it. It holds so many connections to an address, and listens
// where it is told to.
func (l *ledger) pass(ctx context.Context, lab *testLab, part string, life time.Duration, listening []string, dialled int, address string, args ...string) error {
	name := lab.Name(part)
	l.note(name, func(e *entry) {
		e.judge, e.dialled = exactly(name, listening, slices.Repeat([]string{strings.ReplaceAll(address, ":", " ")}, dialled)), dialled
	})
	if dialled > 0 {
		args = append(args, fmt.Sprintf("dial:%d:%s", dialled, address))
	}
	whole := context.WithoutCancel(ctx) // a command that is broken off leaves a container that nobody knows
	_, err := lab.Run(whole, part, args...)
	if err == nil {
		err = lab.Ready(whole, part)
	}
	if err == nil {
		l.note(name, func(e *entry) { e.started = time.Now() })
		_ = pauseFor(ctx, life) // it is removed then too
	}
	l.note(name, func(e *entry) { e.leaving = time.Now() })
	if _, removed := lab.Docker(whole, "rm", "-f", name); removed != nil {
		return errors.Join(err, removed)
	}
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

// 500 containers are started and removed while ten clients poll, which takes an engine minutes: each answer has those that ran,
// and not those that were gone.
func TestManyContainersComeAndGo(t *testing.T) {
	l := newLab(t)
	const containers, atOnce = 500, 6
	l.peer("stays", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	o := startReleased(t, interfaces, profiled)
	o.connections()
	before := o.usage()
	lives := &ledger{entries: make(map[string]entry)}
	p := poll(o, 10, all(complete(l.Name("stays"), l.on(0), nil), lives.judge))
	var churn errgroup.Group
	churn.SetLimit(atOnce)
	for i := range containers {
		churn.Go(func() error {
			return lives.pass(t.Context(), l, fmt.Sprint("goes", i), 0, nil, 0, "", "--network", "none", bare, "/peer", "listen:tcp4:0.0.0.0:80")
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
	w := newWire(t, path)
	l.peer("server", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:5:"+l.address("server")+":80")
	l.peer("visited", nil, "serve:tcp4:0.0.0.0:81")
	l.run("visitor", tools, "sleep", "100000")
	visited := l.address("visited") + ":81"
	dialled := l.address("server") + " 80"
	o := startReleased(t, interfaces, profiled, "OUTPOST_WINDOW=1m", "DOCKER_HOST=unix://"+path)
	lives := &ledger{entries: make(map[string]entry)}
	stay := []string{l.Name("client"), l.Name("server"), l.Name("visited"), l.Name("visitor")}
	judge := all(
		exactly(l.Name("client"), nil, slices.Repeat([]string{dialled}, 5)),
		accepted(l.Name("server"), l.on(0), "", func(time.Time, time.Time) (int, int) { return 5, 5 }),
		accepted(l.Name("visited"), nil, l.address("visitor"), lives.dialled),
		visits(l.Name("visitor"), strings.ReplaceAll(visited, ":", " ")),
		lives.judge,
	)
	whole := wholly(judge, stay...)
	o.recovers(whole)
	for range 20 { // what is made once is made before it is counted
		o.connections()
	}
	before := o.usage()

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var outages outages
	p := pollThrough(o, 10, outages.judge(whole, judge), outages.touch)
	var load errgroup.Group
	defer func() { // where the test fails before they have ended
		cancel()
		_ = load.Wait()
	}()
	var passed, opened atomic.Int64
	for lane := range 2 {
		load.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				life, dialled := time.Duration(rand.IntN(3000))*time.Millisecond, rand.IntN(6)
				if err := lives.pass(ctx, l, fmt.Sprintf("goes-%d-%d", lane, i), life, l.on(1+lane), dialled, visited,
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
			if _, err := l.Docker(ctx, "exec", l.Name("visitor"), "peer", fmt.Sprintf("visit:%d:%s", eachVisit, visited), "leave"); err != nil && ctx.Err() == nil {
				return err
			}
			opened.Add(eachVisit)
		}
		return nil
	})
	made := soakFaults(ctx, w, every, func(fault func()) {
		outages.begin()
		fault()
		o.recovers(whole)
		outages.end()
	})
	if err := load.Wait(); err != nil {
		t.Error(err)
	}
	tally := p.end()
	o.recovers(whole)
	time.Sleep(min(duration, time.Minute)) // so long what came and went is remembered
	t.Logf("%s: %s; %d containers and %d connections came and went; %d faults", duration, tally, passed.Load(), opened.Load(), made)
	o.returned(before)
	if made == 0 || passed.Load() == 0 || opened.Load() == 0 || tally.requests == tally.unavailable {
		t.Error("nothing was tried")
	}
}

// accepted judges a container that listens, and is connected to as many clients as it is known to; those at an address that
// comes and goes are not counted.
func accepted(name string, listening []string, passing string, count func(began, ended time.Time) (least, most int)) judge {
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
		if least, most := count(began, ended); !ok || n < least || n > most || fmt.Sprint(c.Listening) != fmt.Sprint(listening) {
			return fmt.Errorf("%s: %d connections, want %d to %d: %v", name, n, least, most, c)
		}
		return nil
	}
}

// visits judges a container that listens nowhere, and is connected to one endpoint, or is not, no more often than it visits.
func visits(name, at string) judge {
	return func(a *answer, _, _ time.Time) error {
		c, ok := a.containers["/"+name]
		if !ok || len(c.Listening) > 0 || len(c.Established) > eachVisit || slices.ContainsFunc(c.Established, func(e endpoint) bool { return e.String() != at }) {
			return fmt.Errorf("%s: %v", name, c)
		}
		return nil
	}
}

// eachVisit is how many connections, one after the other, a visitor makes at a time.
const eachVisit = 100

// soakFaults makes faults in turns until ctx ends, and cuts the stream of events at random; it returns how many it made.
func soakFaults(ctx context.Context, w *wire, every time.Duration, through func(fault func())) (made int) {
	const longest = 3 * time.Second
	faults := w.faults()
	for {
		rand.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, fault := range faults {
			if errors.Is(pauseFor(ctx, every/2), context.DeadlineExceeded) {
				return made
			}
			if rand.IntN(2) == 0 {
				through(w.cut)
			}
			if pauseFor(ctx, every/2) != nil {
				return made
			}
			through(func() { fault(min(longest, every/2)) })
			made++
		}
	}
}
