package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// openAPIContract returns a line for each value of the OpenAPI description, without texts.
func openAPIContract(t *testing.T, content []byte) string {
	t.Helper()
	var document any
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	var lines []string
	flatten(&lines, "", document)
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

// textKeys are the keys of texts and examples. Properties and headers may have the same names.
var textKeys = []string{"description", "summary", "title", "example", "examples", "info", "license"}

func flatten(lines *[]string, path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		names := strings.HasSuffix(path, "/properties") || strings.HasSuffix(path, "/headers")
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if names || !slices.Contains(textKeys, key) {
				flatten(lines, path+"/"+strings.ReplaceAll(key, "/", "~1"), value[key])
			}
		}
		if len(value) == 0 {
			*lines = append(*lines, path+" = {}")
		}
	case []any:
		for _, item := range value {
			flatten(lines, path+"["+itemName(item)+"]", item)
		}
	default:
		*lines = append(*lines, fmt.Sprintf("%s = %v", path, value))
	}
}

// itemName returns the name of a list's item. Its position is not part of the contract.
func itemName(item any) string {
	if fields, ok := item.(map[string]any); ok {
		for _, key := range []string{"name", "$ref"} {
			if name, ok := fields[key].(string); ok {
				return name
			}
		}
	}
	return ""
}

var (
	metricType   = regexp.MustCompile(`^# TYPE (outpost_\S+) (\S+)$`)
	metricSeries = regexp.MustCompile(`^(outpost_[a-z_]+)(?:\{(.*)\})? \S+$`)
	metricLabel  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
	// closedLabels have a fixed set of values.
	closedLabels = []string{"kind", "le", "method", "state", "status", "via"}
)

// metricsContract returns the names, types and labels of metrics, with the values of closedLabels.
func metricsContract(exposition []byte) string {
	var lines []string
	for line := range strings.Lines(string(exposition)) {
		line = strings.TrimSuffix(line, "\n")
		if parts := metricType.FindStringSubmatch(line); parts != nil {
			lines = append(lines, parts[1]+" "+parts[2])
			continue
		}
		if parts := metricSeries.FindStringSubmatch(line); parts != nil {
			var labels []string
			for _, label := range metricLabel.FindAllStringSubmatch(parts[2], -1) {
				if !slices.Contains(closedLabels, label[1]) {
					label[2] = "…"
				}
				labels = append(labels, label[1]+"="+label[2])
			}
			lines = append(lines, parts[1]+"{"+strings.Join(labels, ",")+"}")
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

// variable matches a line of the help that describes a variable: name, default and meaning.
var variable = regexp.MustCompile(`(?m)^\s+([A-Z][A-Z_]{4,})  +(.+?)  +\S`)

// variablesContract returns the variables in the help, with their defaults unless these are texts.
func variablesContract(t *testing.T) string {
	t.Helper()
	_, help := output(t, nil, "--help")
	var lines []string
	for _, parts := range variable.FindAllStringSubmatch(help, -1) {
		value := parts[2]
		if strings.Contains(value, " ") { // words
			value = "TEXT"
		}
		lines = append(lines, parts[1]+" "+value)
	}
	return strings.Join(lines, "\n") + "\n"
}

// recordCommands returns the statuses of command lines and their output, except tables for people.
func recordCommands(t *testing.T, named *strings.Replacer, env []string, daemon, mapper string) string {
	t.Helper()
	var text strings.Builder
	run := func(env []string, args ...string) string {
		status, stdout := output(t, env, args...)
		fmt.Fprintf(&text, "### outpost %s\nstatus %d\n", strings.Join(args, " "), status)
		return stdout
	}
	printed := func(stdout string) { text.WriteString(normal([]byte(stdout), "") + "\n") }
	at, atMapper := "http://"+daemon, "http://"+mapper
	printed(run(env, "ls", "--json"))
	printed(run(nil, "ls", "--json", "--from", at, "--container", "db"))
	printed(run(nil, "ls", "--json", "--from="+at, "--project=shop", "--container=sidecar"))
	for _, form := range []string{"--json", "--dot", "--mermaid", "--csv"} {
		printed(run(env, "links", form, "--project", "shop"))
		printed(run(nil, "links", form, "--from", atMapper, "--group", "service", "--external", "group"))
	}
	for _, args := range [][]string{
		{"--container", "web", "--depth", "2"}, {"--project", "shop"}, {"--host", "alpha"}, {"--since", "10m"}, {"--since", "2100-01-02T15:04:05Z"},
		{"--external", "show"}, {"--external", "hide"}, {"--group", "container"}, {"--group", "project"}, {"--group", "host"}, {"--group", "image"},
	} {
		printed(run(nil, append([]string{"links", "--csv", "--from", atMapper}, args...)...))
	}
	before, after := filepath.Join(t.TempDir(), "before.json"), filepath.Join(t.TempDir(), "after.json")
	_, all := output(t, nil, "links", "--json", "--from", at)
	_, few := output(t, nil, "links", "--json", "--from", at, "--container", "web")
	for path, content := range map[string]string{before: all, after: few} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(nil, "diff", before, before)
	words := make(map[string]int)
	for line := range strings.Lines(run(nil, "diff", before, after)) {
		words[strings.Fields(line)[0]]++
	}
	fmt.Fprintln(&text, words)
	for _, args := range [][]string{
		{"diff"}, {"diff", before}, {"diff", before, "absent"}, {"doctor"}, {"ls"}, {"links"}, {"version"}, {"--version"}, {"help"}, {"--help"}, {"-h"},
		{"fly"}, {"version", "now"}, {"serve", "now"}, {"map"}, {"map", "dns:name"},
		{"ls", "--absent"}, {"ls", "web"}, {"ls", "--from", "host"}, {"ls", "--from", "http://127.0.0.1:1"},
		{"links", "--absent"}, {"links", "web"}, {"links", "--from", "host"}, {"links", "--dot", "--csv"}, {"links", "--depth", "0"}, {"links", "--group", "planet"},
		{"links", "--from", "http://127.0.0.1:1"},
	} {
		run(env, args...)
	}
	run(append(slices.Clone(env), "OUTPOST_LISTEN="+daemon), "healthcheck")
	run(append(slices.Clone(env), "OUTPOST_LISTEN=127.0.0.1:1"), "healthcheck")
	run(append(slices.Clone(env), "WORKERS=many"), "serve")
	return strings.NewReplacer(before, "BEFORE", after, "AFTER").Replace(named.Replace(text.String()))
}

// recordRefusals returns the answers of servers without a working engine, and of servers that reject a client.
func recordRefusals(t *testing.T, named *strings.Replacer, host contractHost, address string) string {
	t.Helper()
	var text strings.Builder
	write := func(of, content string) { text.WriteString("##### " + of + "\n" + content) }
	all := []ask{
		{path: "/connections"}, {path: "/v1/snapshot"}, {path: "/v1/graph"}, {path: "/v1/graph.csv"}, {path: "/api/graph/data"},
		{path: "/readyz"}, {path: "/healthz"}, {path: "/api/health"}, {path: "/version"},
	}
	for _, status := range []int{http.StatusInternalServerError, http.StatusForbidden} {
		host.engine.FailWith(status)
		write(fmt.Sprintf("the engine answers %d", status), record(t, address, named, all))
	}
	host.engine.FailWith(0)
	write("no engine", record(t, startServer(t, []string{"DOCKER_HOST=tcp://127.0.0.1:1"}), named, all))

	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := func(variables ...string) string { return startServer(t, append(slices.Clone(host.env), variables...)) }
	few := []ask{{path: "/version"}, {path: "/healthz"}, {path: "/readyz"}, {path: "/api/health"}, {path: "/map/", headersOnly: true}, {path: "/absent"}, {method: "POST", path: "/version"}}
	token := strings.Repeat("t", 32)
	write("a token", record(t, with("OUTPOST_TOKEN_FILE="+file(token+"\n")), named, append(slices.Clone(few),
		ask{path: "/version", header: "Authorization: Bearer " + token}, ask{path: "/version", header: "Authorization: Bearer wrong"},
		ask{path: "/version", header: "Authorization: Basic " + "eDp0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dA=="})))
	hash, err := bcrypt.GenerateFromPassword([]byte("password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	write("users", record(t, with("OUTPOST_WEB_CONFIG="+file("basic_auth_users:\n  alice: "+string(hash)+"\n")), named, append(slices.Clone(few),
		ask{path: "/version", header: "Authorization: Basic YWxpY2U6cGFzc3dvcmQ="}, ask{path: "/version", header: "Authorization: Basic YWxpY2U6d3Jvbmc="})))
	write("origins", record(t, with("OUTPOST_CORS_ORIGINS=https://grafana.example", "OUTPOST_HOSTS=outpost.example"), named, []ask{
		{path: "/version", header: "Origin: https://grafana.example"}, {path: "/version", header: "Origin: https://absent.example"},
		{method: "OPTIONS", path: "/v1/graph", header: "Origin: https://grafana.example"}, {path: "/version", header: "Host: outpost.example"},
	}))
	limited := with("OUTPOST_RATE_LIMIT=1")
	for range 10 {
		response := do(t, limited, ask{method: http.MethodGet, path: "/version"}, "")
		_ = response.Body.Close()
	}
	write("a rate limit", record(t, limited, named, []ask{{path: "/version"}, {path: "/healthz"}}))
	return text.String()
}
