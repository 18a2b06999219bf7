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

// wireEvents are events in the format of Docker Engine 20.10.24, one document after the other.
const wireEvents = `{"status":"start","id":"aa","Type":"container","Action":"start","Actor":{"ID":"aa","Attributes":{"image":"it","name":"web"}},"scope":"local","time":1,"timeNano":1000000001}
{"status":"rename","id":"aa","Type":"container","Action":"rename","Actor":{"ID":"aa","Attributes":{"name":"new","oldName":"/web"}},"scope":"local","time":2,"timeNano":2000000002}
{"Type":"network","Action":"connect","Actor":{"ID":"ff","Attributes":{"container":"bb","name":"net","type":"bridge"}},"scope":"local","time":3,"timeNano":3000000003}
{"Type":"network","Action":"create","Actor":{"ID":"ff","Attributes":{"name":"net","type":"bridge"}},"scope":"local","time":4,"timeNano":4000000004}
{"status":"health_status: unhealthy","id":"aa","Type":"container","Action":"health_status: unhealthy","Actor":{"ID":"aa","Attributes":{"image":"it","name":"web"}},"scope":"local","time":5,"timeNano":5000000005}
`

var wantEvents = []container.Event{
	{ID: "aa", Names: []string{"web"}}, {ID: "aa", Names: []string{"new", "web"}}, {ID: "bb", Network: true}, {Network: true},
	{ID: "aa", Names: []string{"web"}, Health: true},
}

// startEventServer answers /events and records the query.
func startEventServer(t *testing.T, status int, body string) (query *string) {
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
	query := startEventServer(t, http.StatusOK, wireEvents)
	var got []container.Event
	started := 0
	err := newEngine(t).Follow(t.Context(), time.Unix(500000, 7), func() { started++ }, func(e container.Event) { got = append(got, e) })
	if err == nil || started != 1 {
		t.Errorf("started %d times, ended with %v", started, err)
	}
	if diff := cmp.Diff(wantEvents, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, part := range []string{"since=500000.000000007", "unpause", "disconnect", "network", "create", "remove", "health_status%3A+healthy", "health_status%3A+unhealthy"} {
		if !strings.Contains(*query, part) {
			t.Errorf("no %q in %s", part, *query)
		}
	}
	if strings.Contains(*query, "exec") || strings.Contains(*query, "until") {
		t.Errorf("%s", *query)
	}
}

func TestEventsBetween(t *testing.T) {
	query := startEventServer(t, http.StatusOK, wireEvents)
	got, err := newEngine(t).EventsBetween(t.Context(), time.Unix(5, 7), time.Unix(6, 0))
	if diff := cmp.Diff(wantEvents, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if !strings.Contains(*query, "until=6.000000000") {
		t.Errorf("%s", *query)
	}
}

func TestFailedEventStream(t *testing.T) {
	for name, test := range map[string]struct {
		status  int
		body    string
		started bool
	}{
		"forbidden": {status: http.StatusForbidden},
		"garbage":   {http.StatusOK, "<html>", true},
		"cut short": {http.StatusOK, wireEvents[:100], true},
	} {
		t.Run(name, func(t *testing.T) {
			startEventServer(t, test.status, test.body)
			started := false
			err := newEngine(t).Follow(t.Context(), time.Now(), func() { started = true }, func(e container.Event) { t.Errorf("%v", e) })
			if err == nil || started && !test.started {
				t.Errorf("started %v, %v", started, err)
			}
			if _, err := newEngine(t).EventsBetween(t.Context(), time.Now(), time.Now()); err == nil {
				t.Error("EventsBetween returned no error")
			}
		})
	}
}

func TestFollowEndsWithContext(t *testing.T) {
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
