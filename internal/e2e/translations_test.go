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

// outside starts a network namespace with a link to the host's, and dials an endpoint of the host from it. It returns the address of the
// client.
func (l *testLab) outside(port string) (client string) {
	l.t.Helper()
	pid := conntracktest.Start(l.t)
	third := l.firstPort / 4 % 256
	host, client := fmt.Sprintf("198.18.%d.1", third), fmt.Sprintf("198.18.%d.2", third)
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
	sockdiagtest.In(l.t, sockdiagtest.OpenNetNS(l.t, pid), func() { l.dial(net.JoinHostPort(host, port)) })
	return client
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
	client := "external " + l.outside(l.port(0))
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
