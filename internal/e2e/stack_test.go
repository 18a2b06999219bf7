package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/lab"
)

// deployment copies a file of internal/deploy to a temporary directory. replacements are old, new, … texts. The test fails
// if the file does not have an old text.
func deployment(t testing.TB, name string, replacements ...string) (path string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "internal/deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(string(content), replacements[i]) {
			t.Fatalf("%s has no %q", name, replacements[i])
		}
	}
	return writeFile(t, filepath.Join(t.TempDir(), name), strings.NewReplacer(replacements...).Replace(string(content)))
}

// The Docker Swarm stack runs on two hosts: a daemon on each, one mapper that finds them, and links over an overlay network.
func TestSwarmStack(t *testing.T) {
	t.Parallel()
	a, b := newEngine(t, "10.77.0.41/24", lab.EngineOptions{}), newEngine(t, "10.77.0.42/24", lab.EngineOptions{})
	engines := []*testEngine{a, b}
	for _, e := range engines {
		if err := e.Load(t.Context(), outpostImage(t)); err != nil {
			t.Fatal(err)
		}
	}
	joinSwarm(t, a, b)
	a.peer("server", []string{"--network", "shop"}, "listen:tcp4:0.0.0.0:80")
	b.peer("client", []string{"--network", "shop"}, "dial:2:"+a.address("server")+":80")
	for _, e := range engines { // the same address on the bridges of both hosts
		e.peer("bridged", nil, "listen:tcp4:0.0.0.0:80", "dial:1:127.0.0.1:80")
	}

	createSwarmService(a)

	stack := deployment(t, "stack.yaml", "image: outpost", "image: "+outpostImage(t))
	deploy := exec.CommandContext(t.Context(), "docker", "-H", a.Host(), "stack", "deploy", "--resolve-image", "never", "-c", stack, "outpost")
	deploy.Env = append(os.Environ(), "DOCKER_GROUP="+socketGroup(t, a.Socket()))
	if output, err := deploy.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := a.Docker(context.WithoutCancel(t.Context()), "stack", "ps", "--no-trunc", "outpost")
			t.Log(said)
		}
	})
	var m *outpost
	eventually(t, func() bool {
		for _, e := range engines {
			if strings.Contains(e.docker("ps", "--format", "{{.Names}} {{.Status}}"), "outpost_map.1") {
				m = &outpost{t: t, url: "http://" + e.ip + ":9057"}
				_, err := m.ask("/healthz")
				return err == nil
			}
		}
		return false
	})
	shorten := strings.NewReplacer(a.Name(""), "")
	ok := func(g graph.Graph) int {
		n := 0
		for _, target := range g.Targets {
			if target.State == graph.StateOK {
				n++
			}
		}
		return n
	}
	var lines []string
	eventually(t, func() bool {
		g := m.graph("")
		lines = linkLines(g, shorten)
		return ok(g) == 2 && slices.ContainsFunc(lines, func(line string) bool {
			return strings.Contains(line, "/client > ") && strings.HasSuffix(line, "/server:80 direct both 2")
		})
	})
	for _, line := range lines {
		for _, end := range []string{"/server:80", "/client"} {
			if strings.Contains(line, end) && !strings.HasSuffix(line, "/server:80 direct both 2") {
				t.Errorf("an invented link: %s", line)
			}
		}
	}
	links, names := dialSwarmService(t, a, b)
	m.expectLines(func() []string { return swarmLinks(m.graph(""), names) }, links)
	// The daemons have no capability, and do not share the host's PID namespace.
	for _, e := range engines {
		for id := range strings.FieldsSeq(e.docker("ps", "-q", "--filter", "name=outpost_")) {
			if got := e.docker("inspect", "-f", "{{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} {{.HostConfig.PidMode}}", id); got != "[ALL] []" {
				t.Errorf("capabilities and PID mode: %s", got)
			}
		}
	}
}

func socketGroup(t testing.TB, socket string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "stat", "-c", "%g", socket).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

// The Compose file starts a daemon that maps its host and finds itself as a service.
func TestCompose(t *testing.T) {
	l := newLab(t)
	compose, err := exec.LookPath("docker-compose")
	if err != nil {
		t.Fatal("no docker-compose: .ci/engine start test installs it")
	}
	file := deployment(t, "compose.yaml", "image: outpost", "image: "+outpostImage(t), "9057:9057", fmt.Sprint(l.firstPort, ":9057"))
	group := socketGroup(t, engineSocket(t))
	run := func(ctx context.Context, args ...string) {
		t.Helper()
		command := exec.CommandContext(ctx, compose, append([]string{"-p", l.Name("compose"), "-f", file}, args...)...)
		command.Env = append(os.Environ(), "DOCKER_GROUP="+group)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	}
	t.Cleanup(func() { run(context.WithoutCancel(t.Context()), "down") })
	run(t.Context(), "up", "-d")
	o := at(t, l.firstPort)
	eventually(t, func() bool {
		_, err := o.ask("/healthz")
		return err == nil
	})
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:1:"+l.address("server")+":80")
	want := "client > server:80 direct both 1"
	got := linkLines(o.graph("?container="+l.Name("client")), strings.NewReplacer(l.Name(""), "", hostname(t)+"/", ""))
	if !slices.Equal(got, []string{want}) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, n := range o.graph("?project=" + l.Name("compose")).Nodes {
		if n.Service == "outpost" {
			return
		}
	}
	t.Error("Outpost does not see itself as a service")
}
