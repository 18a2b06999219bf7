package access_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"github.com/PabloL007/outpost/internal/access"
)

const (
	token    = "a-token-of-more-than-16-characters"
	newToken = "another-token-of-that-kind"
)

// mark is the byte order mark of UTF-8.
const mark = "\xef\xbb\xbf"

// utf16 returns ASCII text in UTF-16, little endian, with its byte order mark.
func utf16(text string) string {
	encoded := []byte{0xff, 0xfe}
	for _, letter := range []byte(text) {
		encoded = append(encoded, letter, 0)
	}
	return string(encoded)
}

// app answers "answer". Its path /wait blocks until the client has gone.
var app = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/wait" {
		<-r.Context().Done()
		return
	}
	_, _ = io.WriteString(w, "answer")
})

// served is a server behind a guard.
type served struct {
	t   testing.TB
	url string
	log *log
}

// log is what a guard logs.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *log) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func serve(t testing.TB, options access.Options) served {
	t.Helper()
	return serveAt(t, options, app, unchanged)
}

func unchanged(listener net.Listener) net.Listener { return listener }

// serveAt serves app on the listener that at returns for one on loopback.
func serveAt(t testing.TB, options access.Options, app http.Handler, at func(net.Listener) net.Listener) served {
	t.Helper()
	s := served{t: t, log: &log{}}
	options.Log = zerolog.New(s.log).Level(zerolog.InfoLevel)
	guard, err := access.New(options)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := access.Scheme(options.WebConfig)
	if err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: app, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- guard.Serve(at(listener), server) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	s.url = scheme + "://" + listener.Addr().String()
	return s
}

// write writes a file and returns its path.
func write(t testing.TB, path string, lines ...string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func file(t testing.TB, lines ...string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "file"), lines...)
}

func hash(t testing.TB, password string) string {
	t.Helper()
	hashed, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hashed)
}

// get requests path, with headers given as names and values. "Host" sets the request's Host.
func (s served) get(client *http.Client, path string, headers ...string) (reply, string) {
	s.t.Helper()
	return s.ask(client, http.MethodGet, path, headers...)
}

func (s served) ask(client *http.Client, method, path string, headers ...string) (reply, string) {
	s.t.Helper()
	return s.askWith(client, method, path, "", headers...)
}

func (s served) askWith(client *http.Client, method, path, content string, headers ...string) (reply, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if request.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header}, string(body)
}

// reply is a response without its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// expect checks the status, the body and the security headers of a response.
func (s served) expect(status int, path string, headers ...string) http.Header {
	s.t.Helper()
	response, body := s.get(http.DefaultClient, path, headers...)
	if response.StatusCode != status || status == http.StatusOK && body != "answer" {
		s.t.Errorf("%s %q: %d %s, want %d", path, headers, response.StatusCode, body, status)
	}
	for _, name := range []string{
		"Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Referrer-Policy",
		"X-Content-Type-Options", "X-Frame-Options",
	} {
		if response.Header.Get(name) == "" {
			s.t.Errorf("%s %q: %d has no %s", path, headers, response.StatusCode, name)
		}
	}
	return response.Header
}

// expectError checks the status of a response and the reason in its JSON body.
func (s served) expectError(status int, reason, path string, headers ...string) reply {
	s.t.Helper()
	response, body := s.get(http.DefaultClient, path, headers...)
	var answer struct{ Error string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || response.StatusCode != status || !strings.Contains(answer.Error, reason) {
		s.t.Errorf("%s %q: %d %s, want %d, %s", path, headers, response.StatusCode, body, status, reason)
	}
	return response
}

func basic(name, password string) string {
	request := &http.Request{Header: http.Header{}}
	request.SetBasicAuth(name, password)
	return request.Header.Get("Authorization")
}

func (s served) expectHealthOpen() {
	s.t.Helper()
	for _, path := range []string{"/healthz", "/readyz", "/api/health"} {
		s.expect(http.StatusOK, path)
	}
}

// client returns a client that sends credentials.
func client(t testing.TB, credentials access.Credentials) *http.Client {
	t.Helper()
	transport, err := credentials.Transport(func(c *tls.Config) http.RoundTripper { return &http.Transport{TLSClientConfig: c} })
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: transport}
	t.Cleanup(c.CloseIdleConnections)
	return c
}
