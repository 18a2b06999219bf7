package web_test

import (
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

func udpLink(client, server graph.Node, port uint16, via graph.Via) graph.Link {
	l := link(client, server, port, 1)
	l.Protocol, l.Via, l.Evidence = socket.UDP, via, graph.EvidenceClient
	return l
}

// dnsMap returns a map of web, which asks dns over both protocols, and the resolver of the engine.
func dnsMap() graph.Graph {
	web, dns, host := container("one", "", "web"), container("one", "", "dns"), graph.Node{ID: "host/one", Kind: graph.KindHost, Host: "one", Name: "one"}
	at := func(port uint16) snapshotv1.Endpoint { return snapshotv1.Endpoint{Address: "0.0.0.0", Port: port} }
	dns.Details.Listening = []snapshotv1.Listener{
		{Endpoint: at(53), Published: []snapshotv1.Endpoint{}},
		{Endpoint: at(53), Protocol: socket.UDP, Published: []snapshotv1.Endpoint{at(5353)}, Process: "coredns"},
		{Endpoint: at(853), Published: []snapshotv1.Endpoint{at(853)}},
	}
	return newMap([]graph.Node{web, dns, host}, []graph.Link{
		link(web, dns, 53, 1), udpLink(web, dns, 53, graph.ViaDirect), udpLink(web, host, 53, graph.ViaResolver), link(web, host, 53, 1),
	})
}

func TestPortsOfUDP(t *testing.T) {
	t.Parallel()
	p, _ := open(t, dnsMap(), "?columns=all")
	same(t, "lines", p.Texts(".labels .label text"), "53, 53/udp", "53")
	same(t, "badges", p.Texts(".port-badge"), ":853", ":5353/udp")
	same(t, "rows", webtest.Eval[[]string](p, `[...document.querySelectorAll("tbody tr")].map((tr) => [...tr.cells].map((td) => td.textContent).slice(0, 3).join("|"))`),
		"web|dns|53", "web|dns|53/udp", "web|host one|53")
	same(t, "exposed", section(p, "exposed"), "Exposed ports (2)", ":853 → dns", ":5353/udp → dns :53/udp")
	same(t, "changes", section(p, "changes"), "Changed in the last hour (1 new)", "new web → dns :53 and 2 others, 30 min ago")
	p.Shot("udp")
	p.ClickLine("container/one/web container/one/dns")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")?.textContent === "web → dns"`)
	same(t, "panel", p.Texts("#panel h3"), "Port 53, direct", "Port 53/udp, direct")
}

func TestSelectedLinkOfUDP(t *testing.T) {
	t.Parallel()
	p, _ := open(t, dnsMap(), "?select=container/one/web+container/one/dns+53/udp+direct")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")?.textContent === "web → dns"`)
	same(t, "rows", webtest.Eval[[]string](p, `[...document.querySelectorAll("tbody tr[aria-selected=true], tbody tr.selected")].map((tr) => tr.cells[2].textContent)`), "53/udp")
}

// Links to the resolver are hidden, until a filter or a query asks for them.
func TestLinksToTheResolverAreShownOnDemand(t *testing.T) {
	t.Parallel()
	ports := func(query string) []string {
		p, _ := open(t, dnsMap(), query)
		p.Until(`document.querySelector("tbody tr")`)
		return webtest.Eval[[]string](p, `[...document.querySelectorAll("tbody tr")].map((tr) => [1, 2].map((i) => tr.cells[i].textContent).join("|")).sort()`)
	}
	same(t, "all", ports(""), "dns|53", "dns|53/udp", "host one|53")
	same(t, "shown", ports("?dns=show"), "dns|53", "dns|53/udp", "host one|53", "host one|53/udp")
	same(t, "query", ports("?q=via:resolver"), "host one|53/udp")
	same(t, "protocol", ports("?protocol=udp"), "dns|53/udp")
	same(t, "both", ports("?protocol=udp&dns=show"), "dns|53/udp", "host one|53/udp")
}
