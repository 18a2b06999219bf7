package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// eachTableMethod calls check with a daemon for each method that reads the host's own sockets.
func eachTableMethod(t *testing.T, check func(t *testing.T, o *outpost, method string)) {
	t.Helper()
	for _, method := range []string{"sockdiag", "procfs"} {
		t.Run(method, func(t *testing.T) { check(t, start(t, interfaces, "OUTPOST_COLLECTOR="+method), method) })
	}
}

// The host's sockets show both ends of docker-proxy: the connection that it accepted, and its own to the container.
func TestDockerProxyIsAmongTheHostsSockets(t *testing.T) {
	l := newLab(t)
	l.peer("server", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	server := l.address("server") + " 80"
	published := "127.0.0.1 " + l.port(0) // reached through docker-proxy: the kernel does not translate loopback
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp4", "127.0.0.1:"+l.port(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	itself := strings.ReplaceAll(client.LocalAddr().String(), ":", " ")

	eachTableMethod(t, func(t *testing.T, o *outpost, method string) {
		var found []string
		var sockets *hostSockets
		eventually(t, func() bool { // docker-proxy dials after it has accepted
			sockets = o.snapshot().Host.Sockets
			if sockets == nil {
				t.Fatal("the host's sockets were not read")
			}
			found = nil
			for _, c := range sockets.Connections {
				switch {
				case c.Local.String() == published && c.Remote.String() == itself:
					found = append(found, "front "+c.Direction)
				case c.Local.String() == itself && c.Remote.String() == published:
					found = append(found, "client "+c.Direction)
				case c.Remote.String() == server:
					found = append(found, "back "+c.Direction)
				}
			}
			slices.Sort(found)
			return len(found) == 3
		})
		if fmt.Sprint(found) != "[back out client out front in]" || sockets.Method != method || sockets.Incomplete {
			t.Errorf("%v, method %s, incomplete %v", found, sockets.Method, sockets.Incomplete)
		}
		if !slices.ContainsFunc(sockets.Listening, func(e endpoint) bool { return fmt.Sprint(e.Port) == l.port(0) }) {
			t.Errorf("docker-proxy's listener is not among %v", sockets.Listening)
		}
	})
	if sockets := start(t, execOnly).snapshot().Host.Sockets; sockets != nil {
		t.Errorf("read by %s, want not read by commands", sockets.Method)
	}
}

// The engine does not know the address of a link that others put into a container's network namespace.
func TestAddressOfALinkThatOthersPutIn(t *testing.T) {
	l := newLab(t)
	id := l.peer("it", []string{"--network", "none", "--sysctl", "net.ipv6.conf.all.disable_ipv6=0", "--sysctl", "net.ipv6.conf.default.disable_ipv6=0"},
		"listen:tcp4:0.0.0.0:80")
	pid := l.docker("inspect", "-f", "{{.State.Pid}}", id)
	outside := fmt.Sprint("e2e", l.firstPort) // at most 15 characters; removed with the namespace at its other end
	inNetNS := []string{"nsenter", "--target", pid, "--net", "ip"}
	for _, command := range [][]string{
		{"ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", pid},
		{"ip", "link", "set", outside, "up"},
		append(slices.Clone(inNetNS), "link", "set", "eth0", "up"),
		append(slices.Clone(inNetNS), "address", "add", "192.0.2.5/24", "dev", "eth0"),
		append(slices.Clone(inNetNS), "address", "add", "198.51.100.5/32", "dev", "eth0"),
		append(slices.Clone(inNetNS), "address", "add", "2001:db8::5/64", "dev", "eth0"),
	} {
		if output, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, output)
		}
	}
	eachMethod(t, func(t *testing.T, o *outpost, method string) {
		c := o.snapshot().container(t, l.Name("it"))
		addresses := slices.DeleteFunc(c.Addresses, func(text string) bool { return netip.MustParseAddr(text).IsLinkLocalUnicast() })
		if linkLocal := len(c.Addresses) > len(addresses); !linkLocal || fmt.Sprint(addresses) != "[192.0.2.5 198.51.100.5 2001:db8::5]" || c.Status != "ok" {
			t.Errorf("%s: %v, a link-local one: %v, status %s %s", method, addresses, linkLocal, c.Status, c.Reason)
		}
	})
}

// The kernel's counters tell at both ends which one dialled.
func TestDialledOfBothEnds(t *testing.T) {
	l := newLab(t)
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:1:"+l.address("server")+":80")
	eachMethod(t, func(t *testing.T, o *outpost, method string) {
		s := o.snapshot()
		for part, want := range map[string]bool{"client": true, "server": false} {
			connections := s.container(t, l.Name(part)).Connections
			if len(connections) != 1 || (connections[0].Dialled != nil) != (method == "sockdiag") {
				t.Fatalf("%s: %+v", part, connections)
			}
			if dialled := connections[0].Dialled; dialled != nil && *dialled != want {
				t.Errorf("%s: dialled %v", part, *dialled)
			}
		}
	})
}
