package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/conntrack/conntracktest"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
)

// outside starts a network namespace with a link to the host's. It returns the process in it, and the addresses of the host and of the
// namespace on that link.
func (l *testLab) outside() (pid int, host, client string) {
	l.t.Helper()
	pid = conntracktest.Start(l.t)
	third := l.firstPort / 4 % 256
	host, client = fmt.Sprintf("198.18.%d.1", third), fmt.Sprintf("198.18.%d.2", third)
	link, id := fmt.Sprint("e2et", l.firstPort), strconv.Itoa(pid)
	for _, command := range [][]string{
		{"ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", id},
		{"ip", "address", "add", host + "/30", "dev", link},
		{"ip", "link", "set", link, "up"},
		{"nsenter", "--target", id, "--net", "ip", "address", "add", client + "/30", "dev", "eth0"},
		{"nsenter", "--target", id, "--net", "ip", "link", "set", "eth0", "up"},
	} {
		if output, err := exec.CommandContext(l.t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			l.t.Fatalf("%v: %v: %s", command, err, output)
		}
	}
	return pid, host, client
}

// dial dials an endpoint until the test ends, and returns the address of the client.
func (l *testLab) dial(endpoint string) (client string) {
	l.t.Helper()
	connection, err := new(net.Dialer).DialContext(l.t.Context(), "tcp4", endpoint)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = connection.Close() })
	return netip.MustParseAddrPort(connection.LocalAddr().String()).Addr().String()
}

// translatedLinks returns the links to a container, with what shows their translation.
func translatedLinks(g graph.Graph, server string) (lines []string) {
	names := make(map[string]string)
	for _, n := range g.Nodes {
		names[n.ID] = string(n.Kind) + " " + n.Name
	}
	for _, link := range g.Links {
		if strings.HasSuffix(names[link.Server], server) {
			client := names[link.Client]
			if strings.HasPrefix(client, string(graph.KindHost)+" ") {
				client = "the host"
			}
			lines = append(lines, fmt.Sprintf("%s %d %s %s %s %d", client, link.Port, link.Via, link.Evidence, link.Translation, link.Connections))
		}
	}
	slices.Sort(lines)
	return lines
}

// The kernel translates a connection from outside to a published port. docker-proxy accepts one over loopback. Without the table the
// first one is inferred.
func TestEvidenceOfTranslations(t *testing.T) {
	l := newLab(t)
	l.peer("server", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	pid, host, address := l.outside()
	sockdiagtest.In(t, sockdiagtest.OpenNetNS(t, pid), func() { l.dial(net.JoinHostPort(host, l.port(0))) })
	client := "external " + address
	l.dial("127.0.0.1:" + l.port(0))
	for method, want := range map[string][]string{
		"sockdiag": {client + " 80 published server conntrack 1", "the host 80 published both proxy 1"},
		"procfs":   {client + " 80 published server conntrack 1", "the host 80 published both proxy 1"},
		"exec":     {client + " 80 published server inferred 1"},
	} {
		t.Run(method, func(t *testing.T) {
			o := start(t, "OUTPOST_COLLECTOR="+method, "OUTPOST_SAMPLE_INTERVAL=off")
			o.expectLines(func() []string {
				lines := translatedLinks(o.graph(""), l.Name("server"))
				if method == "exec" { // without the host's sockets the client over loopback is unknown
					lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "external") })
				}
				return lines
			}, want)
		})
	}
}

// A server of UDP has no socket for each client, and a sender shows no server. The kernel's table has both.
func TestSendersOfUDP(t *testing.T) {
	l := newLab(t)
	l.peer("dns", []string{"-p", l.port(0) + ":53/udp"}, "echo:udp4:0.0.0.0:53")
	pid, host, address := l.outside()
	sockdiagtest.In(t, sockdiagtest.OpenNetNS(t, pid), func() {
		l.askOnce(net.JoinHostPort(host, l.port(0)))
		l.echo(net.JoinHostPort(address, "53"))
	})
	l.peer("sender", nil, "send:"+address+":53")
	o := start(t, "OUTPOST_SAMPLE_INTERVAL=off")
	o.expectLines(func() (lines []string) {
		g := o.graph("?protocol=udp")
		for _, server := range []string{l.Name("dns"), address} {
			for _, line := range translatedLinks(g, server) {
				lines = append(lines, strings.ReplaceAll(line, l.Name(""), ""))
			}
		}
		slices.Sort(lines)
		return lines
	}, []string{
		"external " + address + " 53 published server conntrack 0",
		"container sender 53 direct client conntrack 0",
	})
}

// askOnce sends a datagram to a server from a socket without a peer, and waits for the answer.
func (l *testLab) askOnce(server string) {
	l.t.Helper()
	conn := l.listenUDP("0.0.0.0:0")
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(server))
	if _, err := conn.WriteTo([]byte("question"), to); err != nil {
		l.t.Fatal(err)
	}
	if _, _, err := conn.ReadFrom(make([]byte, 100)); err != nil {
		l.t.Fatal(err)
	}
}

// echo returns each datagram to its sender until the test ends.
func (l *testLab) echo(address string) {
	l.t.Helper()
	conn := l.listenUDP(address)
	go func() {
		buffer := make([]byte, 100)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buffer[:n], from)
		}
	}()
}

func (l *testLab) listenUDP(address string) net.PacketConn {
	l.t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(l.t.Context(), "udp4", address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = conn.Close() })
	return conn
}
