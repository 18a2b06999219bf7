package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/lab"
)

// snapshotOf is an answer of GET /v1/snapshot, as far as the tests look at it.
type snapshotOf struct {
	Host       struct{ Addresses []string }
	Containers []*snapshotContainer
}

type snapshotContainer struct {
	ID, Name, Method, Status, Reason, Namespace string
	Unused                                      []struct{ Method, Reason string }
	Listening                                   []snapshotListener
	Connections                                 []snapshotConnection
}

type snapshotListener struct {
	Address   string
	Port      uint16
	Published []endpoint
	Process   string
}

type snapshotConnection struct {
	Local, Remote             endpoint
	Direction, State, Process string
	Measured                  *struct{ RTTMicroseconds, BytesSent, BytesReceived int64 }
}

func (o *outpost) snapshot() snapshotOf {
	o.t.Helper()
	a := o.get("/v1/snapshot")
	if a.status != http.StatusOK {
		o.t.Fatalf("%d %s", a.status, a.body)
	}
	var s snapshotOf
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		o.t.Fatal(err)
	}
	return s
}

// of returns one container.
func (s snapshotOf) of(t testing.TB, name string) *snapshotContainer {
	t.Helper()
	for _, c := range s.Containers {
		if c.Name == "/"+name {
			return c
		}
	}
	t.Fatalf("no %s in the snapshot", name)
	return nil
}

// listens lists the listeners as "address port", but for the resolver that the engine puts into a container.
func (c *snapshotContainer) listens() []string {
	var all []string
	for _, l := range c.Listening {
		if l.Address != "127.0.0.11" {
			all = append(all, endpoint{l.Address, l.Port}.String())
		}
	}
	return all
}

// withoutMethod drops what differs from method to method: which it is, what only one measures, and what closes by
// itself.
func (s snapshotOf) withoutMethod(names ...string) []*snapshotContainer {
	var all []*snapshotContainer
	for _, c := range s.Containers {
		if !slices.Contains(names, strings.TrimPrefix(c.Name, "/")) {
			continue
		}
		c.Method, c.Unused = "", nil
		for i := range c.Listening {
			c.Listening[i].Process = ""
		}
		c.Connections = slices.DeleteFunc(c.Connections, func(x snapshotConnection) bool { return x.State == "TIME_WAIT" })
		for i := range c.Connections {
			c.Connections[i].Measured, c.Connections[i].Process = nil, ""
		}
		all = append(all, c)
	}
	return all
}

// All methods see the same.
func TestMethodsAgree(t *testing.T) {
	l := newLab(t)
	if err := l.Network(t.Context(), "net"); err != nil {
		t.Fatal(err)
	}
	network := []string{"--network", l.Name("net")}
	l.peer("web", append(network, "-p", l.port(0)+":80"), "listen:tcp:[::]:80", "listen:tcp4:127.0.0.1:81", "queue:tcp4:0.0.0.0:82", "reuse:tcp4:0.0.0.0:83")
	l.peer("client", network, "dial:3:"+l.Name("web")+":80", "dial:1:"+l.Name("web")+":82")
	l.peer("sidecar", []string{"--network", "container:" + l.Name("web")}, "listen:tcp4:0.0.0.0:90", "dial:2:127.0.0.1:81")
	l.peer("host", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:"+l.port(1), "dial:1:127.0.0.1:"+l.port(0))
	l.peer("idle", nil)
	l.peer("alone", []string{"--network", "none"}, "listen:tcp4:127.0.0.1:80", "dial:1:127.0.0.1:80")
	var names []string
	for _, part := range []string{"web", "client", "sidecar", "host", "idle", "alone"} {
		names = append(names, l.Name(part))
	}

	seen := make(map[string][]*snapshotContainer)
	eachMethod(t, func(t *testing.T, o *outpost, method string) {
		s := o.snapshot()
		for _, name := range names {
			c := s.of(t, name)
			if c.Method != method || c.Status != "ok" || len(c.Unused) != 0 {
				t.Errorf("%s: %s, %s %s, unused %v", name, c.Method, c.Status, c.Reason, c.Unused)
			}
			for _, x := range c.Connections {
				if (x.Measured != nil) != (method == "sockdiag") {
					t.Errorf("%s: %+v", name, x)
				}
			}
		}
		host := s.of(t, l.Name("host"))
		if known := host.Listening[0].Process; (known == "peer") != (method != "exec") {
			t.Errorf("the process that listens is %q", known)
		}
		seen[method] = s.withoutMethod(names...)
	})
	for _, method := range []string{"procfs", "exec"} {
		if diff := cmp.Diff(seen["sockdiag"], seen[method]); diff != "" {
			t.Errorf("(-sockdiag +%s):\n%s", method, diff)
		}
	}
	web := snapshotOf{Containers: seen["sockdiag"]}.of(t, l.Name("web"))
	if got, want := fmt.Sprint(web.listens()), "[0.0.0.0 82 0.0.0.0 83 0.0.0.0 83 127.0.0.1 81 :: 80]"; got != want {
		t.Errorf("web listens on %s, want %s", got, want)
	}
	in := 0
	for _, x := range web.Connections {
		if x.Direction == "in" {
			in++
		}
	}
	if in != 7 || in != len(web.Connections) {
		t.Errorf("%d of %d connections of web come in", in, len(web.Connections))
	}
}

// A container in TIME_WAIT alone has a connection that is past, and none in the list of /connections.
func TestTimeWait(t *testing.T) {
	l := newLab(t)
	l.peer("server", nil, "serve:tcp4:0.0.0.0:80")
	l.peer("client", nil, "hang-up:2:"+l.address("server")+":80")
	eachMethod(t, func(t *testing.T, o *outpost, _ string) {
		c := o.snapshot().of(t, l.Name("client"))
		if len(c.Connections) != 2 || c.Connections[0].State != "TIME_WAIT" || c.Connections[0].Direction != "out" {
			t.Errorf("%+v", c.Connections)
		}
		o.connections().expect(l.Name("client"), nil, nil)
	})
}

// A socket whose descriptor two containers hold is listed with both.
func TestSocketOfTwoContainers(t *testing.T) {
	l := newLab(t)
	shared := t.TempDir() + ":/run/shared"
	host := []string{"--network", "host", "-v", shared}
	l.peer("giver", host, "give:/run/shared/it:tcp4:0.0.0.0:"+l.port(0))
	l.peer("taker", host, "take:/run/shared/it")
	eachMethod(t, func(_ *testing.T, o *outpost, _ string) {
		a := o.connections()
		a.expect(l.Name("giver"), l.on(0), nil)
		a.expect(l.Name("taker"), l.on(0), nil)
	})
}

// A process whose leading thread has exited still has its sockets.
func TestLeadingThreadGone(t *testing.T) {
	l := newLab(t)
	l.peer("own", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80", "headless")
	pid := l.docker("inspect", "-f", "{{.State.Pid}}", l.Name("own"))
	t.Cleanup(func() { // the engine takes the process for dead, and refuses to kill it
		_ = exec.Command("kill", "-9", pid).Run() //nolint:noctx // the test's context has ended
		_, _ = l.Docker(context.WithoutCancel(t.Context()), "wait", l.Name("own"))
	})
	eventually(t, func() bool {
		_, err := os.Stat("/proc/" + pid + "/net/tcp")
		return os.IsNotExist(err)
	})
	for _, method := range []string{"sockdiag", "procfs"} {
		start(t, interfaces, "OUTPOST_COLLECTOR="+method).connections().expect(l.Name("own"), l.on(0), nil)
	}
}

// While others open and close, each of 3,000 connections that stay is seen once in every answer.
func TestChurnOfConnections(t *testing.T) {
	const stable = 3000
	l := newLab(t)
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80", "serve:tcp4:0.0.0.0:81")
	server := l.address("server")
	l.peer("client", nil, "dial:"+strconv.Itoa(stable)+":"+server+":80", "churn:4:"+server+":81")
	eachMethod(t, func(t *testing.T, o *outpost, _ string) {
		for range 5 {
			c := o.snapshot().of(t, l.Name("client"))
			seen := make(map[uint16]int)
			for _, x := range c.Connections {
				if x.Remote.Port == 80 {
					seen[x.Local.Port]++
				}
			}
			if len(seen) != stable || c.Status != "ok" {
				t.Errorf("%d of %d connections; %s", len(seen), stable, c.Reason)
			}
			for port, n := range seen {
				if n != 1 {
					t.Errorf("the connection from port %d is there %d times", port, n)
				}
			}
		}
	})
}

// unprivileged starts a daemon as a user without any capability, who may reach the engine.
func unprivileged(t *testing.T, variables ...string) *outpost {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root becomes another user")
	}
	socket := filepath.Join(sharedDirectory(t), "engine.sock")
	serveSocket(t, socket, getOnly(t))
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

// sharedDirectory is a directory of the test that every user may enter.
func sharedDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "e2e-shared") //nolint:usetesting // into t.TempDir no other user may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	return directory
}

// Without any capability and with GET alone, the tables of all containers are read, and what is missing is named.
func TestNoCapability(t *testing.T) {
	l := newLab(t)
	l.run("scratch", "-p", l.port(0)+":80", bare, "/peer", "listen:tcp4:0.0.0.0:80")
	l.peer("paused", []string{"-p", l.port(1) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.docker("pause", l.Name("paused"))
	t.Cleanup(func() { _, _ = l.Docker(t.Context(), "unpause", l.Name("paused")) })
	l.peer("private", []string{"-p", l.port(2) + ":80", "--cgroupns", "private"}, "listen:tcp4:0.0.0.0:80")
	l.peer("host", []string{"--network", "host", "--expose", l.port(3)}, "listen:tcp4:0.0.0.0:"+l.port(3), "listen:tcp4:0.0.0.0:"+l.port(4))

	o := unprivileged(t)
	for range 2 {
		a := o.connections()
		for i, part := range []string{"scratch", "paused", "private"} {
			a.expect(l.Name(part), l.on(i), nil)
		}
		// Whose sockets are whose on the host's network is not told without a capability or cgroup v2.
		a.expectPartial(l.Name("host"), l.on(3), nil)
	}
	s := o.snapshot()
	if c := s.of(t, l.Name("scratch")); c.Method != "procfs" || len(c.Unused) != 1 || !strings.HasPrefix(c.Unused[0].Reason, "CAP_SYS_PTRACE is missing") {
		t.Errorf("%+v", c)
	}
	if c := s.of(t, l.Name("host")); !strings.Contains(c.Reason, "CAP_DAC_READ_SEARCH is missing") {
		t.Errorf("%+v", c)
	}
	if n := o.timesLogged(`"sockdiag":"`, `"procfs":"works`, "CAP_SYS_PTRACE is missing", "owners_by_cgroup"); n != 1 {
		t.Errorf("%d lines say which ways work:\n%s", n, o.logged())
	}
	if n := o.timesLogged(l.Name("host"), "Unable to obtain inodes"); n != 1 {
		t.Errorf("the warning is in the log %d times:\n%s", n, o.logged())
	}
}

// A /proc that hides processes is named as such, and what was read through it is read otherwise from then on, and
// through it again when it shows them.
func TestHiddenProcesses(t *testing.T) {
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
	o.connections().expect(l.Name("it"), l.on(0), nil)
	for range 2 {
		mount("-o", "remount,hidepid=2", proc)
		for range 2 {
			// GET alone is permitted, so that the last resort fails too.
			o.connections().expectPartial(l.Name("it"), nil, nil)
		}
		if c := o.snapshot().of(t, l.Name("it")); c.Method != "none" || !strings.Contains(c.Reason, "exec not permitted") {
			t.Errorf("%+v", c)
		}
		mount("-o", "remount,hidepid=0", proc)
		for range 2 {
			o.connections().expect(l.Name("it"), l.on(0), nil)
		}
	}
	forced := unprivileged(t, "OUTPOST_PROC="+proc, "OUTPOST_COLLECTOR=procfs")
	eventually(t, func() bool { return forced.timesLogged(`"procfs":"works`) == 1 })
	mount("-o", "remount,hidepid=2", proc)
	if c := forced.snapshot().of(t, l.Name("it")); !strings.Contains(c.Reason, "mounted with hidepid") {
		t.Errorf("%+v", c)
	}
}

// A way that is forced and cannot work ends the program and says why.
func TestForcedMethodThatCannotWork(t *testing.T) {
	l := newLab(t)
	l.peer("it", nil)
	for _, test := range []struct{ method, reason string }{
		{"sockdiag", "CAP_SYS_PTRACE is missing"},
	} {
		o := unprivileged(t, "OUTPOST_COLLECTOR="+test.method)
		select {
		case <-o.done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it goes on", test.method)
		}
		if status := o.end(); status != 1 || !strings.Contains(o.logged(), "OUTPOST_COLLECTOR="+test.method+" does not work: "+test.reason) {
			t.Errorf("%s: status %d:\n%s", test.method, status, o.logged())
		}
		o.status = 0 // as was asked for
	}
}

// calls returns how often the engine was asked, by kind.
func (o *outpost) calls() map[string]int {
	o.t.Helper()
	calls := make(map[string]int)
	for line := range strings.Lines(o.get("/metrics").body) {
		var kind string
		var n int
		if _, err := fmt.Sscanf(strings.NewReplacer(`"`, " ", "}", " ").Replace(line), "outpost_engine_calls_total{kind= %s %d", &kind, &n); err == nil {
			calls[kind] = n
		}
	}
	return calls
}

// Polls of a host on which nothing changes inspect nothing, list nothing and run nothing; what changes is in the next
// answer.
func TestInventory(t *testing.T) {
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	o := start(t, interfaces)
	for range 3 { // an event of the start may come after its answer was asked for
		o.connections()
	}
	time.Sleep(200 * time.Millisecond)
	o.connections()
	before := o.calls()
	for range 50 {
		o.connections().expect(l.Name("it"), l.on(0), nil)
	}
	after := o.calls()
	for _, kind := range []string{"list", "inspect", "info", "exec_create", "exec_start"} {
		if before[kind] != after[kind] {
			t.Errorf("50 polls made %d calls of kind %s", after[kind]-before[kind], kind)
		}
	}
	for i := range 20 {
		part := fmt.Sprint("new", i)
		l.run(part, tools, "peer")
		if _, ok := o.connections().containers["/"+l.Name(part)]; !ok {
			t.Errorf("%s was started and is not listed", part)
		}
		l.docker("rename", l.Name(part), l.Name("renamed"))
		if _, ok := o.connections().containers["/"+l.Name("renamed")]; !ok {
			t.Errorf("%s was renamed and is not listed so", part)
		}
		l.docker("rm", "-f", l.Name("renamed"))
		if _, ok := o.connections().containers["/"+l.Name("renamed")]; ok {
			t.Errorf("%s was removed and is listed", part)
		}
	}
	// Started anew: another process, other ports.
	l.peer("random", []string{"--expose", "80", "-P"}, "listen:tcp4:0.0.0.0:80")
	for range 5 {
		l.docker("restart", "-t", "0", l.Name("random"))
		port := strings.Fields(strings.ReplaceAll(l.docker("port", l.Name("random"), "80/tcp"), ":", " "))[1]
		eventually(t, func() bool { return len(o.connections().containers["/"+l.Name("random")].Listening) > 0 })
		o.connections().expect(l.Name("random"), []string{"10.1.2.3 " + port}, nil)
	}
	// A network that is connected and disconnected.
	if err := l.Network(t.Context(), "net"); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"connect", "disconnect"} {
		l.docker("network", verb, l.Name("net"), l.Name("it"))
		body := o.get("/v1/snapshot?container=" + l.Name("it")).body
		if strings.Contains(body, `"`+l.Name("net")+`"`) != (verb == "connect") {
			t.Errorf("after %s: %s", verb, body)
		}
	}
	if n := o.calls()["exec_create"]; n != 0 {
		t.Errorf("%d commands were run", n)
	}
}

// After containers have come and gone nothing of them is held: no descriptor, and no thread is in another namespace.
func TestHoldsNoNamespace(t *testing.T) {
	l := newLab(t)
	o := start(t)
	o.connections()
	http.DefaultClient.CloseIdleConnections()
	time.Sleep(200 * time.Millisecond)
	descriptors := o.descriptors()
	for i := range 5 {
		part := fmt.Sprint("it", i)
		l.peer(part, nil, "listen:tcp4:0.0.0.0:80")
		o.connections().expectListening(l.Name(part), nil)
		l.docker("rm", "-f", l.Name(part))
		o.connections()
	}
	http.DefaultClient.CloseIdleConnections()
	eventually(t, func() bool { return o.descriptors() <= descriptors })
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/ns/net", o.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if namespace, err := os.Readlink(thread); err == nil && namespace != own {
			t.Errorf("%s is in %s", thread, namespace)
		}
	}
}

// The links of LINKS between two hosts: what each sees of a connection to the other's published port.
func TestTwoHosts(t *testing.T) {
	a, b := newEngine(t, "10.77.0.21/24", lab.EngineOptions{}), newEngine(t, "10.77.0.22/24", lab.EngineOptions{})
	b.peer("server", []string{"-p", "8080:80"}, "listen:tcp4:0.0.0.0:80")
	a.peer("client", nil, "dial:1:10.77.0.22:8080")
	a.peer("process", []string{"--network", "host"}, "dial:1:10.77.0.22:8080")

	onA, onB := a.start(), b.start()
	local := onA.snapshot().of(t, a.Name("client")).Connections[0].Local
	byHost := onA.snapshot().of(t, a.Name("process")).Connections[0].Local
	onA.connections().expect(a.Name("client"), nil, []string{"10.77.0.22 8080"})
	onA.connections().expect(a.Name("process"), nil, []string{"10.77.0.22 8080"})
	// Masquerading keeps the port: the server sees the client's host.
	want := []string{fmt.Sprint("10.77.0.21 ", local.Port), fmt.Sprint("10.77.0.21 ", byHost.Port)}
	slices.Sort(want)
	onB.connections().expect(b.Name("server"), []string{"10.77.0.22 8080"}, want)
	if got := fmt.Sprint(onB.snapshot().Host.Addresses); !strings.Contains(got, "10.77.0.22") {
		t.Errorf("the host's addresses are %s", got)
	}
}

// start starts a daemon in the engine's namespaces.
func (e *testEngine) start(variables ...string) *outpost {
	e.t.Helper()
	address := net.JoinHostPort(e.ip, "9057")
	return startCommand(e.t, e.Command(context.WithoutCancel(e.t.Context()), binary), append(variables, "OUTPOST_LISTEN="+address)...)
}

// On cgroup v2, and with the host's network and cgroups, the owners on the host's network are told without any
// capability, also those of other users' processes.
func TestOwnersByCgroup(t *testing.T) {
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
		t.Errorf("root has %d connections, want both ends of the one that is not accepted", n)
	}
	a.expect(e.Name("user"), at("8003"), nil)
	a.expectListening(e.Name("workers"), at("8004"))
	if n := len(a.containers["/"+e.Name("workers")].Established); n != 2 {
		t.Errorf("workers has %d connections, want the master's end and the worker's", n)
	}
	a.expect(e.Name("execed"), at("8005"), nil)
	a.expect(e.Name("bridge"), at("8006"), nil)
	a.expect(e.Name("private"), at("8007"), nil)
	s := o.snapshot()
	if root, bridge := s.of(t, e.Name("root")), s.of(t, e.Name("bridge")); root.Method != "sockdiag" || bridge.Method != "procfs" {
		t.Errorf("%s, %s", root.Method, bridge.Method)
	}
	// In a cgroup namespace of its own Outpost does not see them.
	private := run("outpost-private", "10.77.0.23:9058", "--cgroupns", "private")
	if a := private.connections(); !a.incomplete(e.Name("root")) {
		t.Error("root is complete")
	}
	if log := e.docker("logs", e.Name("outpost-private")); log == "" {
		t.Log("nothing is logged")
	}
}
