package snapshot

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

var engineResolver = netip.MustParseAddr("127.0.0.11")

// tracked returns a flow: the client, the dialled endpoint, the server and the source that it sees.
func tracked(ends ...string) conntrack.Flow {
	at := netip.MustParseAddrPort
	return conntrack.Flow{
		Original: conntrack.Tuple{Source: at(ends[0]), Destination: at(ends[1])},
		Reply:    conntrack.Tuple{Source: at(ends[2]), Destination: at(ends[3])}, Replied: true,
	}
}

// connected is a snapshot of a container with connections "local remote".
func connected(connections ...string) Snapshot {
	c := Container{Addresses: []netip.Addr{netip.MustParseAddr("172.17.0.2")}, Networks: []container.Network{{Addresses: []netip.Addr{netip.MustParseAddr("172.17.0.3")}}}}
	for _, text := range connections {
		local, remote, _ := strings.Cut(text, " ")
		c.Connections = append(c.Connections, Connection{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)})
	}
	return Snapshot{Containers: []Container{c}}
}

func TestTranslationsOfConnectionsAreSelected(t *testing.T) {
	inbound := tracked("192.0.2.7:40000", "10.77.0.11:18090", "172.17.0.2:8080", "192.0.2.7:40000")
	outbound := tracked("172.17.0.2:40000", "198.51.100.1:443", "198.51.100.1:443", "10.77.0.11:40997")
	host := tracked("10.77.0.11:50000", "10.77.0.11:18090", "172.17.0.9:8080", "10.77.0.11:50000")
	ingress := tracked("192.0.2.8:40000", "10.77.0.11:8081", "172.19.0.2:8081", "192.0.2.8:40000")
	other := tracked("192.0.2.9:40000", "10.77.0.11:18091", "172.17.0.4:8080", "192.0.2.9:40000")
	udp, silent := tracked("192.0.2.7:40000", "10.77.0.11:18090", "172.17.0.9:8080", "192.0.2.7:40000"), inbound // neither end of udp is a container's
	udp.Protocol, silent.Replied = socket.UDP, false
	s := connected("172.17.0.2:8080 192.0.2.7:40000", "172.17.0.2:40000 198.51.100.1:443")
	s.Host.Sockets = &HostSockets{Connections: []HostConnection{{Connection: Connection{Local: netip.MustParseAddrPort("10.77.0.11:50000"), Remote: netip.MustParseAddrPort("10.77.0.11:18090")}}}}
	s.Networks = []container.NetworkConfig{{Services: []container.Service{{Ports: []container.ServicePort{{Published: 8081, Target: 80}}}}}}
	s.AddTranslations(conntrack.Table{Flows: []conntrack.Flow{other, udp, silent, ingress, host, outbound, inbound}})
	var got []string
	for _, tr := range s.Host.Translations.List {
		got = append(got, fmt.Sprintf("%s %s %s %s", tr.Client, tr.Dialled, tr.Server, tr.Source))
	}
	want := []string{
		"172.17.0.2:40000 198.51.100.1:443 198.51.100.1:443 10.77.0.11:40997",
		"192.0.2.7:40000 10.77.0.11:18090 172.17.0.2:8080 192.0.2.7:40000",
		"10.77.0.11:50000 10.77.0.11:18090 172.17.0.9:8080 10.77.0.11:50000",
		"192.0.2.8:40000 10.77.0.11:8081 172.19.0.2:8081 192.0.2.8:40000",
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A sender takes another port for each question. Only sockets that are connected to a peer show one.
func TestRoutesOfUDPAreListedOnce(t *testing.T) {
	s := connected("172.17.0.2:40002 192.0.2.53:53")
	s.Containers[0].Connections[0].Protocol = socket.UDP
	var table conntrack.Table
	add := func(client, dialled, server, source string) {
		f := tracked(client, dialled, server, source)
		f.Protocol = socket.UDP
		table.Flows = append(table.Flows, f)
	}
	for port := range 3 {
		add(fmt.Sprintf("172.17.0.2:%d", 40000+port), "192.0.2.53:53", "192.0.2.53:53", fmt.Sprintf("10.77.0.11:%d", 50000+port))
		add(fmt.Sprintf("192.0.2.7:%d", 40000+port), "10.77.0.11:5353", "172.17.0.3:53", fmt.Sprintf("192.0.2.7:%d", 40000+port))
	}
	add("192.0.2.7:40000", "10.77.0.11:5354", "172.17.0.3:53", "192.0.2.7:40001")
	s.AddTranslations(table)
	var got []string
	for _, tr := range s.Host.Translations.List {
		got = append(got, fmt.Sprintf("%s %s %s %s", tr.Protocol, tr.Client, tr.Dialled, tr.Server))
	}
	want := []string{
		"udp 192.0.2.7:40000 10.77.0.11:5353 172.17.0.3:53", "udp 192.0.2.7:40000 10.77.0.11:5354 172.17.0.3:53",
		"udp 172.17.0.2:40000 192.0.2.53:53 192.0.2.53:53", "udp 172.17.0.2:40002 192.0.2.53:53 192.0.2.53:53",
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTranslationsAreBounded(t *testing.T) {
	table := conntrack.Table{}
	s := connected()
	for i := range MaxTranslations + 1 {
		f := tracked(fmt.Sprintf("192.0.2.7:%d", i+1), "10.77.0.11:18090", "172.17.0.2:8080", fmt.Sprintf("192.0.2.7:%d", i+1))
		f.Closing = i == 0
		table.Flows = append(table.Flows, f)
		s.Containers[0].Connections = append(s.Containers[0].Connections, Connection{Local: f.Reply.Source, Remote: f.Reply.Destination})
	}
	s.AddTranslations(table)
	got := s.Host.Translations
	if len(got.List) != MaxTranslations || got.List[0].Client.Port() == 1 || got.Missing != "of 10001 translated connections 10000 are listed" {
		t.Errorf("%d translations, the first %v: %s", len(got.List), got.List[0], got.Missing)
	}
	for table, want := range map[string]conntrack.Table{
		"the host tracks more connections than Outpost reads": {Cut: true}, "": {},
		"2 tracked connections cannot be decoded: line 3": {Malformed: 2, FirstMalformed: errors.New("line 3")},
	} {
		s := connected()
		s.AddTranslations(want)
		if diff := cmp.Diff(table, s.Host.Translations.Missing); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWhatMayBeTranslated(t *testing.T) {
	for text, want := range map[string]bool{
		"172.17.0.2:8080 172.17.0.3:40000": false, "172.17.0.2:1 172.17.0.2:2": false, "127.0.0.1:80 127.0.0.1:40000": false,
		"172.17.0.2:8080 172.17.0.1:40000": true, "172.17.0.2:40000 198.51.100.1:443": true,
	} {
		s := connected(text)
		if got := s.MayBeTranslated(); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if s.Containers[0].HostNetwork = true; s.MayBeTranslated() {
			t.Errorf("%s on the host's network", text)
		}
	}
	for name, change := range map[string]func(*Container){
		"a sender of UDP": func(c *Container) { c.LeftOut.addSender(netip.IPv4Unspecified()) },
		"a published server of UDP": func(c *Container) {
			c.Listeners = []Listener{{Protocol: socket.UDP, Published: make([]netip.AddrPort, 1)}}
		},
	} {
		s := connected()
		if change(&s.Containers[0]); !s.MayBeTranslated() {
			t.Error(name)
		}
	}
	s := connected()
	if s.Containers[0].LeftOut.addSender(engineResolver); s.MayBeTranslated() {
		t.Error("the engine's resolver")
	}
}
