package main

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

const graphJSON = `{"version":1,"nodes":[
 {"id":"container/a/1","kind":"container","host":"a","name":"web","image":"web:1"},
 {"id":"container/b/1","kind":"container","host":"b","name":"e\u001b[31mvil","reason":"no\u0007 cat"},
 {"id":"external/192.0.2.1","kind":"external","name":"192.0.2.1"},
 {"id":"host/a","kind":"host","host":"a","name":"a"},
 {"id":"unknown/a","kind":"unknown","host":"a","name":"unknown behind a"}],
"links":[
 {"client":"container/a/1","server":"container/b/1","port":5432,"via":"published","evidence":"both","connections":2,"closed":1,"live":true,"firstSeen":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z"},
 {"client":"external/192.0.2.1","server":"container/a/1","port":80,"via":"published","evidence":"server","connections":0,"closed":3,"live":true,"firstSeen":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z"},
 {"client":"host/a","server":"container/a/1","port":80,"via":"direct","evidence":"client","connections":0,"closed":0,"live":false,"firstSeen":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z"},
 {"client":"unknown/a","server":"container/a/1","port":80,"via":"published","evidence":"server","connections":1,"closed":0,"live":true,"firstSeen":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z"},
 {"client":"unknown/a","server":"container/a/1","port":81,"via":"direct","evidence":"client","connections":0,"closed":0,"attempts":3,"unanswered":true,"live":true,"firstSeen":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z"},
 {"client":"unknown/a","server":"container/a/1","port":82,"via":"direct","evidence":"client","connections":0,"closed":0,"attempts":1,"live":true,"firstSeen":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z"},
 {"client":"unknown/a","server":"container/a/1","port":83,"via":"direct","evidence":"client","connections":0,"closed":0,"unanswered":true,"live":true,"firstSeen":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z"}],
"targets":[{"target":"a:9057","state":"ok","unattributed":0},{"target":"c:9057","state":"failed","reason":"nothing listens there","unattributed":0}],"forgotten":0}`

// serveGraph serves body as a map and records the last request.
func serveGraph(t *testing.T, body string) (url string, query *string) {
	t.Helper()
	query = new(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*query = r.URL.RequestURI()
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL, query
}

func TestLinksPrintsATable(t *testing.T) {
	url, query := serveGraph(t, graphJSON)
	status, stdout, stderr := runWith(t, "links", "--from", url+"/", "--depth", "2", "--container=web", "--q", "-kind:host port:80")
	want := `CLIENT              SERVER        PORT  VIA        SEEN BY  CONNECTIONS
a/web               b/e?[31mvil  5432  published  both     2 and 1 closed
external 192.0.2.1  a/web         80    published  server   active, 3/min
host a              a/web         80    direct     client   last 2026-01-02T03:04:05Z
unknown behind a    a/web         80    published  server   1
unknown behind a    a/web         81    direct     client   no answer, 3 attempts
unknown behind a    a/web         82    direct     client   no answer, 1 attempt
unknown behind a    a/web         83    direct     client   no answer
c:9057 (failed): nothing listens there
b/e?[31mvil is incomplete: no? cat
`
	if status != 0 || *query != "/v1/graph?container=web&depth=2&q=-kind%3Ahost+port%3A80" {
		t.Errorf("status %d, %s, requested %s", status, stderr, *query)
	}
	if diff := cmp.Diff(strings.Fields(want), strings.Fields(stdout)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, stdout)
	}
}

// Links without counters have none in the wide table.
func TestLinksPrintsCounters(t *testing.T) {
	counters := `"counters":{"opened":12,"failed":3,"refused":2,"bytesSent":1234567,"bytesReceived":999,"retransmits":4,"rttMicroseconds":424,"minRttMicroseconds":50},"live"`
	url, _ := serveGraph(t, strings.Replace(strings.Replace(graphJSON, `"live"`, counters, 1), `"closed":0,"attempts":1,"live"`,
		`"closed":0,"counters":{"opened":0,"failed":1,"refused":1,"bytesSent":0,"bytesReceived":0,"retransmits":0,"rttMicroseconds":0,"minRttMicroseconds":0},"live"`, 1))
	status, stdout, stderr := runWith(t, "links", "--wide", "--from", url)
	want := `CLIENT              SERVER        PORT  VIA        SEEN BY  CONNECTIONS                OPENED  FAILED         SENT    RECEIVED  RETRANSMITS  RTT
a/web               b/e?[31mvil  5432  published  both     2 and 1 closed             12      3 (2 refused)  1.2 MB  999 B     4            0.42 ms
external 192.0.2.1  a/web         80    published  server   active, 3/min              -       -              -       -         -            -
host a              a/web         80    direct     client   last 2026-01-02T03:04:05Z  -       -              -       -         -            -
unknown behind a    a/web         80    published  server   1                          -       -              -       -         -            -
unknown behind a    a/web         81    direct     client   no answer, 3 attempts      -       -              -       -         -            -
unknown behind a    a/web         82    direct     client   refused, 1 failed dial     0       1 (1 refused)  0 B     0 B       0            -
unknown behind a    a/web         83    direct     client   no answer                  -       -              -       -         -            -
c:9057 (failed): nothing listens there
b/e?[31mvil is incomplete: no? cat
`
	if status != 0 {
		t.Errorf("status %d, %s", status, stderr)
	}
	if diff := cmp.Diff(strings.Fields(want), strings.Fields(stdout)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, stdout)
	}
}

// The kernel reports neither failed dials nor bytes of UDP.
func TestWideCellsOfUDP(t *testing.T) {
	got := wideCells(graph.Link{Protocol: socket.UDP, Counters: &graph.Counters{Opened: 3}})
	if diff := cmp.Diff([]string{"3", "-", "-", "-", "-", "-"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBytesHaveDecimalUnits(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1250: "1.2 kB", 99_500: "100 kB", 5_000_000: "5.0 MB", 3e9: "3.0 GB", 20e12: "20 TB", math.MaxUint64: "18446744 TB",
	} {
		if got := formatBytes(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

func TestLinksWritesEachForm(t *testing.T) {
	for form, begins := range map[string]string{
		"--json": `{"version":1,"nodes":[{"id":"container/a/1",`, "--dot": "digraph outpost {", "--mermaid": "flowchart LR\n", "--csv": "client_kind,", "--wide": "CLIENT ",
	} {
		url, _ := serveGraph(t, graphJSON)
		if status, stdout, stderr := runWith(t, "links", form, "--from", url); status != 0 || !strings.HasPrefix(stdout, begins) {
			t.Errorf("%s: %d, %s%.100s", form, status, stderr, stdout)
		}
	}
}

func TestLinksWrongUse(t *testing.T) {
	url, _ := serveGraph(t, `{"version":2}`)
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--dot", "--csv"}, 2, "more than one output format"},
		{[]string{"--wide", "--json"}, 2, "more than one output format"},
		{[]string{"web"}, 2, `unexpected argument "web"`},
		{[]string{"--group", "planet"}, 2, "want container, service, project, host or image"},
		{[]string{"--depth", "0"}, 2, "want a whole number from 1 to 100"},
		{[]string{"--q", "color:red"}, 2, `unknown field "color": want one of name, `},
		{[]string{"--from", "host"}, 2, "want an address such as"},
		{[]string{"--from", url}, 1, "answers in version 2, not 1"},
	} {
		status, _, stderr := runWith(t, append([]string{"links"}, test.args...)...)
		if status != test.status || !strings.Contains(stderr, test.says) {
			t.Errorf("%v: %d, %s", test.args, status, stderr)
		}
	}
}

// saveMap writes a map to a file.
func saveMap(t *testing.T, g graph.Graph) string {
	t.Helper()
	content, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "map.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestDiffPrintsGoneNewAndChangedLinks(t *testing.T) {
	var before, after graph.Graph
	if err := json.Unmarshal([]byte(graphJSON), &before); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.NewReplacer("container/a/1", "container/a/2", "web:1", "web:2").Replace(graphJSON)), &after); err != nil {
		t.Fatal(err)
	}
	after.Links = after.Links[:1]
	after.Links = append(after.Links, graph.Link{Client: "host/a", Server: "external/192.0.2.1", Port: 443, Via: graph.ViaDirect, Evidence: graph.EvidenceClient})
	a, b := saveMap(t, before), saveMap(t, after)
	status, stdout, stderr := runWith(t, "diff", a, b)
	want := `gone     a -> a/web:80
gone     external 192.0.2.1 -> a/web:80
gone     unknown behind a -> a/web:80
gone     unknown behind a -> a/web:82
new      a -> external 192.0.2.1:443
changed  a/web -> b/e?[31mvil:5432: was published, web:1 to no image, is published, web:2 to no image
`
	if status != 1 || stderr != "" {
		t.Errorf("status %d, %s", status, stderr)
	}
	if diff := cmp.Diff(want, stdout); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if status, stdout, stderr := runWith(t, "diff", a, a); status != 0 || stdout != "" {
		t.Errorf("the same: status %d, %s%s", status, stdout, stderr)
	}
	if err := os.WriteFile(b, append([]byte("\xef\xbb\xbf"), readFile(t, a)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := runWith(t, "diff", a, b); status != 0 || stdout != "" {
		t.Errorf("the same with a byte order mark: status %d, %s%s", status, stdout, stderr)
	}
	for _, args := range [][]string{{"diff"}, {"diff", a}, {"diff", a, "/nonexistent"}, {"diff", a, "links_test.go"}} {
		if status, _, stderr := runWith(t, args...); status != 2 || stderr == "" {
			t.Errorf("%v: status %d, %s", args, status, stderr)
		}
	}
}
