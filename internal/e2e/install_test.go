package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// installing returns a lab for a test that installs services. It skips the test unless E2E_INSTALL=true says that the machine is
// there for that, as the one of .ci/vm is.
func installing(t *testing.T) *testLab {
	t.Helper()
	if os.Getenv("E2E_INSTALL") != "true" {
		t.Skip("it installs services: set E2E_INSTALL=true on a machine without others")
	}
	return newLab(t)
}

// install runs a documented command block in the top directory, and undo at the end of the test.
func install(t *testing.T, firstLine, undo string) {
	t.Helper()
	t.Cleanup(func() { inShell(context.WithoutCancel(t.Context()), t, root, undo) })
	for _, block := range blocks(t, podmanDocument) {
		if strings.HasPrefix(block, firstLine) {
			inShell(t.Context(), t, root, block)
			return
		}
	}
	t.Fatalf("%s has no %q", podmanDocument, firstLine)
}

// inShell runs a shell command in a directory and returns its output.
func inShell(ctx context.Context, t *testing.T, directory, command string) string {
	t.Helper()
	shell := exec.CommandContext(ctx, "sh", "-euc", command)
	shell.Dir = directory
	output, err := shell.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", command, err, output)
	}
	return strings.TrimSpace(string(output))
}

// installed waits until the daemon that is installed on the machine answers.
func installed(t *testing.T) *outpost {
	t.Helper()
	o := at(t, 9057)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(inShell(context.WithoutCancel(t.Context()), t, root, "systemctl status --no-pager --lines 30 outpost || true"))
		}
	})
	eventually(t, func() bool { _, err := o.ask("/healthz"); return err == nil })
	return o
}

// The documented commands install a service that reads each container, and finds the owners of sockets on the host's network
// by the cgroups that systemd makes.
func TestInstalledService(t *testing.T) {
	l := installing(t)
	l.peer("server", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	id := l.peer("host", []string{"--network", "host", "-u", "1000"}, "listen:tcp4:0.0.0.0:"+l.port(1), "dial:2:127.0.0.1:"+l.port(0))
	of := filepath.Join("/proc", l.docker("inspect", "-f", "{{.State.Pid}}", id))
	for file, want := range map[string]string{"cgroup": "/system.slice/docker-" + id + ".scope", "attr/current": "docker-default"} {
		if content, err := os.ReadFile(filepath.Join(of, file)); err != nil || !strings.Contains(string(content), want) {
			t.Errorf("%s: %q, want %s: %v", file, content, want, err)
		}
	}
	install(t, "install -m 755 .build/outpost ",
		"systemctl disable --now outpost; rm /usr/local/bin/outpost /etc/systemd/system/outpost.service; systemctl daemon-reload")
	o := installed(t)
	o.expectListener(l.Name("server"), 80)
	o.expectListener(l.Name("host"), l.firstPort+1)
	o.expectLines(func() []string {
		return linkLines(o.graph("?container="+l.Name("server")), strings.NewReplacer(l.Name(""), "", hostname(t)+"/", ""))
	}, []string{"host > server:80 published both 2"})
}

// The documented quadlet starts a daemon on Podman that lists itself and its neighbours.
func TestInstalledQuadlet(t *testing.T) {
	l := installing(t)
	name := l.Name("web")
	loadIntoPodman(t, l, "sh")
	inShell(t.Context(), t, root, "podman run -d --name "+name+" "+tools+" peer listen:tcp4:0.0.0.0:80")
	t.Cleanup(func() { inShell(context.WithoutCancel(t.Context()), t, root, "podman rm -f -t 0 "+name) })
	install(t, "install -m 644 internal/deploy/outpost.container ",
		"systemctl stop outpost; rm /etc/containers/systemd/outpost.container; systemctl daemon-reload")
	o := installed(t)
	o.expectListener("outpost", 9057)
	o.expectListener(name, 80)
}

// expectListener expects a container that is read completely to listen on one port.
func (o *outpost) expectListener(name string, port int) {
	o.t.Helper()
	if c := o.snapshot().container(o.t, name); c.Status != "ok" || len(c.Listening) != 1 || int(c.Listening[0].Port) != port {
		o.t.Errorf("%s: %s by %s: %s, listening %v", name, c.Status, c.Method, c.Reason, c.Listening)
	}
}

// loadIntoPodman loads the tools, and Outpost under its documented name, by a shell that finds Podman.
func loadIntoPodman(t *testing.T, l *testLab, shell ...string) {
	t.Helper()
	l.docker("tag", outpostImage(t), "outpost")
	archive := filepath.Join(sharedDirectory(t), "images.tar")
	l.docker("save", "-o", archive, "outpost", tools)
	l.docker("rmi", "outpost")
	if err := os.Chmod(archive, 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), shell[0], append(shell[1:], "-euc", "podman load -i "+archive)...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// rootless is the command of a shell of the user that .ci/vm made for rootless Podman.
var rootless = []string{"runuser", "-u", "rootless", "--", "env", "XDG_RUNTIME_DIR=/run/user/1000", "sh"}

// As documented for rootless Podman, the daemon lists itself and its neighbours with their links.
func TestRootlessPodman(t *testing.T) {
	l := installing(t)
	run := func(ctx context.Context, command string) string {
		t.Helper()
		shell := exec.CommandContext(ctx, rootless[0], append(rootless[1:], "-euc", command)...)
		shell.Dir = "/"
		var stderr bytes.Buffer
		shell.Stderr = &stderr
		output, err := shell.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, stderr.String())
		}
		return strings.TrimSpace(string(output))
	}
	run(t.Context(), "systemctl --user enable --now podman.socket")
	loadIntoPodman(t, l, rootless...)
	t.Cleanup(func() { run(context.WithoutCancel(t.Context()), "podman rm -f -a -t 0; podman network rm shop") })
	run(t.Context(), "podman network create shop")
	web := "podman run -d --network shop --name "
	run(t.Context(), web+"web "+tools+" peer listen:tcp4:0.0.0.0:80")
	address := run(t.Context(), "podman inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' web")
	run(t.Context(), web+"client "+tools+" peer dial:2:"+address+":80")

	command := strings.NewReplacer("-v /run/podman/podman.sock:", "-v $XDG_RUNTIME_DIR/podman/podman.sock:",
		"  --user 65534:$(stat -c %g /run/podman/podman.sock) \\\n", "").Replace(podmanRun(t))
	run(t.Context(), command)
	o := at(t, 9057)
	eventually(t, func() bool { _, err := o.ask("/healthz"); return err == nil })
	o.expectListener("outpost", 9057)
	o.expectListener("web", 80)
	o.expectLines(func() []string {
		return linkLines(o.graph("?container=client"), strings.NewReplacer(hostname(t)+"/", ""))
	},
		[]string{"client > web:80 direct both 2"})
}
