package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

func sampleSnapshot() snapshot.Snapshot {
	return snapshot.Snapshot{Host: snapshot.Host{Counting: snapshot.Counting{Losses: 4, Unattributed: 5}}, Duration: 20 * time.Millisecond, Containers: []snapshot.Container{
		{Method: collect.Sockdiag, Listeners: make([]snapshot.Listener, 2), Connections: []snapshot.Connection{{State: socket.Established}, {State: socket.TimeWait}}},
		{Method: collect.Exec, Problems: []collect.Problem{{Reason: "paused", Detail: "1"}}},
		{Method: collect.Exec, Problems: []collect.Problem{{Reason: "paused", Detail: "2"}}},
	}}
}

func TestMetricsPassLinter(t *testing.T) {
	m := New("1.2.3", []string{"list"})
	m.Collected(sampleSnapshot())
	m.Failed()
	m.Coalesced()
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestCollectionMetrics(t *testing.T) {
	m := New("1.2.3", []string{"list", "inspect"})
	m.Collected(snapshot.Snapshot{Containers: []snapshot.Container{{Method: collect.None, Problems: make([]collect.Problem, 1)}}})
	m.Collected(sampleSnapshot()) // replaces the gauges of the previous collection
	m.EngineCalled("list")
	m.Coalesced()
	m.Differed()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	body := recorder.Body.String()
	for _, line := range []string{
		`outpost_build_info{goversion="go`, `version="1.2.3"} 1`,
		`outpost_collection_duration_seconds_count 2`, `outpost_collection_failures_total 0`,
		`outpost_containers{method="exec",status="partial"} 2`, `outpost_containers{method="sockdiag",status="ok"} 1`,
		`outpost_sockets{protocol="tcp",state="LISTEN"} 2`, `outpost_sockets{protocol="tcp",state="ESTABLISHED"} 1`, `outpost_sockets{protocol="tcp",state="TIME_WAIT"} 1`,
		`outpost_read_failures_total{reason="paused"} 2`, `outpost_coalesced_requests_total 1`,
		`outpost_event_losses_total 4`, `outpost_unattributed_ends_total 5`, `outpost_unnoticed_changes_total 1`,
		`outpost_engine_calls_total{kind="list"} 1`, `outpost_engine_calls_total{kind="inspect"} 0`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(body, line) {
			t.Errorf("no %q", line)
		}
	}
	if strings.Contains(body, `method="none"`) {
		t.Error("a container of an earlier collection is counted")
	}
}
