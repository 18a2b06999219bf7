package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// endpoints returns endpoints of the test's ports, on the address of OUTPOST_INTERFACES.
func (l *testLab) endpoints(ports ...int) []string {
	var endpoints []string
	for _, i := range ports {
		endpoints = append(endpoints, "10.1.2.3 "+l.port(i))
	}
	return endpoints
}

const (
	interfaces = "OUTPOST_INTERFACES=10.1.2.3"
	execOnly   = "OUTPOST_COLLECTOR=exec"
)

// eachMethod calls check with a daemon for each method. On the test's host all methods work.
func eachMethod(t *testing.T, check func(t *testing.T, o *outpost, method string)) {
	t.Helper()
	for _, method := range []string{"sockdiag", "procfs", "exec"} {
		t.Run(method, func(t *testing.T) {
			check(t, start(t, interfaces, "OUTPOST_COLLECTOR="+method), method)
		})
	}
}

func TestPublishedPortsAreListed(t *testing.T) {
	l := newLab(t)
	const listen80 = "listen:tcp4:0.0.0.0:80"
	l.peer("none", nil, listen80)
	l.peer("exposed", []string{"--expose", "80"}, listen80)
	l.peer("all", []string{"--expose", "80", "-P"}, listen80)
	l.peer("range", []string{"-p", l.port(0) + "-" + l.port(2) + ":8100-8102"}, "listen:tcp4:0.0.0.0:8100", "listen:tcp4:0.0.0.0:8102")
	l.peer("three", []string{"-p", l.port(3) + ":80", "-p", "127.0.0.1:" + l.port(4) + ":80", "-p", "[::1]:" + l.port(5) + ":80"}, listen80)
	l.peer("loopback", []string{"-p", "127.0.0.1:" + l.port(6) + ":80"}, listen80)
	l.peer("udp", []string{"-p", l.port(7) + ":80/udp"}, listen80)
	l.peer("inside", []string{"-p", l.port(8) + ":80"}, "listen:tcp4:127.0.0.1:80")
	l.peer("unused", []string{"-p", l.port(9) + ":81"}, listen80)
	random := strings.Fields(strings.ReplaceAll(l.docker("port", l.Name("all"), "80/tcp"), ":", " "))[1]

	eachMethod(t, func(_ *testing.T, o *outpost, _ string) {
		a := o.connections()
		for part, listening := range map[string][]string{
			"none": nil, "exposed": nil, "udp": nil, "inside": nil, "unused": nil,
			"all":      {"10.1.2.3 " + random},
			"range":    l.endpoints(0, 2),
			"three":    {"10.1.2.3 " + l.port(3), "127.0.0.1 " + l.port(4), "::1 " + l.port(5)},
			"loopback": {"127.0.0.1 " + l.port(6)},
		} {
			a.expect(l.Name(part), listening, nil)
		}
	})
}

// Only a real kernel has all these kinds of listeners and connections.
func TestListensAndConnectionsOfEveryKind(t *testing.T) {
	l := newLab(t)
	ports := []string{"-p", l.port(0) + "-" + l.port(6) + ":8000-8006"}
	l.peer("server", ports,
		"listen:tcp:[::]:8000",               // dual-stack, with an IPv4 client; Go listens with MPTCP
		"listen:tcp6:[::]:8001",              // IPv6 only
		"listen:tcp:[::ffff:127.0.0.1]:8002", // v4-mapped loopback
		"reuse:tcp4:0.0.0.0:8003",            // two listeners, one endpoint
		"queue:tcp4:0.0.0.0:8004",            // never accepts
		"listen:tcp4:0.0.0.0:8005",           // with a connection from the same container
		"dial:1:127.0.0.1:8005",
	)
	server := l.address("server")
	l.peer("client", nil, "dial:2:"+server+":8000", "dial:1:"+server+":8004")
	client := l.address("client")

	eachMethod(t, func(t *testing.T, o *outpost, _ string) {
		a := o.connections()
		a.expect(l.Name("client"), nil, []string{server + " 8000", server + " 8000", server + " 8004"})
		a.expectListening(l.Name("server"), l.endpoints(0, 1, 3, 4, 5))
		remotes := make(map[string]int)
		for _, e := range a.containers["/"+l.Name("server")].Established {
			remotes[e.Address]++
		}
		// Two accepted connections, one unaccepted, and both ends of its own connection.
		if remotes[client] != 3 || remotes["127.0.0.1"] != 2 || len(remotes) != 2 {
			t.Errorf("the server is connected to %v", remotes)
		}
	})
}

// The ends of a connection for each path on one host. TestPublishedPortAcrossTwoHosts has the path between two hosts.
func TestConnectionEndsOfEachPath(t *testing.T) {
	l := newLab(t)
	if err := l.Network(t.Context(), "net"); err != nil {
		t.Fatal(err)
	}
	network := []string{"--network", l.Name("net")}
	l.peer("server", append(network, "-p", l.port(0)+":80"), "listen:tcp4:0.0.0.0:80")
	gateway := l.docker("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Gateway}}{{end}}", l.Name("net"))
	server, published := l.address("server")+" 80", gateway+" "+l.port(0)
	l.peer("same-bridge", network, "dial:1:"+l.Name("server")+":80")
	l.peer("gateway", network, "dial:1:"+gateway+":"+l.port(0))
	l.peer("other-bridge", nil, "dial:1:"+gateway+":"+l.port(0))
	l.peer("itself", append(network, "-p", l.port(1)+":80"), "listen:tcp4:0.0.0.0:80", "dial:1:"+gateway+":"+l.port(1))
	l.peer("process", []string{"--network", "host"}, "dial:1:127.0.0.1:"+l.port(0), "dial:1:"+gateway+":"+l.port(0))

	eachMethod(t, func(t *testing.T, o *outpost, _ string) {
		a := o.connections()
		a.expect(l.Name("same-bridge"), nil, []string{server})
		a.expect(l.Name("gateway"), nil, []string{published})
		a.expect(l.Name("other-bridge"), nil, []string{published})
		a.expect(l.Name("process"), nil, []string{"127.0.0.1 " + l.port(0), published})
		a.expectListening(l.Name("server"), l.endpoints(0))
		a.expectListening(l.Name("itself"), l.endpoints(1))

		s := o.snapshot()
		// For a client on the same bridge or on the host's loopback, docker-proxy is the client of the published port.
		// The other paths keep the client's port.
		port := func(part string, i int) string {
			return fmt.Sprint(s.container(t, l.Name(part)).Connections[i].Local.Port)
		}
		want := map[string]bool{l.address("same-bridge") + " " + port("same-bridge", 0): true, gateway + " " + port("process", 1): true}
		fromGateway := 0
		for _, x := range s.container(t, l.Name("server")).Connections {
			delete(want, x.Remote.String())
			if x.Direction != "in" {
				t.Errorf("%+v", x)
			}
			if x.Remote.Address == gateway {
				fromGateway++
			}
		}
		if len(want) != 0 || fromGateway != 4 {
			t.Errorf("the server has no connection from %v; %d come from the gateway, want 4", want, fromGateway)
		}
		itself := s.container(t, l.Name("itself")).Connections
		if len(itself) != 2 || itself[0].Direction+itself[1].Direction != "inout" || itself[0].Remote.Address != gateway || itself[1].Remote.String() != gateway+" "+l.port(1) {
			t.Errorf("itself: %+v", itself)
		}
	})
}

func TestSocketOwnersOnHostNetwork(t *testing.T) {
	l := newLab(t)
	host := []string{"--network", "host"}
	l.peer("root", host, "listen:tcp4:0.0.0.0:"+l.port(1), "queue:tcp4:127.0.0.1:"+l.port(2), "dial:1:127.0.0.1:"+l.port(2))
	l.peer("user", append(host, "-u", "1000"), "listen:tcp4:0.0.0.0:"+l.port(3))
	l.peer("host-pids", append(host, "--pid", "host"), "listen:tcp4:0.0.0.0:"+l.port(4))
	l.peer("execed", host)
	l.docker("exec", "-d", l.Name("execed"), "peer", "listen:tcp4:0.0.0.0:"+l.port(5))
	l.peer("workers", host, "listen:tcp4:0.0.0.0:"+l.port(6), "as:65534:dial:1:127.0.0.1:"+l.port(6))
	l.run("scratch", "--network", "host", "--expose", l.port(7), bare, "/peer", "listen:tcp4:0.0.0.0:"+l.port(7), "listen:tcp4:0.0.0.0:"+l.port(8))
	if err := l.Ready(t.Context(), "scratch"); err != nil {
		t.Fatal(err)
	}

	// Go listens with MPTCP if the kernel supports it. Then the listeners above use it.
	if enabled, _ := os.ReadFile("/proc/sys/net/mptcp/enabled"); strings.TrimSpace(string(enabled)) == "1" && mptcpSockets(t) == 0 {
		t.Error("no socket of the test uses MPTCP")
	}

	eachMethod(t, func(t *testing.T, o *outpost, method string) {
		var a *answer
		eventually(t, func() bool { // the exec process does not report that it is ready
			a = o.connections()
			return len(a.containers["/"+l.Name("execed")].Listening) > 0
		})
		root := a.containers["/"+l.Name("root")]
		a.expectListening(l.Name("root"), []string{"10.1.2.3 " + l.port(1), "127.0.0.1 " + l.port(2)})
		if len(root.Established) != 2 || !strings.Contains(fmt.Sprint(root.Established), "127.0.0.1 "+l.port(2)) {
			t.Errorf("root has %v, want both ends of its unaccepted connection", root.Established)
		}
		a.expect(l.Name("user"), l.endpoints(3), nil)
		a.expect(l.Name("host-pids"), l.endpoints(4), nil)
		a.expect(l.Name("execed"), l.endpoints(5), nil)
		if method != "exec" {
			a.expectListening(l.Name("scratch"), l.endpoints(7, 8))
			a.expectListening(l.Name("workers"), l.endpoints(6))
			if n := len(a.containers["/"+l.Name("workers")].Established); n != 2 {
				t.Errorf("workers: %d connections, want those of the main process and of the worker", n)
			}
			return
		}
		// The main process accepted the connection. The owner of the worker's end is unknown.
		workers := a.containers["/"+l.Name("workers")]
		if !a.incomplete(l.Name("workers")) || fmt.Sprint(workers.Listening) != fmt.Sprint(l.endpoints(6)) || len(workers.Established) != 1 {
			t.Errorf("workers: incomplete %v, %+v", a.incomplete(l.Name("workers")), workers)
		}
		// No command runs in it. Its table is read through another container, and its exposed port is known.
		a.expectPartial(l.Name("scratch"), l.endpoints(7), nil)
		warning := "Unable to obtain inodes for the container's (" + l.docker("inspect", "-f", "{{.Id}}", l.Name("scratch")) +
			") main process. Some connections will be omitted to preserve accuracy"
		if n := strings.Count(o.logged(), warning); n != 1 {
			t.Errorf("the warning is in the log %d times, want once:\n%s", n, o.logged())
		}
	})
}

// mptcpSockets returns the number of MPTCP sockets in the host's namespace (/proc/net/protocols; proto_seq_printf in
// net/core/sock.c).
func mptcpSockets(t *testing.T) int {
	t.Helper()
	protocols, err := os.ReadFile("/proc/net/protocols")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(protocols)) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[0], "MPTCP") {
			sockets, err := strconv.Atoi(fields[2])
			if err != nil {
				t.Fatal(err)
			}
			n += sockets
		}
	}
	return n
}

func TestJoinedNamespaceIsShared(t *testing.T) { eachMethod(t, testJoinedNamespaceIsShared) }

func testJoinedNamespaceIsShared(t *testing.T, o *outpost, _ string) {
	l := newLab(t)
	l.peer("owner", []string{"-p", l.port(0) + ":80", "-p", l.port(1) + ":81"}, "listen:tcp4:0.0.0.0:80")
	l.peer("sidecar", []string{"--network", "container:" + l.Name("owner")}, "listen:tcp4:0.0.0.0:81", "dial:1:127.0.0.1:80")

	a := o.connections()
	a.expectListening(l.Name("owner"), l.endpoints(0))
	a.expect(l.Name("sidecar"), l.endpoints(1), []string{"127.0.0.1 80"})
	if n := len(a.containers["/"+l.Name("owner")].Established); n != 1 {
		t.Errorf("the owner has %d connections, want its end of one", n)
	}

	// The namespace outlives its first container, but the published ports end with that container.
	l.docker("stop", "-t", "0", l.Name("owner"))
	a = o.connections()
	a.expectListening(l.Name("sidecar"), nil)
	if _, listed := a.containers["/"+l.Name("owner")]; listed {
		t.Error("a stopped container is listed")
	}
	// After a restart the owner has a new namespace with the published ports. The sidecar stays in the old one.
	l.docker("start", l.Name("owner"))
	if err := l.Ready(t.Context(), "owner"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		a = o.connections()
		return len(a.containers["/"+l.Name("owner")].Listening) > 0
	})
	a.expect(l.Name("owner"), l.endpoints(0), nil)
	a.expectListening(l.Name("sidecar"), nil)
}

// expectListening is expect without the connections.
func (a *answer) expectListening(name string, listening []string) {
	a.t.Helper()
	a.expect(name, listening, a.established(name))
}

func (a *answer) established(name string) []string {
	var established []string
	for _, e := range a.containers["/"+name].Established {
		established = append(established, e.String())
	}
	return established
}

// A process of a container makes a network namespace of its own and listens there. No answer claims to have read it.
func TestSecondNetNSOfAContainerIsReported(t *testing.T) {
	l := newLab(t)
	l.run("it", "-p", l.port(0)+":10250", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", tools,
		"sh", "-c", "busybox unshare -n peer listen:tcp4:0.0.0.0:6443 & exec peer listen:tcp4:0.0.0.0:10250")
	eventually(t, func() bool { return strings.Count(l.logs("it"), "ready") == 2 })
	o := start(t, interfaces)
	o.connections().expectPartial(l.Name("it"), l.endpoints(0), nil)
	if c := o.snapshot().container(t, l.Name("it")); c.Status != "partial" || !strings.Contains(c.Reason, "some of its processes are in another network namespace, which is not read") {
		t.Errorf("%s: %s", c.Status, c.Reason)
	}
	report, _ := exec.CommandContext(t.Context(), binary, "doctor").CombinedOutput() // fails because of the container
	counts := regexp.MustCompile(`(\d+) of (\d+) are read completely`).FindStringSubmatch(string(report))
	if counts == nil || counts[1] == counts[2] || !strings.Contains(string(report), l.Name("it")) {
		t.Errorf("%s", report)
	}
}
