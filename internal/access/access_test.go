package access_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/access/accesstest"
)

const (
	token    = "a-token-of-more-than-16-characters"
	newToken = "another-token-of-that-kind"
)

// app answers in one word; its path /wait waits until the client goes away.
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
	return serveAt(t, options, app, asIs)
}

func asIs(listener net.Listener) net.Listener { return listener }

// serveAt is serve of another app, on a listener that becomes another.
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

// write writes a file, and returns its path.
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

// get asks for a path, with headers given as name and value; one of Host sets that.
func (s served) get(client *http.Client, path string, headers ...string) (reply, string) {
	s.t.Helper()
	return s.ask(client, http.MethodGet, path, headers...)
}

func (s served) ask(client *http.Client, method, path string, headers ...string) (reply, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, http.NoBody)
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

// reply is an answer without its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// expect holds the status of an answer against what it should be, and what comes with it.
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

// refused is expect for an answer in the form of all errors.
func (s served) refused(status int, reason, path string, headers ...string) reply {
	s.t.Helper()
	response, body := s.get(http.DefaultClient, path, headers...)
	var told struct{ Error string }
	if err := json.Unmarshal([]byte(body), &told); err != nil || response.StatusCode != status || !strings.Contains(told.Error, reason) {
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

func TestEverybody(t *testing.T) {
	s := serve(t, access.Options{})
	s.expect(http.StatusOK, "/connections")
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer of nothing")
	s.expectHealthOpen()
}

func TestToken(t *testing.T) {
	path := file(t, token)
	s := serve(t, access.Options{TokenFile: path})
	wrong := []string{
		"", "Bearer", "Bearer ", "Bearer " + token[1:], "Bearer " + token + "x", "Bearer " + strings.ToUpper(token), "Basic " + token,
		"Token " + token, token, basic(token, ""), basic("any", "wrong"), "Bearer " + strings.Repeat("x", 10_000),
	}
	for _, authorization := range wrong {
		for _, path := range []string{"/connections", "/", "/map/", "/metrics", "/v1/graph", "/healthz/", "/healthz/../connections", "//healthz", "/HEALTHZ"} {
			response := s.refused(http.StatusUnauthorized, "a token is wanted", path, "Authorization", authorization)
			if got := response.Header.Get("WWW-Authenticate"); got != `Basic realm="outpost", charset="UTF-8"` {
				t.Errorf("WWW-Authenticate: %s", got)
			}
		}
	}
	for _, authorization := range []string{"Bearer " + token, "bearer " + token, basic("any", token), basic("", token)} {
		s.expect(http.StatusOK, "/connections", "Authorization", authorization)
	}
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", "")
	s.expectHealthOpen()

	write(t, path, "", token, "  "+newToken+"  ")
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+token)
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+newToken)
	write(t, path, newToken)
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer "+token)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, token[:len(token)-1]+"x") // as long, and as if it were as old
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer "+newToken)
	write(t, path, newToken)
	for what, spoil := range map[string]func(){
		"emptied": func() { write(t, path) },
		"wrong":   func() { write(t, path, newToken, "short") },
		"removed": func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		said := s.log.count("cannot be read again")
		spoil()
		for range 3 {
			s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer "+newToken)
			s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer short")
			s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer ")
		}
		if n := s.log.count("cannot be read again") - said; n != 1 {
			t.Errorf("%s: the log says so %d times", what, n)
		}
		write(t, path, newToken)
		s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+newToken)
	}
	s.expectHealthOpen()
}

func TestFilesThatAreNone(t *testing.T) {
	for name, options := range map[string]access.Options{
		"no file":       {TokenFile: filepath.Join(t.TempDir(), "none")},
		"no token":      {TokenFile: file(t, "", " ")},
		"short":         {TokenFile: file(t, token, "short")},
		"with spaces":   {TokenFile: file(t, token+" "+token)},
		"with controls": {TokenFile: file(t, token+"\x01")},
		"no config":     {WebConfig: filepath.Join(t.TempDir(), "none")},
		"unknown field": {WebConfig: file(t, "users: {}")},
		"no hash":       {WebConfig: file(t, "basic_auth_users:", "  a: password")},
		"no key":        {WebConfig: file(t, "tls_server_config:", "  cert_file: none.pem")},
	} {
		if _, err := access.New(options); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUsers(t *testing.T) {
	path := file(t, "basic_auth_users:", "  a: "+hash(t, "of a"), "http_server_config:", "  headers:", "    Strict-Transport-Security: max-age=1")
	s := serve(t, access.Options{WebConfig: path})
	for _, authorization := range []string{"", basic("a", "wrong"), basic("b", "of a"), "Bearer " + token, "Basic"} {
		s.expect(http.StatusUnauthorized, "/connections", "Authorization", authorization)
	}
	if got := s.expect(http.StatusOK, "/connections", "Authorization", basic("a", "of a")).Get("Strict-Transport-Security"); got != "max-age=1" {
		t.Errorf("Strict-Transport-Security: %q", got)
	}
	s.expectHealthOpen()
	write(t, path, "basic_auth_users:", "  b: "+hash(t, "of b"))
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", basic("a", "of a"))
	s.expect(http.StatusOK, "/connections", "Authorization", basic("b", "of b"))
	for _, content := range []string{"nonsense", "", "basic_auth_users: {}"} {
		write(t, path, content)
		for _, authorization := range []string{basic("b", "of b"), ""} {
			s.refused(http.StatusServiceUnavailable, "nobody is let in", "/connections", "Authorization", authorization)
		}
		s.expectHealthOpen()
	}
	write(t, path, "basic_auth_users:", "  b: "+hash(t, "of b"))
	s.expect(http.StatusOK, "/connections", "Authorization", basic("b", "of b"))
}

func TestTokenBesideUsers(t *testing.T) {
	path := file(t, "basic_auth_users:", "  a: "+hash(t, "of a"))
	s := serve(t, access.Options{WebConfig: path, TokenFile: file(t, token)})
	s.expect(http.StatusOK, "/connections", "Authorization", basic("a", "of a"))
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+token)
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", basic("a", "wrong"))
	s.expect(http.StatusUnauthorized, "/connections")
	write(t, path, "nonsense")
	s.expect(http.StatusServiceUnavailable, "/connections")
	write(t, path, "")
	for _, authorization := range []string{"", basic("a", "of a")} {
		s.expect(http.StatusUnauthorized, "/connections", "Authorization", authorization)
	}
}

func TestClosed(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, key := authority.Issue("server")
	tlsConfig := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	demanding := append(slices.Clone(tlsConfig), "  client_ca_file: "+authority.File, "  client_auth_type: RequireAndVerifyClientCert")
	for name, test := range map[string]struct {
		access.Options
		closed bool
	}{
		"nothing":         {access.Options{}, false},
		"TLS":             {access.Options{WebConfig: file(t, tlsConfig...)}, false},
		"certificates":    {access.Options{WebConfig: file(t, demanding...)}, true},
		"any certificate": {access.Options{WebConfig: file(t, append(slices.Clone(tlsConfig), "  client_auth_type: RequireAnyClientCert")...)}, false},
		"users":           {access.Options{WebConfig: file(t, "basic_auth_users:", "  a: "+hash(t, "of a"))}, true},
		"token":           {access.Options{TokenFile: file(t, token)}, true},
	} {
		guard, err := access.New(test.Options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if guard.Closed() != test.closed {
			t.Errorf("%s: closed: %v", name, guard.Closed())
		}
	}
}

// client is one with credentials.
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

func TestMutualTLS(t *testing.T) {
	servers, clients, strangers := accesstest.NewAuthority(t), accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := servers.Issue("server")
	s := serve(t, access.Options{WebConfig: file(t, "tls_server_config:", "  cert_file: "+certificate, "  key_file: "+key,
		"  client_ca_file: "+clients.File, "  client_auth_type: RequireAndVerifyClientCert"), TokenFile: file(t, token)})
	own, ownKey := clients.Issue("mapper")
	strange, strangeKey := strangers.Issue("mapper")
	credentials := access.Credentials{CA: servers.File, Certificate: own, Key: ownKey, Token: file(t, token, newToken)}
	for name, test := range map[string]struct {
		change func(*access.Credentials)
		fails  string
		status int
	}{
		"all":                  {func(*access.Credentials) {}, "", http.StatusOK},
		"no token":             {func(c *access.Credentials) { c.Token = "" }, "", http.StatusUnauthorized},
		"another token":        {func(c *access.Credentials) { c.Token = file(t, newToken) }, "", http.StatusUnauthorized},
		"no certificate":       {func(c *access.Credentials) { c.Certificate, c.Key = "", "" }, "certificate required", 0},
		"another's":            {func(c *access.Credentials) { c.Certificate, c.Key = strange, strangeKey }, "certificate", 0},
		"another authority":    {func(c *access.Credentials) { c.CA = strangers.File }, "unknown authority", 0},
		"the machine's alone":  {func(c *access.Credentials) { c.CA = "" }, "certificate", 0},
		"all, and it is again": {func(*access.Credentials) {}, "", http.StatusOK},
	} {
		c := credentials
		test.change(&c)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/connections", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client(t, c).Do(request)
		switch {
		case test.fails != "":
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || response.StatusCode != test.status:
			t.Errorf("%s: %v, %v", name, response, err)
		}
		if err == nil {
			_ = response.Body.Close()
		}
	}
}

// While the web configuration demands less than it did, be it one of two things, nobody is let in.
func TestEachDemandStays(t *testing.T) {
	servers, clients := accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := servers.Issue("server")
	tls := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	certificates := append(slices.Clone(tls), "  client_ca_file: "+clients.File, "  client_auth_type: RequireAndVerifyClientCert")
	users := []string{"basic_auth_users:", "  a: " + hash(t, "of a")}
	path := file(t, slices.Concat(certificates, users)...)
	s := serve(t, access.Options{WebConfig: path, TokenFile: file(t, token)})
	own, ownKey := clients.Issue("mapper")
	proven := client(t, access.Credentials{CA: servers.File, Certificate: own, Key: ownKey})
	const ok, unknown, closed = http.StatusOK, http.StatusUnauthorized, http.StatusServiceUnavailable
	for _, test := range []struct {
		config               []string
		user, holder, nobody int
	}{
		{slices.Concat(certificates, users), ok, ok, unknown},
		{certificates, unknown, ok, unknown}, // as where the rest has not been written yet
		{slices.Concat(tls, users), closed, closed, closed},
		{slices.Concat(certificates, users), ok, ok, unknown},
	} {
		write(t, path, test.config...)
		for authorization, want := range map[string]int{basic("a", "of a"): test.user, "Bearer " + token: test.holder, "": test.nobody} {
			if got, body := s.get(proven, "/connections", "Authorization", authorization); got.StatusCode != want {
				t.Errorf("%q, %q: %d %s", test.config, authorization, got.StatusCode, body)
			}
		}
	}
	path = file(t, slices.Concat(certificates, users)...)
	s = serve(t, access.Options{WebConfig: path})
	write(t, path, certificates...)
	for _, authorization := range []string{basic("a", "of a"), ""} {
		if got, body := s.get(proven, "/connections", "Authorization", authorization); got.StatusCode != closed {
			t.Errorf("without users, %q: %d %s", authorization, got.StatusCode, body)
		}
	}
}

// Certificates are read again on both sides.
func TestCertificatesAreReplaced(t *testing.T) {
	first, second := accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := first.Issue("server")
	ca := first.File
	s := serve(t, access.Options{WebConfig: file(t, "tls_server_config:", "  cert_file: "+certificate, "  key_file: "+key)})
	asking := client(t, access.Credentials{CA: ca})
	expect := func() {
		t.Helper()
		asking.CloseIdleConnections()
		if response, body := s.get(asking, "/connections"); response.StatusCode != http.StatusOK || body != "answer" {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	}
	expect()
	newCertificate, newKey := second.Issue("server")
	for from, to := range map[string]string{newCertificate: certificate, newKey: key, second.File: ca} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	expect()
}

// A connection that was made while no certificate was demanded lets nobody in once one is.
func TestCertificateIsDemandedOfConnections(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, key := authority.Issue("server")
	own, ownKey := authority.Issue("client")
	loose := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	path := file(t, loose...)
	s := serve(t, access.Options{WebConfig: path})
	without := client(t, access.Credentials{CA: authority.File})
	expect := func(asking *http.Client, status int) {
		t.Helper()
		if response, body := s.get(asking, "/connections"); response.StatusCode != status {
			t.Errorf("%d %s, want %d", response.StatusCode, body, status)
		}
	}
	expect(without, http.StatusOK)
	write(t, path, append(loose, "  client_ca_file: "+authority.File, "  client_auth_type: RequireAndVerifyClientCert")...)
	expect(without, http.StatusUnauthorized)
	expect(client(t, access.Credentials{CA: authority.File, Certificate: own, Key: ownKey}), http.StatusOK)
}

// Each of the paths that are open to all has its own share: those who wait for the engine's answer keep nobody from the others.
func TestHealthByItself(t *testing.T) {
	begun := make(chan struct{}, 100)
	s := serveAt(t, access.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			begun <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "answer")
	}), asIs)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 16 {
		waiting.Go(func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", http.NoBody)
			if response, err := http.DefaultClient.Do(request); err == nil {
				_ = response.Body.Close()
			}
		})
		<-begun
	}
	s.expect(http.StatusServiceUnavailable, "/readyz")
	s.expect(http.StatusOK, "/healthz")
	cancel()
	waiting.Wait()
}

// What the server itself says is in the log by what it means.
func TestServersOwnWords(t *testing.T) {
	var written log
	server := access.ErrorLog(zerolog.New(&written).Level(zerolog.InfoLevel))
	server.Print("http: TLS handshake error from 192.0.2.1:1: EOF")
	for range 10 {
		server.Print("http: Accept error: accept4: too many open files; retrying in 5ms")
	}
	server.Print("http: panic serving 192.0.2.1:1: oops\ngoroutine 1 [running]:")
	for part, want := range map[string]int{"handshake": 0, `"level":"warn"`: 1, `"level":"error"`: 1, "oops": 1} {
		if n := written.count(part); n != want {
			t.Errorf("%s: %d times, want %d", part, n, want)
		}
	}
}

func TestCredentialsThatAreNone(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	certificate, _ := accesstest.NewAuthority(t).Issue("mapper")
	for _, c := range []access.Credentials{{Token: none}, {CA: none}, {Token: file(t, "short")}, {CA: file(t, "no certificate")}, {Certificate: certificate}, {Key: none}} {
		if _, err := c.Transport(func(*tls.Config) http.RoundTripper { return nil }); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// Whoever an address names goes before the token.
func TestUserInAddress(t *testing.T) {
	s := serve(t, access.Options{WebConfig: file(t, "basic_auth_users:", "  a: "+hash(t, "of a"))})
	asking := client(t, access.Credentials{Token: file(t, token)})
	if response, _ := s.get(asking, "/connections"); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("by token: %d", response.StatusCode)
	}
	s.url = strings.Replace(s.url, "http://", "http://a:of%20a@", 1)
	if response, _ := s.get(asking, "/connections"); response.StatusCode != http.StatusOK {
		t.Errorf("by user: %d", response.StatusCode)
	}
}

func TestHost(t *testing.T) {
	s := serve(t, access.Options{})
	for _, host := range []string{"localhost", "LOCALHOST:9057", "localhost.", "127.0.0.1:9057", "[::1]:9057", "[::1]", "192.0.2.1"} {
		s.expect(http.StatusOK, "/connections", "Host", host)
	}
	for _, host := range []string{"evil.example", "evil.example:9057", "localhost.evil.example", "127.0.0.1.evil.example", "outpost"} {
		s.refused(http.StatusMisdirectedRequest, "OUTPOST_HOSTS", "/connections", "Host", host)
		s.refused(http.StatusMisdirectedRequest, "OUTPOST_HOSTS", "/healthz", "Host", host)
	}
	named := serve(t, access.Options{Hosts: []string{"outpost.example"}})
	named.expect(http.StatusOK, "/connections", "Host", "Outpost.Example:9057")
	named.expect(http.StatusOK, "/connections", "Host", "localhost")
	named.refused(http.StatusMisdirectedRequest, "OUTPOST_HOSTS", "/connections", "Host", "evil.example")
}

// beyond is a listener whose clients seem to come to an address that is not loopback.
type beyond struct{ net.Listener }

func (l beyond) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return beyondConn{conn}, err
}

type beyondConn struct{ net.Conn }

func (beyondConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9057} }

// Beyond loopback names are looked at where they are named.
func TestHostElsewhere(t *testing.T) {
	for _, test := range []struct {
		hosts  []string
		status int
	}{{nil, http.StatusOK}, {[]string{"outpost.example"}, http.StatusMisdirectedRequest}} {
		s := serveAt(t, access.Options{Hosts: test.hosts}, app, func(listener net.Listener) net.Listener { return beyond{listener} })
		s.expect(test.status, "/connections", "Host", "outpost.corp.example")
	}
}

func TestOrigins(t *testing.T) {
	const allowed = "Access-Control-Allow-Origin"
	none := serve(t, access.Options{})
	if got := none.expect(http.StatusOK, "/connections", "Origin", "https://evil.example").Get(allowed); got != "" {
		t.Errorf("%s: %s", allowed, got)
	}
	s := serve(t, access.Options{Origins: []string{"https://grafana.example"}, TokenFile: file(t, token)})
	for origin, want := range map[string]string{"https://grafana.example": "https://grafana.example", "https://evil.example": "", "null": ""} {
		header := s.expect(http.StatusOK, "/connections", "Origin", origin, "Authorization", "Bearer "+token)
		if got := header.Get(allowed); got != want || header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", origin, header)
		}
	}
	preflight, _ := s.ask(http.DefaultClient, http.MethodOptions, "/connections", "Origin", "https://grafana.example",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if preflight.StatusCode != http.StatusOK || preflight.Header.Get(allowed) != "https://grafana.example" || !strings.EqualFold(preflight.Header.Get("Access-Control-Allow-Headers"), "authorization") {
		t.Errorf("%d %v", preflight.StatusCode, preflight.Header)
	}
	s.expect(http.StatusUnauthorized, "/connections", "Origin", "https://grafana.example")
}

// The limit is for a client; health is asked without one.
func TestRate(t *testing.T) {
	const rate = 5
	s := serve(t, access.Options{Rate: rate})
	refused := 0
	for range 10 * rate {
		response, body := s.get(http.DefaultClient, "/connections")
		if response.StatusCode == http.StatusTooManyRequests {
			refused++
			if response.Header.Get("Retry-After") == "" || !strings.Contains(body, `{"error":"too many requests`) {
				t.Errorf("%v %s", response.Header, body)
			}
		}
		s.expect(http.StatusOK, "/healthz")
	}
	if refused == 0 {
		t.Error("no request is one too many")
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	another := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	if response, _ := s.get(another, "/connections"); response.StatusCode != http.StatusOK {
		t.Errorf("another client: %d", response.StatusCode)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) { // in a later second
		if response, _ := s.get(http.DefaultClient, "/connections"); response.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no request is answered any more")
		}
	}
}

// More requests at once than are answered are refused at once, and those that come later are not.
func TestAtOnce(t *testing.T) {
	s := serve(t, access.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting sync.WaitGroup
	for range 256 {
		waiting.Go(func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/wait", http.NoBody)
			if response, err := http.DefaultClient.Do(request); err == nil {
				t.Errorf("%d", response.StatusCode)
				_ = response.Body.Close()
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if response, _ := s.get(http.DefaultClient, "/connections"); response.StatusCode != http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no request is one too many")
		}
	}
	if response := s.refused(http.StatusServiceUnavailable, "too many requests at once", "/connections"); response.Header.Get("Retry-After") != "1" {
		t.Errorf("%v", response.Header)
	}
	s.expect(http.StatusOK, "/healthz")
	cancel()
	waiting.Wait()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if response, _ := s.get(http.DefaultClient, "/connections"); response.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("requests are refused although none runs")
		}
	}
}
