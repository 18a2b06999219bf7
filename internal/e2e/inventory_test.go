package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// engineCalls returns the number of calls to the engine, by kind.
func (o *outpost) engineCalls() map[string]int {
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

// Polls of an unchanged host neither list nor inspect containers nor run commands. Every change is in the next answer.
func TestUnchangedHostNeedsNoEngineCalls(t *testing.T) {
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	o := start(t, interfaces)
	for range 3 { // an event of the start may arrive after the first answers
		o.connections()
	}
	time.Sleep(200 * time.Millisecond)
	o.connections()
	before := o.engineCalls()
	for range 50 {
		o.connections().expect(l.Name("it"), l.endpoints(0), nil)
	}
	after := o.engineCalls()
	for _, kind := range []string{"list", "inspect", "info", "exec_create", "exec_start"} {
		if before[kind] != after[kind] {
			t.Errorf("50 polls made %d calls of kind %s", after[kind]-before[kind], kind)
		}
	}
	for i := range 20 {
		part := fmt.Sprint("new", i)
		l.run(part, tools, "peer")
		if _, ok := o.connections().containers["/"+l.Name(part)]; !ok {
			t.Errorf("%s is not listed after its start", part)
		}
		l.docker("rename", l.Name(part), l.Name("renamed"))
		if _, ok := o.connections().containers["/"+l.Name("renamed")]; !ok {
			t.Errorf("%s is not listed under its new name", part)
		}
		l.docker("rm", "-f", l.Name("renamed"))
		if _, ok := o.connections().containers["/"+l.Name("renamed")]; ok {
			t.Errorf("%s is listed after its removal", part)
		}
	}
	// A restart gives a container another process and other published ports.
	l.peer("random", []string{"--expose", "80", "-P"}, "listen:tcp4:0.0.0.0:80")
	for range 5 {
		l.docker("restart", "-t", "0", l.Name("random"))
		port := strings.Fields(strings.ReplaceAll(l.docker("port", l.Name("random"), "80/tcp"), ":", " "))[1]
		eventually(t, func() bool { return len(o.connections().containers["/"+l.Name("random")].Listening) > 0 })
		o.connections().expect(l.Name("random"), []string{"10.1.2.3 " + port}, nil)
		random := o.snapshot().container(t, l.Name("random"))
		if got, want := random.StartedAt.Format(time.RFC3339Nano), l.docker("inspect", "-f", "{{.State.StartedAt}}", l.Name("random")); got != want {
			t.Errorf("started at %s, the engine reports %s", got, want)
		}
		if fmt.Sprint(random.Exposed) != "[80]" {
			t.Errorf("exposed ports %v", random.Exposed)
		}
	}
	// A container joins a network and leaves it.
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
	if n := o.engineCalls()["exec_create"]; n != 0 {
		t.Errorf("%d commands were run", n)
	}
}

// After containers end, the daemon holds no descriptor of them, and none of its threads is in another network namespace.
func TestNoNamespaceStaysOpen(t *testing.T) {
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
