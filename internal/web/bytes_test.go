package web_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

// layoutFiles are loaded by the worker that arranges the map, while the page already answers.
var layoutFiles = []string{"/map/worker.js", "/map/arrange.js", "/map/incremental.js", "/map/layout.js", "/map/router.js"}

// sizes counts the bytes of the bodies that a server sends, by their paths.
type sizes struct {
	mu   sync.Mutex
	sent map[string]int
}

func (s *sizes) of(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(sizedWriter{w, s, r.URL.Path}, r)
	})
}

// sizedWriter counts what the compression below it has written.
type sizedWriter struct {
	http.ResponseWriter
	sizes *sizes
	path  string
}

func (w sizedWriter) Write(p []byte) (int, error) {
	w.sizes.mu.Lock()
	defer w.sizes.mu.Unlock()
	w.sizes.sent[w.path] += len(p)
	return w.ResponseWriter.Write(p)
}

// TestFirstLoadIsSmall loads the page without a cache. The limits are in bytes of compressed bodies.
func TestFirstLoadIsSmall(t *testing.T) {
	t.Parallel()
	const maxFirst, maxAll = 100_000, 700_000
	_, handler := newHandler(shop())
	counted := &sizes{sent: make(map[string]int)}
	server := httptest.NewServer(counted.of(handler))
	t.Cleanup(server.Close)
	p := webtest.Start(t).Open(server.URL+"/map/", 1400, 850)
	p.Until(`document.querySelector(".node")`)
	counted.mu.Lock()
	defer counted.mu.Unlock()
	all, layout := 0, 0
	for path, size := range counted.sent {
		all += size
		if slices.Contains(layoutFiles, path) || strings.HasPrefix(path, "/map/vendor/dagre-") {
			layout += size
		}
	}
	t.Logf("%d bytes, %d of them for the layout", all, layout)
	if layout == 0 || counted.sent["/map/main.js"] == 0 || counted.sent["/v1/graph"] == 0 {
		t.Errorf("not loaded: %v", counted.sent)
	}
	if all-layout > maxFirst || all > maxAll {
		t.Errorf("%d bytes and %d for the layout: %v", all-layout, layout, counted.sent)
	}
}
