package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// axeSource returns the script of axe-core, which `make npm` installs. Without it the test is skipped, and fails in CI.
func axeSource(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", ".build", "npm", "node_modules", "axe-core", "axe.min.js"))
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%v: run make npm", err)
	}
	if err != nil {
		t.Skipf("%v: run make npm", err)
	}
	return string(source)
}

// axeRun is a script that runs all rules of axe-core, also those of best practice and the least size of targets. axe-core joins the
// texts of a node without spaces before it compares them with its name; TestNodesAreNamedAsTheyLook compares them instead. An open menu
// makes what it covers in part too small as targets; behind selects that.
const axeRun = `axe.run(document, { rules: { "target-size": { enabled: true } }, resultTypes: ["violations"] }).then(({ violations }) => {
	const ignored = { "label-content-name-mismatch": ".node", "target-size": %q || "none" };
	const counts = ({ id, element }) => !ignored[id] || !element.closest(ignored[id]);
	return violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, any, all, none }) => ({ id, help, element: document.querySelector(target[0]), checks: [...any, ...all, ...none] })))
		.filter(counts).map(({ id, help, element, checks }) => id + ": " + help + ": " + element.outerHTML.slice(0, 160) + " " + checks.map((c) => c.message).join("; "));
})`

// expectNoViolations runs axe-core in a state of a page in both themes, on a common screen and on a phone.
func expectNoViolations(t *testing.T, p *webtest.Page, axe string, state pageState) {
	t.Helper()
	webtest.Eval[bool](p, axe+"; true")
	for _, size := range [][2]int64{{1400, 850}, {390, 844}} {
		p.Resize(size[0], size[1])
		if state.until != "" {
			p.Until(state.until)
		}
		for _, scheme := range []string{"light", "dark"} {
			p.Prefer(scheme)
			for _, violation := range webtest.Eval[[]string](p, fmt.Sprintf(axeRun, state.behind)) {
				t.Errorf("%s, %s, %d pixels wide: %s", state.name, scheme, size[0], violation)
			}
		}
		p.Shot(fmt.Sprintf("axe-%s-%d", strings.ReplaceAll(state.name, " ", "-"), size[0]))
	}
}

// troubled returns the shop with a host that stopped responding, a past container, and links to other programs.
func troubled() graph.Graph {
	g := shop()
	stale, gone := container("four", "", "stale"), container("one", "shop", "gone")
	stale.Stale, gone.Past = true, true
	ended := link(gone, container("one", "shop", "db"), 5432, 0)
	ended.Live = false
	targets := append(g.Targets, graph.Target{Target: "four:9057", Host: "four", State: graph.StateStale, Reason: "no answer within 30s", LastAnswer: began()})
	g = newMap(append(g.Nodes, stale, gone), append(g.Links, ended), targets...)
	g.ContainerLinks = []graph.ContainerLink{{Label: "Logs", URL: "/logs/{id}"}}
	return g
}

// pageState is a state of the page that a query of its address or a step leads to. until is a script that is true in the state. It may
// do the step. behind selects what a menu covers.
type pageState struct{ name, query, until, behind string }

var pageStates = []pageState{
	{"first view", "", `document.querySelector(".box.stale") && (innerWidth <= 900 || document.querySelector("#overview h2"))`, ""},
	{"overview", "?overview=open", `document.querySelector("#overview h2")`, ""},
	{"without the overview", "?overview=closed", `document.querySelector(".node")`, ""},
	{"filters", "", `(document.querySelector("#filters").hidden && document.querySelector("#filters-toggle").click(), !document.querySelector("#filters").hidden)`, ""},
	{"node", "?select=container/one/shop-web", `document.querySelector("#panel:not([hidden]) h2")`, ""},
	{"line", "?select=container/one/shop-web%20container/one/shop-api", `document.querySelector("#panel:not([hidden]) h2")`, ""},
	{"group", "?group=project&select=project/shop", `document.querySelector(".node.group.selected") && document.querySelector("#panel:not([hidden]) h2")`, ""},
	{"targets", "?panel=targets", `document.querySelector("#panel:not([hidden]) h2")?.textContent === "Targets"`, ""},
	{"incomplete", "?panel=incomplete", `document.querySelector("#panel:not([hidden]) h2")?.textContent === "Partly readable containers"`, ""},
	{"search", "", `(document.querySelector("#search").value = "sh", document.querySelector("#search").focus(), document.querySelectorAll("#found [role=option]").length > 2)`, ""},
	{"search without a match", "", `(document.querySelector("#search").value = "zzz", document.querySelector("#search").focus(), document.querySelector("#found .none"))`, ""},
	{"chips", "?q=project:shop%20-port:5432", `document.querySelectorAll("#chips .chip").length === 2`, ""},
	{"invalid query", "?q=colour:red", `document.querySelector("#chips [role=alert]")`, ""},
	{"past", "?at=15m", `document.querySelector("#banner:not([hidden]) button")`, ""},
	{"nothing matches", "?port=1", `document.querySelector("#empty h2")?.textContent === "Nothing matches these filters"`, ""},
	{"new links and all columns", "?newSince=1h&columns=all&sort=Port", `document.querySelector(".label.new") && document.querySelector("[aria-sort]")`, ""},
	{"legend", "", `(document.querySelector("#legend").open || document.querySelector("#help").click(), document.querySelector("#legend").open)`, ""},
	{"save menu", "", `(document.querySelector("#controls").getBoundingClientRect().height || innerWidth > 760 || document.querySelector("#controls-toggle").click(), document.querySelector("#save").open = true)`, "main"},
	{"controls", "", `(innerWidth > 760 || document.querySelector("#controls").classList.contains("open") || document.querySelector("#controls-toggle").click(), true)`, ""},
	{"tooltip", "", `(document.querySelector(".node .name").dispatchEvent(new PointerEvent("pointerover", { bubbles: true })), !document.querySelector("#tip").hidden)`, ""},
}

// TestNodesAreNamedAsTheyLook compares the texts of nodes with their names for users of screen readers and voice control.
func TestNodesAreNamedAsTheyLook(t *testing.T) {
	t.Parallel()
	p, _ := open(t, troubled(), "")
	differ := webtest.Eval[[]string](p, `[...document.querySelectorAll(".node")].flatMap((n) => [...n.querySelectorAll(".name, .small, .port-badge, .count-badge, .state-badge")]
		.filter((e) => !n.getAttribute("aria-label").includes(e.textContent)).map((e) => e.textContent + " is not in " + n.getAttribute("aria-label")))`)
	same(t, "names", differ)
	if shown := len(p.Texts(".node .name, .node .small, .port-badge")); shown < 20 {
		t.Errorf("%d texts", shown)
	}
}

func TestAxeFindsNoViolation(t *testing.T) {
	t.Parallel()
	axe, browser := axeSource(t), webtest.Start(t)
	_, address := serve(t, troubled())
	for _, state := range pageStates {
		query := strings.Replace(state.query, "at=15m", "at="+time.Now().UTC().Add(-15*time.Minute).Format(time.RFC3339), 1)
		p := browser.Open(address+query, 1400, 850)
		p.Until(`document.querySelector(".node, #empty:not([hidden]) h2") && !document.querySelector("#map[aria-busy]")`)
		expectNoViolations(t, p, axe, state)
	}
}

func TestAxeFindsNoViolationWithoutData(t *testing.T) {
	t.Parallel()
	axe, browser := axeSource(t), webtest.Start(t)
	served, address := serve(t, troubled())
	p := browser.Open(address, 1400, 850)
	p.Until(`document.querySelector(".node")`)
	served.set(graph.Graph{}, errors.New("the engine is away"))
	p.Until(`document.querySelector("#banner.trouble:not([hidden])")`)
	expectNoViolations(t, p, axe, pageState{name: "connection lost"})
	lost := p
	p = browser.Open(address, 1400, 850)
	p.Until(`document.querySelector("#empty h2")?.textContent === "No data from Outpost"`)
	expectNoViolations(t, p, axe, pageState{name: "no data"})
	served.set(troubled(), nil)
	for _, p := range []*webtest.Page{lost, p} {
		p.Until(`document.querySelector("#freshness").textContent.startsWith("live")`)
		p.Complaints() // the browser logs the status 503
	}

	var expired atomic.Pointer[http.HandlerFunc]
	p = browser.Open(serveWithLogin(t, &expired), 1400, 850)
	p.Until(`document.querySelector(".node")`)
	login := logins["page"]
	expired.Store(&login)
	p.Until(`document.querySelector("#banner.trouble:not([hidden]) button")`)
	expectNoViolations(t, p, axe, pageState{name: "login expired"})
	p.Reload()
	p.Until(`document.querySelector("#empty:not([hidden]) h2")?.textContent === "The login has expired"`)
	expectNoViolations(t, p, axe, pageState{name: "login expired without data"})
	for name, empty := range map[string]graph.Graph{"no containers": newMap([]graph.Node{}, nil), "no links": newMap([]graph.Node{container("one", "", "alone")}, nil)} {
		_, address := serve(t, empty)
		p = browser.Open(address, 1400, 850)
		p.Until(`document.querySelector("#empty:not([hidden])") && !/^(Loading|Connecting|Drawing)/.test(document.querySelector("#empty").textContent)`)
		expectNoViolations(t, p, axe, pageState{name: name})
	}
}

func TestAxeFindsNoViolationAtSignIn(t *testing.T) {
	t.Parallel()
	axe, browser := axeSource(t), webtest.Start(t)
	_, handler := newHandler(shop())
	users := newTokenFile(t)
	users.set("basic_auth_users:\n  a: $2a$04$uZ9.d3X8QyWlqHBrgEYqr.dmLVFbJbAZ5Wz3V9m4m1Pn8b6zZ9a2y\n")
	for name, options := range map[string]access.Options{"token": {TokenFile: newTokenFile(t).path}, "users": {WebConfig: users.path}, "both": {TokenFile: newTokenFile(t).path, WebConfig: users.path}} {
		p := browser.Open(serveGuarded(t, options, handler)+"/map/", 1400, 850)
		p.Until(`document.querySelector("h1")`)
		expectNoViolations(t, p, axe, pageState{name: "sign-in with " + name})
		webtest.Eval[string](p, `document.querySelector("[name=name]").value = "a"`)
		signIn(p, "a-wrong-token-of-this-test")
		p.Until(`document.querySelector("[role=alert]")`)
		expectNoViolations(t, p, axe, pageState{name: "refused sign-in with " + name})
		expectNoComplaints(t, name, p)
	}
}
