package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// closing returns a live link without a connection. A number of its connections ended within the last minute.
func closing(client, server graph.Node, port uint16, closed int) graph.Link {
	l := link(client, server, port, 0)
	l.Closed = closed
	return l
}

// failing returns a link without an answer.
func failing(client, server graph.Node, port uint16) graph.Link {
	l := link(client, server, port, 0)
	l.Attempts, l.Unanswered, l.Evidence = 3, true, graph.EvidenceClient
	return l
}

// A client that dials a new connection for each request uses its link as much as another client with open connections.
func TestShortLivedConnectionsAreActive(t *testing.T) {
	t.Parallel()
	web, api, db, cache, queue := container("one", "", "web"), container("one", "", "api"), container("one", "", "db"), container("one", "", "cache"), container("one", "", "queue")
	recent := link(api, cache, 6379, 0)
	recent.LastSeen = time.Now().UTC().Add(-20 * time.Second)
	links := []graph.Link{link(web, api, 8080, 9), closing(api, db, 5432, 9), recent, closing(api, queue, 5672, 1200)}
	nodes := []graph.Node{web, api, db, cache, queue}
	p, served := open(t, newMap(nodes, links), "")
	same(t, "labels", p.Texts(".labels .label text"), "6379", "5432 · 9/min", "5672 · 1,200/min", "8080 ×9")
	for what, expression := range map[string]string{
		"a rate is as thick as connections": `width("5432 · 9/min") === width("8080 ×9") && width("5672 · 1,200/min") > width("8080 ×9")`,
		"no line is past":                   `!document.querySelector(".line.past, .label.past, tr.past")`,
		"a recent link is as a live one":    `style("6379", ".stroke").stroke === style("8080 ×9", ".stroke").stroke`,
	} {
		if !webtest.Eval[bool](p, geometry+expression+"})()") {
			t.Errorf("%s: not true", what)
		}
	}
	cells := func(column string) []string {
		return webtest.Eval[[]string](p, `(() => {
			const at = [...document.querySelectorAll("thead th")].findIndex((th) => th.textContent === "`+column+`");
			return [...document.querySelectorAll("tbody tr")].map((tr) => tr.cells[2].textContent + " " + tr.cells[at].textContent);
		})()`)
	}
	same(t, "connections", cells("Conn."), "6379 0", "5432 active, 9/min", "5672 active, 1,200/min", "8080 9")
	same(t, "states", cells("State"), "6379 live", "5432 live", "5672 live", "8080 live")
	p.ClickText("thead button", "Conn.")
	p.Until(`document.querySelector("th[aria-sort=ascending]")`)
	same(t, "sorted by use", cells("Conn."), "6379 0", "5432 active, 9/min", "8080 9", "5672 active, 1,200/min")
	p.Shot("activity")
	p.ClickLine("container/one/api container/one/db")
	p.Until(`document.querySelector("#panel:not([hidden])")`)
	expect(t, "panel", panelText(p), "active, 9/min")
	p.ClickText(".node", "cache")
	p.Until(`document.querySelector("#panel h2")?.textContent === "cache"`)
	expect(t, "panel of a node", panelText(p), "live, last seen")

	places := webtest.Eval[string](p, onLabels)
	links[1].Closed = 10
	served.set(newMap(nodes, links), nil)
	p.Until(`document.querySelector("#map").textContent.includes("10/min")`)
	if now := webtest.Eval[string](p, onLabels); now != places {
		t.Errorf("labels moved from %s to %s", places, now)
	}
}

// onLabels is a script that returns the places of all labels.
const onLabels = `JSON.stringify([...document.querySelectorAll(".label-ground")].map((e) => [e.getAttribute("x"), e.getAttribute("y"), e.getAttribute("width")]))`

// Each state of a line differs from the others by its dashes or markers, not by its colour alone.
func TestStatesOfLinesNeedNoColour(t *testing.T) {
	t.Parallel()
	names := []string{"active", "idle", "recent", "busy", "past", "fresh", "seen", "failed", "refused", "gone"}
	client := container("one", "", "client")
	nodes, links := []graph.Node{client}, map[string]*graph.Link{}
	all := make([]graph.Link, len(names))
	for i, name := range names {
		server := container("one", "", name)
		nodes = append(nodes, server)
		all[i] = link(client, server, uint16(1000+i), 2)
		all[i].Measured = &graph.Measured{RTTMicroseconds: 100, BytesSent: 1, BytesReceived: 1, IdleSeconds: 59}
		links[name] = &all[i]
	}
	for _, name := range []string{"idle", "recent", "seen"} {
		links[name].Measured.IdleSeconds = 300
	}
	links["recent"].Closed = 1 // it may have had data
	links["seen"].Evidence = graph.EvidenceClient
	links["busy"].Measured = nil
	for _, name := range []string{"past", "gone"} {
		links[name].Live, links[name].Connections, links[name].Measured = false, 0, nil
	}
	links["past"].LastSeen = time.Now().UTC().Add(-10 * time.Minute)
	links["failed"].Connections, links["failed"].Measured, links["failed"].Attempts = 0, nil, 3
	links["refused"].Connections, links["refused"].Measured, links["refused"].Unanswered, links["refused"].Evidence = 0, nil, true, graph.EvidenceClient
	links["fresh"].FirstSeen = time.Now().UTC().Add(-time.Minute)
	p, _ := open(t, newMap(nodes, all), "?newSince=2m&columns=all")
	looks := webtest.Eval[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".lines .line")].map((l) => {
		const style = getComputedStyle(l.querySelector(".stroke"));
		const head = document.querySelector(style.markerEnd.slice(5, -2) + " path");
		const mark = style.markerStart === "none" ? "" : style.markerStart.match(/start-(\w+)/)[1] + " ";
		return [l.dataset.id.split("/").pop(), style.strokeDasharray + " " + mark + (head.closest("marker").id === "end-failed" ? "cross" : getComputedStyle(head).stroke === "none" ? "full" : "hollow")];
	}))`)
	for name, want := range map[string]string{
		"active": "none full", "recent": "none full", "busy": "none full", "idle": "1px, 6px full", "seen": "8px, 6px, 1px, 6px full", "past": "none hollow", "fresh": "none new full", "gone": "4px, 4px gone full",
		"failed": "none cross", "refused": "7px, 4px cross",
	} {
		if looks[name] != want {
			t.Errorf("%s: %q, want %q", name, looks[name], want)
		}
	}
	if faded := webtest.Eval[[]string](p, `[...document.querySelectorAll(".line.failed .stroke")].map((e) => getComputedStyle(e).opacity)`); !slices.Equal(faded, []string{"1", "1"}) {
		t.Errorf("opacity of failed lines: %q", faded)
	}
	states := webtest.Eval[[]string](p, `[...document.querySelectorAll("tbody tr")].map((tr) => tr.cells[1].textContent + " " + tr.cells[6].textContent)`)
	same(t, "states", states, "fresh new, live", "gone gone", "active live", "busy live", "failed failed", "idle idle", "past past", "recent live", "refused failed", "seen idle")
	use := webtest.Eval[[]string](p, `[...document.querySelectorAll("tbody tr.failed")].map((tr) => tr.cells[3].textContent)`)
	same(t, "connections", use, "no answer, 3 attempts", "no answer")
	labels := strings.Join(p.Texts(".labels .label.failed text"), ", ")
	expect(t, "labels", labels, "1007 · no answer", "1008 · no answer")
	for _, scheme := range []string{"light", "dark"} {
		p.Prefer(scheme)
		p.Shot("states-" + scheme)
	}
	p.ClickLine("container/one/client container/one/idle")
	p.Until(`document.querySelector("#panel:not([hidden])")`)
	expect(t, "panel", panelText(p), "no data for 5 min")
	p.ClickLine("container/one/client container/one/failed")
	p.Until(`document.querySelector("#panel h2")?.textContent.includes("failed")`)
	expect(t, "panel of a failed link", panelText(p), "no answer, 3 attempts")
}
