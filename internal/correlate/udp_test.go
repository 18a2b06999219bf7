package correlate

import (
	"net/netip"
	"testing"
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// dns is a container with a UDP listener, which is published as 18053. Its TCP listener at the same port is published as 18054.
func dns(connections ...string) containerSpec {
	return containerSpec{
		name: "dns", networks: []string{"br0 172.17.0.106 172.17.0.1"}, connections: connections,
		listeners: []string{"0.0.0.0:53 0.0.0.0:18053 udp", "0.0.0.0:53 0.0.0.0:18054"},
	}
}

// The server of a UDP client has no socket for it. So most links show the client's end alone.
func TestUDPClients(t *testing.T) {
	testLinks(t, []linkTest{
		{"a container of the same host", []hostSpec{hostA(dns(), client("out 172.17.0.107:40000 172.17.0.106:53 udp"))}, "a/client > a/dns:53/udp direct client 1\n"},
		{"both protocols", []hostSpec{hostA(dns("in 172.17.0.106:53 172.17.0.107:40000"), client("out 172.17.0.107:40000 172.17.0.106:53 udp", "out 172.17.0.107:40000 172.17.0.106:53"))},
			"a/client > a/dns:53 direct both 1\na/client > a/dns:53/udp direct client 1\n"},
		{"the published port of each protocol", []hostSpec{hostA(dns(), client("out 172.17.0.107:40000 172.17.0.1:18053 udp", "out 172.17.0.107:40000 172.17.0.1:18054"))},
			"a/client > a/dns:53 published client 1\na/client > a/dns:53/udp published client 1\n"},
		{"ports that are published for the other protocol", []hostSpec{readA(nil, dns(), client("out 172.17.0.107:40000 172.17.0.1:18054 udp", "out 172.17.0.107:40000 172.17.0.1:18053"))},
			"a/client > unknown unknown behind a:18053 host client 1\na/client > unknown unknown behind a:18054/udp host client 1\n"},
		{"a published port without a listener", []hostSpec{hostA(
			containerSpec{name: "dns", networks: []string{"br0 172.17.0.106 172.17.0.1"}, bindings: []string{"53 0.0.0.0:18053 udp"}},
			client("out 172.17.0.107:40000 172.17.0.1:18053 udp"),
		)}, "a/client > a/dns:53/udp published client 1\n"},
		{"another host", []hostSpec{hostA(dns()), hostB(client("out 172.17.0.107:40000 10.77.0.11:18053 udp"))}, "b/client > a/dns:53/udp published client 1\n"},
		{"an external address", []hostSpec{hostA(client("out 172.17.0.107:40000 192.0.2.53:53 udp"))}, "a/client > external 192.0.2.53:53/udp direct client 1\n"},
		{"the host's own resolver", []hostSpec{readA([]string{"listen 0.0.0.0:53 udp"}, client("out 172.17.0.107:40000 172.17.0.1:53 udp"))}, "a/client > a:53/udp host client 1\n"},
		{"a container on the host's network", []hostSpec{hostA(onHost("dns", []string{"0.0.0.0:53 udp"}), client("out 172.17.0.107:40000 172.17.0.1:53 udp"))}, "a/client > a/dns:53/udp host client 1\n"},
		{"a server that is connected to its client", []hostSpec{hostA(dns("in 172.17.0.106:53 172.17.0.107:40000 udp"), client("out 172.17.0.107:40000 172.17.0.106:53 udp"))},
			"a/client > a/dns:53/udp direct both 1\n"},
		{"the engine's resolver", []hostSpec{hostA(client("out 127.0.0.1:40000 127.0.0.11:53 udp"))}, "a/client > a:53/udp resolver client 1\n"},
	})
}

// docker-proxy keeps its socket to the container for 90 seconds after the last datagram. No table shows for whom.
func TestDockerProxyOfUDP(t *testing.T) {
	const dialled = "out 172.17.0.1:40000 172.17.0.106:53 udp"
	testLinks(t, []linkTest{
		{"for a known client", []hostSpec{readA([]string{"listen 0.0.0.0:18053 udp", dialled}, dns(), client("out 172.17.0.107:44298 172.17.0.1:18053 udp"))},
			"a/client > a/dns:53/udp published client 1\n"},
		{"for an unknown client", []hostSpec{readA([]string{"listen 0.0.0.0:18053 udp", dialled}, dns())}, "unknown unknown behind a > a/dns:53/udp published server 1\n"},
		{"the host itself, where nothing is published", []hostSpec{readA([]string{"out 172.17.0.1:40000 172.17.0.107:53 udp"}, client())}, "a > a/client:53/udp direct client 1\n"},
		{"counted", []hostSpec{readA([]string{"counts out 172.17.0.1 172.17.0.106 53 opened=9 recent=2 udp"}, dns())}, ""},
	})
}

func TestUDPFlows(t *testing.T) {
	const figures, counted = " opened=9 recent=2 udp", " opened 9 failed 0 refused 0 sent 0 received 0\n"
	testLinks(t, []linkTest{
		{"a container", []hostSpec{hostA(dns(), client("counts out 172.17.0.107 172.17.0.106 53"+figures))}, "a/client > a/dns:53/udp direct client 0+2" + counted},
		{"a published port", []hostSpec{hostA(dns(), client("counts out 172.17.0.107 172.17.0.1 18053"+figures))}, "a/client > a/dns:53/udp published client 0+2" + counted},
		{"beside one of TCP", []hostSpec{hostA(dns(), client("counts out 172.17.0.107 172.17.0.106 53"+figures, "counts out 172.17.0.107 172.17.0.106 53 opened=1 recent=1"))},
			"a/client > a/dns:53 direct client 0+1 opened 1 failed 0 refused 0 sent 0 received 0\na/client > a/dns:53/udp direct client 0+2" + counted},
		{"the engine's resolver", []hostSpec{hostA(client("counts out 127.0.0.1 127.0.0.11 53" + figures))}, "a/client > a:53/udp resolver client 0+2" + counted},
		{"an external address", []hostSpec{hostA(client("counts out 172.17.0.107 192.0.2.53 53" + figures))}, "a/client > external 192.0.2.53:53/udp direct client 0+2" + counted},
	})
}

// A link at port 0 would make the graph invalid.
func TestConnectionsAtPort0AreInvalid(t *testing.T) {
	document := hostA(server("in 172.17.0.106:0 172.17.0.107:1"), client("out 172.17.0.107:1 192.0.2.9:0", "out 172.17.0.107:1 192.0.2.9:0 udp")).document()
	if host := NewHost(document, netip.Addr{}, nil, time.Time{}); host.invalid != 3 {
		t.Errorf("%d are invalid", host.invalid)
	}
}

// A later daemon may report protocols that this version does not know.
func TestUnknownProtocolIsInvalid(t *testing.T) {
	document := hostA(server("in 172.17.0.106:8080 172.17.0.107:1", "counts in 172.17.0.106 192.0.2.9 8080 opened=1 recent=1"), client("out 172.17.0.107:1 172.17.0.106:8080")).document()
	listens, dials := &document.Containers[0], &document.Containers[1]
	listens.Bindings = []snapshotv1.Binding{{Endpoint: parsed("0.0.0.0:18090"), ContainerPort: 8080, Protocol: socket.OtherProtocol}}
	listens.Listening[0].Protocol, listens.Connections[0].Protocol, listens.Flows[0].Protocol = socket.OtherProtocol, socket.OtherProtocol, socket.OtherProtocol
	dials.Connections[0].Protocol = socket.OtherProtocol
	host := NewHost(document, netip.Addr{}, nil, time.Time{})
	if host.invalid != 5 || len(host.localLinks)+len(host.unmatchedOutbound)+len(host.unmatchedInbound)+len(host.unmatchedFlows) != 0 {
		t.Errorf("%d are invalid; %d links, %d ends", host.invalid, len(host.localLinks), len(host.unmatchedOutbound)+len(host.unmatchedInbound))
	}
}

// A server of UDP shows none of its clients, and most clients show no server. The host's translations do.
func TestTranslationsOfUDP(t *testing.T) {
	const (
		outside = "192.0.2.7:5000 10.77.0.11:18053 172.17.0.106:53 192.0.2.7:5000 udp"
		inside  = "172.17.0.107:6000 10.77.0.11:18053 172.17.0.106:53 172.17.0.1:6000 udp"
		away    = "172.17.0.107:6000 192.0.2.53:53 192.0.2.53:53 10.77.0.11:6000 udp"
	)
	for name, test := range map[string]struct {
		host hostSpec
		want string
	}{
		"a client outside":                         {translating(hostA(dns()), outside), "external 192.0.2.7 > a/dns:53/udp published server 0+1 by conntrack\n"},
		"a sender of this host":                    {translating(hostA(dns(), client()), inside), "a/client > a/dns:53/udp published both 0+1 by conntrack\n"},
		"a connected client":                       {translating(hostA(dns(), client("out 172.17.0.107:6000 10.77.0.11:18053 udp")), inside), "a/client > a/dns:53/udp published both 1 by conntrack\n"},
		"a server that is connected to its client": {translating(hostA(dns("in 172.17.0.106:53 192.0.2.7:5000 udp")), outside), "external 192.0.2.7 > a/dns:53/udp published server 1 by conntrack\n"},
		"a sender to another machine":              {translating(hostA(client()), away), "a/client > external 192.0.2.53:53/udp direct client 0+1 by conntrack\n"},
		"no listener":                              {translating(hostA(client()), "192.0.2.7:5000 10.77.0.11:18053 172.17.0.107:53 192.0.2.7:5000 udp"), ""},
		"of TCP":                                   {translating(hostA(dns()), "192.0.2.7:5000 10.77.0.11:18054 172.17.0.106:53 192.0.2.7:5000"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := translatedLines(buildAll(test.host)); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
