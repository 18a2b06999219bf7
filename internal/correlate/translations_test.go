package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

func translationOfText(text string) snapshotv1.Translation {
	words := strings.Fields(text)
	return snapshotv1.Translation{
		Protocol: protocolOf(words), Client: parsed(words[0]), Dialled: parsed(words[1]), Server: parsed(words[2]), Source: parsed(words[3]),
	}
}

// translating is a host with translations.
func translating(h hostSpec, translations ...string) hostSpec {
	h.translations = translations
	return h
}

// translatedLines returns the lines of links with what shows their translation.
func translatedLines(g graph.Graph) string {
	var lines []string
	for _, l := range g.Links {
		one := g
		one.Links = []graph.Link{l}
		line := strings.TrimSuffix(graphtest.Lines(one), "\n")
		if l.Translation != 0 {
			line += " by " + l.Translation.String()
		}
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func testTranslations(t *testing.T, tests []linkTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, translatedLines(buildAll(test.hosts...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPublishedPortIsTranslated(t *testing.T) {
	outside := "192.0.2.7:5000 10.77.0.11:18090 172.17.0.106:8080 192.0.2.7:5000"
	masqueraded := "192.0.2.7:5000 10.77.0.11:18090 172.17.0.106:8080 172.17.0.1:5001"
	front, back := "in 10.77.0.11:18090 192.0.2.7:5000", "out 172.17.0.1:49380 172.17.0.106:8080"
	testTranslations(t, []linkTest{
		{"from outside", []hostSpec{translating(hostA(server("in 172.17.0.106:8080 192.0.2.7:5000")), outside)},
			"external 192.0.2.7 > a/server:8080 published server 1 by conntrack\n"},
		{"from outside, the table is not read", []hostSpec{hostA(server("in 172.17.0.106:8080 192.0.2.7:5000"))},
			"external 192.0.2.7 > a/server:8080 published server 1 by inferred\n"},
		{"from outside, with a rewritten source", []hostSpec{translating(hostA(server("in 172.17.0.106:8080 172.17.0.1:5001")), masqueraded)},
			"external 192.0.2.7 > a/server:8080 published server 1 by conntrack\n"},
		{"through docker-proxy", []hostSpec{readA([]string{front, back}, server("in 172.17.0.106:8080 172.17.0.1:49380"))},
			"external 192.0.2.7 > a/server:8080 published server 1 by proxy\n"},
		{"closed", []hostSpec{translating(hostA(server("in 172.17.0.106:8080 172.17.0.1:5001 TIME_WAIT")), masqueraded)},
			"external 192.0.2.7 > a/server:8080 published server 0+1 by conntrack\n"},
	})
}

func TestHairpinIsTranslated(t *testing.T) {
	row := "172.17.0.107:44298 172.17.0.1:18090 172.17.0.106:8080 172.17.0.1:51000"
	serverEnd, clientEnd := "in 172.17.0.106:8080 172.17.0.1:51000", "out 172.17.0.107:44298 172.17.0.1:18090"
	other := containerSpec{name: "other", networks: []string{"br1 172.18.0.5 172.18.0.1"}, connections: []string{"out 172.18.0.5:51000 172.18.0.1:18090"}}
	itself := "out 172.17.0.106:38126 172.17.0.1:18090"
	testTranslations(t, []linkTest{
		{"with a changed port", []hostSpec{translating(hostA(server(serverEnd), client(clientEnd)), row)}, "a/client > a/server:8080 published both 1 by conntrack\n"},
		{"another client has the same port", []hostSpec{translating(hostA(server(serverEnd), client(clientEnd), other), row)},
			"a/client > a/server:8080 published both 1 by conntrack\na/other > a/server:8080 published client 1 by inferred\n"},
		{"another client has the same port, the table is not read", []hostSpec{hostA(server(serverEnd), client(clientEnd), other)},
			"a/client > a/server:8080 published client 1 by inferred\na/other > a/server:8080 published both 1 by inferred\n"},
		{"to its own port", []hostSpec{translating(hostA(server("in 172.17.0.106:8080 172.17.0.1:38126", itself)), "172.17.0.106:38126 172.17.0.1:18090 172.17.0.106:8080 172.17.0.1:38126")},
			"a/server > a/server:8080 published both 1 by conntrack\n"},
		{"only the server's end", []hostSpec{translating(hostA(server(serverEnd+" TIME_WAIT"), client()), row)},
			"a/client > a/server:8080 published server 0+1 by conntrack\n"},
		{"only the client's end", []hostSpec{translating(hostA(server(), client(clientEnd)), row)}, "a/client > a/server:8080 published client 1 by conntrack\n"},
		{"a process of the host", []hostSpec{translating(readA([]string{"out 10.77.0.11:50000 10.77.0.11:18090"}, server("in 172.17.0.106:8080 10.77.0.11:50000")),
			"10.77.0.11:50000 10.77.0.11:18090 172.17.0.106:8080 10.77.0.11:50000")}, "a > a/server:8080 published both 1 by conntrack\n"},
		{"a process of the host over loopback", []hostSpec{translating(readA([]string{"out 127.0.0.1:50000 127.0.0.1:18090"}, server("in 172.17.0.106:8080 172.17.0.1:50001")),
			"127.0.0.1:50000 127.0.0.1:18090 172.17.0.106:8080 172.17.0.1:50001")}, "a > a/server:8080 published both 1 by conntrack\n"},
		{"a process of the host that is not read", []hostSpec{translating(hostA(server("in 172.17.0.106:8080 172.17.0.1:50001")),
			"127.0.0.1:50000 127.0.0.1:18090 172.17.0.106:8080 172.17.0.1:50001")}, "a > a/server:8080 published server 1 by conntrack\n"},
	})
}

// Two containers of host b dial one server from the same port. The kernel changes the port of one of them.
func TestMasqueradeWithAChangedPort(t *testing.T) {
	batch := containerSpec{name: "batch", networks: []string{"br0 172.17.0.108 172.17.0.1"}, connections: []string{"out 172.17.0.108:40000 10.77.0.11:18090"}}
	first := client("out 172.17.0.107:40000 10.77.0.11:18090")
	kept, changed := "in 172.17.0.106:8080 10.77.0.12:40000", "in 172.17.0.106:8080 10.77.0.12:40997"
	rows := []string{"172.17.0.107:40000 10.77.0.11:18090 10.77.0.11:18090 10.77.0.12:40997", "172.17.0.108:40000 10.77.0.11:18090 10.77.0.11:18090 10.77.0.12:40000"}
	dnat := "10.77.0.12:40997 10.77.0.11:18090 172.17.0.106:8080 10.77.0.12:40997"
	testTranslations(t, []linkTest{
		{"the client's table", []hostSpec{hostA(server(kept, changed)), translating(hostB(first, batch), rows...)},
			"b/batch > a/server:8080 published both 1 by conntrack\nb/client > a/server:8080 published both 1 by conntrack\n"},
		{"both tables", []hostSpec{translating(hostA(server(kept, changed)), dnat), translating(hostB(first, batch), rows...)},
			"b/batch > a/server:8080 published both 1 by conntrack\nb/client > a/server:8080 published both 1 by conntrack\n"},
		{"a client outside of the table, with the port of the other", []hostSpec{hostA(server(changed + " TIME_WAIT")), translating(hostB(batch), rows[1])},
			"b/batch > a/server:8080 published client 1 by conntrack\nunknown unknown behind b > a/server:8080 published server 0+1 by inferred\n"},
		{"to an address outside", []hostSpec{translating(hostB(client("out 172.17.0.107:40000 198.51.100.1:443")), "172.17.0.107:40000 198.51.100.1:443 198.51.100.1:443 10.77.0.12:40997")},
			"b/client > external 198.51.100.1:443 direct client 1 by conntrack\n"},
	})
}

func TestSwarmIngressIsTranslated(t *testing.T) {
	row := "192.0.2.7:5000 10.77.0.11:8081 172.19.0.2:8081 192.0.2.7:5000"
	end := "in 10.0.0.12:8080 10.0.0.2:5000"
	on := func(rows ...string) []hostSpec {
		return []hostSpec{translating(onSwarm(hostA(), 2), rows...), onSwarm(hostB(task("12", end)), 3)}
	}
	testTranslations(t, []linkTest{
		{"a client outside, container on another host", on(row), "external 192.0.2.7 > b/task:8080 published server 1 by conntrack\n"},
		{"the table is not read", on(), "unknown unknown behind a > b/task:8080 published server 1 by inferred\n"},
		{"two clients with one port", on(row, strings.ReplaceAll(row, "192.0.2.7", "192.0.2.8")), "unknown unknown behind a > b/task:8080 published server 1 by inferred\n"},
		{"another port", on(strings.ReplaceAll(row, ":5000", ":5001")), "unknown unknown behind a > b/task:8080 published server 1 by inferred\n"},
		{"a masqueraded client of another host, through a load balancer that no table shows", []hostSpec{
			translating(hostB(client("out 172.17.0.107:40000 10.77.0.11:8081")), "172.17.0.107:40000 10.77.0.11:8081 10.77.0.11:8081 10.77.0.12:40997"),
			onSwarm(hostA(task("11", "in 10.0.0.11:8080 10.0.0.2:40997")), 2),
		}, "b/client > a/task:8080 published both 1 by inferred\n"},
	})
}

// With bridge-nf the table also has the connections inside a bridge. They are not translated, and the sockets show both ends.
func TestConnectionInsideABridgeIsNotTranslated(t *testing.T) {
	row := "172.17.0.107:43614 172.17.0.106:8080 172.17.0.106:8080 172.17.0.107:43614"
	hosts := []hostSpec{translating(hostA(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080")), row)}
	testTranslations(t, []linkTest{{"row of bridge-nf", hosts, "a/client > a/server:8080 direct both 1\n"}})
}

// A daemon may report any translation. It must not take connections of other hosts.
func TestForeignTranslationsAreDropped(t *testing.T) {
	victim := hostB(server("in 172.17.0.106:8080 10.77.0.13:5000"))
	truth := hostSpec{name: "c", addresses: "10.77.0.13", containers: []containerSpec{onHost("app", nil, "out 10.77.0.13:5000 10.77.0.12:18090")}}
	want := "c/app > b/server:8080 published both 1 by inferred\n"
	liar := func(translations ...string) hostSpec {
		return translating(hostA(client("out 172.17.0.107:6000 10.77.0.12:18090 TIME_WAIT"), server("in 172.17.0.106:8080 192.0.2.7:5000 TIME_WAIT")), translations...)
	}
	for _, lie := range []string{
		"172.17.0.107:6000 10.77.0.12:18090 10.77.0.12:18090 10.77.0.13:5000", // the source is of host c
		"10.77.0.13:5000 10.77.0.12:18090 172.17.0.106:8080 192.0.2.7:5000",   // the dialled endpoint is of host b
		"172.17.0.107:6000 10.77.0.12:18090 172.17.0.106:8080 192.0.2.7:5000",
	} {
		t.Run(lie, func(t *testing.T) {
			if got := translatedLines(buildAll(liar(lie), victim, truth)); !strings.Contains(got, want) {
				t.Error(got)
			}
		})
	}
	for _, invalid := range []snapshotv1.Translation{{}, {Protocol: socket.UDP}, {Protocol: socket.OtherProtocol, Client: parsed("192.0.2.7:1"), Dialled: parsed("10.77.0.11:1"), Server: parsed("172.17.0.106:1"), Source: parsed("192.0.2.7:1")}} {
		document := hostA().document()
		document.Host.Translations = []snapshotv1.Translation{invalid}
		if h := NewHost(document, netip.Addr{}, nil, noon); len(h.translations.byServer) != 0 || h.invalid != 1 {
			t.Errorf("%+v is kept", invalid)
		}
	}
}

func TestManyTranslationsTakeLinearTime(t *testing.T) {
	const many = 100_000
	row := "192.0.2.7:5000 10.77.0.11:18090 172.17.0.106:8080 172.17.0.1:5001"
	rows := slices.Repeat([]string{row}, many)
	for i := range many {
		rows = append(rows, fmt.Sprintf("%s:5000 10.77.0.11:18090 172.17.0.106:8080 172.17.0.1:5001", addressOf(i)))
	}
	ends := slices.Repeat([]string{"in 172.17.0.106:8080 172.17.0.1:5001"}, many)
	if got := translatedLines(buildAll(translating(hostA(server(ends...)), rows...))); got != "external 192.0.2.7 > a/server:8080 published server 100000 by conntrack\n" {
		t.Error(got)
	}
}
