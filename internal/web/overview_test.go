package web_test

import (
	"fmt"
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
		visit.FirstSeen = ago(20 + i)
		g.Nodes, g.Links = append(g.Nodes, external(addr)), append(g.Links, visit)
	}
	g = redeployed(newMap(g.Nodes, g.Links, g.Targets...), "shop-api")
	g.DataSince, g.WindowSeconds = ago(120), 7200
	return g
}

// TestOverview reads what the page says before anything is selected.
func TestOverview(t *testing.T) {
	t.Parallel()
	p, _ := open(t, observed(), "")
	same(t, "stores", section(p, "stores"), "Databases, caches, queues (2)",
		"shop-db PostgreSQL :5432 :9187 ← api, agent", "shop-cache Valkey :6379 ← earlier api")
	same(t, "exposed ports", section(p, "exposed"), "Exposed ports (1)", "one:8000 → shop-web :8080 ← 3 external", "1 port on loopback only")
	same(t, "changes", section(p, "changes"), "Changed in the last hour (2 new, 1 replaced)",
		"replaced shop-api, 1 → 2, 1 link changed, now", "new agent, 1 link, 5 min ago", "new 2 external clients → shop-web :8080, 20 min ago")
	same(t, "unreadable", section(p, "unreadable"), "Not or partly readable", "nothing listens there: three:9057", "the image has no cat: sealed",
		"1 container read by commands: short connections are missed.")
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
}

// TestOverviewIsTheSameWithFilters filters by a name: a database keeps its callers.
func TestOverviewIsTheSameWithFilters(t *testing.T) {
	t.Parallel()
	p, _ := open(t, observed(), "?q=name:sealed")
	expect(t, "stores", strings.Join(section(p, "stores"), "\n"), "shop-db PostgreSQL :5432 :9187 ← api, agent")
	expect(t, "exposed ports", strings.Join(section(p, "exposed"), "\n"), "one:8000 → shop-web :8080 ← 3 external")
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

// TestStoresAreKnownByTheirImages has images of stores, and of programs around them.
func TestStoresAreKnownByTheirImages(t *testing.T) {
	t.Parallel()
	products := map[string]string{
		"postgres:16-alpine": "PostgreSQL", "registry.example:5000/bitnami/postgresql-repmgr:16": "PostgreSQL", "timescale/timescaledb-ha:pg16": "PostgreSQL",
		"mysql/mysql-server:8.0": "MySQL", "bitnami/mariadb-galera": "MariaDB", "percona:8": "MySQL", "redis/redis-stack-server:7": "Redis", "valkey/valkey@sha256:00": "Valkey",
		"confluentinc/cp-kafka:7.6.1": "Kafka", "clickhouse/clickhouse-server:24": "ClickHouse", "mongo:7": "MongoDB", "rabbitmq:3-management": "RabbitMQ",
		"prometheuscommunity/postgres-exporter": "", "oliver006/redis_exporter": "", "mongo-express": "", "provectuslabs/kafka-ui": "", "phpmyadmin": "", "postgrest/postgrest": "",
		"dpage/pgadmin4": "", "confluentinc/cp-kafka-connect": "", "": "",
	}
	var nodes []graph.Node
	for image := range products {
		n := container("one", "", image)
		n.Image = image
		nodes = append(nodes, n)
	}
	_, address := serve(t, newMap(nodes, nil))
	p := webtest.Start(t).Open(address, 1280, 720)
	p.Until(`document.querySelector("#overview h2")`)
	got := webtest.Eval[map[string]string](p, `Promise.all([import(new URL("summary.js", location)), fetch("../v1/graph").then((r) => r.json())])
		.then(([{ findStores }, graph]) => Object.fromEntries(findStores(graph).map((s) => [s.node.image, s.product.name])))`)
	for image, want := range products {
		if got[image] != want {
			t.Errorf("%s is %q, want %q", image, got[image], want)
		}
	}
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
	same(t, "exposed ports", section(p, "exposed"), "Exposed ports (1)", "two:15432 → shop-db :8080", "1 port on loopback only")
}

// TestOverviewOfThePast looks 15 minutes back: the changes are those of the hour before.
func TestOverviewOfThePast(t *testing.T) {
	t.Parallel()
	p, _ := open(t, observed(), "?at="+time.Now().UTC().Add(-15*time.Minute).Format(time.RFC3339))
	same(t, "changes", section(p, "changes"), "Changed in the hour before (1 new)", "new 2 external clients → shop-web :8080, 5 min ago")
	overlaps := webtest.Eval[[]string](p, `(() => {
		const b = document.querySelector("#banner").getBoundingClientRect();
		return [...document.querySelectorAll(".node, .label, .box-title")].filter((e) => { const r = e.getBoundingClientRect(); return r.left < b.right && b.left < r.right && r.top < b.bottom && b.top < r.bottom; }).map((e) => e.textContent);
	})()`)
	same(t, "below the banner", overlaps)
}

// TestOverviewOfAFleet opens 1,000 containers in the smallest usual window. Everything is in view, and a press shows more.
func TestOverviewOfAFleet(t *testing.T) {
	t.Parallel()
	g := newCompany(1000, 10)
	g.Nodes[slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Service == "imgproxy" })].Reason = "the image has no cat"
	_, address := serve(t, g)
	p := webtest.Start(t).Open(address, 1280, 720)
	stores := section(p, "stores")
	expect(t, "stores", strings.Join(stores, "\n"), "Databases, caches, queues (3", "PostgreSQL ×", " ← api ×", "MySQL ×", " ← gitea ×")
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
