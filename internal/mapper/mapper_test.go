package mapper

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access/accesstest"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// document is the snapshot of a host with one container, which is connected to an address outside.
func document(host string) snapshot.Document {
	return snapshot.Document{
		Version: snapshot.Version, TakenAt: time.Now(),
		Host: snapshot.HostDocument{ID: "engine of " + host, Name: host},
		Containers: []snapshot.ContainerDocument{{ID: "id of " + host, Name: "/web", Connections: []snapshot.ConnectionDocument{{
			Local: snapshot.Endpoint{Address: "172.17.0.2", Port: 40000}, Remote: snapshot.Endpoint{Address: "192.0.2.1", Port: 443},
			Direction: "out", State: "ESTABLISHED",
		}}}},
	}
}

func answerWith(t testing.TB, w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		t.Error(err)
	}
}

// serving is a daemon that answers as it is told, at another address than others.
func serving(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// well is a daemon that is well.
func well(t testing.TB, host string) string {
	t.Helper()
	return serving(t, func(w http.ResponseWriter, _ *http.Request) { answerWith(t, w, document(host)) })
}

// running is a mapper that polls often.
func running(t testing.TB, options Options, patience time.Duration) *Mapper {
	t.Helper()
	options.Interval = 50 * time.Millisecond
	if options.StaleAfter == 0 {
		options.StaleAfter = time.Hour
	}
	m := New(options, NewHistory(time.Hour), zerolog.Nop())
	m.patience = patience
	run(t, m)
	return m
}

func run(t testing.TB, m *Mapper) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { m.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
}

func targetsOf(t testing.TB, texts ...string) []Target {
	t.Helper()
	targets, err := ParseTargets(texts)
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

// until waits until the map shows what it should.
func until(t testing.TB, m *Mapper, holds func(g graph.Graph) bool) graph.Graph {
	t.Helper()
	deadline := time.Now().Add(time.Minute) // the race detector is slow
	for {
		g := m.Latest()
		if holds(g) {
			return g
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come about: %+v", g.Targets)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func stateOf(g graph.Graph, name string) graph.Target {
	for _, target := range g.Targets {
		if target.Target == name {
			return target
		}
	}
	return graph.Target{}
}

// Each row of what bad input gets: that target is marked with a plain reason, and all others are on time.
func TestBadAnswers(t *testing.T) {
	const patience = 3 * time.Second
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	jsonHeader := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }
	bad := map[string]struct {
		handler http.HandlerFunc
		state   graph.State
		reason  string
	}{
		"HTML": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello") },
			graph.StateFailed, `it answers "text/html; charset=utf-8", which is not JSON`},
		"HTML that says it is JSON": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, "<html>hello")
		}, graph.StateFailed, "its answer is no whole JSON: invalid character '<'"},
		"half a JSON": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, `{"version":1,"containers":[{"id":`)
		}, graph.StateFailed, "its answer is no whole JSON"},
		"a JSON and a half": {func(w http.ResponseWriter, _ *http.Request) {
			answerWith(t, w, document("x"))
			_, _ = io.WriteString(w, "{")
		}, graph.StateFailed, "its answer is no whole JSON: invalid character '{' after top-level value"},
		"another version": {func(w http.ResponseWriter, _ *http.Request) {
			answerWith(t, w, map[string]any{"version": 2, "containers": "many"})
		},
			graph.StateFailed, "it answers in version 2 of the snapshot, not 1"},
		"another document": {func(w http.ResponseWriter, _ *http.Request) { answerWith(t, w, map[string]any{"version": "two"}) },
			graph.StateFailed, "its answer is no answer of Outpost"},
		"containers of nothing": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, `{"version":1,"containers":[`+strings.Repeat("{},", 100_000)+`{}]}`)
		}, graph.StateFailed, "its answer is no answer of Outpost: it is made of nothing"},
		"containers that are null": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, `{"version":1,"containers":[`+strings.Repeat("null,", 100_000)+`null]}`)
		}, graph.StateFailed, "its answer is no answer of Outpost: it is made of nothing"},
		"a list": {func(w http.ResponseWriter, _ *http.Request) { answerWith(t, w, []string{"a"}) },
			graph.StateFailed, "its answer is no answer of Outpost"},
		"a clock that is ahead": {func(w http.ResponseWriter, _ *http.Request) {
			d := document("ahead")
			d.TakenAt = d.TakenAt.Add(3*time.Hour + 30*time.Minute)
			answerWith(t, w, d)
		}, graph.StateOK, "its clock is 3h"},
		"a clock that is behind": {func(w http.ResponseWriter, _ *http.Request) {
			d := document("behind")
			d.TakenAt = d.TakenAt.Add(-3*time.Hour - 30*time.Minute)
			answerWith(t, w, d)
		}, graph.StateOK, "its clock is 3h"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/secret", http.StatusFound)
		},
			graph.StateFailed, `it redirects to "http://192.0.2.1/secret", which is not followed: give that address`},
		"an error with a reason": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":"the container engine cannot be reached"}`)
		}, graph.StateFailed, "it answers 503 Service Unavailable: the container engine cannot be reached"},
		"neither path": {http.NotFound, graph.StateFailed, "it has no /connections"},
		"nothing": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		}, graph.StateFailed, "it did not answer in time"},
		"a byte now and then": {func(w http.ResponseWriter, r *http.Request) {
			jsonHeader(w)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		}, graph.StateFailed, "it did not answer in time"},
		"a broken connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			graph.StateFailed, "it broke off its answer"},
	}
	texts := []string{well(t, "well"), "127.0.0.1:1"}
	urls := make(map[string]string)
	for name, answer := range bad {
		urls[name] = serving(t, answer.handler)
		texts = append(texts, urls[name])
	}
	twice := serving(t, func(w http.ResponseWriter, _ *http.Request) { answerWith(t, w, document("well")) })
	texts = append(texts, twice)

	began := time.Now()
	m := running(t, Options{Targets: targetsOf(t, texts...)}, patience)
	until(t, m, func(g graph.Graph) bool {
		return len(g.Links) > 0 && (stateOf(g, texts[0]).State == graph.StateOK || stateOf(g, twice).State == graph.StateOK)
	})
	if took := time.Since(began); took > firstPolls+5*time.Second {
		t.Errorf("the well one took %s", took)
	}
	g := until(t, m, func(g graph.Graph) bool {
		return !slices.ContainsFunc(g.Targets, func(target graph.Target) bool { return target.State == graph.StatePending })
	})
	for name, answer := range bad {
		if got := stateOf(g, urls[name]); got.State != answer.state || !strings.HasPrefix(got.Reason, answer.reason) {
			t.Errorf("%s: %s, %q; want %s, %q", name, got.State, got.Reason, answer.state, answer.reason)
		}
	}
	if got := stateOf(g, "127.0.0.1:1"); got.Reason != "nothing listens there" {
		t.Errorf("%+v", got)
	}
	same := []graph.Target{stateOf(g, texts[0]), stateOf(g, twice)}
	slices.SortFunc(same, func(a, b graph.Target) int { return strings.Compare(string(a.State), string(b.State)) })
	if same[0].State != graph.StateDuplicate || same[0].Reason != "it answers for the same host as "+same[1].Target || same[1].State != graph.StateOK {
		t.Errorf("%+v", same)
	}
}

// long is a daemon whose answer has so many bytes of nothing in it, and waits in the middle until it may go on.
func long(t testing.TB, length int, wait <-chan struct{}) string {
	t.Helper()
	padding := bytes.Repeat([]byte(" "), length/2)
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"version":1,"padding":"`)
		_, _ = w.Write(padding)
		select {
		case <-wait:
		case <-r.Context().Done():
			return
		}
		_, _ = w.Write(padding)
		_, _ = io.WriteString(w, `"}`)
	})
}

func Test100MiB(t *testing.T) {
	wait := make(chan struct{})
	close(wait)
	small, tooLong := well(t, "small"), long(t, 100<<20, wait)
	options := Options{Targets: targetsOf(t, small, tooLong), Interval: 50 * time.Millisecond, StaleAfter: time.Hour}
	m := New(options, NewHistory(time.Hour), zerolog.Nop())
	m.patience = time.Minute
	m.client.memory = newMemory(maxAnswer, smallAnswer, longAtOnce, time.Minute) // the race detector takes its time
	run(t, m)
	until(t, m, func(g graph.Graph) bool { return stateOf(g, small).State == graph.StateOK })
	until(t, m, func(g graph.Graph) bool { return stateOf(g, tooLong).Reason == "its answer is longer than 64 MiB" })
}

// What a daemon says of its troubles may be another at each poll: it is logged once, and the map stays as it is.
func TestWordsThatChange(t *testing.T) {
	var asked atomic.Int32
	url := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `{"error":"trouble %d at %x"}`, asked.Add(1), time.Now().UnixNano())
	})
	var log logged
	m := New(Options{Targets: targetsOf(t, url), Interval: 20 * time.Millisecond, StaleAfter: time.Hour}, NewHistory(time.Hour), zerolog.New(&log))
	run(t, m)
	g := until(t, m, func(g graph.Graph) bool { return stateOf(g, url).State == graph.StateFailed })
	for asked.Load() < 5 {
		time.Sleep(10 * time.Millisecond)
	}
	if n := strings.Count(log.String(), "does not answer as it should"); n != 1 {
		t.Errorf("%d times:\n%s", n, log.String())
	}
	if cause := graph.ReasonKey(stateOf(g, url).Reason); cause != "it answers N Internal Server Error" {
		t.Errorf("%q", cause)
	}
}

// logged is a log that may be read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A long answer that comes in drips keeps no other out.
func TestLongAnswerInDrips(t *testing.T) {
	never := make(chan struct{})
	dripping := long(t, 2<<20, never)
	options := Options{Targets: targetsOf(t, dripping), Interval: time.Hour, StaleAfter: time.Hour}
	m := New(options, NewHistory(time.Hour), zerolog.Nop())
	m.client.memory = newMemory(4<<20, 1<<16, 1, 100*time.Millisecond)
	_, err := m.client.ask(t.Context(), address{url: dripping}, answer{})
	if err == nil || err.Error() != "its long answer came too slowly" {
		t.Errorf("%v", err)
	}
	if !m.client.memory.slots.TryAcquire(1) {
		t.Error("its slot is still held")
	}
}

// A long answer may take longer than the patience with it, as long as it comes.
func TestLongAnswerThatComes(t *testing.T) {
	const part, parts, patience = 1 << 16, 12, 2 * time.Second
	coming := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"version":1,"padding":"`)
		for range parts {
			_, _ = w.Write(bytes.Repeat([]byte(" "), part))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(patience / (parts / 2))
		}
		_, _ = io.WriteString(w, `"}`)
	})
	c := newClient(nil)
	c.memory = newMemory(4<<20, part, 1, patience)
	started := time.Now()
	if _, err := c.ask(t.Context(), address{url: coming}, answer{}); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took < patience {
		t.Errorf("it took %s, less than the patience with it", took)
	}
}

// Long answers wait for each other, and none of the others for them.
func TestLongAnswersShareMemory(t *testing.T) {
	wait := make(chan struct{})
	var texts []string
	for range 8 {
		texts = append(texts, long(t, 2<<20, wait))
	}
	small := well(t, "small")
	options := Options{Targets: targetsOf(t, append(texts, small)...), Interval: 50 * time.Millisecond, StaleAfter: time.Hour}
	m := New(options, NewHistory(time.Hour), zerolog.Nop())
	m.patience = time.Minute
	m.client.memory = newMemory(4<<20, 1<<16, 3, time.Minute)
	run(t, m)
	until(t, m, func(g graph.Graph) bool { return stateOf(g, small).State == graph.StateOK })
	until(t, m, func(graph.Graph) bool { return !m.client.memory.slots.TryAcquire(1) })
	close(wait)
	for _, text := range texts {
		until(t, m, func(g graph.Graph) bool { return stateOf(g, text).State == graph.StateOK })
	}
}

func TestStaleAndDropped(t *testing.T) {
	var down atomic.Bool
	url := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		answerWith(t, w, document("h"))
	})
	m := running(t, Options{Targets: targetsOf(t, url), StaleAfter: 700 * time.Millisecond}, time.Second)
	state := func(want graph.State) graph.Graph {
		t.Helper()
		return until(t, m, func(g graph.Graph) bool { return stateOf(g, url).State == want })
	}
	if g := state(graph.StateOK); g.Role != graph.RoleMapper || g.WindowSeconds == 0 {
		t.Errorf("role %q, window %d s", g.Role, g.WindowSeconds)
	}
	down.Store(true)
	g := state(graph.StateStale)
	if n := g.Nodes[0]; !n.Stale || !g.Links[0].Live || stateOf(g, url).Reason != "it answers 500 Internal Server Error" {
		t.Errorf("%+v", g)
	}
	g = state(graph.StateFailed)
	if g.Links[0].Live || !slices.ContainsFunc(g.Nodes, func(n graph.Node) bool { return n.Past }) {
		t.Errorf("what was dropped is past: %+v", g)
	}
	down.Store(false)
	if g = state(graph.StateOK); !g.Links[0].Live || g.Nodes[0].Past || g.Nodes[0].Stale {
		t.Errorf("%+v", g)
	}
}

// A daemon that has not changed sends nothing, and what it sent is not read again.
func TestConditionalAndCompressed(t *testing.T) {
	var whole, conditional, compressed atomic.Int32
	url := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			compressed.Add(1)
		}
		w.Header().Set("ETag", `W/"1"`)
		if r.Header.Get("If-None-Match") == `W/"1"` {
			conditional.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		whole.Add(1)
		answerWith(t, w, document("h"))
	})
	m := running(t, Options{Targets: targetsOf(t, url)}, time.Second)
	until(t, m, func(graph.Graph) bool { return conditional.Load() >= 3 })
	if whole.Load() != 1 || compressed.Load() < 4 {
		t.Errorf("%d whole answers, %d requests take compressed ones", whole.Load(), compressed.Load())
	}
	if g := m.Latest(); stateOf(g, url).State != graph.StateOK || len(g.Links) != 1 {
		t.Errorf("%+v", g)
	}
}

// The original, and what links can be told from it.
func TestDaemonWithConnectionsAlone(t *testing.T) {
	old := func(list string) string {
		return serving(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/connections" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, list)
		})
	}
	kafka := old(`[{"name":"/kafka","artefact":"kafka:2","listening":[{"address":"192.168.56.101","port":9092}],
		"established":[{"address":"172.17.0.2","port":39534},{"address":"192.168.56.102","port":2181}]}]`)
	zookeeper := old(`[{"name":"/zookeeper","artefact":"zookeeper:3.5","listening":[{"address":"192.168.56.102","port":2181}],"established":[]}]`)
	m := running(t, Options{Targets: targetsOf(t, kafka, zookeeper)}, time.Second)
	g := until(t, m, func(g graph.Graph) bool { return len(g.Links) > 0 })
	if len(g.Links) != 1 {
		t.Fatalf("%+v", g.Links)
	}
	l := g.Links[0]
	want := fmt.Sprintf("container/%s/%%2Fkafka > container/%s/%%2Fzookeeper:2181 published client 1", escaped(kafka), escaped(zookeeper))
	if got := fmt.Sprintf("%s > %s:%d %s %s %d", l.Client, l.Server, l.Port, l.Via, l.Evidence, l.Connections); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if target := stateOf(g, kafka); target.Format != formatConnections || target.Unattributed != 1 {
		t.Errorf("%+v", target)
	}
}

func escaped(text string) string { return strings.ReplaceAll(text, "/", "%2F") }

func TestTargetsOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "targets")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, two := well(t, "one"), well(t, "two")
	write("# daemons", one, "")
	m := running(t, Options{Targets: targetsOf(t, "file:"+path), StaleAfter: time.Second}, time.Second)
	ok := func(g graph.Graph, url string) bool { return stateOf(g, url).State == graph.StateOK }
	until(t, m, func(g graph.Graph) bool { return ok(g, one) })
	write(one, two+" # another")
	until(t, m, func(g graph.Graph) bool { return ok(g, one) && ok(g, two) })
	write("dns:", two)
	until(t, m, func(g graph.Graph) bool {
		return ok(g, one) && ok(g, two) && strings.Contains(stateOf(g, "file:"+path).Reason, "line 1: target")
	})
	write(two)
	until(t, m, func(g graph.Graph) bool { return stateOf(g, one).State == graph.StateStale })
	until(t, m, func(g graph.Graph) bool { return len(g.Targets) == 1 && ok(g, two) })
}

func TestTargetsBehindAName(t *testing.T) {
	url := well(t, "h")
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	m := running(t, Options{Targets: targetsOf(t, "dns:localhost:"+port, "dns:nonexistent.invalid:1")}, time.Second)
	g := until(t, m, func(g graph.Graph) bool { return stateOf(g, "127.0.0.1:"+port).State == graph.StateOK })
	if got := stateOf(g, "dns:nonexistent.invalid:1"); got.State != graph.StateFailed || !strings.Contains(got.Reason, "cannot be looked up") {
		t.Errorf("%+v", got)
	}
}

// Behind a name, the certificates are of the name; a target of the same address, of which they are not, fails all the same.
func TestTargetsBehindANameWithTLS(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, err := tls.LoadX509KeyPair(authority.IssueToName("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "secret" || r.URL.Path != "/outpost/v1/snapshot" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answerWith(t, w, document("h"))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	signers, err := os.ReadFile(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(signers)
	at := strings.TrimPrefix(server.URL, "https://")
	_, port, _ := strings.Cut(at, ":")
	m := running(t, Options{
		Targets:   targetsOf(t, "dns:https://user:secret@localhost:"+port+"/outpost/", server.URL),
		Transport: NewTransport(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}),
	}, 5*time.Second)
	g := until(t, m, func(g graph.Graph) bool {
		return stateOf(g, "https://user:xxxxx@"+at+"/outpost").State == graph.StateOK && stateOf(g, server.URL).State == graph.StateFailed
	})
	if got := stateOf(g, server.URL); !strings.Contains(got.Reason, "x509: ") {
		t.Errorf("%+v", got)
	}
}

// What was drawn before all daemons were asked is not remembered: here, what a host is called that later turns out to have a
// clone.
func TestNothingIsRememberedBeforeAllWereAsked(t *testing.T) {
	one, two := document("one"), document("two")
	two.Host.ID = one.Host.ID
	one.Host.Addresses = []netip.Addr{netip.MustParseAddr("10.77.0.12")}
	one.Containers[0].Connections[0].Remote.Address = "10.77.0.12"
	two.Containers[0].Connections = nil
	m := New(Options{Interval: time.Hour, StaleAfter: time.Hour}, NewHistory(time.Hour), zerolog.Nop())
	m.targets["one"], m.targets["two"] = &target{address: address{name: "one"}}, &target{address: address{name: "two"}}
	for _, step := range []struct {
		name    string
		answers snapshot.Document
		server  string
	}{{"one", one, "host/engine of one"}, {"two", two, "host/engine of one@one"}} {
		m.note(m.targets[step.name], answer{document: step.answers}, nil)
		m.draw(time.Now())
		if g := m.Latest(); len(g.Links) != 1 || g.Links[0].Server != step.server {
			t.Errorf("after %s: %+v", step.name, g.Links)
		}
	}
}

func TestParseTargets(t *testing.T) {
	for text, want := range map[string]string{
		"host":                    "host:9057 http://host:9057",
		"host:80":                 "host:80 http://host:80",
		"192.0.2.1":               "192.0.2.1:9057 http://192.0.2.1:9057",
		"2001:db8::1":             "[2001:db8::1]:9057 http://[2001:db8::1]:9057",
		"[2001:db8::1]:80":        "[2001:db8::1]:80 http://[2001:db8::1]:80",
		"https://host/outpost/":   "https://host/outpost/ https://host/outpost",
		"http://user:secret@host": "http://user:xxxxx@host http://user:secret@host",
	} {
		targets, err := ParseTargets([]string{text})
		if err != nil {
			t.Error(err)
			continue
		}
		found, err := targets[0].find(t.Context())
		if got := found[0].name + " " + found[0].url; got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "host:", "host:0", "host:http", "a b", "ftp://host", "http://", "http://host?q=1", "dns:name", "dns:https://name", "dns:ftp://name:80", "dns:file:80:80", "dns::80", "dns:name:0", "file:", "host/path"} {
		if targets, err := ParseTargets([]string{text}); err == nil {
			t.Errorf("%q is taken: %+v", text, targets)
		}
	}
}

// A mapper leaves nothing behind.
func TestRunEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerWith(t, w, document("h")) }))
	m := New(Options{Targets: targetsOf(t, server.URL), Interval: 10 * time.Millisecond, StaleAfter: time.Hour}, NewHistory(time.Hour), zerolog.Nop())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	m.Run(ctx)
	server.Close()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}
