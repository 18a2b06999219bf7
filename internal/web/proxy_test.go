package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/web"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// removed removes /outpost from the path of a request. passedOn keeps it.
func removed(next http.Handler) http.Handler  { return http.StripPrefix("/outpost", next) }
func passedOn(next http.Handler) http.Handler { return next }

// serveBelow serves what is at target below /outpost through a proxy with this prefix, which is removed or passedOn. It returns the
// address of the prefix without a slash at its end. A request beside the prefix fails the test.
func serveBelow(t *testing.T, target string, prefix func(http.Handler) http.Handler) string {
	t.Helper()
	proxy := prefix(newProxy(t, target))
	routes := http.NewServeMux()
	routes.Handle("/outpost", proxy)
	routes.Handle("/outpost/", proxy)
	routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a request beside the prefix: %s", r.URL)
		w.WriteHeader(http.StatusNotFound)
	})
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	return server.URL + "/outpost"
}

// newProxy returns a proxy that passes requests to target, with the Host of target.
func newProxy(t *testing.T, target string) http.Handler {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
}

func TestPageBelowAPrefix(t *testing.T) {
	t.Parallel()
	_, handler := newHandler(shop())
	direct, based := serveGuarded(t, access.Options{}, handler), serveGuarded(t, access.Options{BasePath: "/outpost"}, handler)
	b := webtest.Start(t)
	for name, prefixed := range map[string]string{
		"removed":                serveBelow(t, direct, removed),
		"passed on":              serveBelow(t, based, passedOn),
		"removed although known": serveBelow(t, based, removed),
	} {
		for _, path := range []string{"/healthz", "/v1/graph", "/v1/graph.csv?project=shop", "/map/main.js"} {
			expectAnswer(t, prefixed+path, http.StatusOK)
		}
		for _, test := range []struct{ open, arrives string }{
			{prefixed, "/outpost/map/"},
			{prefixed + "?group=host#part", "/outpost/map/?group=host#part"},
			{prefixed + "/", "/outpost/map/"},
			{prefixed + "/map?group=host", "/outpost/map/?group=host"},
			{prefixed + "/map/", "/outpost/map/"},
		} {
			expectPage(t, b, name, test.open, test.arrives)
		}
	}
	for _, root := range []string{direct, based} {
		expectAnswer(t, root+"/healthz", http.StatusOK)
		expectAnswer(t, root+"/v1/graph", http.StatusOK)
		expectPage(t, b, "no prefix", root, "/map/")
		expectPage(t, b, "no prefix", root+"/?group=host", "/map/?group=host")
	}
}

func expectAnswer(t *testing.T, address string, status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != status {
		t.Errorf("%s: %d, want %d", address, response.StatusCode, status)
	}
}

// expectPage opens an address, and expects the page with all its links and exports at the path, query and fragment of arrives.
func expectPage(t *testing.T, b *webtest.Browser, name, address, arrives string) {
	t.Helper()
	p := b.Open(address, 1200, 800)
	p.Until(`document.querySelector(".node")`)
	if at := webtest.Eval[string](p, `location.pathname + location.search + location.hash`); at != arrives {
		t.Errorf("%s: %s arrives at %s, want %s", name, address, at, arrives)
	}
	links := `Promise.all([...document.querySelectorAll("a[href]:not([href^='#']), noscript")].map(async (e) => {
		const href = e.href || e.textContent.match(/href="([^"]*)"/)[1];
		const answer = await fetch(new URL(href, document.baseURI));
		return href && answer.ok ? "" : href + ": " + answer.status;
	}))`
	for _, broken := range webtest.Eval[[]string](p, links) {
		if broken != "" {
			t.Errorf("%s: %s: link to %s", name, address, broken)
		}
	}
	dot := p.Downloaded(".dot", func() {
		p.Click("#save summary")
		p.Click("[data-form=dot]")
	})
	expect(t, name+": "+address, string(dot), "digraph")
}

// TestEntryStaysOnItsServer opens the entry at paths that look like the address of another server.
func TestEntryStaysOnItsServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/map/") {
			_, _ = io.WriteString(w, "<!doctype html><link rel=icon href='data:,'><p>arrived</p>")
			return
		}
		w.Header().Set("Content-Security-Policy", web.EntryPolicy())
		_, _ = io.WriteString(w, web.Entry)
	}))
	t.Cleanup(server.Close)
	b := webtest.Start(t)
	for _, path := range []string{"//192.0.2.1", "//192.0.2.1/outpost//", "/%5c%5c192.0.2.1/"} {
		p := b.Open(server.URL+path, 1200, 800)
		p.Until(`document.querySelector("p")?.textContent === "arrived"`)
		want := server.URL + strings.TrimRight(path, "/") + "/map/"
		if at := webtest.Eval[string](p, `location.href`); at != want {
			t.Errorf("%s arrives at %s, want %s", path, at, want)
		}
	}
}
