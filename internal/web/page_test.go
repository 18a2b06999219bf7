package web_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// open opens the page of a map in the size of a common screen and waits until it is drawn.
func open(t *testing.T, g graph.Graph, query string) (*webtest.Page, *drawn) {
	t.Helper()
	served, address := serve(t, g)
	p := webtest.Start(t).Open(address+query, 1400, 850)
	p.Until(`document.querySelector(".node, #empty:not([hidden]) h2")`)
	p.Until(`!/^(Connecting|Drawing|Polling)/.test(document.querySelector("#empty")?.textContent)`)
	return p, served
}

// names returns the full names of the nodes on the map in order. Their labels start with them.
func names(p *webtest.Page) []string {
	found := webtest.Eval[[]string](p, `[...document.querySelectorAll(".node")].map((e) => e.getAttribute("aria-label").split(",")[0])`)
	slices.Sort(found)
	return found
}

func counts(p *webtest.Page) string {
	return webtest.Eval[string](p, `document.querySelector("#counts").textContent`)
}

// expect fails the test for each part that text lacks.
func expect(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in %q", what, part, text)
		}
	}
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func panelText(p *webtest.Page) string {
	return webtest.Eval[string](p, `document.querySelector("#panel:not([hidden])")?.innerText || ""`)
}

func TestMap(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	same(t, "nodes", names(p), "203.0.113.7", "batch-job", "idle", "payments", "sealed", "shop-api", "shop-cache", "shop-db", "shop-web")
	same(t, "boxes", p.Texts(".box-title"), "one", "shop", "two", "batch")
	labels := p.Texts(".labels .label text")
	slices.Sort(labels)
	same(t, "labels", labels, "443 ×2", "5432 ×4", "6379", "8080", "8080 ×12", "8080 ×3")
	same(t, "badges", p.Texts(".port-badge"), ":8000")
	expect(t, "counts", counts(p), "9 nodes, 6 links", "nothing is hidden")
	for what, expression := range map[string]string{
		"clients are before servers":     `before("shop-web", "shop-api") && before("shop-api", "shop-db")`,
		"external client":                `before("203.0.113.7", "shop-web")`,
		"external server":                `before("shop-api", "payments")`,
		"the port badge is in its node":  `badges.length === 1 && within(badges[0], rect("shop-web"))`,
		"one end dashed":                 `style("8080 ×3", ".one-sided .stroke").strokeDasharray !== "none"`,
		"both ends solid":                `style("8080 ×12", ".stroke").strokeDasharray === "none"`,
		"past faded":                     `style("6379", ".past .stroke").stroke !== style("8080 ×12", ".stroke").stroke`,
		"more is thicker":                `width("8080 ×12") > width("8080 ×3") && width("8080 ×3") > width("8080")`,
		"boxes contain their containers": `["shop-web", "shop-api", "shop-db", "shop-cache"].every((n) => within(rect(n), box("shop")) && within(rect(n), box("one")))`,
		"boxes contain no other nodes":   `!["batch-job", "idle", "payments", "203.0.113.7"].some((n) => within(rect(n), box("one")))`,
		"nothing overlaps":               `nodes.every((a, i) => nodes.slice(i + 1).every((b) => apart(a, b)))`,
		"labels are beside nodes":        `labels.every((l) => nodes.every((n) => apart(l, n)))`,
		"labels are beside each other":   `labels.every((a, i) => labels.slice(i + 1).every((b) => apart(a, b)))`,
		"all is in view":                 `[...nodes, ...labels, ...badges].every((r) => within(r, document.querySelector("#map").getBoundingClientRect()))`,
	} {
		if !webtest.Eval[bool](p, geometry+expression+"})()") {
			t.Errorf("%s: not true", what)
		}
	}
	p.Shot("map")
}

// TestWidthOfLines shows the connections and the bytes of links by the width of their lines.
func TestWidthOfLines(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "?group=container")
	thicker := func(a, b string) string {
		return geometry + fmt.Sprintf(`width(%q) > width(%q)})()`, a, b)
	}
	if !webtest.Eval[bool](p, thicker("8080 ×12", "5432 ×4")) || !webtest.Eval[bool](p, thicker("5432 ×4", "6379")) {
		t.Error("more connections are not thicker")
	}
	p.Click("#filters-toggle")
	p.Choose("[name=width]", "bytes")
	p.Until(thicker("8080 ×12", "5432 ×4")) // only the first one is measured
	if !webtest.Eval[bool](p, geometry+`width("5432 ×4") === width("6379")})()`) {
		t.Error("links without measured bytes differ in width")
	}
	p.Until(`location.search.includes("width=bytes")`)
}

// geometry is the start of a script with helpers for the positions of things. The script ends with an expression and })().
const geometry = `(() => {
	const named = (selector, text) => [...document.querySelectorAll(selector)].find((e) => e.textContent === text);
	const rect = (name) => [...document.querySelectorAll(".node")].find((e) => e.getAttribute("aria-label").startsWith(name + ",")).querySelector(".body").getBoundingClientRect();
	const before = (a, b) => rect(a).right < rect(b).left || rect(a).bottom < rect(b).top;
	const box = (name) => named(".box-title", name).parentElement.querySelector("rect").getBoundingClientRect();
	const line = (label) => document.querySelector(".lines [data-id='" + CSS.escape(named(".labels .label text", label).parentElement.dataset.id) + "']");
	const style = (label, part) => { const l = line(label); return getComputedStyle(l.matches(part.split(" ")[0]) ? l.querySelector(".stroke") : l.querySelector(part)); };
	const width = (label) => parseFloat(style(label, ".stroke").strokeWidth);
	const within = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
	const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
	const nodes = [...document.querySelectorAll(".node .body")].map((e) => e.getBoundingClientRect());
	const labels = [...document.querySelectorAll(".labels .label:not(.crowded) text")].map((e) => e.getBoundingClientRect());
	const badges = [...document.querySelectorAll(".port-badge rect")].map((e) => e.getBoundingClientRect());
	return `

func TestHoverAndSelection(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	p.Point(".node .name", "shop-web")
	p.Until(`!document.querySelector("#tip").hidden`)
	tip := webtest.Eval[string](p, `document.querySelector("#tip").innerText`)
	expect(t, "tip", tip, "shop-web", "shop/web:1", "shop on one", "calls 1 other over 1 link", "called by 2 others over 2 links")

	p.ClickText(".node .name", "shop-web")
	expect(t, "panel of a node", panelText(p), "shop/web:1", "shop_default", "172.18.0.2", "0.0.0.0:8080 published at 192.0.2.1:8000", "procfs", "Called by (2)", "203.0.113.7", "Calls (1)", "shop-api")
	same(t, "its rows", webtest.Eval[[]string](p, `[...document.querySelectorAll("tr.selected")].map((r) => r.cells[0].textContent)`), "shop-web", "batch-job", "203.0.113.7")
	same(t, "the table has only its links", []string{fmt.Sprint(len(p.Texts("#table tbody tr"))), webtest.Eval[string](p, `document.querySelector("#table-count").textContent`)}, "3", "3 of 6 links")
	p.Shot("node")
	p.ClickText(".node .name", "sealed")
	expect(t, "panel of what cannot be read", panelText(p), "the image has no cat", "Mount the host's /proc into Outpost: -v /proc:/host/proc:ro")

	p.Press(kb.Escape)
	p.Point("#table td", "batch-job")
	p.Until(`document.querySelectorAll(".line.hot").length === 1`)
	same(t, "the line of the row under the pointer", webtest.Eval[[]string](p, `[...document.querySelectorAll(".line.hot")].map((e) => e.dataset.id)`), "container/two/batch-job container/one/shop-web")
	p.ClickText("#table td", "batch-job")
	expect(t, "panel of a row", panelText(p), "batch-job", "shop-web", "Port 8080, published", "Observed at the client only", "Known by the kernel's table of tracked connections")
	same(t, "the map's selection", webtest.Eval[[]string](p, `[...document.querySelectorAll(".line.selected")].map((e) => e.dataset.id)`), "container/two/batch-job container/one/shop-web")
	p.Shot("link")
	p.Press(kb.Escape)
	p.Until(`document.querySelector("#panel").hidden && !document.querySelector(".selected")`)

	p.ClickLine("container/one/shop-web container/one/shop-api")
	expect(t, "panel of a line", panelText(p), "Port 8080, direct", "12", "0.42 ms", "1.2 MB", "Observed at both ends")
	same(t, "the table's selection", webtest.Eval[[]string](p, `[...document.querySelectorAll("tr.selected")].map((r) => r.cells[0].textContent + r.cells[1].textContent)`), "shop-webshop-api")
}

func TestGrouping(t *testing.T) {
	t.Parallel()
	p, _ := open(t, fleet(1000), "")
	expect(t, "counts", counts(p), "10 groups of 1,000 nodes", "3,000 links grouped into 40", "nothing else is hidden")
	if got := len(names(p)); got != 10 {
		t.Errorf("%d nodes", got)
	}
	p.Shot("fleet")
	p.ClickText(".node .name", "host host3")
	expect(t, "a click selects a group", panelText(p), "host host3", "group of 100 nodes by host")
	expect(t, "counts", counts(p), "10 groups of 1,000 nodes")
	p.DoubleClickText(".node .name", "host host3")
	expect(t, "a host with more than 60 containers opens into its projects", counts(p), "19 groups of 1,000 nodes")
	p.DoubleClickText(".node .name", "shop31")
	p.Until(`document.querySelectorAll(".node:not(.group)").length === 10`)
	expect(t, "a project opens into its containers", counts(p), "10 nodes and 18 groups of 990 nodes")
	p.Shot("opened")
	p.ClickText(".box-title", "shop31")
	expect(t, "a box closes", counts(p), "19 groups of 1,000 nodes")
	p.Choose("[name=group]", "image")
	expect(t, "by image", counts(p), "10 groups of 1,000 nodes")
	p.Choose("[name=group]", "service")
	expect(t, "by service", counts(p), "1,000 groups of 1,000 nodes")
	p.Choose("[name=group]", "container")
	p.Until(`document.querySelectorAll(".node").length === 1000`)
	expect(t, "nothing grouped", counts(p), "1,000 nodes")
	p.Shot("all")
}

func TestFilters(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	for _, test := range []struct {
		field, value string
		counts       []string
		names        []string
	}{
		{"host", "two", []string{"hidden: 5 nodes and 5 links (outside this filter)"}, []string{"batch-job", "idle", "sealed", "shop-web"}},
		{"project", "batch", []string{"7 nodes and 5 links (outside"}, []string{"batch-job", "shop-web"}},
		{"image", "shop/db:1", []string{"2 nodes, 1 link", "7 nodes and 5 links (outside"}, []string{"shop-api", "shop-db"}},
		{"port", "5432", []string{"5 links (to other ports)", "7 nodes (unconnected)"}, []string{"shop-api", "shop-db"}},
		{"external", "hide", []string{"1 node and 1 link (external)"}, []string{"batch-job", "idle", "payments", "sealed", "shop-api", "shop-cache", "shop-db", "shop-web"}},
		{"external", "group", []string{"8 nodes and 1 group of 1 node"}, []string{"batch-job", "external", "idle", "payments", "sealed", "shop-api", "shop-cache", "shop-db", "shop-web"}},
		{"state", "past", []string{"5 links (live)", "7 nodes (unconnected)"}, []string{"shop-api", "shop-cache"}},
		{"state", "live", []string{"1 link (past)"}, []string{"203.0.113.7", "batch-job", "idle", "payments", "sealed", "shop-api", "shop-cache", "shop-db", "shop-web"}},
		{"unlinked", "hide", []string{"2 nodes (unconnected)"}, []string{"203.0.113.7", "batch-job", "payments", "shop-api", "shop-cache", "shop-db", "shop-web"}},
	} {
		p.Choose("[name="+test.field+"]", test.value)
		expect(t, test.field+"="+test.value, counts(p), test.counts...)
		same(t, test.field+"="+test.value, names(p), test.names...)
		p.Click("#clear")
		expect(t, "show all", counts(p), "9 nodes, 6 links", "nothing is hidden")
	}
	p.ClickText(".node .name", "batch-job")
	p.Press("n")
	same(t, "neighbours", names(p), "batch-job", "shop-web")
	p.Choose("[name=depth]", "2")
	same(t, "neighbours over two links", names(p), "203.0.113.7", "batch-job", "shop-api", "shop-web")
	p.Shot("neighbours")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	p, _ := open(t, fleet(1000), "?host=host2")
	p.Press("/")
	p.Until(`document.activeElement.id === "search"`)
	p.Press("shop77-db")
	same(t, "options", p.Texts("#found [role=option] b"), "shop77-db", "shop77-db", "shop77-db") // and terms to show only it or hide it
	p.Shot("search")
	p.Press(kb.Enter)
	p.Until(`document.querySelector(".node.selected")?.getAttribute("aria-label").startsWith("shop77-db,")`)
	if !webtest.Eval[bool](p, `(() => {
		const at = document.querySelector(".node.selected").getBoundingClientRect(), map = document.querySelector("#map").getBoundingClientRect();
		return at.left >= map.left && at.right <= map.right && at.top >= map.top && at.bottom <= map.bottom;
	})()`) {
		t.Error("the found node is not in view")
	}
	expect(t, "panel", panelText(p), "shop77-db", "host7")
	p.Press("/")
	p.Press("nobody-is-called-so")
	p.Until(`document.querySelector("#found").textContent === "No match"`)
}

func TestTable(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	column := func(i int) []string {
		return webtest.Eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll("#table tbody tr")].map((r) => r.cells[%d].textContent)`, i))
	}
	same(t, "heads", p.Texts("#table th"), "Client", "Server", "Port", "Conn.", "Via", "Seen by", "State")
	p.ClickText("#table th button", "Conn.")
	same(t, "ascending", column(3), "0", "1", "2", "3", "4", "12")
	p.ClickText("#table th button", "Conn.")
	same(t, "descending", column(3), "12", "4", "3", "2", "1", "0")
	same(t, "announced", webtest.Eval[[]string](p, `[document.querySelector("[aria-sort]").ariaSort]`), "descending")
	p.Click("#columns")
	expect(t, "all columns", strings.Join(p.Texts("#table th"), " "), "Round trip", "Sent", "Received", "First seen", "Last seen")
	p.Click("#columns")
	p.Choose("#table-filter", "shop-db 5432")
	same(t, "filtered", column(1), "shop-db")
	expect(t, "counted", webtest.Eval[string](p, `document.querySelector("#table-count").textContent`), "1 of 6 links")
	webtest.Eval[bool](p, `(navigator.clipboard.writeText = async (text) => { window.copied = text; }, true)`)
	p.Click("#copy")
	p.Until(`window.copied`)
	if copied := webtest.Eval[string](p, `window.copied`); copied != "Client\tServer\tPort\tConnections\tVia\tSeen by\tState\nshop-api\tshop-db\t5432\t4\tdirect\tboth\tlive\n" {
		t.Errorf("copied %q", copied)
	}
}

// TestAddressRestoresTheView opens the address of a view in another tab.
func TestAddressRestoresTheView(t *testing.T) {
	t.Parallel()
	_, address := serve(t, fleet(300))
	b := webtest.Start(t)
	p := b.Open(address, 1400, 850)
	p.Until(`document.querySelector(".node")`)
	p.Click("#what-changed") // labels name what is new, which the layout must know
	p.Choose("[name=host]", "host1")
	p.Choose("[name=port]", "8080")
	p.Choose("[name=group]", "project")
	p.DoubleClickText(".node .name", "shop12")
	p.Until(`document.querySelector(".node:not(.group)")`)
	p.ClickText(".node .name", "shop12-web")
	p.ClickText("#table th button", "Server")
	p.Choose("#table-filter", "shop12")
	p.Drag("#map", 90, 60, 5)
	p.Until(`location.search.includes("look=")`)
	state := `JSON.stringify([document.querySelector("#counts").textContent.replace(/since \d\d:\d\d/, ""), [...document.querySelectorAll(".node .name")].map((n) => n.textContent).sort(),
		document.querySelector(".node.selected .name")?.textContent, [...document.querySelectorAll("#table tbody tr")].map((r) => r.dataset.key),
		[...document.querySelectorAll("#filters select, #filters input, #new-since, #table-filter")].map((f) => f.value), document.querySelector("#panel h2")?.textContent])`
	want := webtest.Eval[string](p, state)
	other := b.Open(webtest.Eval[string](p, "location.href"), 1400, 850)
	other.Until(`document.querySelector(".node.selected")`)
	if got := webtest.Eval[string](other, state); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	place := func(p *webtest.Page) (at struct{ X, Y, Width float64 }) {
		return webtest.Eval[struct{ X, Y, Width float64 }](p, `(() => { const r = document.querySelector(".node.selected .body").getBoundingClientRect(); return { X: r.x, Y: r.y, Width: r.width }; })()`)
	}
	if a, b := place(p), place(other); math.Abs(a.X-b.X) > 3 || math.Abs(a.Y-b.Y) > 3 || math.Abs(a.Width-b.Width) > 1 {
		t.Errorf("the selected node is at %v, in the other tab at %v", a, b)
	}
}

// TestAddressFollowsMoves jumps to a node after a drag and then fits the map: the address follows both.
func TestAddressFollowsMoves(t *testing.T) {
	t.Parallel()
	_, address := serve(t, fleet(300))
	b := webtest.Start(t)
	p := b.Open(address+"?group=container", 1400, 850)
	p.Until(`document.querySelector(".node")`)
	p.Drag("#map", 90, 60, 5)
	p.Until(`location.search.includes("look=")`)
	dragged := webtest.Eval[string](p, `new URLSearchParams(location.search).get("look")`)
	p.Press("/")
	p.Press("shop27-db")
	p.Press(kb.Enter)
	p.Until(`location.search.includes("select=") && ![null, "` + dragged + `"].includes(new URLSearchParams(location.search).get("look"))`)
	other := b.Open(webtest.Eval[string](p, "location.href"), 1400, 850)
	other.Until(`document.querySelector(".node.selected")`)
	if !webtest.Eval[bool](other, `(() => {
		const at = document.querySelector(".node.selected").getBoundingClientRect(), map = document.querySelector("#map").getBoundingClientRect();
		return at.left >= map.left && at.right <= map.right && at.top >= map.top && at.bottom <= map.bottom;
	})()`) {
		t.Error("the selected node is not in view in the other tab")
	}
	p.Press(kb.Escape, kb.Escape) // leaves the search, then clears the selection
	p.Press("0")
	p.Until(`location.search === "?group=container"`)
}

func TestKeyboard(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	focused := func() string {
		return webtest.Eval[string](p, `document.activeElement.closest(".node")?.getAttribute("aria-label").split(",")[0] || document.activeElement.id || document.activeElement.tagName`)
	}
	webtest.Eval[bool](p, `(document.querySelector("#map").focus(), true)`)
	p.Press(kb.ArrowRight)
	if first := focused(); !slices.Contains(names(p), first) {
		t.Fatalf("the first arrow leads to %q", first)
	}
	webtest.Eval[bool](p, `([...document.querySelectorAll(".node")].find((n) => n.getAttribute("aria-label").startsWith("shop-web,")).focus(), true)`)
	p.Press(kb.ArrowDown)
	same(t, "down", []string{focused()}, "shop-api")
	p.Press(kb.ArrowUp)
	same(t, "back", []string{focused()}, "shop-web")
	p.Press(kb.Enter)
	expect(t, "Enter", panelText(p), "shop-web")
	if label := webtest.Eval[string](p, `document.activeElement.getAttribute("aria-label") || ""`); !strings.Contains(label, "shop-web, shop/web:1, on one") {
		t.Errorf("it is called %q", label)
	}
	transform := `document.querySelector(".drawing-root").style.transform`
	before := webtest.Eval[string](p, transform)
	p.Press("+")
	if webtest.Eval[string](p, transform) == before {
		t.Error("+ does nothing")
	}
	p.Press("t")
	same(t, "t", []string{focused()}, "TR")
	p.Press(kb.ArrowDown, kb.Enter)
	p.Until(`document.querySelector("tr.selected") === document.activeElement`)
	p.Press("p")
	p.Until(`document.querySelector("#pause").ariaPressed === "true"`)
	p.Press("p", "?")
	p.Until(`document.querySelector("#legend").open`)
	cut := `[...document.querySelectorAll("#symbols svg > .node")].filter((e) => e.getBoundingClientRect().right > e.parentElement.getBoundingClientRect().right)`
	if got := webtest.Eval[[]int](p, "["+`document.querySelectorAll("#symbols .node").length, document.querySelectorAll("#symbols .line").length, `+cut+".length]"); !slices.Equal(got, []int{8, 8, 0}) {
		t.Errorf("samples of nodes, of lines, and those that are cut: %d", got)
	}
	p.Shot("legend")
	p.Press(kb.Escape)
	p.Until(`!document.querySelector("#legend").open && !document.querySelector("#symbols .node")`) // no sample is a node of the map
	p.Press(kb.Escape)
	p.Until(`document.querySelector("#panel").hidden`)
}

// TestInvalidParametersAreIgnored opens addresses with invalid parameters: the map appears all the same.
func TestInvalidParametersAreIgnored(t *testing.T) {
	t.Parallel()
	_, address := serve(t, shop())
	b := webtest.Start(t)
	for _, query := range []string{
		"at=x", "since=T", "since=5x", "newSince=T", "newSince=5x", "group=planet", "external=what", "state=alive", "depth=many", "port=http", "look=1,2", "select=nobody", "node=nobody&depth=0",
		"open=%FF&closed=%00", "sort=-", "sort=Colour", "panel=other", "unlinked=&columns=x", "at=9999-01-01T00:00:00Z", "filter=(", "host=none",
	} {
		p := b.Open(address+"?"+query, 1000, 700)
		p.Until(`document.querySelector(".node") || document.querySelector("#empty h2")?.textContent === "Nothing matches these filters"`)
	}
}

// TestEarlierValuesKeepTheirMeaning opens an address with values of earlier versions.
func TestEarlierValuesKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	_, address := serve(t, shop())
	p := webtest.Start(t).Open(address+"?group=none&panel=unread", 1000, 700)
	p.Until(`document.querySelector("#filters").elements.group.value === "container" && document.querySelector("#panel h2")?.textContent === "Partly readable containers"`)
}

// TestAutomaticGrouping changes the number of nodes: the map is grouped above a limit, with hysteresis.
func TestAutomaticGrouping(t *testing.T) {
	t.Parallel()
	project := func(containers, externals int) graph.Graph {
		var nodes []graph.Node
		var links []graph.Link
		for i := range containers {
			nodes = append(nodes, container("one", "shop", fmt.Sprintf("web%d", i)))
		}
		for i := range externals {
			nodes = append(nodes, external(fmt.Sprintf("203.0.113.%d", i)))
			links = append(links, link(nodes[containers+i], nodes[0], 8080, 1))
		}
		return newMap(nodes, links)
	}
	p, served := open(t, project(20, 60), "")
	expect(t, "many external addresses are one", counts(p), "20 nodes and 1 group of 60 nodes")
	p.DoubleClickText(".node .name", "external")
	expect(t, "opened", counts(p), "80 nodes")
	p.ClickText(".node .name", "203.0.113.5")
	p.ClickText("#panel button", "Collapse external")
	expect(t, "together again", counts(p), "20 nodes and 1 group of 60 nodes")
	p.Press(kb.Escape)
	served.set(project(75, 0), nil)
	p.Until(`document.querySelector("#counts").textContent.startsWith("1 group of 75")`)
	served.set(project(58, 0), nil) // hysteresis keeps it grouped
	p.Until(`document.querySelector("#counts").textContent.startsWith("1 group of 58")`)
	served.set(project(50, 0), nil)
	p.Until(`document.querySelector("#counts").textContent.startsWith("50 nodes")`)
	served.set(project(64, 0), nil)
	p.Until(`document.querySelector("#counts").textContent.startsWith("64 nodes")`)
	p.Choose("#table-filter", "web")
	p.Until(`location.search.includes("level=container")`) // another tab shows the same
	other := webtest.Start(t).Open(webtest.Eval[string](p, "location.href"), 1400, 850)
	other.Until(`document.querySelector("#counts").textContent.startsWith("64 nodes")`)
}

// TestNamesWithColonsAreNotAddresses hides unnamed external addresses: a name with a colon stays.
func TestNamesWithColonsAreNotAddresses(t *testing.T) {
	t.Parallel()
	named, unnamed := external("db: payments"), external("2001:db8::7")
	web := container("one", "", "web")
	p, _ := open(t, newMap([]graph.Node{named, unnamed, web}, []graph.Link{link(web, named, 1, 1), link(web, unnamed, 1, 1)}), "?external=hide")
	same(t, "names", names(p), "db: payments", "web")
}

// TestNewLinksAreMarkedInGroups has one new link between two groups.
func TestNewLinksAreMarkedInGroups(t *testing.T) {
	t.Parallel()
	g := fleet(100)
	fresh := link(g.Nodes[0], g.Nodes[55], 9999, 1)
	old := link(g.Nodes[1], g.Nodes[56], 9999, 1)
	fresh.FirstSeen = time.Now().UTC().Add(-20 * time.Second)
	p, _ := open(t, newMap(g.Nodes, append(g.Links, fresh, old)), "?newSince=5m&group=project")
	expect(t, "counts", counts(p), "1 new link since ")
	if len(p.Texts(".line.new")) != 1 || len(p.Texts("tr.new")) != 1 {
		t.Errorf("%d lines and %d rows are new", len(p.Texts(".line.new")), len(p.Texts("tr.new")))
	}
}

// TestBackAndForward selects a node, filters, and goes back and forward in the browser's history.
func TestBackAndForward(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	p.ClickText(".node .name", "shop-web")
	p.Until(`location.search.includes("select=")`)
	p.Choose("[name=host]", "two")
	p.Until(`location.search.includes("host=two")`)
	p.Drag("#map", 40, 30, 5)
	p.Until(`location.search.includes("look=")`)
	webtest.Eval[bool](p, `(history.back(), true)`)
	p.Until(`!location.search.includes("host=two") && document.querySelectorAll(".node").length === 9 && document.querySelector(".node.selected")`)
	webtest.Eval[bool](p, `(history.back(), true)`)
	p.Until(`location.search === "" && !document.querySelector(".node.selected") && document.querySelector("#panel").hidden`)
	webtest.Eval[bool](p, `(history.go(2), true)`)
	p.Until(`location.search.includes("host=two") && document.querySelectorAll(".node").length === 4`)
	webtest.Eval[bool](p, `(location.hash = "table", true)`) // as the link that skips the map
	p.Choose("[name=port]", "8080")
	p.Until(`location.search.includes("port=8080") && document.querySelectorAll(".node").length === 2`)
}

// TestMarks has containers in each state, with the engine's socket, and on the host's network.
func TestMarks(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	for name, set := range map[string]func(*graph.Details){
		"fine":       func(d *graph.Details) { d.State, d.Health = "running", "healthy" },
		"paused":     func(d *graph.Details) { d.State = "paused" },
		"restarting": func(d *graph.Details) { d.State, d.Health = "restarting", "unhealthy" },
		"sick":       func(d *graph.Details) { d.State, d.Health = "running", "unhealthy" },
		"young":      func(d *graph.Details) { d.State, d.Health = "running", "starting" },
		"agent":      func(d *graph.Details) { d.State, d.HostNetwork, d.EngineSocket = "running", true, true },
	} {
		node := container("one", "", name)
		set(node.Details)
		nodes = append(nodes, node)
	}
	p, _ := open(t, newMap(nodes, nil), "")
	marks := webtest.Eval[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".node")].map((n) => [n.querySelector(".name").textContent,
		[...n.querySelectorAll(".state-badge, .socket-badge, .count-badge")].map((b) => b.textContent).join(", ")]))`)
	want := map[string]string{"fine": "", "paused": "paused", "restarting": "restarting", "sick": "unhealthy", "young": "starting", "agent": "engine socket, host network"}
	if !maps.Equal(marks, want) {
		t.Errorf("%v, want %v", marks, want)
	}
	same(t, "host ports: those of listeners on the host's network too", p.Texts(".port-badge"), ":8080")
	expect(t, "label", webtest.Eval[string](p, `[...document.querySelectorAll(".node")].map((n) => n.getAttribute("aria-label")).join("\n")`),
		"sick, shop/sick:1, on one, unhealthy", "agent, shop/agent:1, on one, has the engine's socket, on the host's network")
	if got := webtest.Eval[drawing](p, faults); got.Cut+got.Small+got.Outside > 0 {
		t.Errorf("%+v", got)
	}
	p.Shot("marks")
}

// TestBannerNamesTheTime looks back, and loses the connection.
func TestBannerNamesTheTime(t *testing.T) {
	t.Parallel()
	p, served := open(t, shop(), "")
	same(t, "title", []string{webtest.Eval[string](p, `document.title`)}, "Outpost – 2 hosts")
	p.Choose("#at", "-900")
	p.Until(`/^Viewing \d\d:\d\d:\d\dReturn to live$/.test(document.querySelector("#banner:not([hidden])")?.textContent) && document.querySelector(".drawing.then")`)
	p.Shot("past")
	p.Click("#banner button")
	p.Until(`document.querySelector("#banner").hidden && !document.querySelector(".drawing.then")`)
	served.set(graph.Graph{}, errors.New("the engine is away"))
	p.Until(`/; data from \d\d:\d\d:\d\d, retrying$/.test(document.querySelector("#banner.trouble:not([hidden])")?.textContent)`)
	p.Shot("lost")
	served.set(shop(), nil)
	p.Until(`document.querySelector("#banner").hidden`)
	p.Complaints() // the browser logs the status 503
}

// TestQueryInTheSearchField completes terms, shows them as chips, and removes them.
func TestQueryInTheSearchField(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	chips := func() []string { return p.Texts("#chips .chip") }
	p.Press("/")
	p.Press("pro")
	p.Until(`[...document.querySelectorAll("#found [role=option]")].some((o) => o.textContent === "project: …")`)
	p.Press("ject:sh")
	p.Until(`[...document.querySelectorAll("#found [role=option]")].some((o) => o.textContent === "Show only project:shop")`)
	p.Shot("completion")
	p.ClickText("#found [role=option]", "Show only project:shop")
	same(t, "chips", chips(), "project:shop ×")
	same(t, "the project and its neighbours", names(p), "203.0.113.7", "batch-job", "payments", "shop-api", "shop-cache", "shop-db", "shop-web")
	p.Press(kb.Escape, "/")
	p.Press("-port:5432")
	p.Until(`document.querySelector("#found [role=option]")?.textContent === "Hide port:5432"`)
	p.Press(kb.Enter)
	same(t, "chips", chips(), "project:shop ×", "-port:5432 ×")
	expect(t, "counts", counts(p), "1 link (left out by the query)")
	p.Until(`new URLSearchParams(location.search).get("q") === "project:shop -port:5432"`)
	p.ClickText("#chips .chip", "project:shop ×")
	same(t, "chips", chips(), "-port:5432 ×")
	p.ClickText(".node .name", "batch-job")
	p.ClickText("#panel button", "Hide this")
	same(t, "chips", chips(), "-port:5432 ×", "-name:batch-job ×")
	expect(t, "hidden nodes are counted", counts(p), "1 node and 1 link (excluded by the query)")
	p.Click("#clear")
	expect(t, "counts", counts(p), "9 nodes, 6 links", "nothing is hidden")
}

// TestInvalidQueryIsNamed opens an address with a query that cannot be parsed: nothing is hidden, and the page says why.
func TestInvalidQueryIsNamed(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "?q=colour:red")
	expect(t, "error", webtest.Eval[string](p, `document.querySelector("#chips [role=alert]").textContent`), `q: term "colour:red": unknown field "colour": want one of name`)
	expect(t, "counts", counts(p), "9 nodes", "nothing is hidden")
	p.Click("#chips button")
	p.Until(`!document.querySelector("#chips").hasChildNodes()`)
}

// TestHideMonitoring hides what watches the containers of a company, and shows it again.
func TestHideMonitoring(t *testing.T) {
	t.Parallel()
	p, _ := open(t, newCompany(15, 1), "?group=container")
	before := names(p)
	p.Click("#filters-toggle")
	p.Click("#hide-monitoring")
	for _, name := range names(p) {
		if strings.HasPrefix(name, "monitoring-") || strings.HasPrefix(name, "agents-") || name == "outpost" {
			t.Errorf("%s is shown", name)
		}
	}
	same(t, "pressed", []string{webtest.Eval[string](p, `document.querySelector("#hide-monitoring").ariaPressed`)}, "true")
	expect(t, "counts", counts(p), "6 nodes and ", "excluded by the query")
	p.Click("#hide-monitoring")
	same(t, "all again", names(p), before...)
}

// TestPhone finds a container: it stays visible above its panel. The controls are in a sheet that opens and closes.
func TestPhone(t *testing.T) {
	t.Parallel()
	_, address := serve(t, newCompany(30, 1))
	p := webtest.Start(t).Open(address, 390, 844)
	p.Until(`document.querySelector(".node")`)
	if got := webtest.Eval[drawing](p, faults); got.Behind+got.LabelsOnLabels+got.LabelsOnTitles+got.LabelsOnNodes+got.LabelsOnLines+got.Cut+got.Small > 0 {
		t.Errorf("%+v", got)
	}
	visible := func(selector string) bool {
		return webtest.Eval[bool](p, fmt.Sprintf(`document.querySelector(%q).getBoundingClientRect().height > 0`, selector))
	}
	if visible("#pause") || !visible("#controls-toggle") {
		t.Error("the controls are not in a sheet")
	}
	p.Click("#controls-toggle")
	if !visible("#pause") {
		t.Error("the sheet does not open")
	}
	p.Shot("phone-controls")
	p.Choose("[name=group]", "container")
	p.Click("#search")
	if visible("#pause") {
		t.Error("the sheet does not close")
	}
	p.Press("checkout-shop-db-1")
	p.Press(kb.Enter)
	p.Until(`document.querySelector(".node.selected") && !document.querySelector("#panel").hidden`)
	isVisible := `(() => {
		const node = document.querySelector(".node.selected .body").getBoundingClientRect(), map = document.querySelector("#map").getBoundingClientRect(), panel = document.querySelector("#panel").getBoundingClientRect();
		return node.top >= map.top && node.bottom <= panel.top && node.left >= 0 && node.right <= innerWidth && panel.top >= innerHeight / 2 - 1;
	})()`
	if !webtest.Eval[bool](p, isVisible) {
		t.Error("the found node is not visible")
	}
	p.Shot("phone-found")

	p.Click("#panel .close")
	low := webtest.Eval[point](p, `(() => {
		const map = document.querySelector("#map").getBoundingClientRect();
		const [r] = [...document.querySelectorAll(".node .body")].map((b) => b.getBoundingClientRect()).filter((r) => r.left > 0 && r.right < innerWidth && r.bottom < map.bottom - 50).sort((a, b) => b.bottom - a.bottom);
		return { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
	})()`)
	p.ClickAt(low.X, low.Y)
	p.Until(`document.querySelector(".node.selected") && !document.querySelector("#panel").hidden`)
	if low.Y < 400 || !webtest.Eval[bool](p, isVisible) {
		t.Errorf("the panel covers the node that was at %.0f px", low.Y)
	}
}

// TestLinesInsideGroups filters by the port of a database. Its caller is in the same group, so that the line begins and ends there.
func TestLinesInsideGroups(t *testing.T) {
	t.Parallel()
	_, address := serve(t, shop())
	browser := webtest.Start(t)
	for query, want := range map[string][]string{"": nil, "&port=5432": {"5432 ×4"}, "&q=port:5432": {"5432 ×4"}, "&state=past": {"6379"}, "&q=name:shop-db": nil} {
		p := browser.Open(address+"?group=project&external=hide"+query, 1280, 720)
		p.Until(`document.querySelector(".node")`)
		inside := webtest.Eval[[]string](p, `[...document.querySelectorAll(".labels .label")].filter((l) => new Set(l.dataset.id.split(" ")).size === 1).map((l) => l.textContent)`)
		same(t, "lines inside groups with "+query, inside, want...)
	}
}
