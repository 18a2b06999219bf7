package mapper

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/history"
)

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
	c := newClient(nil, 0)
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
		"established":[{"address":"192.168.56.102","port":2181,"protocol":"udp"},{"address":"172.17.0.2","port":39534},{"address":"192.168.56.102","port":2181}]}]`)
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
	if target := targetIn(g, kafka); target.Format != formatConnections || target.Unattributed != 2 { // no server is at the UDP port
		t.Errorf("%+v", target)
	}
}

func escaped(text string) string { return strings.ReplaceAll(text, "/", "%2F") }
