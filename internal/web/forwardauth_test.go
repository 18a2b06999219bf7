package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// loginLink is the link of the login server, which leads back to the address from which it came.
const loginLink = "<!doctype html><link rel=icon href='data:,'><a id=login href='/login?to="

// refusals are answers of a login server to the question of a proxy whether a request has a login. to is the address of the request.
var refusals = map[string]func(w http.ResponseWriter, to string){
	"redirect": func(w http.ResponseWriter, to string) {
		w.Header().Set("Location", "/login?ask=&to="+url.QueryEscape(to))
		w.WriteHeader(http.StatusFound)
	},
	"401": func(w http.ResponseWriter, to string) { refuse(w, http.StatusUnauthorized, to) },
	"403": func(w http.ResponseWriter, to string) { refuse(w, http.StatusForbidden, to) },
	"403 as text": func(w http.ResponseWriter, to string) {
		if strings.Contains(to, "/map/") {
			refuse(w, http.StatusForbidden, to)
			return
		}
		http.Error(w, "Forbidden", http.StatusForbidden)
	},
}

func refuse(w http.ResponseWriter, status int, to string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, loginLink+url.QueryEscape(to)+"'>Log in</a>")
}

// loginServer answers for a proxy whether a request has a login, as with Caddy's forward_auth and nginx's auth_request.
type loginServer struct {
	refuse func(w http.ResponseWriter, to string)
	valid  atomic.Bool // whether the cookie of a login is valid
}

func (l *loginServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie("login"); err != nil || cookie.Value != "valid" || !l.valid.Load() {
		l.refuse(w, r.Header.Get("X-Forwarded-Uri"))
	}
}

// page logs in at once, or shows a link that does it.
func (l *loginServer) page(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	if r.URL.Query().Has("ask") {
		refuse(w, http.StatusOK, to)
		return
	}
	l.valid.Store(true)
	http.SetCookie(w, &http.Cookie{Name: "login", Value: "valid", Path: "/", HttpOnly: true})
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// serveBehindLogin serves target below /outpost through a proxy that asks the login server before each request.
func serveBehindLogin(t *testing.T, target string, prefix func(http.Handler) http.Handler, login *loginServer) string {
	t.Helper()
	asked := httptest.NewServer(login)
	t.Cleanup(asked.Close)
	passed := prefix(newProxy(t, target))
	proxy := http.NewServeMux()
	proxy.HandleFunc("/login", login.page)
	proxy.HandleFunc("/outpost/", func(w http.ResponseWriter, r *http.Request) {
		question, err := http.NewRequestWithContext(r.Context(), http.MethodGet, asked.URL, http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		question.Header = r.Header.Clone()
		question.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
		answer, err := http.DefaultTransport.RoundTrip(question)
		if err != nil {
			return // the browser has gone
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode == http.StatusOK {
			passed.ServeHTTP(w, r)
			return
		}
		for _, name := range []string{"Content-Type", "Location"} {
			w.Header()[name] = answer.Header[name]
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	})
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL + "/outpost/"
}

func TestPageBelowAPrefixBehindForwardAuth(t *testing.T) {
	t.Parallel()
	_, handler := newHandler(shop())
	target := serveGuarded(t, access.Options{BasePath: "/outpost"}, handler)
	b := webtest.Start(t)
	for name, refusal := range refusals {
		prefix := removed
		if name == "401" || name == "redirect" {
			prefix = passedOn
		}
		login := &loginServer{refuse: refusal}
		p := b.Open(serveBehindLogin(t, target, prefix, login)+"map/?group=host", 1200, 800)
		logIn := func() {
			p.Click("#login")
			p.Until(`document.querySelector(".node")`)
			if at := webtest.Eval[string](p, `location.pathname + location.search`); at != "/outpost/map/?group=host" {
				t.Errorf("%s: the login leads to %s", name, at)
			}
		}
		logIn()
		login.valid.Store(false)
		p.Click("#pause")
		p.Click("#pause") // polls at once
		p.Until(`document.querySelector("#freshness.trouble button")`)
		expect(t, name, webtest.Eval[string](p, `document.querySelector("#freshness").textContent`), "The login has expired; data from ")
		p.Click("#freshness button")
		p.Until(`document.querySelector("#login")`)
		logIn()
		for _, complaint := range p.Complaints() {
			if !strings.Contains(complaint, "Failed to load resource") {
				t.Errorf("%s: %s", name, complaint)
			}
		}
	}
}
