package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/container"
)

// As Docker Engine 20.10.24 sends them, one document after the other.
const wire = `{"status":"start","id":"aa","Type":"container","Action":"start","Actor":{"ID":"aa","Attributes":{"image":"it","name":"web"}},"scope":"local","time":1,"timeNano":1000000001}
{"status":"rename","id":"aa","Type":"container","Action":"rename","Actor":{"ID":"aa","Attributes":{"name":"new","oldName":"/web"}},"scope":"local","time":2,"timeNano":2000000002}
{"Type":"network","Action":"connect","Actor":{"ID":"ff","Attributes":{"container":"bb","name":"net","type":"bridge"}},"scope":"local","time":3,"timeNano":3000000003}
`

var changes = []container.Event{{ID: "aa", Names: []string{"web"}}, {ID: "aa", Names: []string{"new", "web"}}, {ID: "bb"}}

// eventServer answers /events and keeps what it was asked for.
func eventServer(t *testing.T, status int, body string) (query *string) {
	t.Helper()
	query = new(string)
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("GET /v1.41/containers/json", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "[]") })
	mux.HandleFunc("GET /v1.41/events", func(w http.ResponseWriter, r *http.Request) {
		*query = r.URL.RawQuery
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	return query
}

func TestFollow(t *testing.T) {
	query := eventServer(t, http.StatusOK, wire)
	var got []container.Event
	started := 0
	err := newEngine(t).Follow(t.Context(), time.Unix(500000, 7), func() { started++ }, func(e container.Event) { got = append(got, e) })
	if err == nil || started != 1 {
		t.Errorf("started %d times, end %v", started, err)
	}
	if diff := cmp.Diff(changes, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, part := range []string{"since=500000.000000007", "unpause", "disconnect", "network"} {
		if !strings.Contains(*query, part) {
			t.Errorf("no %q in %s", part, *query)
		}
	}
	if strings.Contains(*query, "exec") || strings.Contains(*query, "until") {
		t.Errorf("%s", *query)
	}
}

func TestPast(t *testing.T) {
	query := eventServer(t, http.StatusOK, wire)
	got, err := newEngine(t).EventsBetween(t.Context(), time.Unix(5, 7), time.Unix(6, 0))
	if diff := cmp.Diff(changes, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if !strings.Contains(*query, "until=6.000000000") {
		t.Errorf("%s", *query)
	}
}

func TestEventsThatFail(t *testing.T) {
	for name, test := range map[string]struct {
		status  int
		body    string
		started bool
	}{
		"forbidden": {status: http.StatusForbidden},
		"garbage":   {http.StatusOK, "<html>", true},
		"cut short": {http.StatusOK, wire[:100], true},
	} {
		t.Run(name, func(t *testing.T) {
			eventServer(t, test.status, test.body)
			started := false
			err := newEngine(t).Follow(t.Context(), time.Now(), func() { started = true }, func(e container.Event) { t.Errorf("%v", e) })
			if err == nil || started && !test.started {
				t.Errorf("started %v, %v", started, err)
			}
			if _, err := newEngine(t).EventsBetween(t.Context(), time.Now(), time.Now()); err == nil {
				t.Error("no error of Past")
			}
		})
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("GET /v1.41/containers/json", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "[]") })
	mux.HandleFunc("GET /v1.41/events", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("until") {
			return
		}
		_ = http.NewResponseController(w).Flush()
		<-hang
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	if err := newEngine(t).Follow(ctx, time.Now(), cancel, nil); err == nil {
		t.Error("no error")
	}
}
