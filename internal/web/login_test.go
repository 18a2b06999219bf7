package web_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

const loginPage = "<!doctype html><link rel=icon href='data:,'><h1>Log in</h1>"

// logins are answers of proxies and of Outpost itself to a request without a valid login.
var logins = map[string]http.HandlerFunc{
	"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusSeeOther) },
	"page":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, loginPage) },
	"page with 403": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, loginPage)
	},
	"403": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Forbidden", http.StatusForbidden) },
	"401": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Unauthorized", http.StatusUnauthorized) },
}

// serveWithLogin serves the shop behind a proxy. While expired holds an answer, the proxy gives it to requests for data.
func serveWithLogin(t *testing.T, expired *atomic.Pointer[http.HandlerFunc]) (address string) {
	t.Helper()
	_, handler := newHandler(shop())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if login := expired.Load(); login != nil && strings.HasPrefix(r.URL.Path, "/v1/") {
			(*login)(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/map/"
}

func TestExpiredLoginIsNamed(t *testing.T) {
	t.Parallel()
	var expired atomic.Pointer[http.HandlerFunc]
	p := webtest.Start(t).Open(serveWithLogin(t, &expired), 1400, 850)
	p.Until(`document.querySelectorAll(".node").length === 9`)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect is followed") }))
	t.Cleanup(elsewhere.Close)
	answers := maps.Clone(logins)
	answers["redirect to another server"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/login", http.StatusFound)
	}
	poll := func() {
		p.Click("#pause")
		p.Click("#pause")
	}
	for name, login := range answers {
		expired.Store(&login)
		poll()
		p.Until(`document.querySelector("#freshness.trouble button")?.textContent === "Sign in again"`)
		expect(t, name, webtest.Eval[string](p, `document.querySelector("#freshness").textContent`), "The login has expired; data from ")
		if n := len(names(p)); n != 9 {
			t.Errorf("%s: %d nodes, want the last 9", name, n)
		}
		p.Click("#save summary")
		p.Click("[data-form=csv]")
		p.Until(`document.querySelector("#toast:not([hidden])")?.textContent === "Not saved: the login has expired"`)
		p.Until(`(document.querySelector("#toast").hidden = true)`)
		for _, complaint := range p.Complaints() {
			// The browser logs 401 and 403, and reports a redirect as a request, also if it does not follow it.
			if !strings.Contains(complaint, "Failed to load resource") && complaint != "request to "+elsewhere.URL+"/login" {
				t.Errorf("%s: %s", name, complaint)
			}
		}
		expired.Store(nil)
		poll()
		p.Until(`document.querySelector("#freshness").textContent.startsWith("live") && !document.querySelector("#freshness button")`)
	}

	login := logins["page"]
	expired.Store(&login)
	poll()
	p.Until(`document.querySelector("#freshness button")`)
	p.Shot("login-expired")
	p.Click("#freshness button") // the page itself comes, but no data
	p.Until(`document.querySelector("#empty:not([hidden]) h2")?.textContent === "The login has expired"`)
	expired.Store(nil)
	p.Click("#empty button")
	p.Until(`document.querySelectorAll(".node").length === 9`)
}
