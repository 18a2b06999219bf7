// Package mapper polls daemons, and puts together a map of the links that there are and were.
package mapper

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/PabloL007/outpost/internal/correlate"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Options say what a Mapper does.
type Options struct {
	Targets []Target
	// Interval is how often each daemon is asked, and StaleAfter how long one that does not answer stays in the map.
	Interval, StaleAfter time.Duration
	// Transport makes the requests; that of NewTransport if it is nil.
	Transport http.RoundTripper
	// Naming gives names to external addresses; it may be nil.
	Naming *graph.Names
}

const (
	// patience is how long a daemon may take for its answer: with many containers that only commands can read, or a hundred
	// thousand connections, it needs its time.
	patience = 30 * time.Second
	// mostDoublings is how often the pause is doubled while a daemon does not answer.
	mostDoublings = 3
	// firstPolls is how long the first polls are spread over.
	firstPolls = time.Second
	// redrawn is how often the map is drawn at least: what is past ages.
	redrawn = time.Minute
	// freshFor is for how long a map is answered again although daemons answered since.
	freshFor = time.Second
)

// Mapper maps the hosts of many daemons. It may be used by several goroutines at once.
type Mapper struct {
	Options
	client   *client
	patience time.Duration // with one answer
	window   *History
	log      zerolog.Logger

	mu      sync.Mutex
	targets map[string]*target // by name
	missing map[string]string  // why targets could not be looked up now, by their texts
	changed bool               // since the map was drawn last
	polled  time.Time          // when a daemon answered or failed last

	drawing *semaphore.Weighted // for one
	drawn   time.Time
	begun   bool // each daemon was asked once
}

// target is a daemon that is polled.
type target struct {
	address
	answer
	host   *correlate.Host
	since  time.Time // when it answered first as that host
	seen   time.Time // when it answered last
	asked  bool
	reason string // why it did not answer the last time
	gone   bool   // it is not among those to be polled any more
	cancel context.CancelFunc
}

// New returns a mapper. It polls while it runs.
func New(options Options, window *History, log zerolog.Logger) *Mapper {
	return &Mapper{
		Options: options, client: newClient(options.Transport), window: window, log: log,
		patience: patience,
		drawing:  semaphore.NewWeighted(1),
		targets:  make(map[string]*target),
	}
}

// Run polls until ctx ends.
func (m *Mapper) Run(ctx context.Context) {
	var polls sync.WaitGroup
	defer m.client.close()
	defer polls.Wait()
	polls.Go(func() { m.accumulate(ctx) })
	for {
		m.discover(ctx, &polls)
		if pause(ctx, m.Interval) != nil {
			return
		}
	}
}

// accumulate draws the map every interval, if there is anything new, so that it remembers what comes and goes.
func (m *Mapper) accumulate(ctx context.Context) {
	for pause(ctx, m.Interval) == nil {
		if m.drawing.Acquire(ctx, 1) != nil {
			return
		}
		now := time.Now()
		if m.isChanged() || now.Sub(m.drawn) > redrawn {
			m.draw(now)
		} else {
			m.window.Touch(now)
		}
		m.drawing.Release(1)
	}
}

// isChanged reports whether the map would be another one. While a daemon does not answer, what it said last ages.
func (m *Mapper) isChanged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.targets {
		if t.gone || t.reason != "" && t.host != nil {
			return true
		}
	}
	return m.changed
}

func pause(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// discover finds the daemons that there are now, and begins to poll the new ones.
func (m *Mapper) discover(ctx context.Context, polls *sync.WaitGroup) {
	found, missing := m.lookUp(ctx)
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for text, reason := range missing {
		if !sameCause(m.missing[text], reason) {
			m.log.Warn().Str("target", text).Str("reason", reason).Msg("Targets cannot be looked up")
		}
	}
	m.changed = m.changed || !maps.EqualFunc(m.missing, missing, sameCause)
	m.missing = missing
	for name, t := range m.targets {
		if _, ok := found[name]; !ok && !t.gone {
			t.gone, t.reason = true, "it is not among the targets any more"
			t.cancel()
		}
	}
	for name, a := range found {
		t := m.targets[name]
		if t != nil && !t.gone {
			if t.address == a {
				continue
			}
			t.cancel() // its password is another one now, or its certificate's name
		}
		if t == nil {
			t = &target{}
			m.targets[name] = t
		}
		polling, cancel := context.WithCancel(ctx)
		t.address, t.cancel, t.gone, t.reason = a, cancel, false, ""
		m.changed = true
		polls.Go(func() { m.poll(polling, t, a) })
	}
}

// lookUp returns the daemons that there are now, by their names, and why some targets cannot be looked up.
func (m *Mapper) lookUp(ctx context.Context) (found map[string]address, missing map[string]string) {
	addresses, errs := findAll(ctx, m.Targets)
	found, missing = make(map[string]address), make(map[string]string)
	for text, err := range errs {
		missing[text] = err.Error()
	}
	slices.SortFunc(addresses, func(a, b address) int { return strings.Compare(a.name, b.name) })
	for _, a := range addresses {
		if _, again := found[a.name]; !again && len(found) == maxTargets {
			missing[a.name] = fmt.Sprintf("there are more than %d targets", maxTargets)
			break
		}
		found[a.name] = a
	}
	return found, missing
}

// poll asks a daemon again and again until ctx ends.
func (m *Mapper) poll(ctx context.Context, t *target, at address) {
	failures := 0
	wait := time.Duration(rand.Int64N(int64(min(firstPolls, m.Interval)))) //nolint:gosec // no secret
	for pause(ctx, wait) == nil {
		asking, cancel := context.WithTimeout(ctx, m.patience)
		got, err := m.client.ask(asking, at, m.last(t))
		cancel()
		if ctx.Err() != nil {
			return
		}
		m.note(t, got, err)
		if failures++; err == nil {
			failures = 0
		}
		wait = jittered(m.Interval * time.Duration(1<<min(failures, mostDoublings)))
	}
}

// last returns what a daemon answered last.
func (m *Mapper) last(t *target) answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.answer
}

func (m *Mapper) hostOf(t *target) *correlate.Host {
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.host
}

// jittered returns a duration a tenth longer or shorter, so that those who began together do not stay together.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d/5+1))) //nolint:gosec // no secret
}

// note takes note of an answer or its lack.
func (m *Mapper) note(t *target, got answer, err error) {
	now := time.Now()
	var host *correlate.Host
	if err == nil && !got.unchanged {
		host = correlate.NewHost(got.document, got.from, m.hostOf(t), now)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	m.changed = m.changed || !t.asked || !sameCause(reason, t.reason) || err == nil && !got.unchanged
	if !t.asked || !sameCause(reason, t.reason) {
		m.logTarget(t, reason)
	}
	t.asked, t.reason, m.polled = true, reason, now
	if err != nil {
		return
	}
	t.seen = now
	if !got.unchanged {
		if !host.IsSameHost(t.host) {
			t.since = now
		}
		t.host, t.answer = host, got
		t.document = snapshot.Document{} // the host is what is left of it
	}
}

// sameCause reports whether two reasons are one: what a daemon says of itself may be another at each poll.
func sameCause(a, b string) bool { return graph.ReasonKey(a) == graph.ReasonKey(b) }

func (m *Mapper) logTarget(t *target, reason string) {
	if reason == "" {
		m.log.Info().Str("target", t.name).Msg("The daemon answers")
		return
	}
	m.log.Warn().Str("target", t.name).Str("reason", reason).Msg("The daemon does not answer as it should")
}

// Graph returns the map: as it is now, or was a moment ago. The error is that of ctx.
func (m *Mapper) Graph(ctx context.Context) (graph.Graph, error) {
	if err := m.drawing.Acquire(ctx, 1); err != nil {
		return graph.Graph{}, err
	}
	defer m.drawing.Release(1)
	m.mu.Lock()
	polled := m.polled.After(m.drawn)
	m.mu.Unlock()
	if now := time.Now(); polled && now.Sub(m.drawn) > freshFor || m.drawn.IsZero() {
		m.draw(now)
	}
	return m.Latest(), nil
}

// Latest returns the map as it was drawn last, and when each daemon answered last.
func (m *Mapper) Latest() graph.Graph {
	g := m.window.Latest()
	g.Targets = slices.Clone(g.Targets)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, t := range g.Targets {
		if polled, ok := m.targets[t.Target]; ok {
			g.Targets[i].LastAnswer = polled.seen.UTC()
		}
	}
	return g
}

// draw links what all daemons answered last. What is drawn before each of them was asked is not remembered: much in it is
// external that is not.
func (m *Mapper) draw(now time.Time) {
	sources := m.sources(now)
	drawn := correlate.Build(sources, m.Naming)
	drawn.Role = graph.RoleMapper
	if m.begun {
		m.window.Update(drawn, now)
	} else {
		m.window.Reset(drawn)
		m.begun = !slices.ContainsFunc(sources, func(s correlate.Source) bool { return s.State == graph.StatePending })
	}
	m.drawn = now
}

// sources returns what all daemons answered last, in the order of their names, and forgets what is too old.
func (m *Mapper) sources(now time.Time) []correlate.Source {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = false
	sources := make([]correlate.Source, 0, len(m.targets)+len(m.missing))
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		t := m.targets[name]
		if t.reason != "" && now.Sub(t.seen) > m.StaleAfter {
			t.host, t.answer = nil, answer{}
			if t.gone {
				delete(m.targets, name)
				continue
			}
		}
		sources = append(sources, t.source())
	}
	for _, text := range slices.Sorted(maps.Keys(m.missing)) {
		sources = append(sources, correlate.Source{Target: text, State: graph.StateFailed, Reason: m.missing[text]})
	}
	return sources
}

func (t *target) source() correlate.Source {
	s := correlate.Source{Target: t.name, Host: t.host, Format: t.format, LastAnswer: t.seen, FirstAnswer: t.since, State: graph.StateOK, Reason: t.remark}
	switch {
	case t.reason != "" && t.host != nil:
		s.State, s.Reason = graph.StateStale, t.reason
	case t.reason != "":
		s.State, s.Reason = graph.StateFailed, t.reason
	case !t.asked:
		s.State = graph.StatePending
	}
	return s
}
