package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// on lists ports at the interface that the tests give to Outpost.
func on(ports ...int) []string {
	var endpoints []string
	for _, port := range ports {
		endpoints = append(endpoints, fmt.Sprint("10.1.2.3 ", port))
	}
	return endpoints
}

const interfaces = "OUTPOST_INTERFACES=10.1.2.3"

func TestPublishedPorts(t *testing.T) {
	l := newLab(t)
	const listen80 = "listen:tcp4:0.0.0.0:80"
	l.peer("none", nil, listen80)
	l.peer("exposed", []string{"--expose", "80"}, listen80)
	l.peer("all", []string{"--expose", "80", "-P"}, listen80)
	l.peer("range", []string{"-p", "28100-28102:8100-8102"}, "listen:tcp4:0.0.0.0:8100", "listen:tcp4:0.0.0.0:8102")
	l.peer("three", []string{"-p", "28201:80", "-p", "127.0.0.1:28202:80", "-p", "[::1]:28203:80"}, listen80)
	l.peer("loopback", []string{"-p", "127.0.0.1:28301:80"}, listen80)
	l.peer("udp", []string{"-p", "28401:80/udp"}, listen80)
	l.peer("inside", []string{"-p", "28501:80"}, "listen:tcp4:127.0.0.1:80")
	l.peer("unused", []string{"-p", "28601:81"}, listen80)
	random := strings.Fields(strings.ReplaceAll(l.docker("port", l.Name("all"), "80/tcp"), ":", " "))[1]

	a := start(t, interfaces).connections()
	for part, listening := range map[string][]string{
		"none": nil, "exposed": nil, "udp": nil, "inside": nil, "unused": nil,
		"all":      {"10.1.2.3 " + random},
		"range":    on(28100, 28102),
		"three":    {"10.1.2.3 28201", "127.0.0.1 28202", "::1 28203"},
		"loopback": {"127.0.0.1 28301"},
	} {
		a.expect(l.Name(part), listening, nil)
	}
}

// What only a real kernel prints.
func TestKernelTables(t *testing.T) {
	l := newLab(t)
	ports := []string{"-p", "28000-28006:8000-8006"}
	l.peer("server", ports,
		"listen:tcp:[::]:8000",               // dual-stack, with a v4 client; MPTCP, as Go listens
		"listen:tcp6:[::]:8001",              // v6 only
		"listen:tcp:[::ffff:127.0.0.1]:8002", // loopback in IPv6's clothes
		"reuse:tcp4:0.0.0.0:8003",            // two listeners, one endpoint
		"queue:tcp4:0.0.0.0:8004",            // never accepts
		"listen:tcp4:0.0.0.0:8005",           // and has a connection to itself
		"dial:1:127.0.0.1:8005",
	)
	server := l.address("server")
	l.peer("client", nil, "dial:2:"+server+":8000", "dial:1:"+server+":8004")
	client := l.address("client")

	a := start(t, interfaces).connections()
	a.expect(l.Name("client"), nil, []string{server + " 8000", server + " 8000", server + " 8004"})
	a.expectListening(l.Name("server"), on(28000, 28001, 28003, 28004, 28005))
	remotes := make(map[string]int)
	for _, e := range a.containers["/"+l.Name("server")].Established {
		remotes[e.Address]++
	}
	// Two accepted and one unaccepted; and both ends of the connection to itself.
	if remotes[client] != 3 || remotes["127.0.0.1"] != 2 || len(remotes) != 2 {
		t.Errorf("the server is connected to %v", remotes)
	}
}

func TestWays(t *testing.T) {
	l := newLab(t)
	if err := l.Network(t.Context(), "net"); err != nil {
		t.Fatal(err)
	}
	network := []string{"--network", l.Name("net")}
	l.peer("server", append(network, "-p", "28000:80"), "listen:tcp4:0.0.0.0:80")
	gateway := l.docker("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Gateway}}{{end}}", l.Name("net"))
	l.peer("same-bridge", network, "dial:1:"+l.Name("server")+":80")
	l.peer("gateway", network, "dial:1:"+gateway+":28000")
	l.peer("other-bridge", nil, "dial:1:"+gateway+":28000")

	a := start(t, interfaces).connections()
	a.expect(l.Name("same-bridge"), nil, []string{l.address("server") + " 80"})
	a.expect(l.Name("gateway"), nil, []string{gateway + " 28000"})
	a.expect(l.Name("other-bridge"), nil, []string{gateway + " 28000"})
	a.expectListening(l.Name("server"), on(28000))
	if n := len(a.containers["/"+l.Name("server")].Established); n != 3 {
		t.Errorf("the server has %d connections, want 3", n)
	}
}

func TestHostNetwork(t *testing.T) {
	l := newLab(t)
	host := []string{"--network", "host"}
	l.peer("root", host, "listen:tcp4:0.0.0.0:28001", "queue:tcp4:127.0.0.1:28002", "dial:1:127.0.0.1:28002")
	l.peer("user", append(host, "-u", "1000"), "listen:tcp4:0.0.0.0:28003")
	l.peer("host-pids", append(host, "--pid", "host"), "listen:tcp4:0.0.0.0:28004")
	l.peer("execed", host)
	l.docker("exec", "-d", l.Name("execed"), "peer", "listen:tcp4:0.0.0.0:28005")
	l.peer("workers", host, "listen:tcp4:0.0.0.0:28006", "as:65534:dial:1:127.0.0.1:28006")
	l.run("scratch", "--network", "host", "--expose", "28007", bare, "/peer", "listen:tcp4:0.0.0.0:28007", "listen:tcp4:0.0.0.0:28008")
	if err := l.Ready(t.Context(), "scratch"); err != nil {
		t.Fatal(err)
	}

	o := start(t, interfaces)
	var a *answer
	eventually(t, func() bool { // the process that was exec'd prints nothing here
		a = o.connections()
		return len(a.containers["/"+l.Name("execed")].Listening) > 0
	})
	root := a.containers["/"+l.Name("root")]
	a.expectListening(l.Name("root"), []string{"10.1.2.3 28001", "127.0.0.1 28002"})
	if len(root.Established) != 2 || root.Established[1].Port != 28002 && root.Established[0].Port != 28002 {
		t.Errorf("root has %v, want both ends of its connection, of which one is not accepted", root.Established)
	}
	a.expect(l.Name("user"), on(28003), nil)
	a.expect(l.Name("host-pids"), on(28004), nil)
	a.expect(l.Name("execed"), on(28005), nil)

	// The master has accepted the connection; that of its worker has an unknown owner.
	workers := a.containers["/"+l.Name("workers")]
	if !a.incomplete(l.Name("workers")) || fmt.Sprint(workers.Listening) != "[10.1.2.3 28006]" || len(workers.Established) != 1 {
		t.Errorf("workers: incomplete %v, %+v", a.incomplete(l.Name("workers")), workers)
	}
	// Nothing can be run in it: its table is read through another, and of its ports one is known by name.
	a.expectPartial(l.Name("scratch"), on(28007), nil)
	warning := "Unable to obtain inodes for the container's (" + l.docker("inspect", "-f", "{{.Id}}", l.Name("scratch")) +
		") main process. Some connections will be omitted to preserve accuracy"
	if n := strings.Count(o.logged(), warning); n != 1 {
		t.Errorf("the warning is in the log %d times:\n%s", n, o.logged())
	}
}

func TestJoinedNamespace(t *testing.T) {
	l := newLab(t)
	l.peer("owner", []string{"-p", "28000:80", "-p", "28001:81"}, "listen:tcp4:0.0.0.0:80")
	l.peer("sidecar", []string{"--network", "container:" + l.Name("owner")}, "listen:tcp4:0.0.0.0:81", "dial:1:127.0.0.1:80")
	o := start(t, interfaces)

	a := o.connections()
	a.expectListening(l.Name("owner"), on(28000))
	a.expect(l.Name("sidecar"), on(28001), []string{"127.0.0.1 80"})
	if n := len(a.containers["/"+l.Name("owner")].Established); n != 1 {
		t.Errorf("the owner has %d connections, want its end of the one", n)
	}

	// The namespace outlives the container that it was made for, but nothing is published into it any more.
	l.docker("stop", "-t", "0", l.Name("owner"))
	a = o.connections()
	a.expectListening(l.Name("sidecar"), nil)
	if _, listed := a.containers["/"+l.Name("owner")]; listed {
		t.Error("a stopped container is listed")
	}
	// Started anew, the owner is in another namespace, with its ports; the sidecar stays behind.
	l.docker("start", l.Name("owner"))
	if err := l.Ready(t.Context(), "owner"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		a = o.connections()
		return len(a.containers["/"+l.Name("owner")].Listening) > 0
	})
	a.expect(l.Name("owner"), on(28000), nil)
	a.expectListening(l.Name("sidecar"), nil)
}

// expectListening is expect without looking at connections.
func (a *answer) expectListening(name string, listening []string) {
	a.t.Helper()
	var established []string
	for _, e := range a.containers["/"+name].Established {
		established = append(established, e.String())
	}
	a.expect(name, listening, established)
}
