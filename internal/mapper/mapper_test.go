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
	"github.com/PabloL007/outpost/internal/history"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// snapshotFrom returns the snapshot of a host with one container that is connected to an external address.
func snapshotFrom(host string) snapshotv1.Snapshot {
	return snapshotv1.Snapshot{
		Version: snapshotv1.Version, TakenAt: time.Now(),
		Host: snapshotv1.Host{ID: "engine of " + host, Name: host},
		Containers: []snapshotv1.Container{{ID: "id of " + host, Name: "/web", Connections: []snapshotv1.Connection{{
			Local: snapshotv1.Endpoint{Address: "172.17.0.2", Port: 40000}, Remote: snapshotv1.Endpoint{Address: "192.0.2.1", Port: 443},
			Direction: "out", State: "ESTABLISHED",
		}}}},
	}
}

func respond(t testing.TB, w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		t.Error(err)
	}
}

// serve starts a daemon with handler and returns its URL.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// healthy starts a daemon that responds with a snapshot.
func healthy(t testing.TB, host string) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { respond(t, w, snapshotFrom(host)) })
}

// start runs a mapper that polls every 50 ms.
func start(t testing.TB, options Options, timeout time.Duration) *Mapper {
	t.Helper()
	options.Interval = 50 * time.Millisecond
	if options.StaleAfter == 0 {
		options.StaleAfter = time.Hour
	}
	m := New(options, history.New(time.Hour), zerolog.Nop())
	m.pollTimeout = timeout
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

func parse(t testing.TB, texts ...string) []Target {
	t.Helper()
	targets, err := ParseTargets(texts)
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

// until waits until the latest map fulfils condition.
func until(t testing.TB, m *Mapper, condition func(g graph.Graph) bool) graph.Graph {
	t.Helper()
	deadline := time.Now().Add(time.Minute) // the race detector is slow
	for {
		g := m.Latest()
		if condition(g) {
			return g
		}
		if time.Now().After(deadline) {
			t.Fatalf("timeout; targets: %+v", g.Targets)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func targetIn(g graph.Graph, name string) graph.Target {
	for _, target := range g.Targets {
		if target.Target == name {
			return target
		}
	}
	return graph.Target{}
}

// A target with an invalid response has a reason, and delays no other target.
func TestInvalidResponsesDelayNoOtherTarget(t *testing.T) {
	const timeout = 3 * time.Second
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	jsonHeader := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }
	bad := map[string]struct {
		handler http.HandlerFunc
		state   graph.State
		reason  string
	}{
		"HTML": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello") },
			graph.StateFailed, `responds with content type "text/html; charset=utf-8" instead of JSON`},
		"HTML with the content type of JSON": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, "<html>hello")
		}, graph.StateFailed, "invalid JSON: invalid character '<'"},
		"truncated JSON": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, `{"version":1,"containers":[{"id":`)
		}, graph.StateFailed, "invalid JSON"},
		"data after the JSON": {func(w http.ResponseWriter, _ *http.Request) {
			respond(t, w, snapshotFrom("x"))
			_, _ = io.WriteString(w, "{")
		}, graph.StateFailed, "invalid JSON: invalid character '{' after top-level value"},
		"another version": {func(w http.ResponseWriter, _ *http.Request) {
			respond(t, w, map[string]any{"version": 2, "containers": "many"})
		},
			graph.StateFailed, "responds with snapshot version 2; want version 1"},
		"another document": {func(w http.ResponseWriter, _ *http.Request) { respond(t, w, map[string]any{"version": "two"}) },
			graph.StateFailed, "not a response of Outpost"},
		"empty containers": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, `{"version":1,"containers":[`+strings.Repeat("{},", 100_000)+`{}]}`)
		}, graph.StateFailed, "not a response of Outpost: too many tiny JSON values"},
		"null containers": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHeader(w)
			_, _ = io.WriteString(w, `{"version":1,"containers":[`+strings.Repeat("null,", 100_000)+`null]}`)
		}, graph.StateFailed, "not a response of Outpost: too many tiny JSON values"},
		"list of strings": {func(w http.ResponseWriter, _ *http.Request) { respond(t, w, []string{"a"}) },
			graph.StateFailed, "not a response of Outpost"},
		"clock ahead": {func(w http.ResponseWriter, _ *http.Request) {
			d := snapshotFrom("ahead")
			d.TakenAt = d.TakenAt.Add(3*time.Hour + 30*time.Minute)
			respond(t, w, d)
		}, graph.StateOK, "its clock is 3h"},
		"clock behind": {func(w http.ResponseWriter, _ *http.Request) {
			d := snapshotFrom("behind")
			d.TakenAt = d.TakenAt.Add(-3*time.Hour - 30*time.Minute)
			respond(t, w, d)
		}, graph.StateOK, "its clock is 3h"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/secret", http.StatusFound)
		},
			graph.StateFailed, `redirects to "http://192.0.2.1/secret": redirects are not followed; use that address as the target`},
		"error with a reason": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":"the container engine cannot be reached"}`)
		}, graph.StateFailed, "responds 503 Service Unavailable: the container engine cannot be reached"},
		"no known path": {http.NotFound, graph.StateFailed, "has no path /connections"},
		"no response": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		}, graph.StateFailed, "no response in time"},
		"a byte every 50 ms": {func(w http.ResponseWriter, r *http.Request) {
			jsonHeader(w)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		}, graph.StateFailed, "no response in time"},
		"broken connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			graph.StateFailed, "closed the connection before the end of the response"},
	}
	texts := []string{healthy(t, "well"), "127.0.0.1:1"}
	urls := make(map[string]string)
	for name, test := range bad {
		urls[name] = serve(t, test.handler)
		texts = append(texts, urls[name])
	}
	twice := serve(t, func(w http.ResponseWriter, _ *http.Request) { respond(t, w, snapshotFrom("well")) })
	texts = append(texts, twice)

	began := time.Now()
	m := start(t, Options{Targets: parse(t, texts...)}, timeout)
	until(t, m, func(g graph.Graph) bool {
		return len(g.Links) > 0 && (targetIn(g, texts[0]).State == graph.StateOK || targetIn(g, twice).State == graph.StateOK)
	})
	if took := time.Since(began); took > pollSpread+5*time.Second {
		t.Errorf("the healthy target took %s", took)
	}
	g := until(t, m, func(g graph.Graph) bool {
		return !slices.ContainsFunc(g.Targets, func(target graph.Target) bool { return target.State == graph.StatePending })
	})
	for name, test := range bad {
		if got := targetIn(g, urls[name]); got.State != test.state || !strings.HasPrefix(got.Reason, test.reason) {
			t.Errorf("%s: %s, %q; want %s, %q", name, got.State, got.Reason, test.state, test.reason)
		}
	}
	if got := targetIn(g, "127.0.0.1:1"); got.Reason != "nothing listens there" {
		t.Errorf("%+v", got)
	}
	same := []graph.Target{targetIn(g, texts[0]), targetIn(g, twice)}
	slices.SortFunc(same, func(a, b graph.Target) int { return strings.Compare(string(a.State), string(b.State)) })
	if same[0].State != graph.StateDuplicate || same[0].Reason != "it answers for the same host as "+same[1].Target || same[1].State != graph.StateOK {
		t.Errorf("%+v", same)
	}
}

// large starts a daemon with a response of length bytes of padding. It sends half of them and the rest after wait is closed.
func large(t testing.TB, length int, wait <-chan struct{}) string {
	t.Helper()
	padding := bytes.Repeat([]byte(" "), length/2)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
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

func TestResponseOf100MiBIsRejected(t *testing.T) {
	wait := make(chan struct{})
	close(wait)
	small, tooLong := healthy(t, "small"), large(t, 100<<20, wait)
	options := Options{Targets: parse(t, small, tooLong), Interval: 50 * time.Millisecond, StaleAfter: time.Hour}
	m := New(options, history.New(time.Hour), zerolog.Nop())
	m.pollTimeout = time.Minute
	m.client.bodies = newBodyLimiter(maxBody, smallBody, maxLargeBodies, time.Minute) // the race detector is slow
	run(t, m)
	until(t, m, func(g graph.Graph) bool { return targetIn(g, small).State == graph.StateOK })
	until(t, m, func(g graph.Graph) bool { return targetIn(g, tooLong).Reason == "the response exceeds 64 MiB" })
}

// A reason that differs only in numbers and quoted text is logged once, and does not change the map.
func TestVaryingReasonIsLoggedOnce(t *testing.T) {
	var polls atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `{"error":"trouble %d at %x"}`, polls.Add(1), time.Now().UnixNano())
	})
	var log syncBuffer
	m := New(Options{Targets: parse(t, url), Interval: 20 * time.Millisecond, StaleAfter: time.Hour}, history.New(time.Hour), zerolog.New(&log))
	run(t, m)
	g := until(t, m, func(g graph.Graph) bool { return targetIn(g, url).State == graph.StateFailed })
	for polls.Load() < 5 {
		time.Sleep(10 * time.Millisecond)
	}
	if n := strings.Count(log.String(), "Polling the daemon failed"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	if key := graph.ReasonKey(targetIn(g, url).Reason); key != "responds N Internal Server Error" {
		t.Errorf("%q", key)
	}
}

// syncBuffer is a log that is safe for concurrent use.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A slow large response is cancelled and releases the semaphore.
func TestSlowLargeResponseIsCancelled(t *testing.T) {
	never := make(chan struct{})
	slow := large(t, 2<<20, never)
	options := Options{Targets: parse(t, slow), Interval: time.Hour, StaleAfter: time.Hour}
	m := New(options, history.New(time.Hour), zerolog.Nop())
	m.client.bodies = newBodyLimiter(4<<20, 1<<16, 1, 100*time.Millisecond)
	_, err := m.client.fetch(t.Context(), address{url: slow}, pollResult{})
	if err == nil || err.Error() != "the response is too slow" {
		t.Errorf("%v", err)
	}
	if !m.client.bodies.sem.TryAcquire(1) {
		t.Error("the semaphore is still held")
	}
}

// A large response may take longer than the timeout for each part.
func TestSteadyLargeResponseIsRead(t *testing.T) {
	const part, parts, timeout = 1 << 16, 12, 2 * time.Second
	steady := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"version":1,"padding":"`)
		for range parts {
			_, _ = w.Write(bytes.Repeat([]byte(" "), part))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(timeout / (parts / 2))
		}
		_, _ = io.WriteString(w, `"}`)
	})
	c := newClient(nil)
	c.bodies = newBodyLimiter(4<<20, part, 1, timeout)
	started := time.Now()
	if _, err := c.fetch(t.Context(), address{url: steady}, pollResult{}); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took < timeout {
		t.Errorf("took %s, less than the timeout", took)
	}
}

// Large responses wait for each other and do not delay small ones.
func TestLargeResponsesWaitForEachOther(t *testing.T) {
	wait := make(chan struct{})
	var texts []string
	for range 8 {
		texts = append(texts, large(t, 2<<20, wait))
	}
	small := healthy(t, "small")
	options := Options{Targets: parse(t, append(texts, small)...), Interval: 50 * time.Millisecond, StaleAfter: time.Hour}
	m := New(options, history.New(time.Hour), zerolog.Nop())
	m.pollTimeout = time.Minute
	m.client.bodies = newBodyLimiter(4<<20, 1<<16, 3, time.Minute)
	run(t, m)
	until(t, m, func(g graph.Graph) bool { return targetIn(g, small).State == graph.StateOK })
	until(t, m, func(graph.Graph) bool { return !m.client.bodies.sem.TryAcquire(1) })
	close(wait)
	for _, text := range texts {
		until(t, m, func(g graph.Graph) bool { return targetIn(g, text).State == graph.StateOK })
	}
}

func TestUnresponsiveTargetIsStaleThenDropped(t *testing.T) {
	var down atomic.Bool
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		respond(t, w, snapshotFrom("h"))
	})
	m := start(t, Options{Targets: parse(t, url), StaleAfter: 700 * time.Millisecond}, time.Second)
	state := func(want graph.State) graph.Graph {
		t.Helper()
		return until(t, m, func(g graph.Graph) bool { return targetIn(g, url).State == want })
	}
	if g := state(graph.StateOK); g.Role != graph.RoleMapper || g.WindowSeconds == 0 {
		t.Errorf("role %q, window %d s", g.Role, g.WindowSeconds)
	}
	down.Store(true)
	g := state(graph.StateStale)
	if n := g.Nodes[0]; !n.Stale || !g.Links[0].Live || targetIn(g, url).Reason != "responds 500 Internal Server Error" {
		t.Errorf("%+v", g)
	}
	g = state(graph.StateFailed)
	if g.Links[0].Live || !slices.ContainsFunc(g.Nodes, func(n graph.Node) bool { return n.Past }) {
		t.Errorf("links of a dropped target must be past: %+v", g)
	}
	down.Store(false)
	if g = state(graph.StateOK); !g.Links[0].Live || g.Nodes[0].Past || g.Nodes[0].Stale {
		t.Errorf("%+v", g)
	}
}

// An unchanged daemon responds 304, and its previous snapshot is used.
func TestRequestsAreConditionalAndCompressed(t *testing.T) {
	var full, conditional, compressed atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			compressed.Add(1)
		}
		w.Header().Set("ETag", `W/"1"`)
		if r.Header.Get("If-None-Match") == `W/"1"` {
			conditional.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		respond(t, w, snapshotFrom("h"))
	})
	m := start(t, Options{Targets: parse(t, url)}, time.Second)
	until(t, m, func(graph.Graph) bool { return conditional.Load() >= 3 })
	if full.Load() != 1 || compressed.Load() < 4 {
		t.Errorf("%d full responses, %d requests that accept gzip", full.Load(), compressed.Load())
	}
	if g := m.Latest(); targetIn(g, url).State != graph.StateOK || len(g.Links) != 1 {
		t.Errorf("%+v", g)
	}
}

// A daemon without /v1/snapshot, such as the original Outpost, is polled at /connections.
func TestDaemonWithConnectionsOnly(t *testing.T) {
	old := func(list string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
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
	m := start(t, Options{Targets: parse(t, kafka, zookeeper)}, time.Second)
	g := until(t, m, func(g graph.Graph) bool { return len(g.Links) > 0 })
	if len(g.Links) != 1 {
		t.Fatalf("%+v", g.Links)
	}
	l := g.Links[0]
	want := fmt.Sprintf("container/%s/%%2Fkafka > container/%s/%%2Fzookeeper:2181 published client 1", escaped(kafka), escaped(zookeeper))
	if got := fmt.Sprintf("%s > %s:%d %s %s %d", l.Client, l.Server, l.Port, l.Via, l.Evidence, l.Connections); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if target := targetIn(g, kafka); target.Format != formatConnections || target.Unattributed != 1 {
		t.Errorf("%+v", target)
	}
}

func escaped(text string) string { return strings.ReplaceAll(text, "/", "%2F") }

func TestFileOfTargetsIsReloaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "targets")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, two := healthy(t, "one"), healthy(t, "two")
	write("# daemons", one, "")
	m := start(t, Options{Targets: parse(t, "file:"+path), StaleAfter: time.Second}, time.Second)
	ok := func(g graph.Graph, url string) bool { return targetIn(g, url).State == graph.StateOK }
	until(t, m, func(g graph.Graph) bool { return ok(g, one) })
	write(one, two+" # another")
	until(t, m, func(g graph.Graph) bool { return ok(g, one) && ok(g, two) })
	write("dns:", two)
	until(t, m, func(g graph.Graph) bool {
		return ok(g, one) && ok(g, two) && strings.Contains(targetIn(g, "file:"+path).Reason, "line 1: target")
	})
	write(two)
	until(t, m, func(g graph.Graph) bool { return targetIn(g, one).State == graph.StateStale })
	until(t, m, func(g graph.Graph) bool { return len(g.Targets) == 1 && ok(g, two) })
}

func TestDNSTarget(t *testing.T) {
	url := healthy(t, "h")
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	m := start(t, Options{Targets: parse(t, "dns:localhost:"+port, "dns:nonexistent.invalid:1")}, time.Second)
	g := until(t, m, func(g graph.Graph) bool { return targetIn(g, "127.0.0.1:"+port).State == graph.StateOK })
	if got := targetIn(g, "dns:nonexistent.invalid:1"); got.State != graph.StateFailed || !strings.Contains(got.Reason, "cannot be looked up") {
		t.Errorf("%+v", got)
	}
}

// The certificate of a DNS target must have the DNS name. A target with the same IP address must have that address.
func TestDNSTargetVerifiesTheName(t *testing.T) {
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
		respond(t, w, snapshotFrom("h"))
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
	m := start(t, Options{
		Targets:   parse(t, "dns:https://user:secret@localhost:"+port+"/outpost/", server.URL),
		Transport: NewTransport(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}),
	}, 5*time.Second)
	g := until(t, m, func(g graph.Graph) bool {
		return targetIn(g, "https://user:xxxxx@"+at+"/outpost").State == graph.StateOK && targetIn(g, server.URL).State == graph.StateFailed
	})
	if got := targetIn(g, server.URL); !strings.Contains(got.Reason, "x509: ") {
		t.Errorf("%+v", got)
	}
}

// Links of maps built before all targets were polled do not become past: here, the name of a host that turns out to have a clone.
func TestHistoryStartsAfterAllTargetsArePolled(t *testing.T) {
	one, two := snapshotFrom("one"), snapshotFrom("two")
	two.Host.ID = one.Host.ID
	one.Host.Addresses = []netip.Addr{netip.MustParseAddr("10.77.0.12")}
	one.Containers[0].Connections[0].Remote.Address = "10.77.0.12"
	two.Containers[0].Connections = nil
	m := New(Options{Interval: time.Hour, StaleAfter: time.Hour}, history.New(time.Hour), zerolog.Nop())
	m.targets["one"], m.targets["two"] = &polledTarget{address: address{name: "one"}}, &polledTarget{address: address{name: "two"}}
	for _, step := range []struct {
		name     string
		response snapshotv1.Snapshot
		server   string
	}{{"one", one, "host/engine of one"}, {"two", two, "host/engine of one@one"}} {
		m.record(m.targets[step.name], pollResult{snapshot: step.response}, nil)
		m.rebuild(time.Now())
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
		found, err := targets[0].resolve(t.Context())
		if got := found[0].name + " " + found[0].url; got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "host:", "host:0", "host:http", "a b", "ftp://host", "http://", "http://host?q=1", "dns:name", "dns:https://name", "dns:ftp://name:80", "dns:file:80:80", "dns::80", "dns:name:0", "file:", "host/path"} {
		if targets, err := ParseTargets([]string{text}); err == nil {
			t.Errorf("%q is accepted: %+v", text, targets)
		}
	}
}

// Run leaves no goroutines.
func TestRunEndsAllGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { respond(t, w, snapshotFrom("h")) }))
	m := New(Options{Targets: parse(t, server.URL), Interval: 10 * time.Millisecond, StaleAfter: time.Hour}, history.New(time.Hour), zerolog.Nop())
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
