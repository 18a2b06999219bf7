package e2e

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// `make build` and the image build produce the same binary, byte for byte. They use different directories, copies of the
// toolchain and caches.
func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	container := l.docker("create", "--label", l.Label(), outpostImage(t))
	ofImage := filepath.Join(t.TempDir(), "outpost")
	l.docker("cp", container+":/outpost", ofImage)
	directory := t.TempDir()
	if output, err := exec.CommandContext(t.Context(), "make", "-C", "../..", "build", "VERSION="+imageVersion(), "BUILD="+directory).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	one, err := os.ReadFile(ofImage)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(directory, "outpost"))
	if err != nil {
		t.Fatal(err)
	}
	if len(one) == 0 || !bytes.Equal(one, other) {
		t.Errorf("binaries of %d and %d bytes differ", len(one), len(other))
	}
}

// The database has two vulnerabilities in functions that Outpost calls, one of them accepted, and one in another function. The
// check fails for GO-2026-0002, which is called and not accepted.
func TestUnacceptedVulnerabilitiesFail(t *testing.T) {
	database := t.TempDir()
	entry := func(id, path, symbol string) {
		t.Helper()
		text := `{"schema_version":"1.3.1","id":"` + id + `","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z","summary":"s","details":"d",` +
			`"affected":[{"package":{"name":"github.com/docker/docker","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],` +
			`"ecosystem_specific":{"imports":[{"path":"` + path + `","symbols":["` + symbol + `"]}]}}],"database_specific":{"url":"https://vuln.example/` + id + `"}}`
		writeFile(t, filepath.Join(database, "ID", id+".json"), text)
	}
	entry("GO-2026-0001", "github.com/docker/docker/client", "Client.ContainerList")
	entry("GO-2026-0002", "github.com/docker/docker/client", "Client.ContainerInspect")
	entry("GO-2026-0003", "github.com/docker/docker/client", "Client.ContainerKill")
	ids := func(format string) string {
		var entries []string
		for _, id := range []string{"GO-2026-0001", "GO-2026-0002", "GO-2026-0003"} {
			entries = append(entries, strings.ReplaceAll(format, "ID", id))
		}
		return "[" + strings.Join(entries, ",") + "]"
	}
	writeFile(t, filepath.Join(database, "index", "db.json"), `{"modified":"2026-01-01T00:00:00Z"}`)
	writeFile(t, filepath.Join(database, "index", "vulns.json"), ids(`{"id":"ID","modified":"2026-01-01T00:00:00Z"}`))
	writeFile(t, filepath.Join(database, "index", "modules.json"), `[{"path":"github.com/docker/docker","vulns":`+ids(`{"id":"ID","modified":"2026-01-01T00:00:00Z"}`)+`}]`)

	command := exec.CommandContext(t.Context(), "../../.ci/vuln", "file://"+database)
	command.Env = append(os.Environ(), "ACCEPTED="+writeLines(t, "GO-2026-0001  for a reason", "GO-2026-0003", "GO-2026-0004  for another"))
	output, err := command.CombinedOutput()
	if err == nil {
		t.Error("a vulnerability that is not accepted does not fail the check")
	}
	for line, said := range map[string]bool{
		"vuln: accepted: GO-2026-0001  for a reason\n": true, "vuln: GO-2026-0002 is not accepted\n": true,
		"vuln: GO-2026-0003 is not accepted\n": false, "panic": false,
	} {
		if strings.Contains(string(output), line) != said {
			t.Errorf("%q in the output: want %v\n%s", line, said, output)
		}
	}
}

// If the database cannot be reached, for whatever reason, the check says so and succeeds. If the server has no database, the
// check fails.
func TestUnreachableVulnerabilityDatabaseFailsNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{ // to GET
		"forbids":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"breaks off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"not found":  http.NotFound,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead { // govulncheck detects the kind of database by HEAD
				answer(w, r)
			}
		}))
		output, err := exec.CommandContext(t.Context(), "../../.ci/vuln", server.URL).CombinedOutput()
		server.Close()
		unreached := strings.Contains(string(output), "nothing checked: the vulnerability database cannot be reached")
		if unreached != (name != "not found") || unreached != (err == nil) {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}

// writeFile writes a file, creates its directory, and returns its path.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
