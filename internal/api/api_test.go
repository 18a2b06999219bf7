package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

type fakeDaemon struct {
	containers []snapshot.Container
	err        error
	panics     bool
	delay      time.Duration
}

func (d *fakeDaemon) Snapshot(ctx context.Context, _ bool) (snapshot.Snapshot, error) {
	select {
	case <-ctx.Done():
		return snapshot.Snapshot{}, ctx.Err()
	case <-time.After(d.delay):
	}
	if d.panics {
		panic("out of order")
	}
	return snapshot.Snapshot{TakenAt: time.Now(), Duration: time.Second, Containers: d.containers}, d.err
}

func (d *fakeDaemon) Ready(context.Context) error { return d.err }

// fakeMap returns a graph or an error.
type fakeMap struct {
	graph graph.Graph
	err   error
}

func (m fakeMap) Graph(context.Context) (graph.Graph, error) { return m.graph, m.err }

func serve(t *testing.T, s *fakeDaemon) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(New(Options{Daemon: s, Map: fakeMap{}, Metrics: http.NotFoundHandler(), Version: "1.2.3", Log: zerolog.Nop()}))
	t.Cleanup(server.Close)
	return server
}

// request sends a request with headers given as name, value, …
func request(t *testing.T, server *httptest.Server, method, path string, headers ...string) (response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := (&http.Transport{DisableCompression: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{got.StatusCode, got.Header}, string(body)
}

type response struct {
	StatusCode int
	Header     http.Header
}

func oneContainer() *fakeDaemon {
	return &fakeDaemon{containers: []snapshot.Container{{
		Name: "/web", Image: "shop/web:1", Listening: []snapshot.Endpoint{
			{AddrPort: netip.MustParseAddrPort("10.0.0.1:53"), Protocol: socket.UDP}, {AddrPort: netip.MustParseAddrPort("10.0.0.1:80")},
		},
	}}}
}

const oneContainerBody = `[{"name":"/web","artefact":"shop/web:1","listening":[{"address":"10.0.0.1","port":80}],"established":[]}]` + "\n"

func TestRoutes(t *testing.T) {
	server := serve(t, oneContainer())
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/connections", 200, oneContainerBody},
		{"GET", "/", 200, oneContainerBody},
		{"GET", "/index", 200, oneContainerBody},
		{"GET", "/connections?protocol=tcp", 200, oneContainerBody},
		{"GET", "/connections?protocol=udp", 200, `[{"name":"/web","artefact":"shop/web:1","listening":[{"address":"10.0.0.1","port":53,"protocol":"udp"}],"established":[]}]` + "\n"},
		{"GET", "/index?protocol=all", 200, `[{"name":"/web","artefact":"shop/web:1","listening":[{"address":"10.0.0.1","port":53,"protocol":"udp"},{"address":"10.0.0.1","port":80}],"established":[]}]` + "\n"},
		{"GET", "/connections?protocol=sctp", 400, `{"error":"protocol=\"sctp\": want tcp, udp or all"}` + "\n"},
		{"HEAD", "/connections", 200, ""},
		{"HEAD", "/", 200, ""},
		{"GET", "/healthz", 200, `{"status":"ok"}` + "\n"},
		{"GET", "/readyz", 200, `{"status":"ok"}` + "\n"},
		{"HEAD", "/readyz", 200, ""},
		{"GET", "/version", 200, `{"version":"1.2.3"}` + "\n"},
		{"GET", "/nothing", 404, `{"error":"no such path; see /openapi.json"}` + "\n"},
		{"GET", "/connections/", 404, `{"error":"no such path; see /openapi.json"}` + "\n"},
		{"HEAD", "/nothing", 404, ""},
		{"POST", "/connections", 405, `{"error":"the method is not allowed here"}` + "\n"},
		{"DELETE", "/version", 405, `{"error":"the method is not allowed here"}` + "\n"},
		{"OPTIONS", "/", 405, `{"error":"the method is not allowed here"}` + "\n"},
	} {
		response, body := request(t, server, test.method, test.path)
		if response.StatusCode != test.status || body != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, response.StatusCode, body, test.status, test.body)
		}
		if got := response.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s %s: Content-Type %q", test.method, test.path, got)
		}
		if got := response.Header.Get("Allow"); (test.status == 405) != (got == "GET, HEAD") {
			t.Errorf("%s %s: Allow %q", test.method, test.path, got)
		}
	}
}

func TestETag(t *testing.T) {
	s := oneContainer()
	server := serve(t, s)
	response, _ := request(t, server, "GET", "/connections")
	tag := response.Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Fatalf("ETag %q", tag)
	}
	for _, condition := range []string{tag, strings.TrimPrefix(tag, "W/"), `"other", ` + tag, "*"} {
		for _, method := range []string{"GET", "HEAD"} {
			response, body := request(t, server, method, "/", "If-None-Match", condition, "Accept-Encoding", "gzip")
			if response.StatusCode != http.StatusNotModified || body != "" || response.Header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d %q", method, condition, response.StatusCode, body)
			}
		}
	}
	if response, _ := request(t, server, "GET", "/", "If-None-Match", `"other"`); response.StatusCode != http.StatusOK {
		t.Errorf("another tag: %d", response.StatusCode)
	}
	s.containers[0].Problems = []collect.Problem{{Reason: "paused"}}
	response, _ = request(t, server, "GET", "/connections", "If-None-Match", tag)
	if response.StatusCode != http.StatusOK || response.Header.Get("ETag") == tag {
		t.Errorf("incomplete response: %d, ETag %s", response.StatusCode, response.Header.Get("ETag"))
	}
}

func TestCompression(t *testing.T) {
	server := serve(t, oneContainer())
	response, body := request(t, server, "GET", "/connections", "Accept-Encoding", "gzip")
	if response.Header.Get("Content-Encoding") != "gzip" || !slices.Contains(response.Header.Values("Vary"), "Accept-Encoding") {
		t.Fatalf("headers %v", response.Header)
	}
	reader, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(reader); string(plain) != oneContainerBody || err != nil {
		t.Errorf("%q, %v", plain, err)
	}
	if response, _ := request(t, server, "GET", "/connections"); response.Header.Get("Content-Encoding") != "" {
		t.Error("compressed without Accept-Encoding")
	}
}

func TestIncompleteHeader(t *testing.T) {
	s := &fakeDaemon{}
	server := serve(t, s)
	if response, _ := request(t, server, "GET", "/"); response.Header.Values(incompleteHeader) != nil {
		t.Error("header although nothing is incomplete")
	}
	s.containers = []snapshot.Container{{Name: "/a", Problems: make([]collect.Problem, 2)}, {Name: "/b"}, {Name: "/c", Problems: make([]collect.Problem, 1)}}
	if response, _ := request(t, server, "GET", "/"); response.Header.Get(incompleteHeader) != "/a, /c" {
		t.Errorf("%q", response.Header.Get(incompleteHeader))
	}
	s.containers = nil
	for i := range 1000 {
		s.containers = append(s.containers, snapshot.Container{Name: fmt.Sprintf("/container-%d", i), Problems: make([]collect.Problem, 1)})
	}
	response, body := request(t, server, "GET", "/")
	header := response.Header.Get(incompleteHeader)
	var listed []map[string]any
	if err := json.Unmarshal([]byte(body), &listed); err != nil || len(listed) != 1000 {
		t.Errorf("%d containers, %v", len(listed), err)
	}
	named := strings.Count(header, "/container-")
	if len(header) > 2*maxIncompleteHeader || !strings.HasSuffix(header, fmt.Sprintf(", (and %d more)", 1000-named)) {
		t.Errorf("%d bytes, %d named: …%s", len(header), named, header[max(0, len(header)-40):])
	}
}

func TestNamesCannotBreakTheHeader(t *testing.T) {
	server := serve(t, &fakeDaemon{containers: []snapshot.Container{{Name: "/a\r\nX-Evil: 1", Problems: make([]collect.Problem, 1)}}})
	response, _ := request(t, server, "GET", "/")
	if response.Header.Get("X-Evil") != "" || response.Header.Get(incompleteHeader) == "" {
		t.Errorf("headers %v", response.Header)
	}
}

func TestErrors(t *testing.T) {
	for err, reason := range map[error]string{
		fmt.Errorf("list: %w", container.ErrUnreachable):     "the container engine cannot be reached",
		fmt.Errorf("list: %w", container.ErrForbidden):       "the container engine does not permit listing containers",
		fmt.Errorf("list: %w", container.ErrAPIVersion):      "the container engine and Outpost have no API version in common",
		fmt.Errorf("list: %w", context.DeadlineExceeded):     "the container engine does not answer in time",
		errors.New("list: secret detail of http://10.0.0.1"): "the container engine cannot be asked for its containers",
	} {
		server := serve(t, &fakeDaemon{err: err})
		for _, path := range []string{"/connections", "/", "/index", "/readyz"} {
			response, body := request(t, server, "GET", path)
			if want := fmt.Sprintf("{\"error\":%q}\n", reason); response.StatusCode != http.StatusServiceUnavailable || body != want {
				t.Errorf("%s: %d %s, want 503 %s", path, response.StatusCode, body, want)
			}
		}
		if response, _ := request(t, server, "GET", "/healthz"); response.StatusCode != http.StatusOK {
			t.Errorf("/healthz: %d while the process runs", response.StatusCode)
		}
	}
}

// If the engine denies access, the answer has the remedy.
func TestDenialHasARemedy(t *testing.T) {
	for cause, reason := range map[error]string{
		container.ErrUnreachable:  "the socket of the container engine denies access to Outpost",
		container.ErrForbidden:    "the container engine does not permit listing containers",
		container.ErrUnauthorized: "the container engine does not accept Outpost's credentials",
	} {
		server := serve(t, &fakeDaemon{err: fmt.Errorf("list: %w", &container.RemedyError{Err: fmt.Errorf("secret: %w", cause), Remedy: "set CONTAINERS=1"})})
		for _, path := range []string{"/connections", "/v1/snapshot", "/readyz"} {
			response, body := request(t, server, "GET", path)
			if want := fmt.Sprintf("{\"error\":%q}\n", reason+": set CONTAINERS=1"); response.StatusCode != http.StatusServiceUnavailable || body != want {
				t.Errorf("%s: %d %s, want 503 %s", path, response.StatusCode, body, want)
			}
		}
	}
}

func TestPanicIs500(t *testing.T) {
	server := serve(t, &fakeDaemon{panics: true})
	response, body := request(t, server, "GET", "/connections")
	if response.StatusCode != http.StatusInternalServerError || body != `{"error":"internal error"}`+"\n" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

// The server timeouts do not apply to collections.
func TestSlowCollectionHasNoDeadline(t *testing.T) {
	s := oneContainer()
	s.delay = 500 * time.Millisecond
	server := httptest.NewUnstartedServer(New(Options{Daemon: s, Map: fakeMap{}, Metrics: http.NotFoundHandler(), Version: "1.2.3", Log: zerolog.Nop()}))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	if response, body := request(t, server, "GET", "/connections"); response.StatusCode != http.StatusOK || body != oneContainerBody {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}

func TestServerHasAllTimeouts(t *testing.T) {
	s := NewServer(http.NotFoundHandler())
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("%+v", s)
	}
}

// The server does not wait for an announced request body that never comes.
func TestAnnouncedBodyIsIgnored(t *testing.T) {
	s := oneContainer()
	server := NewServer(New(Options{Daemon: s, Map: fakeMap{}, Metrics: http.NotFoundHandler(), Version: "1.2.3", Log: zerolog.Nop()}))
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	for _, header := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		for _, path := range []string{"/v1/snapshot", "/connections", "/healthz", "/v1/graph"} {
			var dialer net.Dialer
			conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(15 * time.Second)) // half of ReadTimeout
			if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n", path, header); err != nil {
				t.Fatal(err)
			}
			response, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(response), "HTTP/1.1 200 OK") {
				t.Errorf("%s with %s: %v %.100s", path, header, err, response)
			}
			_ = conn.Close()
		}
	}
}

func containerNames(t *testing.T, body string) (names []string) {
	t.Helper()
	var document struct{ Containers []struct{ Name string } }
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatal(err)
	}
	for _, c := range document.Containers {
		names = append(names, c.Name)
	}
	return names
}

func TestSnapshotFilters(t *testing.T) {
	server := serve(t, &fakeDaemon{containers: []snapshot.Container{
		{ID: "aabb", Name: "/web", Project: "shop"}, {ID: "aacc", Name: "/db", Project: "shop"}, {ID: "ddee", Name: "/aab"},
	}})
	for query, want := range map[string]string{
		"":                               "[/web /db /aab]",
		"?container=web":                 "[/web]",
		"?container=/web":                "[/web]",
		"?container=aa":                  "[/web /db]",
		"?container=aab":                 "[/aab]",
		"?project=shop":                  "[/web /db]",
		"?project=shop&container=db":     "[/db]",
		"?project=none":                  "[]",
		"?container=%3Cimg%20onerror%3E": "[]",
	} {
		response, body := request(t, server, "GET", "/v1/snapshot"+query)
		if got := fmt.Sprint(containerNames(t, body)); response.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: %d %s, want %s", query, response.StatusCode, got, want)
		}
	}
}

// The ETag of a snapshot does not depend on its time.
func TestSnapshotETag(t *testing.T) {
	s := oneContainer()
	s.containers[0].Connections = []snapshot.Connection{{State: socket.TimeWait}}
	server := serve(t, s)
	response, first := request(t, server, "GET", "/v1/snapshot")
	again, second := request(t, server, "GET", "/v1/snapshot")
	if first == second || response.Header.Get("ETag") != again.Header.Get("ETag") {
		t.Errorf("%s, %s", first, second)
	}
	if response, _ := request(t, server, "GET", "/v1/snapshot", "If-None-Match", response.Header.Get("ETag")); response.StatusCode != http.StatusNotModified {
		t.Errorf("%d", response.StatusCode)
	}
	s.containers[0].Connections[0].ClosedAt = time.Now()
	if response, _ := request(t, server, "GET", "/v1/snapshot", "If-None-Match", response.Header.Get("ETag")); response.StatusCode != http.StatusNotModified {
		t.Errorf("another closing time: %d", response.StatusCode)
	}
	info := &socket.TCPInfo{Sent: 1, Idle: 59 * time.Second}
	s.containers[0].Connections[0].Info = info
	if response, _ := request(t, server, "GET", "/v1/snapshot", "If-None-Match", response.Header.Get("ETag")); response.StatusCode != http.StatusNotModified {
		t.Errorf("another measurement: %d", response.StatusCode)
	}
	info.Idle = time.Minute
	if response, _ = request(t, server, "GET", "/v1/snapshot", "If-None-Match", response.Header.Get("ETag")); response.StatusCode != http.StatusOK {
		t.Errorf("idle: %d", response.StatusCode)
	}
	info.Idle = time.Hour
	if response, _ := request(t, server, "GET", "/v1/snapshot", "If-None-Match", response.Header.Get("ETag")); response.StatusCode != http.StatusNotModified {
		t.Errorf("idle for longer: %d", response.StatusCode)
	}
	s.containers[0].Name = "/other"
	if response, _ := request(t, server, "GET", "/v1/snapshot", "If-None-Match", response.Header.Get("ETag")); response.StatusCode != http.StatusOK {
		t.Errorf("another name: %d", response.StatusCode)
	}
}
