package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// All methods return the same listeners and connections.
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
			c := s.container(t, name)
			if c.Method != method || c.Status != "ok" || len(c.Unused) != 0 {
				t.Errorf("%s: %s, %s %s, unused %v", name, c.Method, c.Status, c.Reason, c.Unused)
			}
			for _, x := range c.Connections {
				if (x.Measured != nil) != (method == "sockdiag") {
					t.Errorf("%s: %+v", name, x)
				}
			}
		}
		host := s.container(t, l.Name("host"))
		if known := host.Listening[0].Process; (known == "peer") != (method != "exec") {
			t.Errorf("by %s the listening process is %q", method, known)
		}
		seen[method] = s.withoutMethodDetails(names...)
	})
	for _, method := range []string{"procfs", "exec"} {
		if diff := cmp.Diff(seen["sockdiag"], seen[method]); diff != "" {
			t.Errorf("(-sockdiag +%s):\n%s", method, diff)
		}
	}
	web := snapshotAnswer{Containers: seen["sockdiag"]}.container(t, l.Name("web"))
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

// A connection in TIME_WAIT is in the snapshot and not in /connections.
func TestTimeWaitIsInTheSnapshotOnly(t *testing.T) {
	l := newLab(t)
	before := time.Now().Add(-2 * time.Second) // the time is truncated, and the kernel's ticks are not exact
	l.peer("server", nil, "serve:tcp4:0.0.0.0:80")
	l.peer("client", nil, "hang-up:2:"+l.address("server")+":80")
	eachMethod(t, func(t *testing.T, o *outpost, _ string) {
		c := o.snapshot().container(t, l.Name("client"))
		if len(c.Connections) != 2 || c.Connections[0].State != "TIME_WAIT" || c.Connections[0].Direction != "out" {
			t.Errorf("%+v", c.Connections)
		}
		for _, x := range c.Connections {
			if x.ClosedAt == nil || x.ClosedAt.Before(before) || x.ClosedAt.After(time.Now()) {
				t.Errorf("closed at %v, want between %s and now", x.ClosedAt, before)
			}
		}
		o.connections().expect(l.Name("client"), nil, nil)
	})
}

// If two containers hold the descriptor of a socket, both list it.
func TestSocketOfTwoContainersIsListedWithBoth(t *testing.T) {
	l := newLab(t)
	shared := t.TempDir() + ":/run/shared"
	host := []string{"--network", "host", "-v", shared}
	l.peer("giver", host, "give:/run/shared/it:tcp4:0.0.0.0:"+l.port(0))
	l.peer("taker", host, "take:/run/shared/it")
	eachMethod(t, func(_ *testing.T, o *outpost, _ string) {
		a := o.connections()
		a.expect(l.Name("giver"), l.endpoints(0), nil)
		a.expect(l.Name("taker"), l.endpoints(0), nil)
	})
}

// A process keeps its sockets after its leading thread has exited. On the host's network its sockets are still attributed to
// its container.
func TestProcessWithoutLeadingThreadIsRead(t *testing.T) {
	l := newLab(t)
	l.headless("own", "-p", l.port(0)+":80", tools, "peer", "listen:tcp4:0.0.0.0:80")
	l.headless("host", "--network", "host", tools, "peer", "listen:tcp4:0.0.0.0:"+l.port(1))
	for _, method := range []string{"sockdiag", "procfs"} {
		a := start(t, interfaces, "OUTPOST_COLLECTOR="+method).connections()
		a.expect(l.Name("own"), l.endpoints(0), nil)
		a.expect(l.Name("host"), l.endpoints(1), nil)
	}
}

// headless starts a container and waits until the leading thread of its process has exited.
func (l *testLab) headless(part string, args ...string) {
	l.t.Helper()
	l.run(part, append(args, "headless")...)
	if err := l.Ready(l.t.Context(), part); err != nil {
		l.t.Fatal(err)
	}
	pid := l.docker("inspect", "-f", "{{.State.Pid}}", l.Name(part))
	l.t.Cleanup(func() { // the engine considers the process dead and does not kill it
		_ = exec.Command("kill", "-9", pid).Run() //nolint:noctx // the test's context has ended
		_, _ = l.Docker(context.WithoutCancel(l.t.Context()), "wait", l.Name(part))
	})
	eventually(l.t, func() bool {
		_, err := os.Stat("/proc/" + pid + "/net/tcp")
		return os.IsNotExist(err)
	})
}

// While other connections open and close, each of 3,000 stable connections is in every answer exactly once.
func TestStableConnectionsAreSeenOnceDuringChurn(t *testing.T) {
	const stable = 3000
	l := newLab(t)
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80", "serve:tcp4:0.0.0.0:81")
	server := l.address("server")
	l.peer("client", nil, "dial:"+strconv.Itoa(stable)+":"+server+":80", "churn:4:"+server+":81")
	eachMethod(t, func(t *testing.T, o *outpost, _ string) {
		for range 5 {
			c := o.snapshot().container(t, l.Name("client"))
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
					t.Errorf("the connection from port %d is listed %d times", port, n)
				}
			}
		}
	})
}
