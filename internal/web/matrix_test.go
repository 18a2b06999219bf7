package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// openMatrix opens the matrix of a map.
func openMatrix(t *testing.T, g graph.Graph, query string) (*webtest.Page, *drawn) {
	t.Helper()
	served, address := serve(t, g)
	p := webtest.Start(t).Open(address+"?as=matrix"+query, 1400, 850)
	p.Until(`document.querySelector(".matrix-left .axis")`)
	return p, served
}

// cellAt is a script that returns the middle of the cell of a caller and a called node.
const cellAt = `((caller, called) => {
	const middle = (side, name) => { const r = [...document.querySelectorAll(side + " .axis")].find((e) => e.textContent === name).getBoundingClientRect(); return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; };
	return { X: middle(".matrix-top", called).x, Y: middle(".matrix-left", caller).y };
})`

func TestMatrix(t *testing.T) {
	t.Parallel()
	p, _ := openMatrix(t, shop(), "&group=container")
	same(t, "callers", p.Texts(".matrix-left .axis"), "shop-api", "shop-web", "batch-job", "203.0.113.7")
	same(t, "called nodes", p.Texts(".matrix-top .axis"), "shop-api", "shop-cache", "shop-db", "shop-web", "payments")
	same(t, "corner", p.Texts(".matrix-corner"), "4 callers ↓ calling 5 nodes →")
	if got := webtest.Eval[int](p, `document.querySelectorAll(".cell.past.few").length`); got != 1 {
		t.Errorf("%d paths of past cells", got)
	}

	at := webtest.Eval[struct{ X, Y float64 }](p, cellAt+`("shop-api", "shop-db")`)
	p.PointAt(at.X, at.Y)
	expect(t, "tooltip", webtest.Eval[string](p, `document.querySelector("#tip:not([hidden])").innerText`), "shop-api on one → shop-db on one", "port 5432, direct, 4 connections")
	same(t, "names of the pointed cell", p.Texts(".axis.near"), "shop-db", "shop-api")
	p.ClickAt(at.X, at.Y)
	expect(t, "panel of a cell", panelText(p), "shop-api → shop-db", "Port 5432")
	same(t, "rows of a cell", p.Texts("tbody tr.selected td:first-child"), "shop-api")
	p.Shot("matrix")

	p.ClickText(".matrix-top .axis", "shop-db")
	expect(t, "panel of a name", panelText(p), "Called by (1)", "shop-api")
	p.Press(kb.Escape)

	p.PointAt(10, 10)
	webtest.Eval[any](p, `document.querySelector(".matrix-body").focus()`)
	for _, step := range []struct{ key, want string }{
		{kb.ArrowRight, "shop-api on one calls shop-cache on one, port 6379"},
		{kb.ArrowRight, "shop-api on one calls shop-db on one, port 5432"},
		{kb.ArrowLeft, "shop-api on one calls shop-cache on one, port 6379"},
		{kb.ArrowUp, "shop-web on one calls shop-api on one, port 8080"},
		{kb.ArrowDown, "shop-api on one calls shop-cache on one, port 6379"},
	} {
		p.Press(step.key)
		expect(t, "spoken", webtest.Eval[string](p, `document.querySelector("#said").textContent`), step.want)
	}
	p.Press(kb.Enter)
	expect(t, "panel of the cursor's cell", panelText(p), "shop-api → shop-cache")

	p.Press("m")
	p.Until(`document.querySelector("#matrix").hidden && document.querySelectorAll(".node").length === 9 && !location.search.includes("as=")`)
}

// TestMatrixOfAFleet opens a matrix in which most cells are smaller than their names. The names of projects stand for those of containers
// until the user zooms in.
func TestMatrixOfAFleet(t *testing.T) {
	t.Parallel()
	p, _ := openMatrix(t, newCompany(1000, 10), "&group=container")
	fits := `(() => {
		const frame = document.querySelector(".matrix-body").getBoundingClientRect(), cells = document.querySelector(".cells-ground").getBoundingClientRect();
		return cells.left >= frame.left - 1 && cells.right <= frame.right + 1 && cells.top >= frame.top - 1 && cells.bottom <= frame.bottom + 1;
	})()`
	crowded := `(() => {
		const apart = (selector, start, end) => [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect()).sort((a, b) => a[start] - b[start]).every((r, i, all) => !i || r[start] >= all[i - 1][end] - 1);
		return !apart(".matrix-left .axis text", "top", "bottom") || !apart(".matrix-top .axis text", "left", "right");
	})()`
	covered := `(() => {
		const zoom = document.querySelector(".zoom").getBoundingClientRect();
		return [...document.querySelectorAll(".cells-ground, .axis, .matrix-corner")].filter((e) => { const r = e.getBoundingClientRect(); return r.left < zoom.right && zoom.left < r.right && r.top < zoom.bottom && zoom.top < r.bottom; }).map((e) => e.textContent || e.getAttribute("class"));
	})()`
	for _, size := range [][2]int64{{2560, 1440}, {390, 844}, {1280, 720}} {
		p.Resize(size[0], size[1])
		p.Until(fits)
		same(t, fmt.Sprintf("below the buttons at %d pixels", size[0]), webtest.Eval[[]string](p, covered))
	}
	if webtest.Eval[bool](p, crowded) {
		t.Error("names overlap")
	}
	expect(t, "names of groups", strings.Join(p.Texts(".matrix-left .band"), " "), hostName(0), hostName(9))
	p.Shot("matrix-fleet")
	for range 16 {
		p.Press("+")
	}
	p.Until(`document.querySelector(".matrix-left .axis:not(.band)")`)
	if webtest.Eval[bool](p, crowded) {
		t.Error("names overlap in the zoomed matrix")
	}
	p.Shot("matrix-zoomed")
}

// TestMatrixOfGroups shows the links inside of groups on the diagonal, and those between them.
func TestMatrixOfGroups(t *testing.T) {
	t.Parallel()
	p, _ := openMatrix(t, shop(), "&group=project")
	same(t, "callers", p.Texts(".matrix-left .axis"), "shop", "batch", "203.0.113.7")
	same(t, "called nodes", p.Texts(".matrix-top .axis"), "shop", "payments")
	at := webtest.Eval[struct{ X, Y float64 }](p, cellAt+`("shop", "shop")`)
	p.PointAt(at.X, at.Y)
	expect(t, "links inside", webtest.Eval[string](p, `document.querySelector("#tip:not([hidden])").innerText`), "shop on one → shop on one", "port 8080", "port 5432", "port 6379")
	p.ClickAt(at.X, at.Y)
	expect(t, "panel", panelText(p), "shop → shop", "Port 5432")
}

// TestWhoUsesADatabase finds the callers of a container among many in two actions: typing its name and pressing Enter.
func TestWhoUsesADatabase(t *testing.T) {
	t.Parallel()
	for _, containers := range []int{1000, 3000} {
		for _, as := range []string{"", "?as=matrix"} {
			t.Run(fmt.Sprint(containers, as), func(t *testing.T) {
				t.Parallel()
				g := newCompany(containers, containers/100)
				const name = "loyalty-shop-2-db-1"
				var want []string
				for _, l := range g.Links {
					if strings.HasSuffix(l.Server, "/"+name) {
						want = append(want, l.Client[strings.LastIndex(l.Client, "/")+1:])
					}
				}
				if len(want) < 3 {
					t.Fatalf("only %q call %s", want, name)
				}
				_, address := serve(t, g)
				p := webtest.Start(t).Open(address+as, 1280, 720)
				p.Until(`document.querySelector("#counts").textContent`)
				p.Press("/", name, kb.Enter)
				p.Until(`document.querySelector("#panel h2")?.textContent === "` + name + `"`)
				expect(t, "panel", panelText(p), append(want, "Called by")...)
				expect(t, "table", strings.Join(p.Texts("tbody tr td:first-child"), " "), "loyalty-shop-2-api-1", "loyalty-shop-2-api-2", "loyalty-shop-2-worker-1")
				p.Shot(fmt.Sprintf("who-uses-%d-%t", containers, as != ""))
			})
		}
	}
}

// TestHoveredNodeShowsItsLines points at a node of a map with too many lines to draw.
func TestHoveredNodeShowsItsLines(t *testing.T) {
	t.Parallel()
	p, _ := open(t, newCompany(400, 4), "?group=container&external=hide")
	if drawn := webtest.Eval[int](p, `document.querySelectorAll(".lines .line").length`); drawn != 0 {
		t.Fatalf("%d lines are drawn", drawn)
	}
	expect(t, "hint", webtest.Eval[string](p, `document.querySelector("#many:not([hidden])").textContent`), "lines are not drawn", "open the matrix")
	node := `[...document.querySelectorAll(".node")].find((e) => e.getAttribute("aria-label").startsWith("checkout-shop-2-db-1,"))`
	at := webtest.Eval[struct{ X, Y float64 }](p, `(() => { const r = `+node+`.getBoundingClientRect(); return { X: r.x + r.width / 2, Y: r.y + r.height / 2 }; })()`)
	p.PointAt(at.X, at.Y)
	p.Until(`document.querySelectorAll(".lines .line.hot").length >= 3 && [...document.querySelectorAll(".lines .line")].every((l) => l.dataset.id.endsWith("/checkout-shop-2-db-1"))`)
	p.Shot("hovered")
	p.PointAt(1300, 800)
	p.Until(`document.querySelectorAll(".lines .line").length === 0`)
	p.ClickText("#many button", "open the matrix")
	p.Until(`document.querySelector("#matrix:not([hidden]) .axis")`)
}

// TestSelectedMemberOfAGroup opens an address that selects a container inside a group: the panel describes it, and the group is marked.
func TestSelectedMemberOfAGroup(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "?group=project&select=container/one/shop/db")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")`)
	expect(t, "panel", panelText(p), "shop-db", "Called by (1)", "shop-api")
	same(t, "marked", webtest.Eval[[]string](p, `[...document.querySelectorAll(".node.selected")].map((n) => n.dataset.id)`), "project/shop")
	same(t, "lines of others", p.Texts(".line.near"))
	same(t, "rows", p.Texts("#table tbody td.long"), "shop-api", "shop-db")
	p.Click("#table tbody tr")
	p.Until(`document.querySelector("#panel h2").textContent === "shop-api → shop-db"`)
	same(t, "rows of the map", p.Texts("#table tbody tr.selected td.long"), "shop", "shop")

	p, _ = open(t, shop(), "?group=project&select=container/one/shop/api")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")`)
	same(t, "its line", webtest.Eval[[]string](p, `[...document.querySelectorAll(".line.near")].map((l) => l.dataset.id)`), "project/shop external/payments")
	same(t, "rows with its links", p.Texts("#table tbody tr td:first-child"), "shop-api", "shop-api", "shop-api", "shop-web")
	p.ClickText("#panel button", "Show on the map")
	p.Until(`document.querySelector(".node.selected")?.dataset.id === "container/one/shop-api"`)
}

// TestLineOfAMemberHasItsLabel selects members of a group that has a line with links of several. Its label then has only those of the member.
func TestLineOfAMemberHasItsLabel(t *testing.T) {
	t.Parallel()
	web, api, job, pay := container("one", "shop", "web"), container("one", "shop", "api"), container("one", "shop", "job"), external("192.0.2.9")
	ended := link(job, pay, 9100, 0)
	ended.Live = false
	p, _ := open(t, newMap([]graph.Node{web, api, job, pay}, []graph.Link{link(web, pay, 443, 4), link(api, pay, 443, 2), link(api, pay, 587, 1), ended}), "?group=project")
	label := `document.querySelector(".labels .label text").textContent`
	for _, step := range []struct{ selected, want string }{{"", "443 ×6, 587"}, {"web", "443 ×4"}, {"api", "443 ×2, 587"}, {"job", "9100 past"}, {"", "443 ×6, 587"}} {
		selection := "select=container/one/shop/" + step.selected
		if step.selected == "" {
			selection = ""
		}
		webtest.Eval[any](p, fmt.Sprintf(`history.pushState(null, "", "?group=project&%s"), dispatchEvent(new PopStateEvent("popstate"))`, selection))
		p.Until(label + fmt.Sprintf(` === %q`, step.want))
	}
}
