package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/collect"
)

// root is the top directory of the tree.
const root = "../.."

// documents returns the paths of all Markdown documents below the root. Documents that start a daemon come first,
// because the others use it.
func documents(t *testing.T) []string {
	t.Helper()
	var starting, others []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == ".git" || entry.Name() == ".build"):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		case slices.ContainsFunc(blocks(t, path), isDockerRun):
			starting = append(starting, path)
		default:
			others = append(others, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(starting, others...)
}

// blocks returns the command blocks of a document.
func blocks(t *testing.T, path string) []string {
	t.Helper()
	document, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		commands = append(commands, block[1])
	}
	return commands
}

// isDockerRun reports whether a command block starts the daemon.
func isDockerRun(command string) bool { return strings.HasPrefix(command, "docker run -d") }

// notRun are the documented command lines that TestDocumentedCommands does not run, with the reason.
var notRun = map[string]string{
	"DOCKER_GROUP=$(stat -c %g /var/run/docker.sock) docker-compose up -d":                                                                     "TestCompose runs it with names and ports of its own",
	"DOCKER_GROUP=$(stat -c %g /var/run/docker.sock) docker stack deploy -c stack.yaml outpost":                                                "TestSwarmStack runs it on two engines",
	"install -m 755 .build/outpost /usr/local/bin/outpost":                                                                                     "it would change the machine; TestInstalledService runs it",
	"install -m 644 internal/deploy/outpost.service /etc/systemd/system/outpost.service":                                                       "it would change the machine; TestInstalledService runs it",
	"curl -so openapi.json localhost:9057/openapi.json":                                                                                        "TestGeneratedClient runs it",
	"go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -generate types,client -package outpost -o client.go openapi.json": "TestGeneratedClient runs it",
	"systemctl enable --now outpost":                                                                                                           "it would change the machine; TestInstalledService runs it",
	"install -m 644 internal/deploy/outpost.container /etc/containers/systemd/outpost.container":                                               "it would change the machine; TestInstalledQuadlet runs it",
	"systemctl daemon-reload": "it would change the machine; TestInstalledQuadlet runs it",
	"systemctl start outpost": "it would change the machine; TestInstalledQuadlet runs it",
}

// localised replaces names and ports that may be taken with the lab's own.
func (l *testLab) localised(command string) string {
	l.t.Helper()
	port := l.firstPort
	return strings.NewReplacer(
		"--name outpost", "--label "+l.Label()+" --name "+l.Name("outpost"),
		"9057:9057", fmt.Sprint(port, ":9057"),
		"OUTPOST_LISTEN=:9057", fmt.Sprint("OUTPOST_LISTEN=:", port),
		"localhost:9057", fmt.Sprint("localhost:", port),
		"docker exec outpost ", "docker exec "+l.Name("outpost")+" ",
		"container=outpost", "container="+l.Name("outpost"),
		"$(hostname)/outpost", "$(hostname)/"+l.Name("outpost"),
		"\n  outpost\n", "\n  "+outpostImage(l.t)+"\n",
		" outpost diff", " --label "+l.Label()+" "+outpostImage(l.t)+" diff",
	).Replace(command)
}

// shell runs a documented command in an empty directory, and returns its output.
func (l *testLab) shell(command string) string {
	l.t.Helper()
	shell := exec.CommandContext(l.t.Context(), "sh", "-euc", l.localised(command))
	shell.Dir = l.t.TempDir() // some commands write files
	output, err := shell.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s%v: %s", command, err, output)
	}
	return string(output)
}

// TestDocumentedCommands runs every command block of every document, unchanged except for names and ports that may be taken.
// It only checks that make targets exist, because most of them build or test everything.
func TestDocumentedCommands(t *testing.T) {
	l := newLab(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	unused := maps.Clone(notRun)
	l.startScene()
	for _, path := range documents(t) {
		for _, command := range blocks(t, path) {
			switch strings.Fields(command)[0] + " " + strings.Fields(command)[1] {
			case "docker run":
				if l.docker("ps", "-aq", "--filter", "name="+l.Name("outpost")) != "" {
					l.docker("rm", "-f", l.Name("outpost"))
				}
				l.shell(command)
				a := l.answering("outpost", l.firstPort).connections()
				if a.incomplete(l.Name("outpost")) || len(a.containers["/"+l.Name("outpost")].Listening) == 0 {
					t.Errorf("%s: %s: %v, Outpost-Incomplete: %s", path, command, a.containers["/"+l.Name("outpost")], a.header.Get("Outpost-Incomplete"))
				}
				l.expectScene(a, command)
			case "podman run": // TestPodman runs it
			case "curl -s", "curl -si", "docker exec":
				isDiff := strings.Contains(command, "diff") // it prints nothing if nothing differs
				if output := l.shell(command); !isDiff && !strings.Contains(output, l.Name("outpost")) {
					t.Errorf("%s: %s: %s", path, command, output)
				}
			default:
				for line := range strings.Lines(command) {
					line = strings.TrimSpace(line)
					if _, ok := notRun[line]; ok {
						delete(unused, line)
						continue
					}
					if target, ok := strings.CutPrefix(line, "make "); !ok || !strings.Contains(string(makefile), "\n"+target+":") {
						t.Errorf("%s: nothing runs %q", path, line)
					}
				}
			}
		}
	}
	for line := range unused {
		t.Errorf("no document has %q", line)
	}
}

// The section "Full disclosure" of internal/collect/README.md names exactly the commands that Outpost can run.
func TestFullDisclosure(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(root, "internal/collect/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(document), "\n## Full disclosure\n")
	section, _, more := strings.Cut(section, "\n## ")
	if !ok || !more {
		t.Fatal("no section, or nothing after it")
	}
	var disclosed [][]string
	for _, block := range regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(section, -1) {
		disclosed = append(disclosed, unquoted(strings.TrimSpace(block[1])))
	}
	if got, want := fmt.Sprintf("%q", disclosed), fmt.Sprintf("%q", collect.Commands()); got != want {
		t.Errorf("disclosed:\n%s\nrun:\n%s", got, want)
	}
}

// unquoted splits a command line in which only the last word may be quoted.
func unquoted(line string) []string {
	plain, quoted, ok := strings.Cut(line, " '")
	words := strings.Fields(plain)
	if ok {
		words = append(words, strings.TrimSuffix(quoted, "'"))
	}
	return words
}
