package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// deadline is within what every request ends: a collection that runs, and the next, each with an engine that does not
// answer its list in 10 s.
const deadline = 40 * time.Second

// check returns what is wrong with an answer to a request that was made between two moments.
type check func(a *answer, began, ended time.Time) error

// pollers ask for /connections again and again, ten of them no more often than a client may.
type pollers struct {
	t     testing.TB
	o     *outpost
	check check
	may   func(began, ended time.Time) bool // be unavailable
	stop  func()
	group sync.WaitGroup

	mu    sync.Mutex
	tally tally
}

// tally is what pollers saw.
type tally struct {
	requests, incomplete int
	unavailable          int // 503, with a reason
	slowest              time.Duration
	wrong                []string
}

func (t tally) String() string {
	return fmt.Sprintf("%d requests, %d of them 503, %d incomplete, %d wrong, the slowest %s",
		t.requests, t.unavailable, t.incomplete, len(t.wrong), t.slowest.Round(time.Millisecond))
}

// poll starts pollers of a daemon, whose answers are judged; it may be unavailable.
func startPollers(o *outpost, n int, check check) *pollers {
	return startPollersAllowing(o, n, check, func(time.Time, time.Time) bool { return true })
}

// startPollersAllowing is poll, of a daemon that may be unavailable then and there.
func startPollersAllowing(o *outpost, n int, check check, may func(began, ended time.Time) bool) *pollers {
	p := &pollers{t: o.t, o: o, check: check, may: may}
	ctx, cancel := context.WithCancel(o.t.Context())
	p.stop = func() {
		cancel()
		p.group.Wait()
	}
	o.t.Cleanup(p.stop) // where the test fails before it ends them
	for range n {
		p.group.Go(func() { p.run(ctx) })
	}
	return p
}

func (p *pollers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(60 * time.Millisecond):
			p.ask()
		}
	}
}

func (p *pollers) ask() {
	began := time.Now()
	a, err := p.o.ask("/connections")
	ended := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.requests++
	p.tally.slowest = max(p.tally.slowest, ended.Sub(began))
	switch {
	case err != nil:
	case ended.Sub(began) > deadline:
		err = fmt.Errorf("it took %s", ended.Sub(began))
	case a.status == http.StatusServiceUnavailable && strings.Contains(a.body, `{"error":"`) && p.may(began, ended):
		p.tally.unavailable++
		return
	case a.status != http.StatusOK:
		err = fmt.Errorf("%d %s", a.status, a.body)
	default:
		if a.header.Get("Outpost-Incomplete") != "" {
			p.tally.incomplete++
		}
		err = p.check(a, began, ended)
	}
	if err != nil && len(p.tally.wrong) < 20 {
		p.tally.wrong = append(p.tally.wrong, fmt.Sprintf("%s after %s: %v", began.Format("15:04:05.000"), ended.Sub(began), err))
	}
}

// so returns what was seen so far.
func (p *pollers) current() tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally
}

// end stops the pollers, and fails the test for every wrong answer.
func (p *pollers) end() tally {
	p.t.Helper()
	p.stop()
	if len(p.tally.wrong) > 0 {
		p.t.Errorf("%s:\n%s\n%s", p.tally, strings.Join(p.tally.wrong, "\n"), p.o.logged())
	}
	return p.tally
}

// hasEndpoints checks that a container is known completely, or said not to be, and listens and is connected as it is known to.
func hasEndpoints(name string, listening, established []string) check {
	return func(a *answer, _, _ time.Time) error {
		c, ok := a.containers["/"+name]
		switch {
		case !ok:
			return fmt.Errorf("%s is not listed", name)
		case a.incomplete(name):
			return nil
		case fmt.Sprint(c.Listening) != fmt.Sprint(listening) || fmt.Sprint(c.Established) != fmt.Sprint(established):
			return fmt.Errorf("%s: %v, want %v and %v", name, c, listening, established)
		}
		return nil
	}
}

// complete checks as hasEndpoints does, and that the container is known completely.
func isComplete(name string, listening, established []string) check {
	return requireComplete(hasEndpoints(name, listening, established), name)
}

// requireComplete checks as another does, and that containers are known completely.
func requireComplete(check check, names ...string) check {
	return func(a *answer, began, ended time.Time) error {
		for _, name := range names {
			if a.incomplete(name) {
				return fmt.Errorf("%s is incomplete", name)
			}
		}
		return check(a, began, ended)
	}
}

// all checks by each of some checks.
func allOf(checks ...check) check {
	return func(a *answer, began, ended time.Time) error {
		for _, check := range checks {
			if err := check(a, began, ended); err != nil {
				return err
			}
		}
		return nil
	}
}

// outages are when something is made to fail, until all is well again.
type outages struct {
	mu    sync.Mutex
	began []time.Time
	ended []time.Time // one less while the last goes on
}

func (o *outages) begin() { o.mu.Lock(); o.began = append(o.began, time.Now()); o.mu.Unlock() }
func (o *outages) end()   { o.mu.Lock(); o.ended = append(o.ended, time.Now()); o.mu.Unlock() }

// touch reports whether there was an outage between two moments.
func (o *outages) touch(began, ended time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.began {
		if ended.After(o.began[i]) && (i >= len(o.ended) || began.Before(o.ended[i])) {
			return true
		}
	}
	return false
}

// check checks by one what was asked outside of them all, and by another the rest.
func (o *outages) check(outside, within check) check {
	return func(a *answer, began, ended time.Time) error {
		if o.touch(began, ended) {
			return within(a, began, ended)
		}
		return outside(a, began, ended)
	}
}

// profiled has a daemon collect its garbage when it is told to, so that what it holds can be measured.
const profiled = "OUTPOST_PPROF=127.0.0.1:0"

// usage is what a daemon takes: held is what is no garbage of its memory, resident all that it has of the machine's.
type usage struct{ goroutines, descriptors, heldKiB, residentKiB int }

// usage returns what a daemon that is profiled takes when nobody asks it any more.
func (o *outpost) usage() usage {
	o.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	time.Sleep(time.Second) // for the daemon to notice
	profiles := &outpost{t: o.t, url: o.serving("Serving profiles")}
	for range 3 { // pools are emptied by the second
		profiles.get("/debug/pprof/heap?gc=1&debug=1")
	}
	http.DefaultClient.CloseIdleConnections()
	metrics := o.get("/metrics").body
	value := func(name string) int {
		_, rest, _ := strings.Cut(metrics, "\n"+name+" ")
		text, _, _ := strings.Cut(rest, "\n")
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			o.t.Fatalf("%s is %q", name, text)
		}
		return int(number)
	}
	return usage{
		value("go_goroutines"), value("process_open_fds"),
		value("go_memstats_heap_alloc_bytes") >> 10, value("process_resident_memory_bytes") >> 10,
	}
}

// exceeds reports whether it is more than before, but for what is not the same at each look: connections to the engine that
// are kept, with two goroutines each, the garbage of one request with what is made once, and memory that the runtime gives
// back by and by.
func (u usage) exceeds(before usage) bool {
	const connections, garbage, kept = 8, 1 << 10, 24 << 10
	return u.goroutines > before.goroutines+2*connections || u.descriptors > before.descriptors+connections ||
		u.heldKiB > before.heldKiB+garbage || u.residentKiB > before.residentKiB+kept
}

// returned holds what the daemon takes against what it took before, once the past is forgotten that it may remember.
func (o *outpost) expectUsage(before usage) {
	o.t.Helper()
	const remembered = 90 * time.Second
	after := o.usage()
	for limit := time.Now().Add(remembered); after.exceeds(before) && time.Now().Before(limit); after = o.usage() {
		_ = o.get("/v1/graph") // which forgets
	}
	if after.exceeds(before) {
		o.t.Errorf("it takes more than before")
	}
	o.t.Logf("it took %+v before, %+v after", before, after)
}

// awaitRecovery waits for a whole answer, no longer than an interval of usual pollers.
func (o *outpost) awaitRecovery(whole check) {
	o.t.Helper()
	const interval = 15 * time.Second
	var last string
	for limit := time.Now().Add(interval); ; time.Sleep(100 * time.Millisecond) {
		began := time.Now()
		a := o.get("/connections")
		if a.status == http.StatusOK {
			err := whole(a, began, time.Now())
			if err == nil {
				return
			}
			last = err.Error()
		} else {
			last = a.body
		}
		if time.Now().After(limit) {
			o.t.Fatalf("it does not recover: %s\n%s", last, o.logged())
		}
	}
}
