package web_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// section returns the title and rows of a section of the overview.
func section(p *webtest.Page, id string) []string {
	p.Until(fmt.Sprintf(`document.querySelector('#overview section[data-id=%q]')`, id))
	return webtest.Eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll('#overview section[data-id=%[1]q] > :is(h2, p), #overview section[data-id=%[1]q] > ul > li')].map((e) => e.textContent)`, id))
}

// observed returns the shop with known images, an old agent and new clients of web. All else is two hours old.
func observed() graph.Graph {
	g := shop()
	ago := func(minutes int) time.Time { return time.Now().UTC().Add(-time.Duration(minutes) * time.Minute) }
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == graph.KindContainer {
			n.FirstSeen = ago(120)
		}
	}
	for i := range g.Links {
		g.Links[i].FirstSeen = ago(120)
	}
	node := func(name string) *graph.Node {
		return &g.Nodes[slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Name == name })]
	}
	node("shop-db").Image, node("shop-cache").Image = "registry.example:5000/timescale/timescaledb-ha:pg16", "valkey/valkey:8@sha256:00"
	agent := published(container("two", "", "agent"), 9000)
	agent.Details.Listening[0].Published[0].Address = "127.0.0.1"
	agent.FirstSeen, agent.Details.Method = ago(5), collect.Exec
	g.Nodes = append(g.Nodes, agent)
	scrape := link(agent, *node("shop-db"), 9187, 1)
	scrape.FirstSeen = ago(5)
	g.Links = append(g.Links, scrape)
	for i, addr := range []string{"203.0.113.8", "203.0.113.9"} {
		visit := link(external(addr), *node("shop-web"), 8080, 1)
		visit.Via, visit.FirstSeen = graph.ViaPublished, ago(20+i)
		g.Nodes, g.Links = append(g.Nodes, external(addr)), append(g.Links, visit)
	}
	g = redeployed(newMap(g.Nodes, g.Links, g.Targets...), "shop-api")
	g.DataSince, g.WindowSeconds = ago(120), 7200
	return g
}

// past returns the query for the map of some minutes ago.
func past(minutes int) string {
	return "?at=" + time.Now().UTC().Add(-time.Duration(minutes)*time.Minute).Format(time.RFC3339)
}

// clock returns the time of day as the page writes it.
func clock(p *webtest.Page, at time.Time) string {
	return webtest.Eval[string](p, fmt.Sprintf(`new Date(%d).toTimeString().slice(0, 8)`, at.UnixMilli()))
}

// TestOverview reads what the page says before anything is selected.
func TestOverview(t *testing.T) {
	t.Parallel()
	p, _ := open(t, observed(), "")
	same(t, "stores", section(p, "stores"), "Databases, caches, queues (2)",
		"shop-db PostgreSQL :5432 :9187 ← api, agent", "shop-cache Valkey :6379 ← earlier api")
	same(t, "exposed ports", section(p, "exposed"), "Exposed ports (1)", "one 192.0.2.1:8000 → shop-web :8080 ← 3 external", "1 port on loopback only", "1 container with unknown ports")
	same(t, "changes", section(p, "changes"), "Changed in the last hour (2 new, 1 replaced)",
		"replaced shop-api, 1 → 2, 1 link changed, now", "new agent, 1 link, 5 min ago", "new 2 external clients → shop-web :8080, 20 min ago")
	same(t, "unreadable", section(p, "unreadable"), "Not or partly readable", "nothing listens there: three:9057", "the image has no cat: sealed",
		"read by commands, which may miss short connections: 1 container")
	p.Shot("overview")

	p.ClickText("#overview button", "shop-db")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")?.textContent === "shop-db"`)
	if webtest.Eval[bool](p, `document.querySelector("#overview").offsetHeight > 0`) {
		t.Error("the overview stays beside the panel")
	}
	p.Press(kb.Escape)
	p.Until(`document.querySelector("#overview").offsetHeight > 0`)
	p.ClickText("#overview button", "sealed")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")?.textContent === "Partly readable containers"`)
	expect(t, "panel", panelText(p), "sealed on two", "1 container read by commands", "Mount the host's /proc into Outpost: -v /proc:/host/proc:ro", "agent")
}

// TestOverviewIsTheSameWithFilters filters by a name: a database keeps its callers.
func TestOverviewIsTheSameWithFilters(t *testing.T) {
	t.Parallel()
	p, _ := open(t, observed(), "?q=name:sealed")
	expect(t, "stores", strings.Join(section(p, "stores"), "\n"), "shop-db PostgreSQL :5432 :9187 ← api, agent")
	expect(t, "exposed ports", strings.Join(section(p, "exposed"), "\n"), "one 192.0.2.1:8000 → shop-web :8080 ← 3 external")
	expect(t, "changes", strings.Join(section(p, "changes"), "\n"), "new agent, 1 link, 5 min ago")
}

// TestOverviewSaysWhenDataBegins starts less than an hour ago: the changes before are unknown.
func TestOverviewSaysWhenDataBegins(t *testing.T) {
	t.Parallel()
	g := observed()
	g.DataSince = time.Now().UTC().Add(-12 * time.Minute)
	p, _ := open(t, g, "")
	expect(t, "changes", strings.Join(section(p, "changes"), "\n"), "The data begins 12 min ago.")
}

// TestOverviewNamesHostsOfEqualNames has two databases of one name, on two hosts.
func TestOverviewNamesHostsOfEqualNames(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	var links []graph.Link
	for _, host := range []string{"one", "two"} {
		db, api := published(container(host, "shop", "db"), 15432), container(host, "shop", "api")
		nodes, links = append(nodes, db, api), append(links, link(api, db, 5432, 1))
	}
	nodes[0].Details.Listening[0].Published[0].Address = "::ffff:127.0.0.1"
	links = append(links, link(nodes[1], nodes[2], 5432, 1))
	p, _ := open(t, newMap(nodes, links), "")
	same(t, "stores", section(p, "stores"), "Databases, caches, queues (2)",
		"shop-db on two PostgreSQL :5432 ← shop-api on one, api", "shop-db on one PostgreSQL :5432 ← api")
	same(t, "exposed ports", section(p, "exposed"), "Exposed ports (1)", "two 192.0.2.1:15432 → shop-db :8080", "1 port on loopback only")
}

// TestOverviewOfThePast looks 15 minutes back: the changes are those of the hour before.
func TestOverviewOfThePast(t *testing.T) {
	t.Parallel()
	g := observed()
	p, _ := open(t, g, past(15))
	visit := g.Links[slices.IndexFunc(g.Links, func(l graph.Link) bool { return l.Client == "external/203.0.113.8" })]
	same(t, "changes", section(p, "changes"), "Changed in the hour before (1 new)", "new 2 external clients → shop-web :8080, at "+clock(p, visit.FirstSeen))
	expect(t, "unreadable", section(p, "unreadable")[0], "Not or partly readable now")
	overlaps := webtest.Eval[[]string](p, `(() => {
		const b = document.querySelector("#banner").getBoundingClientRect();
		return [...document.querySelectorAll(".node, .label, .box-title")].filter((e) => { const r = e.getBoundingClientRect(); return r.left < b.right && b.left < r.right && r.top < b.bottom && b.top < r.bottom; }).map((e) => e.textContent);
	})()`)
	same(t, "below the banner", overlaps)
}

// TestPastHasNoLaterReplacement has a container that was replaced twice. Between, it has the second image, and replaced the first.
func TestPastHasNoLaterReplacement(t *testing.T) {
	t.Parallel()
	g := observed()
	now := time.Now().UTC()
	db := &g.Nodes[slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Name == "shop-db" })]
	db.Image = "postgres:18"
	db.Predecessors = []graph.Predecessor{
		{Container: "b", Name: db.Name, Image: "postgres:17", LastSeen: now.Add(-5 * time.Minute)}, {Container: "a", Name: db.Name, Image: "postgres:16", LastSeen: now.Add(-25 * time.Minute)},
	}
	p, _ := open(t, g, past(15))
	expect(t, "changes", strings.Join(section(p, "changes"), "\n"), "(1 new, 1 replaced)", "replaced shop-db, 16 → 17, at "+clock(p, db.Predecessors[1].LastSeen))
	p, _ = open(t, g, past(40))
	same(t, "changes before both", section(p, "changes"), "Changed in the hour before", "No changes.")
}

// TestPastWithoutData looks to before the first map, and to shortly after the window begins.
func TestPastWithoutData(t *testing.T) {
	t.Parallel()
	g := observed()
	g.WindowSeconds = 6 * 3600
	p, _ := open(t, g, past(240))
	p.Until(`document.querySelector("#overview p")`)
	same(t, "overview", p.Texts("#overview > :not(button)"), "No data before "+clock(p, g.DataSince)+".")

	g.WindowSeconds = 3600
	p, _ = open(t, g, past(50))
	begins := webtest.Eval[string](p, `[...document.querySelectorAll("#overview section[data-id=changes] .about")].at(-1).textContent`)
	if want := regexp.MustCompile(`^The data begins at \d\d:\d\d:\d\d\.$`); !want.MatchString(begins) {
		t.Errorf("the overview says %q", begins)
	}
}

// TestOverviewOfAFleet opens 1,000 containers in the smallest usual window. Everything is in view, and a press shows more.
func TestOverviewOfAFleet(t *testing.T) {
	t.Parallel()
	g := newCompany(1000, 10)
	g.Nodes[slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Service == "imgproxy" })].Reason = "the image has no cat"
	_, address := serve(t, g)
	p := webtest.Start(t).Open(address, 1280, 720)
	stores := section(p, "stores")
	expect(t, "stores", strings.Join(stores, "\n"), "Databases, caches, queues (3", "PostgreSQL ×", " ← api ×", "MySQL ×", " ← gitea ×29; earlier prometheus")
	if !webtest.Eval[bool](p, `document.querySelector("#overview").scrollHeight <= document.querySelector("#overview").clientHeight`) {
		t.Error("the overview is longer than its place")
	}
	expect(t, "unreadable", strings.Join(section(p, "unreadable"), "\n"), "the image has no cat: ", "imgproxy")

	p.Click(`#overview [data-id="all-exposed"]`)
	p.Until(`document.querySelector('#overview [data-id="all-exposed"]').textContent === "Show less"`)
	all := section(p, "exposed")
	for _, n := range g.Nodes {
		if n.Details == nil || len(n.Details.Listening[0].Published) == 0 {
			continue
		}
		at := fmt.Sprintf(":%d → ", n.Details.Listening[0].Published[0].Port)
		if !slices.ContainsFunc(all, func(row string) bool { return strings.Contains(row, at) }) {
			t.Errorf("no row with %s of %s", at, n.Name)
		}
	}
	p.ClickText("#overview button", "MySQL ×29")
	p.Until(`document.querySelectorAll("#overview ul ul > li").length === 29`)
	expect(t, "a store", p.Texts("#overview ul ul > li")[0], "MySQL :3306 ← gitea")
	p.Shot("overview-fleet")
	p.ClickText("#overview ul ul button", p.Texts("#overview ul ul button")[0])
	p.Until(`document.querySelector("#panel:not([hidden]) h2")`)
	expect(t, "panel", panelText(p), "Called by", "gitea")
}

// TestOverviewClosesAndOpens closes the overview. A narrow page opens it only if asked.
func TestOverviewClosesAndOpens(t *testing.T) {
	t.Parallel()
	_, address := serve(t, observed())
	browser := webtest.Start(t)
	isShown := `document.querySelector("#overview").offsetHeight > 0`
	p := browser.Open(address, 1280, 720)
	p.Until(`document.querySelector("#overview h2")`)
	p.Click("#overview .close")
	p.Until(`!(` + isShown + `) && document.activeElement.id === "show-overview" && location.search === "?overview=closed"`)
	p.Reload()
	p.Until(`document.querySelector(".node")`)
	if webtest.Eval[bool](p, isShown) {
		t.Error("it opens again by itself")
	}
	p.Click("#show-overview")
	p.Until(isShown + ` && document.activeElement.id === "overview" && document.querySelector("#overview h2")`)

	p = browser.Open(address, 390, 844)
	p.Until(`document.querySelector(".node")`)
	if webtest.Eval[bool](p, isShown) {
		t.Error("it covers the map of a phone")
	}
	p.Click("#show-overview")
	p.Until(isShown + ` && document.querySelector("#overview h2")`)
	p.Shot("overview-phone")
	if top := webtest.Eval[float64](p, `document.querySelector("#overview").getBoundingClientRect().top`); top < 844/2-1 {
		t.Errorf("it begins at %.0f px", top)
	}
}

// TestOverviewShowsAnAddressOfALargeGroup presses a database outside, among 600 other addresses: no map has room for them.
func TestOverviewShowsAnAddressOfALargeGroup(t *testing.T) {
	t.Parallel()
	web, db := published(container("one", "shop", "web"), 8000), external("198.51.100.9")
	nodes, links := []graph.Node{web, db}, []graph.Link{link(web, db, 5432, 1)}
	for i := range 600 {
		client := external(fmt.Sprintf("203.0.%d.%d", i/250, i%250))
		nodes, links = append(nodes, client), append(links, link(client, web, 8080, 1))
	}
	p, _ := open(t, newMap(nodes, links), "")
	same(t, "stores", section(p, "stores"), "Databases, caches, queues (1)", "198.51.100.9 PostgreSQL :5432 ← shop-web")
	p.ClickText("#overview button", "198.51.100.9")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")?.textContent === "198.51.100.9"`)
	if n := webtest.Eval[int](p, `document.querySelectorAll("#map .node").length`); n != 2 {
		t.Errorf("the map has %d nodes", n)
	}
	p.Press(kb.Escape)
	p.DoubleClickText(".node", "external")
	p.Until(`document.querySelector("#toast:not([hidden])")`)
	expect(t, "message", p.Texts("#toast")[0], "601 nodes have no room on the map. Show fewer with a filter, such as address:203.0.113.0/24.")
}

// TestOverviewFillsAWiderPage widens a paused page from a phone's width.
func TestOverviewFillsAWiderPage(t *testing.T) {
	t.Parallel()
	_, address := serve(t, observed())
	p := webtest.Start(t).Open(address, 390, 844)
	p.Until(`document.querySelector(".node")`)
	p.Press("p")
	p.Until(`document.querySelector("#freshness").textContent.startsWith("paused")`)
	p.Resize(1280, 720)
	expect(t, "stores", strings.Join(section(p, "stores"), "\n"), "shop-db PostgreSQL")
}

// TestOverviewAgesWithoutNews has a new container, and nothing new after it.
func TestOverviewAgesWithoutNews(t *testing.T) {
	t.Parallel()
	g := observed()
	g.Nodes[slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Name == "agent" })].FirstSeen = time.Now().UTC()
	p, _ := open(t, g, "")
	p.Until(`/new agent, 1 link, \d+ s ago/.test(document.querySelector("#overview").textContent)`)
}

// TestOverviewKeepsTheFocus has two databases of one name. The second becomes the first while it has the focus.
func TestOverviewKeepsTheFocus(t *testing.T) {
	t.Parallel()
	one, two, web, api := container("one", "shop", "db"), container("two", "shop", "db"), container("one", "shop", "web"), container("one", "shop", "api")
	one.Image, two.Image = "postgres:17", "postgres:17"
	nodes, links := []graph.Node{one, two, web, api}, []graph.Link{link(web, one, 5432, 1), link(api, one, 5432, 1), link(web, two, 5432, 1)}
	p, served := open(t, newMap(nodes, links), "")
	order := `[...document.querySelectorAll("#overview section[data-id=stores] li")].map((e) => e.dataset.id).join()`
	p.Until(order + ` === "container/one/shop-db,container/two/shop-db"`)
	webtest.Eval[bool](p, `(document.querySelector('#overview section[data-id=stores] li[data-id="container/two/shop-db"] button').focus(), true)`)
	served.set(newMap(nodes, links[2:]), nil)
	p.Until(order + ` === "container/two/shop-db,container/one/shop-db"`)
	if at := webtest.Eval[string](p, `document.activeElement.closest("#overview section[data-id=stores] li")?.dataset.id ?? ""`); at != two.ID {
		t.Errorf("the focus is at %q", at)
	}
}

// TestOverviewKeepsItsButtons shows all of a section and less again. The button stays and keeps the focus, and a refresh changes neither.
func TestOverviewKeepsItsButtons(t *testing.T) {
	t.Parallel()
	for _, containers := range []int{4, 6, 8, 10, 12, 13, 20} {
		var nodes []graph.Node
		for i := range containers {
			n := published(container("one", "shop", fmt.Sprintf("db%02d", i)), uint16(8000+i))
			n.Image, n.FirstSeen = []string{"postgres:17", "redis:8"}[i%2], time.Now().UTC().Add(-time.Duration(i+1)*time.Minute)
			nodes = append(nodes, n)
		}
		p, served := open(t, newMap(nodes, nil), "")
		section(p, "exposed")
		rows := `[...document.querySelectorAll("#overview section")].map((s) => s.querySelectorAll("li").length).join()`
		for i, id := range webtest.Eval[[]string](p, `[...document.querySelectorAll("#overview [aria-expanded]")].map((b) => b.dataset.id)`) {
			before := webtest.Eval[string](p, rows)
			p.Click(fmt.Sprintf(`#overview [data-id=%q]`, id))
			p.Until(fmt.Sprintf(`document.activeElement.dataset.id === %q && document.activeElement.getAttribute("aria-expanded") === "true"`, id))
			g := newMap(slices.Clone(nodes), nil)
			g.Forgotten = i + 2
			served.set(g, nil)
			p.Until(fmt.Sprintf(`document.querySelector("#counts").textContent.includes("%d past links dropped") && document.activeElement.dataset.id === %q`, i+2, id))
			p.Press(kb.Enter)
			p.Until(fmt.Sprintf(`document.activeElement.dataset.id === %q && document.activeElement.getAttribute("aria-expanded") === "false"`, id))
			if after := webtest.Eval[string](p, rows); after != before {
				t.Errorf("%d containers, %s: rows %s, before %s", containers, id, after, before)
			}
		}
	}
}
