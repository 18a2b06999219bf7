package access_test

import (
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/access/accesstest"
)

const browserAccepts = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// newBrowser returns a client that keeps cookies, follows no redirect and does not verify certificates.
func newBrowser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// document requests a document as a browser does.
func (s served) document(browser *http.Client, path string, headers ...string) (reply, string) {
	s.t.Helper()
	return s.get(browser, path, append([]string{"Accept", browserAccepts}, headers...)...)
}

// send sends the form of the sign-in page at path.
func (s served) send(browser *http.Client, path, name, secret string, headers ...string) (reply, string) {
	s.t.Helper()
	form := url.Values{"name": {name}, "secret": {secret}}
	headers = append([]string{"Accept", browserAccepts, "Content-Type", "application/x-www-form-urlencoded", "Origin", s.url, "Referer", s.url + path}, headers...)
	return s.askWith(browser, http.MethodPost, path, form.Encode(), headers...)
}

func (s served) expectStatus(browser *http.Client, status int, path string) {
	s.t.Helper()
	if response, body := s.get(browser, path); response.StatusCode != status {
		s.t.Errorf("%s: %d %s, want %d", path, response.StatusCode, body, status)
	}
}

func TestDocumentsGetTheSignInPage(t *testing.T) {
	s := serve(t, access.Options{TokenFile: file(t, token)})
	for _, path := range []string{"/", "/map/", "/map/?group=host", "/v1/graph", "/metrics", "/none"} {
		for _, mode := range []string{"", "navigate"} {
			response, body := s.document(newBrowser(t), path, "Sec-Fetch-Mode", mode)
			if response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "<h1>Sign in to Outpost</h1>") || !strings.Contains(body, `<form method="post">`) {
				t.Errorf("%s: %d %s", path, response.StatusCode, body)
			}
			for name, want := range map[string]string{
				"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
				"WWW-Authenticate": `Cookie realm="outpost"`, // Basic would open the browser's own dialog
			} {
				if got := response.Header.Get(name); got != want {
					t.Errorf("%s: %s %q, want %q", path, name, got, want)
				}
			}
			for _, part := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "style-src 'sha256-"} {
				if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, part) || strings.Contains(policy, "script") {
					t.Errorf("policy %s lacks %s", policy, part)
				}
			}
			if strings.Contains(body, "Name") || !strings.Contains(body, "Token") || strings.Contains(body, "role=\"alert\"") || strings.Contains(body, "http-equiv") {
				t.Errorf("%s: %s", path, body)
			}
		}
	}
	response, body := s.ask(newBrowser(t), http.MethodHead, "/map/", "Accept", browserAccepts)
	if response.StatusCode != http.StatusUnauthorized || response.Header.Get("Content-Type") != "text/html; charset=utf-8" || body != "" {
		t.Errorf("HEAD: %d %v", response.StatusCode, response.Header)
	}
	if _, body := s.document(newBrowser(t), "/map/", "Sec-Fetch-Site", "cross-site"); !strings.Contains(body, `<meta http-equiv="refresh" content="0">`) {
		t.Errorf("from another site: %s", body)
	}
	if response, _ := s.document(newBrowser(t), "/map/", "Authorization", basic("any", "wrong")); response.StatusCode != http.StatusUnauthorized || response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("with a wrong token: %d %v", response.StatusCode, response.Header)
	}
	open := serve(t, access.Options{})
	if response, body := open.document(newBrowser(t), "/map/"); response.StatusCode != http.StatusOK || body != "answer" {
		t.Errorf("without a token file: %d %s", response.StatusCode, body)
	}
	if response, body := open.send(newBrowser(t), "/map/", "", token); response.StatusCode != http.StatusOK || body != "answer" {
		t.Errorf("without a token file, a form: %d %s", response.StatusCode, body)
	}
}

// Everything but documents gets the same 401 as without the sign-in page.
func TestProgramsGetNoSignInPage(t *testing.T) {
	s := serve(t, access.Options{TokenFile: file(t, token)})
	users := serve(t, access.Options{WebConfig: file(t, "basic_auth_users:", "  a: "+hash(t, "of a"))})
	for _, headers := range [][]string{
		{}, {"Accept", "*/*"}, {"Accept", "application/json"}, {"Accept", "text/html;q=0, */*"},
		{"Accept", browserAccepts, "Sec-Fetch-Mode", "cors"}, {"Accept", browserAccepts, "Sec-Fetch-Mode", "same-origin"}, {"Accept", browserAccepts, "Sec-Fetch-Mode", "no-cors"},
	} {
		response := s.expectError(http.StatusUnauthorized, "token required", "/map/", headers...)
		if got := response.Header.Get("WWW-Authenticate"); got != `Basic realm="outpost", charset="UTF-8"` {
			t.Errorf("%q: %s", headers, got)
		}
		response, body := users.get(http.DefaultClient, "/map/", headers...)
		if response.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(body, "user name and password required") || response.Header.Get("WWW-Authenticate") != "Basic" {
			t.Errorf("%q: %d %s %v", headers, response.StatusCode, body, response.Header)
		}
	}
	for _, to := range []served{s, users} { // the page's requests must not open the browser's own dialog
		response, _ := to.get(http.DefaultClient, "/v1/graph", "Accept", "application/json", "X-Requested-With", "XMLHttpRequest")
		if response.StatusCode != http.StatusUnauthorized || response.Header.Get("WWW-Authenticate") != `Cookie realm="outpost"` {
			t.Errorf("a request of the page: %d %v", response.StatusCode, response.Header)
		}
	}
	form := url.Values{"secret": {token}}.Encode()
	for _, headers := range [][]string{
		{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Type", "application/x-www-form-urlencoded", "Accept", "*/*"},
		{"Content-Type", "application/json", "Accept", browserAccepts}, {"Accept", browserAccepts},
	} {
		if response, body := s.askWith(http.DefaultClient, http.MethodPost, "/map/", form, headers...); response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "token required") {
			t.Errorf("%q: %d %s", headers, response.StatusCode, body)
		}
	}
}

func TestSignInWithToken(t *testing.T) {
	path := file(t, token, newToken)
	s := serve(t, access.Options{TokenFile: path})
	browser := newBrowser(t)
	for _, wrong := range []string{"", "wrong", token + "x", strings.Repeat("x", 1<<20)} {
		response, body := s.send(browser, "/map/?group=host", "", wrong)
		if response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `<p role="alert">This token is not valid.</p>`) || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%.40q: %d %s", wrong, response.StatusCode, body)
		}
	}
	response, _ := s.send(browser, "/map/?group=host", "", token)
	if response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "?group=host" {
		t.Fatalf("%d to %q", response.StatusCode, response.Header.Get("Location"))
	}
	cookie := response.Header.Get("Set-Cookie")
	if !strings.Contains(cookie, "; Path=/;") || !strings.Contains(cookie, "; HttpOnly") || !strings.Contains(cookie, "; SameSite=Strict") || strings.Contains(cookie, "Secure") || strings.Contains(cookie, token) {
		t.Errorf("cookie %s", cookie)
	}
	for _, path := range []string{"/map/", "/v1/graph", "/connections"} {
		s.expectStatus(browser, http.StatusOK, path)
		s.expectStatus(newBrowser(t), http.StatusUnauthorized, path)
	}
	if response, _ := s.get(browser, "/v1/graph"); response.Header.Get("Outpost-Session") != "cookie" {
		t.Errorf("with a session: %v", response.Header)
	}
	if header := s.expect(http.StatusOK, "/v1/graph", "Authorization", "Bearer "+token); header.Get("Outpost-Session") != "" {
		t.Errorf("with a token: %v", header)
	}
	// a proxy may send credentials of its own
	if response, body := s.get(browser, "/v1/graph", "Authorization", basic("proxy", "of the proxy")); response.StatusCode != http.StatusOK {
		t.Errorf("with credentials of a proxy: %d %s", response.StatusCode, body)
	}
	write(t, path, newToken)
	s.expectStatus(browser, http.StatusUnauthorized, "/v1/graph")
	write(t, path, token)
	s.expectStatus(browser, http.StatusOK, "/v1/graph")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.expectStatus(browser, http.StatusUnauthorized, "/v1/graph")
}

func TestSignInAsUser(t *testing.T) {
	path := file(t, "basic_auth_users:", "  a: "+hash(t, "of a"), "  b: "+hash(t, "of b"))
	s := serve(t, access.Options{WebConfig: path})
	browser := newBrowser(t)
	if _, body := s.document(browser, "/map/"); !strings.Contains(body, "Name") || !strings.Contains(body, "Password\n") || strings.Contains(body, "oken") {
		t.Errorf("page: %s", body)
	}
	for _, wrong := range [][2]string{{"a", "wrong"}, {"a", "of b"}, {"", "of a"}, {"c", "of a"}, {"a", ""}, {"c", "fakepassword"}, {"a:of a", ""}} {
		response, body := s.send(browser, "/", wrong[0], wrong[1])
		if response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "The name or the password is not valid.") || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %s", wrong, response.StatusCode, body)
		}
	}
	if response, _ := s.send(browser, "/", "a", "of a"); response.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d", response.StatusCode)
	}
	s.expectStatus(browser, http.StatusOK, "/v1/graph")
	for what, test := range map[string]struct {
		users  []string
		status int
	}{
		"another user":     {[]string{"  a: " + hash(t, "of a"), "  c: " + hash(t, "of c")}, http.StatusUnauthorized}, // another salt is another hash
		"another password": {[]string{"  a: " + hash(t, "new")}, http.StatusUnauthorized},
		"no such user":     {[]string{"  b: " + hash(t, "of b")}, http.StatusUnauthorized},
		"no users":         {nil, http.StatusServiceUnavailable},
	} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, append([]string{"basic_auth_users:"}, test.users...)...)
		response, _ := s.get(browser, "/v1/graph")
		if response.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", what, response.StatusCode, test.status)
		}
		write(t, path, string(before))
		s.expectStatus(browser, http.StatusOK, "/v1/graph")
	}
}

func TestSignInWithTokenOrUser(t *testing.T) {
	config, tokens := file(t, "basic_auth_users:", "  a: "+hash(t, "of a")), file(t, token)
	s := serve(t, access.Options{WebConfig: config, TokenFile: tokens})
	if _, body := s.document(newBrowser(t), "/map/"); !strings.Contains(body, "Name") || !strings.Contains(body, "Password or token") {
		t.Errorf("page: %s", body)
	}
	holder, user := newBrowser(t), newBrowser(t)
	if response, body := s.send(holder, "/", "a", "wrong"); response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "The name, the password or the token is not valid.") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	s.send(holder, "/", "a", token) // no session of a
	s.send(user, "/", "a", "of a")
	s.expectStatus(holder, http.StatusOK, "/v1/graph")
	s.expectStatus(user, http.StatusOK, "/v1/graph")
	write(t, tokens, newToken)
	s.expectStatus(holder, http.StatusUnauthorized, "/v1/graph")
	s.expectStatus(user, http.StatusOK, "/v1/graph")
	write(t, tokens, token)
	write(t, config, "nonsense")
	s.expectStatus(holder, http.StatusOK, "/v1/graph")
	s.expectStatus(user, http.StatusServiceUnavailable, "/v1/graph")
	write(t, config, "")
	s.expectStatus(user, http.StatusUnauthorized, "/v1/graph")
	if response, body := s.send(user, "/", "a", "of a"); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a removed user: %d %s", response.StatusCode, body)
	}
}

func TestSignOut(t *testing.T) {
	s := serve(t, access.Options{TokenFile: file(t, token)})
	browser, other := newBrowser(t), newBrowser(t)
	for _, b := range []*http.Client{browser, other} {
		s.send(b, "/map/", "", token)
	}
	if response, _ := s.get(browser, "/sign-out"); response.StatusCode != http.StatusOK { // the app's answer
		t.Errorf("GET: %d", response.StatusCode)
	}
	if response, _ := s.ask(browser, http.MethodPost, "/sign-out", "Origin", "http://evil.example"); response.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: %d", response.StatusCode)
	}
	s.expectStatus(browser, http.StatusOK, "/v1/graph")
	address, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	kept := browser.Jar.Cookies(address)
	if response, _ := s.ask(browser, http.MethodPost, "/sign-out", "Origin", s.url); response.StatusCode != http.StatusNoContent || !strings.Contains(response.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if left := browser.Jar.Cookies(address); len(kept) != 1 || len(left) != 0 {
		t.Errorf("cookies: %v, then %v", kept, left)
	}
	s.expectStatus(browser, http.StatusUnauthorized, "/v1/graph")
	browser.Jar.SetCookies(address, kept)
	s.expectStatus(browser, http.StatusUnauthorized, "/v1/graph")
	s.expectStatus(other, http.StatusOK, "/v1/graph")
}

func TestSignInFromOtherSitesIsRejected(t *testing.T) {
	s := serve(t, access.Options{TokenFile: file(t, token), Hosts: []string{"outpost.example"}})
	for name, test := range map[string]struct {
		status  int
		headers []string
	}{
		"same origin":           {http.StatusSeeOther, nil},
		"no origin":             {http.StatusSeeOther, []string{"Origin", ""}},
		"same site, by browser": {http.StatusSeeOther, []string{"Origin", "http://anything.example", "Sec-Fetch-Site", "same-origin"}}, // a proxy replaced the Host
		"typed":                 {http.StatusSeeOther, []string{"Sec-Fetch-Site", "none"}},
		"name in OUTPOST_HOSTS": {http.StatusSeeOther, []string{"Origin", "https://outpost.example"}},
		"another origin":        {http.StatusForbidden, []string{"Origin", "http://evil.example"}},
		"another port":          {http.StatusForbidden, []string{"Origin", "http://127.0.0.1:1"}},
		"no origin's name":      {http.StatusForbidden, []string{"Origin", "null"}},
		"another site":          {http.StatusForbidden, []string{"Sec-Fetch-Site", "cross-site"}},
		"another host of it":    {http.StatusForbidden, []string{"Origin", "https://outpost.example", "Sec-Fetch-Site", "same-site"}},
	} {
		response, body := s.send(newBrowser(t), "/map/", "", token, test.headers...)
		if response.StatusCode != test.status || test.status == http.StatusForbidden && (response.Header.Get("Set-Cookie") != "" || !strings.Contains(body, "sent from another site")) {
			t.Errorf("%s: %d %v", name, response.StatusCode, response.Header)
		}
	}
}

func TestSignInIsLimited(t *testing.T) {
	const rate = 5
	s := serve(t, access.Options{Rate: rate, TokenFile: file(t, token)})
	rejected := 0
	for range 10 * rate {
		if response, _ := s.send(newBrowser(t), "/", "", "wrong"); response.StatusCode == http.StatusTooManyRequests {
			rejected++
		}
	}
	if rejected == 0 {
		t.Error("no sign-in is rejected")
	}
	s = serve(t, access.Options{WebConfig: file(t, "rate_limit:", "  interval: 1h", "  burst: 2"), TokenFile: file(t, token)})
	var statuses []int
	for range 3 {
		response, _ := s.send(newBrowser(t), "/", "", "wrong")
		statuses = append(statuses, response.StatusCode)
	}
	if want := []int{http.StatusUnauthorized, http.StatusUnauthorized, http.StatusTooManyRequests}; !slices.Equal(statuses, want) {
		t.Errorf("%v, want %v", statuses, want)
	}
}

func TestSignInCookieIsSecureWithTLS(t *testing.T) {
	certificate, key := accesstest.NewAuthority(t).Issue("server")
	tlsConfig := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	s := serve(t, access.Options{WebConfig: file(t, tlsConfig...), TokenFile: file(t, token)})
	browser := newBrowser(t)
	if response, _ := s.send(browser, "/map/", "", token); response.StatusCode != http.StatusSeeOther || !strings.Contains(response.Header.Get("Set-Cookie"), "; Secure") {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	s.expectStatus(browser, http.StatusOK, "/v1/graph")
	clear := serve(t, access.Options{TokenFile: file(t, token)})
	response, _ := clear.send(newBrowser(t), "/map/", "", token, "Origin", "https://outpost.example", "Sec-Fetch-Site", "same-origin")
	if response.StatusCode != http.StatusSeeOther || !strings.Contains(response.Header.Get("Set-Cookie"), "; Secure") {
		t.Errorf("behind a proxy with TLS: %d %v", response.StatusCode, response.Header)
	}
}

// A session counts as its token, and never as a client certificate.
func TestSessionIsNoClientCertificate(t *testing.T) {
	servers, clients := accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := servers.Issue("server")
	loose := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	path := file(t, loose...)
	s := serve(t, access.Options{WebConfig: path, TokenFile: file(t, token)})
	browser := newBrowser(t)
	s.send(browser, "/map/", "", token)
	s.expectStatus(browser, http.StatusOK, "/v1/graph")
	write(t, path, append(loose, "  client_ca_file: "+clients.File, "  client_auth_type: RequireAndVerifyClientCert")...)
	s.expectStatus(browser, http.StatusUnauthorized, "/v1/graph") // on the open connection
}

// The cookie has the path that the browser sees, with and without OUTPOST_BASE_PATH.
func TestSignInBelowABasePath(t *testing.T) {
	s := serve(t, access.Options{TokenFile: file(t, token), BasePath: "/outpost"})
	browser := newBrowser(t)
	response, _ := s.send(browser, "/outpost/map/?a=b", "", token)
	if response.Header.Get("Location") != "?a=b" || !strings.Contains(response.Header.Get("Set-Cookie"), "; Path=/outpost;") {
		t.Errorf("%v", response.Header)
	}
	s.expectStatus(browser, http.StatusOK, "/outpost/v1/graph")
	s.expectStatus(browser, http.StatusOK, "/outpost")
	s.expectStatus(browser, http.StatusUnauthorized, "/v1/graph")
	response, _ = s.send(newBrowser(t), "/map/", "", token, "Referer", "https://outpost.example/tools/map/")
	if !strings.Contains(response.Header.Get("Set-Cookie"), "; Path=/tools;") {
		t.Errorf("removed prefix: %v", response.Header)
	}
}
