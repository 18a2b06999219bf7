package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
)

// versionedEngine is an engine that speaks the minor versions from oldest to newest of API 1.
type versionedEngine struct {
	oldest, newest int
	ping           string // Api-Version of the ping; "" for none
	pingStatus     int
	used           string // version of the last permitted request
}

func (e *versionedEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_ping" {
		if e.ping != "" {
			w.Header().Set("Api-Version", e.ping)
		}
		w.WriteHeader(e.pingStatus)
		return
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
	var minor int
	_, _ = fmt.Sscanf(version, "1.%d", &minor)
	w.Header().Set("Content-Type", "application/json")
	switch { // with the words of moby daemon/server/middleware/version.go
	case minor < e.oldest:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"message":"client version %s is too old. Minimum supported API version is 1.%d, please upgrade your client to a newer version"}`, version, e.oldest)
	case minor > e.newest:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"message":"client version %s is too new. Maximum supported API version is 1.%d"}`, version, e.newest)
	default:
		e.used = version
		_, _ = io.WriteString(w, "[]")
	}
}

func TestAPIVersionIsNegotiated(t *testing.T) {
	for name, test := range map[string]struct {
		engine versionedEngine
		set    string // DOCKER_API_VERSION
		want   string // "": no common version
	}{
		"20.10":                        {versionedEngine{12, 41, "1.41", 200, ""}, "", "1.41"},
		"28.5":                         {versionedEngine{24, 51, "1.51", 200, ""}, "", "1.51"},
		"29":                           {versionedEngine{44, 52, "1.52", 200, ""}, "", "1.51"},
		"minimum above the client's":   {versionedEngine{53, 56, "1.56", 200, ""}, "", "1.53"},
		"newest version alone":         {versionedEngine{56, 60, "1.60", 200, ""}, "", "1.56"},
		"minimum above Outpost's":      {versionedEngine{57, 60, "1.60", 200, ""}, "", ""},
		"no version in the ping":       {versionedEngine{44, 52, "", 200, ""}, "", "1.51"},
		"no version, old engine":       {versionedEngine{12, 41, "", 200, ""}, "", "1.41"},
		"no version, new engine":       {versionedEngine{53, 56, "", 200, ""}, "", "1.53"},
		"nonsense in the ping":         {versionedEngine{12, 41, "../../../evil", 200, ""}, "", "1.41"},
		"forbidden ping, old engine":   {versionedEngine{12, 41, "1.41", 403, ""}, "", "1.41"},
		"forbidden ping, new engine":   {versionedEngine{53, 56, "1.56", 403, ""}, "", "1.53"},
		"version set":                  {versionedEngine{44, 60, "1.60", 200, ""}, "1.60", "1.60"},
		"version set, engine too old":  {versionedEngine{12, 41, "1.41", 200, ""}, "1.44", ""},
		"version set, engine too new":  {versionedEngine{44, 60, "1.60", 200, ""}, "1.41", ""},
		"engine older than the oldest": {versionedEngine{1, 20, "", 200, ""}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(&test.engine)
			t.Cleanup(server.Close)
			t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
			t.Setenv("DOCKER_API_VERSION", test.set)
			e := newEngine(t)
			for range 2 { // the second call does not negotiate
				_, err := e.Containers(t.Context())
				if test.want == "" {
					if !errors.Is(err, container.ErrAPIVersion) || !strings.Contains(err.Error(), "supported API version is 1.") {
						t.Errorf("error %v, want the names of the versions", err)
					}
				} else if err != nil || test.engine.used != test.want {
					t.Errorf("used version %q, %v; want %s", test.engine.used, err, test.want)
				}
			}
		})
	}
}

// An engine that answers another error than that of a version is negotiated again at the next call.
func TestFailedNegotiationIsRepeated(t *testing.T) {
	well := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !well && r.URL.Path != "/_ping" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		(&versionedEngine{oldest: 53, newest: 56, pingStatus: http.StatusOK}).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	e := newEngine(t)
	if _, err := e.Containers(t.Context()); err == nil || errors.Is(err, container.ErrAPIVersion) {
		t.Errorf("error %v, want that of the engine", err)
	}
	well = true
	if _, err := e.Containers(t.Context()); err != nil {
		t.Error(err)
	}
}
