package api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/web"
)

// browsers are the Accept headers of Firefox, Chromium and Safari.
var browsers = []string{
	"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
	"text/html, application/xhtml+xml, */*",
}

func TestBrowsersGetToThePage(t *testing.T) {
	daemon := serve(t, oneContainer())
	m := httptest.NewServer(New(Options{Map: fakeMap{}, Metrics: http.NotFoundHandler(), Log: zerolog.Nop()}))
	t.Cleanup(m.Close)
	for _, server := range []*httptest.Server{daemon, m} {
		for _, accept := range browsers {
			response, body := request(t, server, "GET", "/?group=host&open=a%2Fb", "Accept", accept)
			if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/html; charset=utf-8" || body != web.Entry || response.Header.Get("Content-Security-Policy") != web.EntryPolicy() {
				t.Errorf("%d %q, %v", response.StatusCode, body, response.Header)
			}
			if !slices.Contains(response.Header.Values("Vary"), "Accept") {
				t.Errorf("Vary %q", response.Header.Values("Vary"))
			}
		}
		response, body := request(t, server, "HEAD", "/", "Accept", browsers[0])
		if response.StatusCode != http.StatusOK || response.Header.Get("Location") != "" || body != "" {
			t.Errorf("HEAD: %d to %q, %q", response.StatusCode, response.Header.Get("Location"), body)
		}
		if response, _ := request(t, server, "GET", "/map?group=host"); response.StatusCode != http.StatusFound || response.Header.Get("Location") != "map/?group=host" {
			t.Errorf("/map: %d to %q", response.StatusCode, response.Header.Get("Location"))
		}
	}
	for _, accept := range []string{"", "*/*", "application/json", "text/html;q=0, */*", "text/htmlx", ";;,,"} {
		if response, body := request(t, daemon, "GET", "/", "Accept", accept); response.StatusCode != http.StatusOK || body != oneContainerBody {
			t.Errorf("daemon, Accept %q: %d %q", accept, response.StatusCode, body)
		}
		if response, _ := request(t, m, "GET", "/", "Accept", accept); response.StatusCode != http.StatusNotFound {
			t.Errorf("mapper, Accept %q: %d", accept, response.StatusCode)
		}
	}
	if response, body := request(t, daemon, "GET", "/connections", "Accept", browsers[0]); response.StatusCode != http.StatusOK || body != oneContainerBody {
		t.Errorf("/connections in a browser: %d %q", response.StatusCode, body)
	}
}

func TestPage(t *testing.T) {
	server := serve(t, oneContainer())
	for path, contentType := range map[string]string{
		"/map/": "text/html; charset=utf-8", "/map/index.html": "text/html; charset=utf-8", "/map/main.js": "text/javascript; charset=utf-8", "/map/page.css": "text/css; charset=utf-8",
	} {
		response, body := request(t, server, "GET", path, "Accept-Encoding", "gzip")
		for name, want := range map[string]string{
			"Content-Type": contentType, "Content-Encoding": "gzip", "Content-Security-Policy": web.Policy, "Cache-Control": "no-cache",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", path, name, got, want)
			}
		}
		if response.StatusCode != http.StatusOK || body == "" {
			t.Errorf("%s: %d, %d bytes", path, response.StatusCode, len(body))
		}
		again, body := request(t, server, "GET", path, "If-None-Match", response.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || body != "" || again.Header.Get("Content-Security-Policy") != web.Policy {
			t.Errorf("%s again: %d, %d bytes", path, again.StatusCode, len(body))
		}
	}
	for _, path := range []string{"/map/none", "/map/vendor", "/map/vendor/", "/map/..%2fweb.go", "/map/%2e%2e/web.go", "/map/vendor/..%2f..%2fweb.go"} {
		if response, body := request(t, server, "GET", path); response.StatusCode != http.StatusNotFound || !strings.Contains(body, "no such path") {
			t.Errorf("%s: %d %.100q", path, response.StatusCode, body)
		}
	}
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(web.Policy, part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	if strings.Contains(web.Policy, "unsafe") {
		t.Error("the policy has an unsafe source")
	}
}
