package correlate

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// hostSpec describes a host in short texts.
type hostSpec struct {
	name       string
	addresses  string // separated by blanks
	gateways   string // of the engine's networks, separated by blanks
	containers []containerSpec
	// sockets are the sockets of the host itself: "listen address:port", or a connection as of a container. "unknown" follows if a
	// container may own it. nil if they were not read.
	sockets  []string
	counting string // the scope; empty if nothing is counted
	overlays []snapshotv1.Overlay
	// translations are those of the host's kernel: the client, the dialled endpoint, the server and the source that it sees.
	translations []string
}

// containerSpec describes a container. A network is "id address gateway driver"; a gateway "-" is none. A listener is
// "address:port" and the host's bindings. A connection is "in|out local remote", followed by "TIME_WAIT" if it is closed,
// "closed=" and the time before noon, and "dialled" or "accepted" if the kernel shows it. "dials local remote number" is an attempt.
// "counts out|in local remote port" is a flow, followed by its figures such as "opened=3". A listener, connection or flow that ends with "udp"
// is of UDP.
type containerSpec struct {
	name        string
	namespace   string
	status      string
	addresses   string        // of the namespace itself
	started     time.Duration // before noon; 0 if unknown
	exposed     []uint16
	bindings    []string // "port binding", of published ports without a listener
	networkMode string
	networks    []string
	listeners   []string
	connections []string
}

func (h hostSpec) document() snapshotv1.Snapshot {
	d := snapshotv1.Snapshot{Version: 1, Host: snapshotv1.Host{ID: "engine of " + h.name, Name: h.name, AllAddresses: h.addresses != "", Overlays: h.overlays}}
	for addr := range strings.FieldsSeq(h.addresses) {
		d.Host.Addresses = append(d.Host.Addresses, netip.MustParseAddr(addr))
	}
	for gateway := range strings.FieldsSeq(h.gateways) {
		d.Host.Gateways = append(d.Host.Gateways, netip.MustParseAddr(gateway))
	}
	for _, c := range h.containers {
		d.Containers = append(d.Containers, c.document(h.name))
	}
	if h.counting != "" {
		d.Host.Counting = &snapshotv1.Counting{Scope: h.counting}
	}
	for _, text := range h.translations {
		d.Host.Translations = append(d.Host.Translations, translationOfText(text))
	}
	if h.sockets != nil {
		d.Host.Sockets = &snapshotv1.HostSockets{}
	}
	for _, text := range h.sockets {
		words := strings.Fields(text)
		unknown := slices.Contains(words, "unknown")
		if words[0] == "counts" {
			d.Host.Flows = append(d.Host.Flows, snapshotv1.HostFlow{Flow: flowOf(words), OwnerUnknown: unknown})
			continue
		}
		if words[0] == "listen" {
			d.Host.Sockets.Listening = append(d.Host.Sockets.Listening, snapshotv1.HostListener{Endpoint: parsed(words[1]), Protocol: protocolOf(words), OwnerUnknown: unknown})
			continue
		}
		d.Host.Sockets.Connections = append(d.Host.Sockets.Connections, snapshotv1.HostConnection{Connection: connection(words), OwnerUnknown: unknown})
	}
	return d
}

// connection parses the words of a connection.
func connection(words []string) snapshotv1.Connection {
	c := snapshotv1.Connection{Protocol: protocolOf(words), Direction: words[0], Local: parsed(words[1]), Remote: parsed(words[2]), State: "ESTABLISHED"}
	for _, word := range words[3:] {
		ago, isClosed := strings.CutPrefix(word, "closed=")
		switch {
		case word == "TIME_WAIT", word == "CLOSE":
			c.State = word
		case word == "dialled", word == "accepted":
			dialled := word == "dialled"
			c.Dialled = &dialled
		case isClosed:
			before, err := time.ParseDuration(ago)
			if err != nil {
				panic(err)
			}
			at := noon.Add(-before)
			c.ClosedAt = &at
		}
	}
	return c
}

func (c containerSpec) document(host string) snapshotv1.Container {
	d := snapshotv1.Container{
		ID: "id-" + host + "-" + c.name, Name: "/" + c.name, Image: "it", NetworkMode: c.networkMode, Namespace: c.namespace, Status: c.status,
		Exposed: c.exposed,
	}
	if c.started != 0 {
		at := noon.Add(-c.started)
		d.StartedAt = &at
	}
	for _, text := range c.bindings {
		words := strings.Fields(text)
		number, err := strconv.ParseUint(words[0], 10, 16)
		if err != nil {
			panic(err)
		}
		d.Bindings = append(d.Bindings, snapshotv1.Binding{Endpoint: parsed(words[1]), ContainerPort: uint16(number), Protocol: protocolOf(words)})
	}
	for addr := range strings.FieldsSeq(c.addresses) {
		d.Addresses = append(d.Addresses, netip.MustParseAddr(addr))
	}
	for _, text := range c.networks {
		words := strings.Fields(text)
		n := snapshotv1.Network{ID: words[0], Name: words[0], Addresses: []netip.Addr{netip.MustParseAddr(words[1])}}
		if len(words) > 2 && words[2] != "-" {
			n.Gateways = []netip.Addr{netip.MustParseAddr(words[2])}
		}
		if len(words) > 3 {
			n.Driver = words[3]
		}
		d.Networks = append(d.Networks, n)
	}
	for _, text := range c.listeners {
		words := strings.Fields(text)
		l := snapshotv1.Listener{Endpoint: parsed(words[0]), Protocol: protocolOf(words)}
		for _, published := range words[1:] {
			if published != "udp" {
				l.Published = append(l.Published, parsed(published))
			}
		}
		d.Listening = append(d.Listening, l)
	}
	for _, text := range c.connections {
		words := strings.Fields(text)
		if words[0] == "dials" {
			d.Attempts = append(d.Attempts, attemptOf(words))
			continue
		}
		if words[0] == "counts" {
			d.Flows = append(d.Flows, flowOf(words))
			continue
		}
		d.Connections = append(d.Connections, connection(words))
	}
	return d
}

// flowOf parses the words of a flow.
func flowOf(words []string) snapshotv1.Flow {
	f := snapshotv1.Flow{Protocol: protocolOf(words), Direction: words[1], LocalAddress: netip.MustParseAddr(words[2]), RemoteAddress: netip.MustParseAddr(words[3])}
	number := func(text string) uint64 {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	f.Port = uint16(number(words[4]))
	for _, word := range words[5:] {
		name, text, isFigure := strings.Cut(word, "=")
		if !isFigure {
			continue
		}
		n := number(text)
		switch name {
		case "opened":
			f.Opened = n
		case "refused":
			f.Refused = n
		case "unanswered":
			f.Unanswered = n
		case "recent":
			f.Recent = int(n)
		case "failing":
			f.RecentFailed = int(n)
		case "sent":
			f.BytesSent = n
		case "received":
			f.BytesReceived = n
		default:
			panic(word)
		}
	}
	return f
}

// attemptOf parses the words of an attempt.
func attemptOf(words []string) snapshotv1.Attempt {
	count, err := strconv.Atoi(words[3])
	if err != nil {
		panic(err)
	}
	return snapshotv1.Attempt{LocalAddress: netip.MustParseAddr(words[1]), Remote: parsed(words[2]), Count: count}
}

// protocolOf returns the protocol that the last of words names.
func protocolOf(words []string) socket.Protocol {
	if words[len(words)-1] == "udp" {
		return socket.UDP
	}
	return socket.TCP
}

// parsed parses "address:port".
func parsed(text string) snapshotv1.Endpoint {
	at := netip.MustParseAddrPort(text)
	return snapshotv1.Endpoint{Address: at.Addr().String(), Port: at.Port()}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// buildAll returns the graph of hosts.
func buildAll(hosts ...hostSpec) graph.Graph {
	var polled []PolledHost
	for _, h := range hosts {
		polled = append(polled, PolledHost{Target: h.name + ":9057", Host: NewHost(h.document(), netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon})
	}
	return Build(polled, nil)
}

// server is a container on the default bridge with port 8080 published as 18090.
func server(connections ...string) containerSpec {
	return containerSpec{name: "server", networks: []string{"br0 172.17.0.106 172.17.0.1"}, listeners: []string{"0.0.0.0:8080 0.0.0.0:18090"}, connections: connections}
}

// client is another container on the same bridge.
func client(connections ...string) containerSpec {
	return containerSpec{name: "client", networks: []string{"br0 172.17.0.107 172.17.0.1"}, connections: connections}
}

// onHost is a container on the host's network.
func onHost(name string, listeners []string, connections ...string) containerSpec {
	return containerSpec{name: name, networkMode: "host", listeners: listeners, connections: connections}
}

// hostA and hostB are two hosts with the same bridges and different addresses.
func hostA(containers ...containerSpec) hostSpec {
	return hostSpec{name: "a", addresses: "10.77.0.11 172.17.0.1 172.18.0.1", containers: containers}
}

func hostB(containers ...containerSpec) hostSpec {
	return hostSpec{name: "b", addresses: "10.77.0.12 172.17.0.1 172.18.0.1", containers: containers}
}

// linkTest is hosts and the lines of their links.
type linkTest struct {
	name  string
	hosts []hostSpec
	want  string
}

func testLinks(t *testing.T, tests []linkTest) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, graphtest.Lines(buildAll(test.hosts...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
