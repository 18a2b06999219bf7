package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

const snapshotJSON = `{"version":1,"host":{"id":"","name":"","engineVersion":"","apiVersion":"","addresses":[]},"takenAt":"2026-01-02T03:04:05Z","durationMs":1,"containers":[
 {"id":"aa","name":"/web","image":"it","networkMode":"default","networks":[],"method":"sockdiag","unused":[],"status":"ok",
  "listening":[{"address":"::","port":80,"published":[{"address":"0.0.0.0","port":8080},{"address":"::","port":8080}]},{"address":"::","port":80,"published":[{"address":"0.0.0.0","port":8080},{"address":"::","port":8080}]},{"address":"127.0.0.1","port":81,"published":[]}],
  "connections":[
   {"local":{"address":"172.17.0.2","port":80},"remote":{"address":"172.17.0.3","port":5000},"direction":"in","state":"ESTABLISHED"},
   {"local":{"address":"172.17.0.2","port":5000},"remote":{"address":"172.17.0.3","port":5432},"direction":"out","state":"ESTABLISHED"},
   {"local":{"address":"172.17.0.2","port":5001},"remote":{"address":"172.17.0.3","port":5432},"direction":"out","state":"TIME_WAIT"}]},
 {"id":"bb","name":"/e\u001b[31mvil","image":"it","networkMode":"none","networks":[],"method":"none","unused":[],"status":"failed","reason":"no\u0007 cat","listening":[],"connections":[]}]}`

func serveSnapshot(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/snapshot" {
			t.Errorf("requested %s", r.URL)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestLsPrintsATable(t *testing.T) {
	status, stdout, stderr := runWith(t, "ls", "--from", serveSnapshot(t, http.StatusOK, snapshotJSON)+"/")
	want := `CONTAINER  LISTENING     PUBLISHED AS            IN  OUT  READ BY
web        [::]:80       0.0.0.0:8080 [::]:8080  1   1    sockdiag
           127.0.0.1:81
e?[31mvil  -                                     0   0    none (failed)
/e?[31mvil (failed): no? cat
`
	if diff := cmp.Diff(want, stdout); diff != "" || status != 0 {
		t.Errorf("status %d, %s (-want +got):\n%s", status, stderr, diff)
	}
}

func TestLsPrintsJSON(t *testing.T) {
	status, stdout, stderr := runWith(t, "ls", "--json", "--from", serveSnapshot(t, http.StatusOK, snapshotJSON))
	var want, got snapshotv1.Snapshot
	if err := json.Unmarshal([]byte(snapshotJSON), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 {
		t.Fatalf("status %d, %s, %v", status, stderr, err)
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLsErrorsAreOneLine(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		line   string
	}{
		"unknown flag":    {[]string{"--all"}, 2, "usage: outpost ls"},
		"argument":        {[]string{"web"}, 2, `unexpected argument "web"`},
		"no address":      {[]string{"--from", "localhost:9057"}, 2, "want an address such as http://localhost:9057"},
		"no server":       {[]string{"--from", "http://127.0.0.1:1"}, 1, "connection refused"},
		"error":           {[]string{"--from", serveSnapshot(t, http.StatusServiceUnavailable, `{"error":"away"}`)}, 1, "503 Service Unavailable"},
		"not JSON":        {[]string{"--from", serveSnapshot(t, http.StatusOK, "<html>")}, 1, "cannot be read"},
		"cut short":       {[]string{"--from", serveSnapshot(t, http.StatusOK, snapshotJSON[:200])}, 1, "cannot be read"},
		"another version": {[]string{"--from", serveSnapshot(t, http.StatusOK, `{"version":2}`)}, 1, "answers in version 2, not 1"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := runWith(t, append([]string{"ls"}, test.args...)...)
			if status != test.status || !strings.Contains(stderr, test.line) || stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, %q, %q; want %d, %q", status, stderr, stdout, test.status, test.line)
			}
		})
	}
}
