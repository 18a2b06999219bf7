package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The documented commands generate a Go client. A program with it compiles, and reads a real daemon's answers.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	project := l.Name("shop")
	labels := func(service string) []string {
		return []string{"--label", "com.docker.compose.project=" + project, "--label", "com.docker.compose.service=" + service}
	}
	l.peer("server", append(labels("web"), "-p", l.port(0)+":80"), "listen:tcp4:0.0.0.0:80")
	l.peer("client", labels("worker"), "dial:1:"+l.address("server")+":80")
	o := start(t, "OUTPOST_INTERFACES=192.0.2.1")

	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS(filepath.Join("testdata", "client"))); err != nil {
		t.Fatal(err)
	}
	generated := filepath.Join(module, "outpost")
	if err := os.Mkdir(generated, 0o750); err != nil {
		t.Fatal(err)
	}
	run := func(directory, program string, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), program, args...)
		command.Dir = directory
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v: %s", program, args, err, output)
		}
		return string(output)
	}
	commands := slices.DeleteFunc(blocks(t, "internal/api/README.md"), func(block string) bool { return !strings.Contains(block, "oapi-codegen") })
	for _, block := range commands {
		run(generated, "sh", "-euc", strings.ReplaceAll(block, "localhost:9057", o.target()))
	}
	run(module, "go", "build", "-o", "client", ".")
	got := run(module, filepath.Join(module, "client"), o.url, project)

	want := fmt.Sprintf(`list: 200 true 304
snapshot: 1 2 UTC true
worker: true 1
  connected: true ESTABLISHED %[1]s
web: true 1
  listens: 0.0.0.0 80 true {0.0.0.0 %[3]s} 192.0.2.1 %[3]s
  connected: false ESTABLISHED %[2]s
graph: 1 true
  link: service worker service web 80 direct true 1 true
refused: 400 true
`, l.address("server"), l.address("client"), l.port(0))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Redocly's linter finds no problem by its recommended rules.
func TestOpenAPIDocumentPassesTheLinter(t *testing.T) {
	document, err := filepath.Abs(filepath.Join(root, "internal", "api", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	packages := npmPackages(t)
	linter := exec.CommandContext(t.Context(), filepath.Join("node_modules", ".bin", "redocly"), "lint", "--extends=recommended", "--format=json", document)
	linter.Dir = packages
	linter.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	output, lintErr := linter.Output() // it fails if there are errors
	var found struct {
		Totals   *struct{ Errors, Warnings, Ignored int }
		Problems []struct {
			RuleID, Severity, Message string
			Location                  []struct{ Pointer string }
		}
	}
	if err := json.Unmarshal(output, &found); err != nil || found.Totals == nil {
		t.Fatalf("%v, %v: %s", lintErr, err, output)
	}
	if lintErr != nil || *found.Totals != (struct{ Errors, Warnings, Ignored int }{}) || len(found.Problems) > 0 {
		t.Errorf("%v: %+v: %+v", lintErr, *found.Totals, found.Problems)
	}
}
