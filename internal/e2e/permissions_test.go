package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/lab"
)

// unprivileged starts a daemon as a user without capabilities who has access to the engine.
func unprivileged(t *testing.T, variables ...string) *outpost {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root becomes another user")
	}
	socket := filepath.Join(sharedDirectory(t), "engine.sock")
	serveSocket(t, socket, newAPIFilter(t, isRead))
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	// A process of another user cannot run the binary where it was built.
	path := filepath.Join(filepath.Dir(socket), "outpost")
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return startCommand(t, exec.Command("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs", path), //nolint:noctx // it is ended with SIGTERM
		append(variables, interfaces, "DOCKER_HOST=unix://"+socket)...)
}

// sharedDirectory returns a temporary directory that every user may enter.
func sharedDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "e2e-shared") //nolint:usetesting // other users may not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	return directory
}

// Without capabilities and with GET only, the tables of all containers are read. The log and the answers name what is missing.
func TestTablesAreReadWithoutCapabilities(t *testing.T) {
	l := newLab(t)
	l.run("scratch", "-p", l.port(0)+":80", bare, "/peer", "listen:tcp4:0.0.0.0:80")
	l.peer("paused", []string{"-p", l.port(1) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.docker("pause", l.Name("paused"))
	t.Cleanup(func() { _, _ = l.Docker(t.Context(), "unpause", l.Name("paused")) })
	l.peer("private", []string{"-p", l.port(2) + ":80", "--cgroupns", "private"}, "listen:tcp4:0.0.0.0:80")
	l.peer("host", []string{"--network", "host", "--expose", l.port(3)}, "listen:tcp4:0.0.0.0:"+l.port(3), "listen:tcp4:0.0.0.0:"+l.port(4))

	byCgroup := l.onCgroupV2() // owners on the host's network need cgroup v2 or capabilities
	o := unprivileged(t)
	for range 2 {
		a := o.connections()
		for i, part := range []string{"scratch", "paused", "private"} {
			a.expect(l.Name(part), l.endpoints(i), nil)
		}
		if byCgroup {
			a.expect(l.Name("host"), l.endpoints(3, 4), nil)
		} else {
			a.expectPartial(l.Name("host"), l.endpoints(3), nil)
		}
	}
	s := o.snapshot()
	if c := s.container(t, l.Name("scratch")); c.Method != "procfs" || len(c.Unused) != 1 || !strings.HasPrefix(c.Unused[0].Reason, "CAP_SYS_PTRACE and CAP_SYS_ADMIN are missing") {
		t.Errorf("%+v", c)
	}
	if c := s.container(t, l.Name("host")); strings.Contains(c.Reason, "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE are missing") == byCgroup {
		t.Errorf("%+v", c)
	}
	if n := o.countLogLines(`"sockdiag":"works for 1 of `, "containers; else CAP_SYS_PTRACE and CAP_SYS_ADMIN are missing", `"procfs":"works"`, `"exec":"not needed"`, "owners_by_cgroup"); n != 1 {
		t.Errorf("%d log lines say which methods work, want 1:\n%s", n, o.logged())
	}
	if n := o.countLogLines(l.Name("host"), "Unable to obtain inodes"); (n != 1) != byCgroup || n > 1 {
		t.Errorf("the warning is in the log %d times:\n%s", n, o.logged())
	}
}

// While /proc is mounted with hidepid, the reason says so and the daemon uses another method. It uses procfs again once /proc
// shows all processes.
func TestHiddenProcessesAreReported(t *testing.T) {
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	proc := filepath.Join(sharedDirectory(t), "proc")
	if err := os.Mkdir(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	mount := func(args ...string) {
		t.Helper()
		if output, err := exec.CommandContext(t.Context(), "mount", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	mount("-t", "proc", "proc", proc)
	t.Cleanup(func() { _ = exec.Command("umount", proc).Run() }) //nolint:noctx // the test's context has ended
	o := unprivileged(t, "OUTPOST_PROC="+proc)
	o.connections().expect(l.Name("it"), l.endpoints(0), nil)
	for range 2 {
		mount("-o", "remount,hidepid=2", proc)
		for range 2 {
			// The proxy permits GET only, so exec fails too.
			o.connections().expectPartial(l.Name("it"), nil, nil)
		}
		if c := o.snapshot().container(t, l.Name("it")); c.Method != "none" || !strings.Contains(c.Reason, "exec not permitted") {
			t.Errorf("%+v", c)
		}
		mount("-o", "remount,hidepid=0", proc)
		for range 2 {
			o.connections().expect(l.Name("it"), l.endpoints(0), nil)
		}
	}
	forced := unprivileged(t, "OUTPOST_PROC="+proc, "OUTPOST_COLLECTOR=procfs")
	eventually(t, func() bool { return forced.countLogLines(`"procfs":"works`) == 1 })
	mount("-o", "remount,hidepid=2", proc)
	if c := forced.snapshot().container(t, l.Name("it")); !strings.Contains(c.Reason, "mounted with hidepid") {
		t.Errorf("%+v", c)
	}
}

// A forced method that cannot work ends the daemon with status 1 and the reason.
func TestUnworkableForcedMethodEndsTheDaemon(t *testing.T) {
	l := newLab(t)
	l.peer("it", nil)
	for _, test := range []struct{ method, reason string }{
		{"sockdiag", "CAP_SYS_PTRACE and CAP_SYS_ADMIN are missing"},
		{"exec", "exec not permitted"},
	} {
		unprivileged(t, "OUTPOST_COLLECTOR="+test.method).expectUnworkable("OUTPOST_COLLECTOR=" + test.method + " does not work: " + test.reason)
	}
}

// In a container without the host's /proc, the procfs method cannot see other containers' processes.
func TestForcedProcfsNeedsTheHostsProc(t *testing.T) {
	l := newLab(t)
	l.peer("it", nil)
	l.run("outpost", "-e", "OUTPOST_COLLECTOR=procfs", "-v", engineSocket(t)+":/var/run/docker.sock", outpostImage(t))
	if status := l.docker("wait", l.Name("outpost")); status != "1" {
		t.Errorf("status %s", status)
	}
	const reason = "OUTPOST_COLLECTOR=procfs does not work: its process is not visible: mount the host's /proc with -v /proc:/host/proc:ro or --pid host"
	if logged := l.logs("outpost"); !strings.Contains(logged, reason) {
		t.Errorf("%s", logged)
	}
}

// logs returns the output of a container.
func (l *testLab) logs(part string) string {
	l.t.Helper()
	logged, err := exec.CommandContext(l.t.Context(), "docker", "logs", l.Name(part)).CombinedOutput()
	if err != nil {
		l.t.Fatal(err)
	}
	return string(logged)
}

// expectUnworkable waits until the daemon has ended with status 1 and the reason in its log.
func (o *outpost) expectUnworkable(reason string) {
	o.t.Helper()
	select {
	case <-o.done:
	case <-time.After(20 * time.Second):
		o.t.Fatalf("the daemon still runs, although %s", reason)
	}
	if status := o.end(); status != 1 || !strings.Contains(o.logged(), reason) {
		o.t.Errorf("status %d:\n%s", status, o.logged())
	}
	o.status = 0 // expected
}

// A forced method is tried once the engine answers, even if the engine starts after the daemon.
func TestForcedMethodIsTriedWhenTheEngineAnswers(t *testing.T) {
	l := newLab(t)
	l.peer("it", nil)
	path := filepath.Join(t.TempDir(), "engine.sock")
	o := start(t, "OUTPOST_COLLECTOR=exec", "DOCKER_HOST=unix://"+path)
	eventually(t, func() bool { return o.countLogLines("does not respond") == 1 })
	serveSocket(t, path, newAPIFilter(t, isRead))
	o.expectUnworkable("OUTPOST_COLLECTOR=exec does not work: exec not permitted")
}

// With cgroup v2, the host's network and the host's cgroup namespace, owners on the host's network are found without
// capabilities, including processes of other users.
func TestOwnersAreFoundByCgroup(t *testing.T) {
	e := newEngine(t, "10.77.0.23/24", lab.EngineOptions{CgroupV2: true})
	if err := e.Load(t.Context(), outpostImage(t)); err != nil {
		t.Fatal(err)
	}
	host := []string{"--network", "host"}
	e.peer("root", host, "listen:tcp4:0.0.0.0:8001", "queue:tcp4:127.0.0.1:8002", "dial:1:127.0.0.1:8002")
	e.peer("user", append(host, "-u", "1000"), "listen:tcp4:0.0.0.0:8003")
	e.peer("workers", host, "listen:tcp4:0.0.0.0:8004", "as:65534:dial:1:127.0.0.1:8004")
	e.peer("execed", host)
	e.docker("exec", "-d", e.Name("execed"), "peer", "listen:tcp4:0.0.0.0:8005")
	e.peer("bridge", []string{"-p", "8006:80"}, "listen:tcp4:0.0.0.0:80")
	e.peer("private", append(host, "--cgroupns", "private"), "listen:tcp4:0.0.0.0:8007")

	run := func(part, listen string, options ...string) *outpost {
		e.run(part, append(append(options, "-v", "/var/run/docker.sock:/var/run/docker.sock", "-v", "/proc:/host/proc:ro", "-e", "OUTPOST_LISTEN="+listen,
			"--network", "host", "--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges", "--user", "65534:"+e.inside("stat", "-c", "%g", "/var/run/docker.sock")), outpostImage(t))...)
		o := &outpost{t: t, url: "http://" + listen}
		eventually(t, func() bool { _, err := o.ask("/healthz"); return err == nil })
		return o
	}
	o := run("outpost", "10.77.0.23:9057", "--cgroupns", "host")
	eventually(t, func() bool { return len(o.connections().containers["/"+e.Name("execed")].Listening) > 0 })
	a := o.connections()
	at := func(port string) []string { return []string{"10.77.0.23 " + port} }
	a.expectListening(e.Name("root"), []string{"10.77.0.23 8001", "127.0.0.1 8002"})
	if n := len(a.containers["/"+e.Name("root")].Established); n != 2 {
		t.Errorf("root has %d connections, want both ends of its unaccepted one", n)
	}
	a.expect(e.Name("user"), at("8003"), nil)
	a.expectListening(e.Name("workers"), at("8004"))
	if n := len(a.containers["/"+e.Name("workers")].Established); n != 2 {
		t.Errorf("workers has %d connections, want the ends of the main process and of the worker", n)
	}
	a.expect(e.Name("execed"), at("8005"), nil)
	a.expect(e.Name("bridge"), at("8006"), nil)
	a.expect(e.Name("private"), at("8007"), nil)
	s := o.snapshot()
	if root, bridge := s.container(t, e.Name("root")), s.container(t, e.Name("bridge")); root.Method != "sockdiag" || bridge.Method != "procfs" {
		t.Errorf("%s, %s", root.Method, bridge.Method)
	}
	// In a private cgroup namespace, Outpost does not see the cgroups of others.
	if a := run("outpost-private", "10.77.0.23:9058", "--cgroupns", "private").connections(); !a.incomplete(e.Name("root")) {
		t.Error("root is complete")
	}
}

// On cgroup v2 too, both containers that hold a socket list it, if descriptors may be read. The cgroup names only the container
// that created the socket.
func TestSocketOfTwoContainersIsListedWithBothByCgroup(t *testing.T) {
	e := newEngine(t, "10.77.0.25/24", lab.EngineOptions{CgroupV2: true})
	host := []string{"--network", "host", "-v", t.TempDir() + ":/run/shared"}
	e.peer("giver", host, "give:/run/shared/it:tcp4:0.0.0.0:8001")
	e.peer("taker", host, "take:/run/shared/it", "listen:tcp4:0.0.0.0:8002")
	a := e.start().connections()
	a.expect(e.Name("giver"), []string{"10.77.0.25 8001"}, nil)
	a.expect(e.Name("taker"), []string{"10.77.0.25 8001", "10.77.0.25 8002"}, nil)
}

// In a private cgroup namespace, Outpost does not see the name of its own container in its cgroup. It still knows the container
// by its process, even if another container joined its network.
func TestOwnContainerIsKnownInPrivateCgroups(t *testing.T) {
	e := newEngine(t, "10.77.0.26/24", lab.EngineOptions{CgroupV2: true})
	if err := e.Load(t.Context(), outpostImage(t)); err != nil {
		t.Fatal(err)
	}
	e.run("outpost", "--cgroupns", "private", "-p", "9057:9057", "-e", interfaces, "-v", "/var/run/docker.sock:/var/run/docker.sock", "-v", "/proc:/host/proc:ro",
		"--cap-drop", "ALL", "--cap-add", "SYS_PTRACE", "--cap-add", "SYS_ADMIN", "--cap-add", "DAC_READ_SEARCH", outpostImage(t))
	e.peer("joining", []string{"--network", "container:" + e.Name("outpost")}, "listen:tcp4:0.0.0.0:81", "dial:1:127.0.0.1:9057")
	o := &outpost{t: t, url: "http://10.77.0.26:9057"}
	eventually(t, func() bool { _, err := o.ask("/healthz"); return err == nil })
	a := o.connections()
	a.expectListening(e.Name("outpost"), []string{"10.1.2.3 9057"})
	a.expect(e.Name("joining"), nil, []string{"127.0.0.1 9057"})
	if c := o.snapshot().container(t, e.Name("outpost")); c.Method != "sockdiag" || len(c.Unused) != 0 {
		t.Errorf("%+v", c)
	}
}
