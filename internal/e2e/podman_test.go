package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/lab"
)

const podmanDocument = "internal/deploy/README.md"

// newPodman is newEngine for Podman.
func newPodman(t testing.TB, address string) *testEngine {
	t.Helper()
	foreignProgram(t, "podman")
	return newEngine(t, address, lab.EngineOptions{Podman: true})
}

// podman runs the podman command on the engine.
func (e *testEngine) podman(args ...string) string {
	e.t.Helper()
	output, err := e.Podman(e.t.Context(), args...)
	if err != nil {
		e.t.Fatal(err)
	}
	return output
}

// pod starts a pod that publishes port 80, with a server and a client of it.
func (e *testEngine) pod() {
	e.t.Helper()
	pod := e.Name("pod")
	e.t.Cleanup(func() { // containers of a pod cannot be removed before it
		if _, err := e.Podman(context.WithoutCancel(e.t.Context()), "pod", "rm", "-f", "-t", "0", pod); err != nil {
			e.t.Error(err)
		}
	})
	e.podman("pod", "create", "--name", pod, "-p", "8082:80", "--infra-image", tools, "--infra-command", "sleep 1000", "--share-parent=false")
	for part, instruction := range map[string]string{"member": "listen:tcp4:0.0.0.0:80", "mate": "dial:1:127.0.0.1:80"} {
		e.podman("run", "-d", "--pod", pod, "--name", e.Name(part), tools, "peer", instruction)
	}
}

// On Podman, each method shows the same containers and links as on Docker: paused containers, the members of a pod and not its
// infra container, and each container once, although the engine's ID changes.
func TestPodman(t *testing.T) {
	e := newPodman(t, "10.77.0.93/24")
	e.peer("web", []string{"-p", "8080:80"}, "listen:tcp4:0.0.0.0:80")
	e.peer("paused", []string{"-p", "8081:80"}, "listen:tcp4:0.0.0.0:80")
	e.docker("pause", e.Name("paused"))
	e.pod()
	variables := []string{"DOCKER_HOST=" + e.Host(), "OUTPOST_PROC=/proc"}
	byExec, procfs := start(t, append(variables, "OUTPOST_COLLECTOR=exec")...), start(t, append(variables, "OUTPOST_COLLECTOR=procfs")...)
	mapper := startMapper(t, []string{byExec.target(), procfs.target()})

	byExec.snapshot() // before the client starts
	e.peer("client", nil, "dial:2:10.88.0.1:8080", "dial:1:10.88.0.1:8082")
	for _, o := range []*outpost{byExec, procfs} { // Podman's events may come after the answer to the command
		eventually(t, func() bool { return o.snapshot().has(e.Name("client")) })
	}
	var names []string
	for _, c := range procfs.snapshot().Containers {
		if c.Status != "ok" {
			t.Errorf("%s: %s: %s", c.Name, c.Status, c.Reason)
		}
		names = append(names, e.shorten().Replace(strings.TrimPrefix(c.Name, "/")))
	}
	slices.Sort(names)
	if want := []string{"client", "infra", "mate", "member", "paused", "web"}; !slices.Equal(names, want) {
		t.Errorf("containers %q, want %q", names, want)
	}
	for _, o := range []*outpost{byExec, procfs, mapper} {
		o.expectLines(func() []string { return e.links(o) }, []string{
			"client > member:80 published both 1", "client > web:80 published both 2", "mate > member:80 loopback both 1",
		})
	}
	for _, n := range mapper.graph("").Nodes { // of two daemons on one engine
		if n.Past {
			t.Errorf("%s is past", n.Name)
		}
	}

	testPodmanRun(t, e)
}

// shorten removes what is random from names.
func (e *testEngine) shorten() *strings.Replacer {
	infra, _, _ := strings.Cut(e.podman("pod", "inspect", "-f", "{{.InfraContainerID}}", e.Name("pod")), "\n")
	name := e.podman("inspect", "-f", "{{.Name}}", infra)
	return strings.NewReplacer(name, "infra", e.Name(""), "")
}

// links describes the links of a map without the names of the host and the lab.
func (e *testEngine) links(o *outpost) []string {
	lines := linkLines(o.graph(""), strings.NewReplacer(e.Name(""), ""))
	for i, line := range lines {
		lines[i] = regexp.MustCompile(`[^ ]+/`).ReplaceAllString(line, "")
	}
	return lines
}

// The documented command starts a daemon that finds itself and reads each container. With the socket alone it still finds itself.
func testPodmanRun(t *testing.T, e *testEngine) {
	if err := e.Load(t.Context(), outpostImage(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(e.Socket(), 0o660); err != nil { // as podman.socket does
		t.Fatal(err)
	}
	documented := strings.NewReplacer(
		"podman run", "podman --url "+e.Host()+" run", "/run/podman/podman.sock", e.Socket(),
		"--name outpost", "--name "+e.Name("outpost"), "\n  outpost\n", "\n  "+outpostImage(t)+"\n",
	).Replace(podmanRun(t))
	e.startScene()
	own := regexp.MustCompile(e.Name("outpost") + ` +\[::\]:9057 +0\.0\.0\.0:9057 .* (procfs|sockdiag)\n`)
	for _, command := range []string{documented, socketAlone(documented)} {
		if output, err := exec.CommandContext(t.Context(), "sh", "-euc", command).CombinedOutput(); err != nil {
			t.Fatalf("%s%v: %s", command, err, output)
		}
		var listed string
		eventually(t, func() bool {
			listed = e.docker("exec", e.Name("outpost"), "/outpost", "ls") + "\n"
			return strings.Contains(listed, e.Name("outpost"))
		})
		if !own.MatchString(listed) || command == documented && strings.Contains(listed, "(failed)") { // a pod's members are partial
			t.Errorf("%s%s", command, listed)
		}
		o := e.answering("outpost", 9057)
		o.url = "http://" + e.ip + ":9057"
		e.expectScene(o.connections(), command)
		e.docker("rm", "-f", e.Name("outpost"))
	}
}

// podmanRun returns the documented command for Podman as root.
func podmanRun(t *testing.T) string {
	t.Helper()
	for _, block := range blocks(t, podmanDocument) {
		if strings.HasPrefix(block, "podman run -d") && !strings.Contains(block, "XDG_RUNTIME_DIR") {
			return block
		}
	}
	t.Fatal(podmanDocument + " has no podman run")
	return ""
}

// socketAlone removes the host's /proc from a command.
func socketAlone(command string) string {
	return strings.Replace(command, "  -v /proc:/host/proc:ro \\\n", "", 1)
}

// The quadlet file has the options of the documented command.
func TestQuadlet(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "internal/deploy/outpost.container"))
	if err != nil {
		t.Fatal(err)
	}
	options := map[string]string{
		"ContainerName": "--name ", "PublishPort": "-p ", "Volume": "-v ", "DropCapability": "--cap-drop ",
		"ReadOnly=true": "--read-only", "NoNewPrivileges=true": "--security-opt no-new-privileges", "SecurityLabelDisable=true": "--security-opt label=disable",
	}
	_, container, _ := strings.Cut(string(content), "\n[Container]\n")
	container, _, _ = strings.Cut(container, "\n[")
	var got []string
	user := ""
	for line := range strings.FieldsSeq(container) {
		key, value, _ := strings.Cut(line, "=")
		switch option, known := options[key]; {
		case options[line] != "":
			got = append(got, options[line])
		case known:
			got = append(got, option+value)
		case key == "User":
			user = "--user " + value
		case key == "Group":
			got = append(got, user+":"+value)
		case key == "Image":
			got = append(got, strings.TrimSuffix(strings.TrimPrefix(value, "localhost/"), ":latest"))
		default:
			t.Errorf("unknown line %q", line)
		}
	}
	var want []string
	command := strings.ReplaceAll(podmanRun(t), "$(stat -c %g /run/podman/podman.sock)", "0")
	for option := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSpace(command), "podman run -d"), "\\\n") {
		for one := range strings.SplitSeq(strings.ReplaceAll(strings.TrimSpace(option), " --", "\n--"), "\n") {
			if one != "" {
				want = append(want, one)
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "ALL", "all")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-command +file):\n%s", diff)
	}
}
