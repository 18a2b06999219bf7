package e2e

import (
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// apiFilter forwards permitted calls to the engine and answers 403 to the others. It records each call as "GET /path", without
// the API version and with {id} in place of IDs.
type apiFilter struct {
	engine  http.Handler
	permits func(call string) bool

	mu              sync.Mutex
	passed, refused map[string]bool
}

func newAPIFilter(t testing.TB, permits func(call string) bool) *apiFilter {
	return &apiFilter{engine: engineProxy(t), permits: permits, passed: make(map[string]bool), refused: make(map[string]bool)}
}

var (
	versionPrefix = regexp.MustCompile(`^/v1\.[0-9]+/`)
	idInPath      = regexp.MustCompile(`^/(containers|exec)/[0-9a-f]{64}/`)
)

func (f *apiFilter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + idInPath.ReplaceAllString(versionPrefix.ReplaceAllString(r.URL.Path, "/"), "/$1/{id}/")
	permitted := f.permits(call)
	f.mu.Lock()
	if permitted {
		f.passed[call] = true
	} else {
		f.refused[call] = true
	}
	f.mu.Unlock()
	if !permitted {
		http.Error(w, "<html><body><h1>403 Forbidden</h1></body></html>", http.StatusForbidden)
		return
	}
	f.engine.ServeHTTP(w, r)
}

// expect compares all forwarded and all refused calls.
func (f *apiFilter) expect(t *testing.T, passed, refused []string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if diff := cmp.Diff(passed, slices.Sorted(maps.Keys(f.passed))); diff != "" {
		t.Errorf("forwarded (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(refused, slices.Sorted(maps.Keys(f.refused))); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

// isRead reports whether a call changes nothing.
func isRead(call string) bool {
	return strings.HasPrefix(call, "GET ") || strings.HasPrefix(call, "HEAD ")
}

// requiredCalls are the calls that a socket proxy must permit for sockdiag and procfs. HEAD is not among them.
var requiredCalls = []string{"GET /_ping", "GET /containers/json", "GET /containers/{id}/json", "GET /events", "GET /version"}

// Behind a proxy that permits only the required calls, sockdiag and procfs read everything.
func TestReadsThroughLeastPrivilegeProxy(t *testing.T) {
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("beside", []string{"--network", "container:" + l.Name("it")}, "listen:tcp4:0.0.0.0:81")
	l.peer("client", nil, "dial:1:"+l.address("it")+":81")
	l.run("scratch", "-p", l.port(1)+":80", bare, "/peer", "listen:tcp4:0.0.0.0:80")
	for _, method := range []string{"auto", "sockdiag", "procfs"} {
		t.Run(method, func(t *testing.T) {
			f := newAPIFilter(t, func(call string) bool { return slices.Contains(requiredCalls, call) })
			path := filepath.Join(t.TempDir(), "proxy.sock")
			serveSocket(t, path, f)
			o := start(t, interfaces, "DOCKER_HOST=unix://"+path, "OUTPOST_COLLECTOR="+method)
			a := o.connections()
			a.expect(l.Name("it"), l.endpoints(0), nil)
			a.expect(l.Name("beside"), nil, a.established(l.Name("beside")))
			a.expect(l.Name("client"), nil, []string{l.address("it") + " 81"})
			a.expect(l.Name("scratch"), l.endpoints(1), nil)
			for _, route := range []string{"/readyz", "/v1/snapshot", "/v1/graph", "/metrics"} {
				if a := o.get(route); a.status != http.StatusOK {
					t.Errorf("%s: %d %s", route, a.status, a.body)
				}
			}
			f.expect(t, requiredCalls, []string{"GET /info", "GET /networks", "HEAD /_ping"})
		})
	}
}

// The exec method makes exactly these calls.
func TestExecMethodMakesOnlyTheseCalls(t *testing.T) {
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("beside", []string{"--network", "container:" + l.Name("it")}, "listen:tcp4:0.0.0.0:81")
	f := newAPIFilter(t, func(string) bool { return true })
	path := filepath.Join(t.TempDir(), "proxy.sock")
	serveSocket(t, path, f)
	o := start(t, interfaces, "DOCKER_HOST=unix://"+path, execOnly)
	for range 3 {
		a := o.connections()
		a.expect(l.Name("it"), l.endpoints(0), nil)
		a.expect(l.Name("beside"), nil, nil)
	}
	f.expect(t, []string{
		"GET /containers/json", "GET /containers/{id}/json", "GET /events", "GET /exec/{id}/json", "GET /info", "GET /networks", "HEAD /_ping",
		"POST /containers/{id}/exec", "POST /exec/{id}/start",
	}, nil)
}
