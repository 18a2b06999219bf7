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

// deadline is the maximum time of a request. It may wait for a running collection and for the next one, each with an engine that
// does not list containers within 10 s.
const deadline = 40 * time.Second

// check returns an error if the answer to a request between two moments is wrong.
type check func(a *answer, began, ended time.Time) error

// pollers request /connections repeatedly. Ten of them stay below the rate limit of a client.
type pollers struct {
	t       testing.TB
	o       *outpost
	check   check
	mayFail func(began, ended time.Time) bool // whether 503 is accepted
	stop    func()
	group   sync.WaitGroup

	mu    sync.Mutex
	tally tally
}

// tally counts the answers of pollers.
type tally struct {
	requests, incomplete int
	unavailable          int // 503, with a reason
	slowest              time.Duration
	wrong                []string
}

func (t tally) String() string {
	return fmt.Sprintf("%d requests: %d answered 503, %d incomplete, %d wrong, slowest %s",
		t.requests, t.unavailable, t.incomplete, len(t.wrong), t.slowest.Round(time.Millisecond))
}

// startPollers starts n pollers of a daemon. They check each answer, and accept 503 at any time.
func startPollers(o *outpost, n int, check check) *pollers {
	return startPollersAllowing(o, n, check, func(time.Time, time.Time) bool { return true })
}

// startPollersAllowing is startPollers that accepts 503 only where mayFail returns true.
func startPollersAllowing(o *outpost, n int, check check, mayFail func(began, ended time.Time) bool) *pollers {
	p := &pollers{t: o.t, o: o, check: check, mayFail: mayFail}
	ctx, cancel := context.WithCancel(o.t.Context())
	p.stop = func() {
		cancel()
		p.group.Wait()
	}
	o.t.Cleanup(p.stop) // if the test fails before it stops them
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
		err = fmt.Errorf("the answer took %s", ended.Sub(began))
	case a.status == http.StatusServiceUnavailable && strings.Contains(a.body, `{"error":"`) && p.mayFail(began, ended):
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

// current returns the tally so far.
func (p *pollers) current() tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally
}

// end stops the pollers and fails the test if an answer was wrong.
func (p *pollers) end() tally {
	p.t.Helper()
	p.stop()
	if len(p.tally.wrong) > 0 {
		p.t.Errorf("%s:\n%s\n%s", p.tally, strings.Join(p.tally.wrong, "\n"), p.o.logged())
	}
	return p.tally
}

// hasEndpoints checks that a container is listed and either incomplete or exactly with these endpoints.
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

// isComplete is hasEndpoints that rejects an incomplete container.
func isComplete(name string, listening, established []string) check {
	return requireComplete(hasEndpoints(name, listening, established), name)
}

// requireComplete adds to a check that some containers are complete.
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

// allOf combines checks.
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

// outages are the periods from a fault until the recovery.
type outages struct {
	mu    sync.Mutex
	began []time.Time
	ended []time.Time // one shorter during an outage
}

func (o *outages) begin() { o.mu.Lock(); o.began = append(o.began, time.Now()); o.mu.Unlock() }
func (o *outages) end()   { o.mu.Lock(); o.ended = append(o.ended, time.Now()); o.mu.Unlock() }

// touch reports whether an outage overlaps the time between two moments.
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

// check uses within for requests that overlap an outage, and outside for the others.
func (o *outages) check(outside, within check) check {
	return func(a *answer, began, ended time.Time) error {
		if o.touch(began, ended) {
			return within(a, began, ended)
		}
		return outside(a, began, ended)
	}
}

// profiled makes a daemon serve profiles, which can trigger a garbage collection before its memory is measured.
const profiled = "OUTPOST_PPROF=127.0.0.1:0"

// usage is what a daemon uses: heldKiB is its live heap, residentKiB its memory as the kernel counts it.
type usage struct{ goroutines, descriptors, heldKiB, residentKiB int }

// usage measures an idle daemon. It needs profiled.
func (o *outpost) usage() usage {
	o.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	time.Sleep(time.Second) // the daemon closes its ends
	profiles := &outpost{t: o.t, url: o.serving("Serving profiles")}
	for range 3 { // the second collection empties the pools
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

// exceeds reports whether u is more than before, beyond what differs between measurements: kept connections to the engine with
// two goroutines each, the garbage of one request, and memory that the runtime returns gradually.
func (u usage) exceeds(before usage) bool {
	const connections, garbage, kept = 8, 1 << 10, 24 << 10
	return u.goroutines > before.goroutines+2*connections || u.descriptors > before.descriptors+connections ||
		u.heldKiB > before.heldKiB+garbage || u.residentKiB > before.residentKiB+kept
}

// expectUsage expects the daemon to use no more than before, once it has forgotten past links.
func (o *outpost) expectUsage(before usage) {
	o.t.Helper()
	const remembered = 90 * time.Second
	after := o.usage()
	for limit := time.Now().Add(remembered); after.exceeds(before) && time.Now().Before(limit); after = o.usage() {
		_ = o.get("/v1/graph") // forgets past links
	}
	if after.exceeds(before) {
		o.t.Errorf("the daemon uses more than before")
	}
	o.t.Logf("usage before: %+v, after: %+v", before, after)
}

// awaitRecovery waits until the check accepts an answer, at most 15 s: a usual interval of pollers.
func (o *outpost) awaitRecovery(healthy check) {
	o.t.Helper()
	const interval = 15 * time.Second
	var last string
	for limit := time.Now().Add(interval); ; time.Sleep(100 * time.Millisecond) {
		began := time.Now()
		a := o.get("/connections")
		if a.status == http.StatusOK {
			err := healthy(a, began, time.Now())
			if err == nil {
				return
			}
			last = err.Error()
		} else {
			last = a.body
		}
		if time.Now().After(limit) {
			o.t.Fatalf("no recovery within 15 s: %s\n%s", last, o.logged())
		}
	}
}
