package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

// checkMapPage opens the page of a mapper. It must show all nodes, grouped by host, and a line for each link.
func checkMapPage(t *testing.T, m *outpost) {
	t.Helper()
	g := m.graph("")
	p := webtest.Start(t).Open(m.url+"/map/?sort=Client&group=container&external=show", 1400, 850)
	p.Until(fmt.Sprintf(`document.querySelectorAll(".node").length === %d && document.querySelectorAll("#table tbody tr").length === %d`, len(g.Nodes), len(g.Links)))
	hosts := make(map[string]bool)
	for _, n := range g.Nodes {
		if n.Host != "" {
			hosts[n.Host] = true
		}
	}
	if boxes := p.Texts(".box.host .box-title"); len(boxes) != len(hosts) || len(hosts) != len(g.Targets) {
		t.Errorf("boxes %q of hosts %v", boxes, hosts)
	}
	for _, l := range g.Links {
		if !slices.Contains(webtest.Eval[[]string](p, `[...document.querySelectorAll(".lines .line")].map((l) => l.dataset.id)`), l.Client+" "+l.Server) {
			t.Errorf("no line from %s to %s", l.Client, l.Server)
		}
	}
	p.Shot("three-hosts")
}

// checkDemoPage opens the page of the demo by Outpost's address alone. It must show the containers and their links, and later a
// container that starts meanwhile. part returns the name of a container of the demo; published is the endpoint of its web.
func checkDemoPage(t *testing.T, l *testLab, port int, part func(string) string, published string) {
	t.Helper()
	p := webtest.Start(t).Open(fmt.Sprintf("http://localhost:%d", port), 1400, 850)
	shown := func(names ...string) {
		t.Helper()
		p.Until(fmt.Sprintf(`%q.split(" ").every((name) => [...document.querySelectorAll(".node")].some((n) => n.getAttribute("aria-label").startsWith(name + ",")))`, strings.Join(names, " ")))
	}
	shown(part("web"), part("db"), part("client"), part("sidecar"), part("agent"), part("outpost"))
	linked := func() []string {
		return webtest.Eval[[]string](p, `[...document.querySelectorAll("#table tbody tr.live")].map((r) => [...r.cells].slice(0, 6).map((c) => c.textContent).join(" "))`)
	}
	for _, want := range []string{
		part("client") + " " + part("web") + " 8080 3 published client", part("sidecar") + " " + part("web") + " 8080 1 loopback both",
		part("agent") + " " + part("web") + " 8080 1 published both", part("web") + " " + part("db") + " 5432 2 direct both",
	} {
		if links := linked(); !slices.Contains(links, want) {
			t.Errorf("no %q in %q", want, links)
		}
	}
	p.Shot("demo")
	l.peer("late", nil, "dial:1:"+published)
	shown(l.Name("late"))
	p.Until(fmt.Sprintf(`[...document.querySelectorAll("#table tbody tr.live")].some((r) => r.cells[0].textContent === %q && r.cells[1].textContent === %q)`, l.Name("late"), part("web")))
	p.Shot("demo-late")
	l.run("sealed", bare, "/peer", "listen:tcp4:0.0.0.0:80")
	p.Until(`[...document.querySelectorAll(".warning")].some((w) => w.textContent === "1 container partly readable")`)
	p.ClickText(".warning", "1 container partly readable")
	p.Until(fmt.Sprintf(`[%q, "the image has no cat", "6 containers read by commands", "Mount the host's /proc into Outpost: -v /proc:/host/proc:ro"].every((words) => document.querySelector("#panel").innerText.includes(words))`, l.Name("sealed")))
}
