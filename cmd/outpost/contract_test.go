package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// update makes the test write its golden files. A changed golden file is a change of the contract.
var update = flag.Bool("update", false, "write the golden files of the contract")

// Other programs rely on this contract: paths, statuses, headers, names, order and values of fields, and the names of metrics,
// variables and flags. Texts for people (reasons, errors, help) are not part of it.
func TestContract(t *testing.T) {
	a, b, c := alpha(t), beta(t), gamma(t)
	free := freeAddresses(t, 7) // ascending: targets are listed in the order of their addresses
	atAlpha, atBeta, atGamma, original, twin, nobody, atMapper := free[0], free[1], free[2], free[3], free[4], free[5], free[6]
	named := strings.NewReplacer(
		":"+portIn(atAlpha), ":ALPHA", ":"+portIn(atBeta), ":BETA", ":"+portIn(atGamma), ":GAMMA",
		":"+portIn(original), ":ORIGINAL", ":"+portIn(twin), ":TWIN", ":"+portIn(nobody), ":NOBODY", ":"+portIn(atMapper), ":MAPPER",
	)
	startServerAt(t, atAlpha, a.env)
	startServerAt(t, atBeta, b.env)
	startServerAt(t, atGamma, c.env)
	serveHandler(t, original, originalOutpost)
	showTwin := serveTwin(t, twin, atAlpha)
	startServerAt(t, atMapper, append(slices.Clone(a.env), "OUTPOST_INTERVAL=1s"), "map", atAlpha, atBeta, atGamma, original, twin, nobody)
	awaitTargets(t, atMapper, map[string]int{"ok": 4, "failed": 2})
	showTwin()
	awaitTargets(t, atMapper, map[string]int{"ok": 4, "duplicate": 1, "failed": 1})

	t.Run("daemon", func(t *testing.T) {
		golden(t, "daemon.txt", exact, record(t, atAlpha, named, slices.Concat(daemonRequests, graphRequests, commonRequests)))
		golden(t, "beta.txt", exact, record(t, atBeta, named, []ask{{path: "/connections"}, {path: "/v1/snapshot"}, {path: "/v1/graph"}}))
	})
	t.Run("mapper", func(t *testing.T) {
		golden(t, "mapper.txt", exact, record(t, atMapper, named, slices.Concat(
			[]ask{{path: "/connections"}, {path: "/index"}, {path: "/v1/snapshot"}}, graphRequests, commonRequests)))
	})
	t.Run("openapi", func(t *testing.T) {
		golden(t, "openapi.txt", included, openAPIContract(t, body(t, "http://"+atAlpha+"/openapi.json")))
	})
	t.Run("metrics", func(t *testing.T) {
		golden(t, "metrics.txt", exact, metricsContract(body(t, "http://"+atAlpha+"/metrics")))
		golden(t, "metrics_mapper.txt", exact, metricsContract(body(t, "http://"+atMapper+"/metrics")))
	})
	t.Run("command line", func(t *testing.T) {
		golden(t, "commands.txt", exact, recordCommands(t, named, a.env, atAlpha, atMapper))
	})
	t.Run("variables", func(t *testing.T) {
		golden(t, "variables.txt", included, variablesContract(t))
	})
	t.Run("refusals", func(t *testing.T) {
		golden(t, "refusals.txt", exact, recordRefusals(t, named, a, atAlpha))
	})
}

// originalOutpost answers as the original Outpost does, which has /connections alone.
func originalOutpost(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/connections" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `[{"name":"/legacy","artefact":"legacy:1","listening":[{"address":"10.77.0.14","port":7000}],`+
		`"established":[{"address":"10.77.0.11","port":8080},{"address":"192.0.2.77","port":443}]}]`)
}

// serveTwin serves at twin what another daemon answers, after show is called: the target that answered last is the
// duplicate.
func serveTwin(t *testing.T, twin, daemon string) (show func()) {
	t.Helper()
	var shown atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: daemon})
	serveHandler(t, twin, func(w http.ResponseWriter, r *http.Request) {
		if !shown.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	})
	return func() { shown.Store(true) }
}

// awaitTargets waits until so many targets of a mapper are in each state.
func awaitTargets(t *testing.T, mapper string, want map[string]int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var graph struct{ Targets []struct{ State string } }
		if err := json.Unmarshal(body(t, "http://"+mapper+"/v1/graph"), &graph); err != nil {
			t.Fatal(err)
		}
		states := make(map[string]int)
		for _, target := range graph.Targets {
			states[target.State]++
		}
		if maps.Equal(states, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("targets: %v", graph.Targets)
		}
	}
}

// Whether a golden file may grow: added lines are no error then.
const (
	exact    = false
	included = true
)

// golden compares a text with a golden file.
func golden(t *testing.T, name string, mayGrow bool, got string) {
	t.Helper()
	path := filepath.Join("testdata", "contract", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(content)
	if mayGrow {
		var missing []string
		lines := strings.Split(got, "\n")
		for line := range strings.Lines(want) {
			if !slices.Contains(lines, strings.TrimSuffix(line, "\n")) {
				missing = append(missing, line)
			}
		}
		if len(missing) > 0 {
			t.Errorf("%s: missing or changed:\n%s", name, strings.Join(missing, ""))
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// ask is a request; its method is GET and its path the root if they are empty.
type ask struct {
	method, path string
	header       string // "Name: value"
	headersOnly  bool   // the body is no part of the contract
	tagged       bool   // sends the ETag of the answer to the same request
}

func (a ask) String() string {
	text := a.method + " " + a.path
	if a.header != "" {
		text += " (" + a.header + ")"
	}
	if a.tagged {
		text += " (If-None-Match)"
	}
	return text
}

var daemonRequests = []ask{
	{path: "/connections"}, {path: "/connections", tagged: true}, {method: "HEAD", path: "/connections"}, {path: "/index"}, {path: "/"},
	{path: "/v1/snapshot"}, {path: "/v1/snapshot", tagged: true}, {path: "/v1/snapshot?container=web"}, {path: "/v1/snapshot?container=/db"},
	{path: "/v1/snapshot?container=646"}, {path: "/v1/snapshot?project=shop&container=sidecar"}, {path: "/v1/snapshot?container=absent"},
}

var graphRequests = []ask{
	{path: "/v1/graph"}, {path: "/v1/graph", tagged: true}, {method: "HEAD", path: "/v1/graph"},
	{path: "/v1/graph?container=web"}, {path: "/v1/graph?group=service&external=group"},
	{path: "/v1/graph.csv?container=web&depth=2"}, {path: "/v1/graph.csv?host=alpha"}, {path: "/v1/graph.csv?since=10m"}, {path: "/v1/graph?since=2100-01-02T15:04:05Z"},
	{path: "/v1/graph.csv?external=hide"}, {path: "/v1/graph.csv?external=group"}, {path: "/v1/graph.csv?external=show"},
	{path: "/v1/graph.csv?group=container"}, {path: "/v1/graph.csv?group=project"}, {path: "/v1/graph.csv?group=host"}, {path: "/v1/graph.csv?group=image"},
	{path: "/v1/graph.csv?container=&depth="},
	{path: "/v1/graph.dot"}, {path: "/v1/graph.dot?group=project&external=group"}, {path: "/v1/graph.mmd"}, {path: "/v1/graph.mmd?group=service"},
	{path: "/v1/graph.csv"}, {path: "/v1/graph.csv?project=shop"},
	{path: "/v1/graph?depth=0"}, {path: "/v1/graph?depth=101"}, {path: "/v1/graph?absent=1"}, {path: "/v1/graph?group=planet"}, {path: "/v1/graph?since=tomorrow"},
	{path: "/v1/graph?external=maybe"}, {path: "/v1/graph.dot?depth=x"}, {path: "/v1/graph.csv?absent=1"}, {path: "/v1/graph.mmd?group=x"},
	{path: "/api/graph/fields"}, {path: "/api/graph/data"}, {path: "/api/graph/data?project=shop&absent=1"}, {path: "/api/graph/data?depth=0"}, {path: "/api/health"},
}

var commonRequests = []ask{
	{path: "/healthz"}, {path: "/readyz"}, {path: "/version"}, {path: "/metrics", headersOnly: true}, {path: "/openapi.json", headersOnly: true},
	{path: "/", header: "Accept: text/html", headersOnly: true}, {path: "/map"}, {path: "/map?project=shop"}, {path: "/map/", headersOnly: true}, {path: "/map/absent"},
	{path: "/absent"}, {path: "/v1/"}, {method: "POST", path: "/connections"}, {method: "DELETE", path: "/v1/graph"}, {method: "PUT", path: "/absent"},
	{method: "OPTIONS", path: "/v1/graph"}, {path: "/v1/graph", header: "Host: absent.example", headersOnly: true},
	{path: "/version", header: "Origin: https://absent.example"}, {path: "/version", header: "Accept-Encoding: gzip", headersOnly: true},
}

// record requests answers from a server and returns them as text.
func record(t *testing.T, address string, named *strings.Replacer, asks []ask) string {
	t.Helper()
	var text strings.Builder
	for _, a := range asks {
		if a.method == "" {
			a.method = http.MethodGet
		}
		response := do(t, address, a, "")
		const maxAttempts = 20
		for attempt := 0; a.tagged && attempt < maxAttempts && response.StatusCode != http.StatusNotModified; attempt++ { // a map may change meanwhile
			tag := response.Header.Get("ETag")
			_ = response.Body.Close()
			response = do(t, address, a, tag)
		}
		content, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatalf("%v: %v", a, err)
		}
		fmt.Fprintf(&text, "### %v\n%d\n%s\n", a, response.StatusCode, headers(response.Header))
		if !a.headersOnly && len(content) > 0 {
			text.WriteString(normal(content, response.Header.Get("Content-Type")) + "\n")
		}
	}
	return named.Replace(text.String())
}

func do(t *testing.T, address string, a ask, tag string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), a.method, "http://"+address+a.path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(a.header, ": "); ok {
		request.Header.Set(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	if tag != "" {
		request.Header.Set("If-None-Match", tag)
	}
	response, err := contractClient.Do(request)
	if err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	return response
}

var contractClient = &http.Client{
	Transport:     &http.Transport{DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// headers returns headers as text, without those that depend on time and length.
func headers(header http.Header) string {
	var lines []string
	for name, values := range header {
		switch name {
		case "Date", "Content-Length":
			continue
		case "Etag", "Retry-After":
			values = []string{"…"}
		}
		for _, value := range values {
			lines = append(lines, name+": "+value+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// normal returns a body without what differs between runs, and without texts for people.
func normal(content []byte, contentType string) string {
	if strings.HasPrefix(contentType, "text/plain") {
		return "TEXT"
	}
	var indented bytes.Buffer
	if json.Valid(content) {
		_ = json.Indent(&indented, content, "", " ")
		content = nested.ReplaceAll(indented.Bytes(), []byte(" $1"))
	}
	text := string(content)
	for _, rule := range normalised {
		text = rule.pattern.ReplaceAllString(text, rule.by)
	}
	return strings.TrimSuffix(text, "\n")
}

// nested matches the line ends inside the items of a document's lists. Each item gets one line.
var nested = regexp.MustCompile(`\n(?: {3,}|  ([}\]]))`)

var normalised = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`"durationMs": [\d.]+`), `"durationMs": 0`},
	{regexp.MustCompile(`"(reason|error|displayName)": "([^"\\]|\\.)+"`), `"$1": "TEXT"`},
	{regexp.MustCompile(`"version": "[^"]*"`), `"version": "VERSION"`},
	{regexp.MustCompile(`"instanceId": "[A-Z2-7]{26}"`), `"instanceId": "RANDOM"`},
}

func body(t *testing.T, url string) []byte {
	t.Helper()
	response, err := get(t, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return content
}
