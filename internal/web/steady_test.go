package web_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// TestReplacedContainersDoNotGrowTheMap replaces a container 300 times, as jobs do.
func TestReplacedContainersDoNotGrowTheMap(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	grown := webtest.Eval[map[string][]float64](p, `(async () => {
		const { extent } = await import("./lattice.js"), { layouts } = await import("./layout.js"), { insertNodes } = await import("./incremental.js");
		const boxes = ["box h", "box h p"];
		const stays = ["web", "api", "db", "cache"].map((id) => ({ id, w: 88, h: 40, boxes }));
		const among = [["web", "api"], ["api", "db"], ["api", "cache"]];
		const run = (linked) => {
			const job = (i) => ({ id: "job" + i, w: 104 + (i % 3) * 16, h: 40, boxes: linked ? boxes : ["box h"] });
			const lines = (i) => (linked ? [...among, ["job" + i, "db"]] : among);
			const [{ places, style }] = layouts([...stays, job(0)], lines(0), { w: 900, h: 600 });
			const size = () => { const e = extent([...places].filter(([id]) => !id.startsWith("job")).map(([, p]) => p)); return e.w * e.h; };
			const before = size();
			for (let i = 1; i <= 300; i++) {
				const items = [...stays, job(i)];
				insertNodes(items, lines(i), places, { style, isAlive: (id) => items.some((item) => item.id === id) });
			}
			return [before, size()];
		};
		return { linked: run(true), unlinked: run(false) };
	})()`)
	for what, size := range grown {
		if size[1] > 1.5*size[0] {
			t.Errorf("%s jobs: the map is %.1f times as large after 300 of them", what, size[1]/size[0])
		}
	}
}

// TestNewNodesKeepLeftToRightOrder adds clients of the leftmost node: they get places to its left, external ones at the edge. Until
// a user moves the map all of it stays in view. After that the nodes in view stay in place.
func TestNewNodesKeepLeftToRightOrder(t *testing.T) {
	for name, isMoved := range map[string]bool{"moved by hand": true, "not moved": false} {
		t.Run(name, func(t *testing.T) { testNewNodes(t, isMoved) })
	}
}

func testNewNodes(t *testing.T, isMoved bool) {
	t.Parallel()
	web, db := published(container("one", "shop", "web"), 8000), container("one", "shop", "db")
	client, outside := container("one", "shop", "client"), external("203.0.113.9")
	nodes, links := []graph.Node{web, db}, []graph.Link{link(web, db, 5432, 1)}
	p, served := open(t, newMap(slices.Clone(nodes), slices.Clone(links)), "")
	if isMoved {
		p.Drag("#map", 40, 30, 5)
	}
	at := geometry + `[rect("shop-web").left, rect("shop-web").top].map(Math.round)})()`
	before := webtest.Eval[[]float64](p, at)
	for _, newcomer := range []graph.Node{outside, client} {
		nodes, links = append(nodes, newcomer), append(links, link(newcomer, web, 8080, 1))
		served.set(newMap(slices.Clone(nodes), slices.Clone(links)), nil)
		p.Until(fmt.Sprintf(`document.querySelectorAll(".node").length === %d`, len(nodes)))
		for what, expression := range map[string]string{
			"the client is before its server": fmt.Sprintf(`before(%q, "shop-web")`, newcomer.Name),
			"the external client is outside":  `rect("203.0.113.9").right < box("one").left || rect("203.0.113.9").bottom < box("one").top`,
			"nothing overlaps":                `nodes.every((a, i) => nodes.slice(i + 1).every((b) => apart(a, b)))`,
			"the box contains its nodes":      `["shop-web", "shop-db"].every((n) => within(rect(n), box("shop")) && within(rect(n), box("one")))`,
		} {
			if !webtest.Eval[bool](p, geometry+expression+"})()") {
				t.Errorf("%s is added: %s: not true", newcomer.Name, what)
			}
		}
		if after := webtest.Eval[[]float64](p, at); isMoved && newcomer.Kind == graph.KindExternal && !slices.Equal(before, after) {
			t.Errorf("%s is added: the nodes in view moved from %v to %v", newcomer.Name, before, after)
		}
		if !isMoved && !webtest.Eval[bool](p, geometry+`[...nodes, ...labels, ...badges].every((r) => within(r, document.querySelector("#map").getBoundingClientRect()))})()`) {
			t.Errorf("%s is added: not all nodes are in view", newcomer.Name)
		}
	}
	p.Shot("newcomers")
}

// onScreen returns the screen position of each node.
func onScreen(p *webtest.Page) string {
	return webtest.Eval[string](p, `JSON.stringify([...document.querySelectorAll(".node .body")].map((b) => {
		const { x, y } = b.getBoundingClientRect();
		return [b.closest(".node").dataset.id, Math.round(x), Math.round(y)];
	}).sort())`)
}

// TestHiddenNodeReturnsToItsPlace hides the only node of a project for a while: it returns to its place, and no other node moves.
func TestHiddenNodeReturnsToItsPlace(t *testing.T) {
	t.Parallel()
	g := shop()
	p, served := open(t, g, "?state=live&unlinked=hide")
	before := onScreen(p)
	without := shop()
	without.Links = slices.DeleteFunc(without.Links, func(l graph.Link) bool { return strings.Contains(l.Client, "batch-job") })
	served.set(without, nil)
	p.Until(`document.querySelectorAll(".node").length === 5`)
	served.set(g, nil)
	p.Until(`document.querySelectorAll(".node").length === 6`)
	if after := onScreen(p); after != before {
		t.Errorf("%s\nbefore %s", after, before)
	}
}

// TestEqualNamesShowTheirHosts has containers with the same names and links on two hosts.
func TestEqualNamesShowTheirHosts(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	var links []graph.Link
	for _, host := range []string{"one", "two"} {
		web, db := container(host, "shop", "web"), container(host, "shop", "db")
		nodes, links = append(nodes, web, db), append(links, link(web, db, 5432, 1))
	}
	p, _ := open(t, newMap(nodes, links), "")
	same(t, "clients", p.Texts("#table td:first-child"), "shop-web on one", "shop-web on two")
	p.Click("#columns")
	expect(t, "columns", strings.Join(p.Texts("#table td"), "|"), "shop-web on one|shop-db on one|5432", "|one|one|", "|two|two|")
	for _, host := range []string{"one", "two"} {
		p.ClickText("#table td", "shop-web on "+host)
		expect(t, "panel", panelText(p), "shop-web on "+host, "shop-db on "+host)
	}
	p.ClickText("#panel button", "shop-web")
	expect(t, "the other host's", panelText(p), "Host\ntwo")
	same(t, "selected", webtest.Eval[[]string](p, `[...document.querySelectorAll(".node.selected")].map((n) => n.dataset.id)`), "container/two/shop-web")
}

// TestRefreshKeepsRowsAndParagraphs refreshes the map: the table keeps the focused row, the panel keeps the selected text.
func TestRefreshKeepsRowsAndParagraphs(t *testing.T) {
	t.Parallel()
	g := shop()
	p, served := open(t, g, "?sort=Server")
	p.ClickText("#table td", "batch-job")
	webtest.Eval[bool](p, `(() => {
		const row = [...document.querySelectorAll("#table tr")].find((r) => r.textContent.includes("shop-db"));
		row.focus();
		window.row = row;
		window.paragraph = document.querySelector("#panel dd");
		getSelection().selectAllChildren(window.paragraph);
		return true;
	})()`)
	g.Nodes = append(g.Nodes, container("one", "shop", "more"))
	g.Links = append(g.Links, link(container("one", "shop", "api"), container("one", "shop", "more"), 1, 1))
	for i := range g.Links {
		g.Links[i].Connections += 50
		g.Links[i].LastSeen = g.Links[i].LastSeen.Add(time.Second)
	}
	served.set(newMap(g.Nodes, g.Links, g.Targets...), nil)
	p.Until(`document.querySelectorAll("#table tbody tr").length === 7`)
	if !webtest.Eval[bool](p, `window.row.isConnected && document.activeElement === window.row && window.row.textContent.includes("54")`) {
		t.Error("the focused row was replaced or not updated")
	}
	if !webtest.Eval[bool](p, `window.paragraph.isConnected && getSelection().toString() === window.paragraph.textContent && window.paragraph.textContent === "53"`) {
		t.Error("the selected text in the panel was replaced or not updated")
	}
}

// TestFocusNeverGetsLost closes and opens the focused element: the focus moves to the map.
func TestFocusNeverGetsLost(t *testing.T) {
	t.Parallel()
	p, _ := open(t, fleet(100), "?group=project")
	focused := func() string {
		return webtest.Eval[string](p, `document.activeElement.dataset.id || document.activeElement.id || document.activeElement.tagName`)
	}
	enter := func(button string) {
		webtest.Eval[bool](p, fmt.Sprintf(`([...document.querySelectorAll("button")].find((b) => b.textContent === %q).focus(), true)`, button))
		p.Press(kb.Enter)
	}
	p.DoubleClickText(".node .name", "shop3")
	p.Until(`document.querySelectorAll(".node:not(.group)").length === 10`)
	p.ClickText(".node .name", "shop3-web")
	enter("×")
	same(t, "the panel is closed", []string{focused()}, "container/host0/shop3-web")
	p.ClickText(".node .name", "shop3-web")
	enter("Collapse project shop3")
	p.Until(`document.querySelectorAll(".node:not(.group)").length === 0`)
	if f := focused(); f == "BODY" {
		t.Errorf("the focus is lost: %s", f)
	}
	p.Choose("[name=port]", "1")
	enter("Show all")
	if f := focused(); f == "BODY" {
		t.Errorf("the focus is lost: %s", f)
	}
	p.Click("#save summary")
	p.Press(kb.Escape)
	p.Until(`!document.querySelector("#save").open && document.activeElement.tagName === "SUMMARY"`)
	p.Click("#save summary")
	p.Point(".node .name", "shop3")
	p.Click("#counts")
	p.Until(`!document.querySelector("#save").open`)
}

// TestRemovedNodeIsNoSearchResult removes a node while the search lists it.
func TestRemovedNodeIsNoSearchResult(t *testing.T) {
	t.Parallel()
	p, served := open(t, shop(), "?project=shop")
	p.Press("/")
	p.Press("idle")
	p.Until(`document.querySelectorAll("#found [role=option]").length === 3`) // and terms to show only it or hide it
	g := shop()
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n graph.Node) bool { return n.Name == "idle" })
	served.set(newMap(g.Nodes, g.Links, g.Targets...), nil)
	p.Until(`document.querySelector("#found").textContent === "No match"`)
	p.Press(kb.Enter)
	if search := webtest.Eval[string](p, "location.search"); search != "?project=shop" {
		t.Errorf("the view is %s", search)
	}
}

// TestGroupsShareAPortBadge has groups with one and with many published ports.
func TestGroupsShareAPortBadge(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	for i := range 40 {
		nodes = append(nodes, published(container(fmt.Sprint("host", i%2), fmt.Sprint("shop", i/20), fmt.Sprint("web", i)), uint16(8000+i)))
	}
	p, _ := open(t, newMap(nodes, nil), "?group=service&host=host0&closed=project/shop0")
	badges := p.Texts(".port-badge")
	if !slices.Equal(badges[:4], []string{":8000", ":8002", ":8004", "+7"}) || !slices.Contains(badges, ":8020") {
		t.Errorf("badges %q", badges)
	}
	expect(t, "counts", counts(p), "11 groups of 20 nodes, 0 links")
	p.Choose("[name=host]", "")
	p.Choose("[name=group]", "host")
	same(t, "badges of hosts", p.Texts(".port-badge"), ":8000", ":8002", ":8004", "+17", ":8001", ":8003", ":8005", "+17")
}

// TestLongNamesAreTruncatedInTheMiddle has names that differ at their ends. Screen readers and copies get the full names.
func TestLongNamesAreTruncatedInTheMiddle(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a-very-long-name-", 10)
	one, other := container("one", "", long+"one"), container("one", "", long+"other")
	p, _ := open(t, newMap([]graph.Node{one, other}, []graph.Link{link(one, other, 80, 1)}), "")
	shown := p.Texts("#table td span[aria-hidden]")
	if len(shown) != 2 || !strings.HasSuffix(shown[0], "-one") || !strings.HasSuffix(shown[1], "-other") || len(shown[0]) > 40 {
		t.Errorf("shown %q", shown)
	}
	same(t, "for screen readers", p.Texts("#table td .visually-hidden"), long+"one", long+"other")
	if height := webtest.Eval[float64](p, `document.querySelector("#table tbody tr").offsetHeight`); height > 100 {
		t.Errorf("a row is %.0f pixels high", height)
	}
	webtest.Eval[bool](p, `(navigator.clipboard.writeText = async (text) => { window.copied = text; }, true)`)
	p.Click("#copy")
	p.Until(`window.copied`)
	expect(t, "copied", webtest.Eval[string](p, `window.copied`), long+"one\t"+long+"other\t80\t")
}

// TestNodeThatChangesItsBoxMovesAlone has one group leave the box of its host, as if a replica of a service starts on another
// host.
func TestNodeThatChangesItsBoxMovesAlone(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	var links []graph.Link
	for i := range 20 {
		nodes = append(nodes, container([]string{"one", "two"}[i%2], "", fmt.Sprint("s", i)))
		if i > 1 {
			links = append(links, link(nodes[i], nodes[i-2], 80, 1))
		}
	}
	for i := range nodes {
		nodes[i].Service, nodes[i].Project = nodes[i].Name, "shop"
	}
	p, served := open(t, newMap(slices.Clone(nodes), slices.Clone(links)), "?group=service")
	places := func() map[string]string {
		return webtest.Eval[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".node")].map((n) => [n.dataset.id, n.getAttribute("transform")]))`)
	}
	away := webtest.Eval[[]float64](p, `(() => {
		const at = [...document.querySelectorAll(".node")].find((n) => n.querySelector(".name").textContent === "s6").getBoundingClientRect();
		const map = document.querySelector("#map").getBoundingClientRect();
		return [map.x + map.width / 2 - at.x - at.width / 2, map.y + map.height / 2 - at.y - at.height / 2];
	})()`)
	p.Drag("#map", away[0], away[1], 10) // to the middle of the view
	screen := `JSON.stringify([...document.querySelectorAll(".node")].filter((n) => !n.textContent.includes("s6")).map((n) => [n.dataset.id, Math.round(n.querySelector(".body").getBoundingClientRect().x), Math.round(n.querySelector(".body").getBoundingClientRect().y)]).sort())`
	before, seen := places(), webtest.Eval[string](p, screen)
	replica := container("two", "", "another")
	replica.Service, replica.Project = "s6", "shop"
	served.set(newMap(append(nodes, replica), links), nil)
	p.Until(`[...document.querySelectorAll(".node")].some((n) => n.getAttribute("aria-label").includes("service: 2 nodes"))`)
	moved := 0
	for id, at := range places() {
		if before[id] != at {
			moved++
		}
	}
	if moved > 1 {
		t.Errorf("%d of %d moved", moved, len(before))
	}
	if now := webtest.Eval[string](p, screen); now != seen {
		t.Errorf("on the screen: %s\nbefore %s", now, seen)
	}
}

// TestEmptyMapKeepsPlaces hides all nodes and shows them again: places and view are the same.
func TestEmptyMapKeepsPlaces(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	p.Drag("#map", 50, 40, 5)
	p.Until(`location.search.includes("look=")`)
	before := onScreen(p)
	p.Choose("[name=port]", "7")
	p.Until(`!document.querySelector(".node")`)
	p.Choose("[name=port]", "")
	p.Until(`document.querySelectorAll(".node").length === 9`)
	if after := onScreen(p); after != before {
		t.Errorf("%s\nbefore %s", after, before)
	}
}

// TestPanelKeepsTheFocusedButton inserts and removes links above and below the focused button.
func TestPanelKeepsTheFocusedButton(t *testing.T) {
	t.Parallel()
	db := container("one", "shop", "db")
	callers := []graph.Node{container("one", "shop", "a"), container("one", "shop", "b"), container("one", "shop", "c"), container("one", "shop", "d")}
	with := func(which ...int) graph.Graph {
		var links []graph.Link
		for _, i := range which {
			links = append(links, link(callers[i], db, 5432, 1))
		}
		return newMap(append(slices.Clone(callers), db), links)
	}
	p, served := open(t, with(1, 2), "?select=container/one/shop-db")
	p.Until(`document.querySelectorAll("#panel li button").length === 2`)
	webtest.Eval[bool](p, `(() => {
		window.button = [...document.querySelectorAll("#panel button")].find((b) => b.textContent === "shop-b");
		window.button.focus();
		return true;
	})()`)
	served.set(with(0, 1, 3), nil)
	p.Until(`[...document.querySelectorAll("#panel li button")].map((b) => b.textContent).join(" ") === "shop-a shop-b shop-d"`)
	if !webtest.Eval[bool](p, `window.button.isConnected && document.activeElement === window.button && window.button.textContent === "shop-b"`) {
		t.Error("the focused button was replaced")
	}
	webtest.Eval[bool](p, `(getSelection().selectAllChildren(window.button), true)`)
	served.set(with(1, 3), nil)
	p.Until(`document.querySelectorAll("#panel li button").length === 2`)
	if !webtest.Eval[bool](p, `document.activeElement === window.button && getSelection().toString() === "shop-b"`) {
		t.Error("the button below a removed one was moved")
	}
	served.set(with(0, 3), nil)
	p.Until(`[...document.querySelectorAll("#panel li button")].map((b) => b.textContent).join(" ") === "shop-a shop-d"`)
	same(t, "the focus after its link is removed", []string{webtest.Eval[string](p, `document.activeElement.id`)}, "panel")
}

// TestWiderNodesDoNotOverlap widens neighbouring nodes by the sign of incomplete containers.
func TestWiderNodesDoNotOverlap(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	for i := range 12 {
		nodes = append(nodes, container("one", "shop", fmt.Sprint("container-with-a-name-", i)))
	}
	p, served := open(t, newMap(slices.Clone(nodes), []graph.Link{link(nodes[0], nodes[1], 80, 1), link(nodes[1], nodes[2], 80, 1)}), "")
	for i := range nodes {
		nodes[i].Reason = "the image has no cat"
	}
	served.set(newMap(slices.Clone(nodes), []graph.Link{link(nodes[0], nodes[1], 80, 1), link(nodes[1], nodes[2], 80, 1)}), nil)
	p.Until(`document.querySelectorAll(".sign").length === 12`)
	for what, expression := range map[string]string{
		"nothing overlaps": `nodes.every((a, i) => nodes.slice(i + 1).every((b) => apart(a, b)))`,
		"all in their box": `nodes.every((n) => within(n, box("shop")) && within(n, box("one")))`,
	} {
		if !webtest.Eval[bool](p, geometry+expression+"})()") {
			t.Errorf("%s: not true", what)
		}
	}
}
