package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/web"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// serveBelow serves what is at target below /outpost through a proxy that removes this prefix. It returns the address of the prefix
// without a slash at its end. A request beside the prefix fails the test.
func serveBelow(t *testing.T, target string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := http.StripPrefix("/outpost", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
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

func TestPageBelowARemovedPrefix(t *testing.T) {
	t.Parallel()
	_, address := serve(t, shop())
	direct := strings.TrimSuffix(address, "/map/")
	prefixed := serveBelow(t, direct)
	b := webtest.Start(t)
	for _, test := range []struct{ open, arrives string }{
		{prefixed, "/outpost/map/"},
		{prefixed + "?group=host#part", "/outpost/map/?group=host#part"},
		{prefixed + "/", "/outpost/map/"},
		{prefixed + "/map?group=host", "/outpost/map/?group=host"},
		{prefixed + "/map/", "/outpost/map/"},
		{direct, "/map/"},
		{direct + "/?group=host", "/map/?group=host"},
	} {
		p := b.Open(test.open, 1200, 800)
		p.Until(`document.querySelector(".node")`)
		if at := webtest.Eval[string](p, `location.pathname + location.search + location.hash`); at != test.arrives {
			t.Errorf("%s arrives at %s, want %s", test.open, at, test.arrives)
		}
		links := `Promise.all([...document.querySelectorAll("a[href]:not([href^='#']), noscript")].map(async (e) => {
			const href = e.href || new DOMParser().parseFromString(e.textContent, "text/html").querySelector("a").getAttribute("href");
			const answer = await fetch(new URL(href, document.baseURI));
			return href && answer.ok ? "" : href + ": " + answer.status;
		}))`
		for _, broken := range webtest.Eval[[]string](p, links) {
			if broken != "" {
				t.Errorf("%s: link to %s", test.open, broken)
			}
		}
		dot := p.Downloaded(".dot", func() {
			p.Click("#save summary")
			p.Click("[data-form=dot]")
		})
		expect(t, test.open, string(dot), "digraph")
	}
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
