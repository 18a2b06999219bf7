package web_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// redeployed returns g with the next image of a container, in a new container.
func redeployed(g graph.Graph, name string) graph.Graph {
	nodes, links := slices.Clone(g.Nodes), slices.Clone(g.Links)
	i := slices.IndexFunc(nodes, func(n graph.Node) bool { return n.Name == name })
	old, next := nodes[i], nodes[i]
	next.ID, next.Container, next.Image = old.ID+"2", old.Container+"2", strings.TrimSuffix(old.Image, "1")+"2"
	id := old.ID[strings.LastIndexByte(old.ID, '/')+1:]
	next.Predecessors = []graph.Predecessor{{Container: id, Name: old.Name, Image: old.Image, LastSeen: time.Now().UTC()}}
	nodes[i] = next
	for j := range links {
		for _, end := range []*string{&links[j].Client, &links[j].Server} {
			if *end == old.ID {
				*end = next.ID
			}
		}
	}
	return newMap(nodes, links, g.Targets...)
}

const placesAndLines = `JSON.stringify([
	Object.fromEntries([...document.querySelectorAll(".node")].map((n) => [n.getAttribute("aria-label").split(",")[0], n.getAttribute("transform")])),
	[...document.querySelectorAll(".lines path")].map((l) => l.getAttribute("d")).sort(),
])`

// TestRedeployChangesNoPlace replaces three containers. The new ones have their places and lines, and name them in their panels.
func TestRedeployChangesNoPlace(t *testing.T) {
	t.Parallel()
	p, served := open(t, shop(), "")
	before := webtest.Eval[string](p, placesAndLines)
	served.set(redeployed(redeployed(redeployed(shop(), "shop-cache"), "shop-db"), "shop-api"), nil)
	p.Until(`[...document.querySelectorAll(".node")].some((n) => n.textContent.includes("shop/api:2"))`)
	if after := webtest.Eval[string](p, placesAndLines); after != before {
		t.Errorf("after the redeploy: %s\nbefore: %s", after, before)
	}
	if n := webtest.Eval[int](p, `document.querySelectorAll(".node").length`); n != len(shop().Nodes) {
		t.Errorf("%d nodes", n)
	}
	p.Click(fmt.Sprintf(`.node[data-id=%q]`, "container/one/shop-api2"))
	p.Until(`document.querySelector("#panel").textContent.includes("Replaced")`)
	expect(t, "panel", p.Texts("#panel")[0], "Replaced", "shop-api, shop/api:1, last seen")
	p.Shot("redeployed")
}

// TestPageResolvesReferencesAsTheServer has the references that package graph tests.
func TestPageResolvesReferencesAsTheServer(t *testing.T) {
	t.Parallel()
	vectors, err := os.ReadFile("../graph/testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := open(t, shop(), "")
	differences := webtest.Eval[[]string](p, fmt.Sprintf(`(async () => {
		const { refer, resolve, resolveSelection, referSelection } = await import("./reference.js"), { applyView, isGroupOf, parseView } = await import("./view.js");
		const { nodes, resolve: resolved, refer: referred } = %s, differences = [];
		const same = (what, got, want) => { if (got !== want) differences.push(what + ": " + got + ", want " + want); };
		for (const list of [nodes, nodes.toReversed()]) {
			const isGroup = (id) => isGroupOf(list, id), both = (text) => [resolveSelection(list, text, isGroup), referSelection(list, text, isGroup)].join(" | ");
			for (const [reference, id] of Object.entries(resolved)) same(reference, resolve(list, reference), id);
			for (const [id, reference] of Object.entries(referred)) same(id, refer(list, id), reference);
			for (const id of Object.keys(referred)) same("selection of " + id, resolveSelection(list, referSelection(list, id, isGroup), isGroup), id);
			same("a link", both("container/e1/a0 external/shop api 8080 direct"), "container/e1/a2 external/shop api 8080 direct | container/one/shop-api-2 external/shop api 8080 direct");
			same("a line", both("external/shop api container/one/stack/web"), "external/shop api container/e1/t2 | external/shop api container/one/stack/web");
			same("a line of groups", both("project/shop container/e1/t1"), "project/shop container/e1/t2 | project/shop container/one/stack/web");
			same("of none", both("project/none container/e1/t1 80 direct"), "project/none container/e1/t1 80 direct | project/none container/e1/t1 80 direct");
		}
		const view = { ...parseView("?node=container/one/web.1.x"), group: "container" };
		same("the view of a reference", applyView({ nodes, links: [] }, view, 0).nodes.map((n) => n.id).join(), "container/e1/t2");
		return differences;
	})()`, vectors))
	for _, difference := range differences {
		t.Error(difference)
	}
}

// TestAddressOutlivesContainers opens addresses before and after a redeploy. They name services, and select what has replaced the containers.
func TestAddressOutlivesContainers(t *testing.T) {
	t.Parallel()
	p, served := open(t, shop(), "")
	p.Click(`.node[data-id="container/one/shop-api"]`)
	p.Until(`new URLSearchParams(location.search).get("select") === "container/one/shop/api"`)
	served.set(redeployed(redeployed(shop(), "shop-api"), "shop-db"), nil)
	p.Until(`[...document.querySelectorAll(".node.selected")].some((n) => n.textContent.includes("shop/api:2"))`)
	p.Click(`#panel h3 + ul button.link[data-id="container/one/shop-db2"]`)
	p.Until(`new URLSearchParams(location.search).get("select") === "container/one/shop/db"`)

	_, address := serve(t, redeployed(redeployed(shop(), "shop-api"), "shop-db"))
	for query, heading := range map[string]string{
		"?select=container/one/shop-api":                                                  "shop-api", // its former ID, and its name
		"?select=container/one/shop-api2":                                                 "shop-api",
		"?select=container/one/shop/api":                                                  "shop-api",
		"?select=container/one/shop/api+container/one/shop/db+5432+direct":                "shop-api → shop-db",
		"?select=container/one/shop-api+container/one/shop-db+5432+direct":                "shop-api → shop-db",
		"?node=container/one/shop/db&select=container/one/shop/api":                       "shop-api",
		"?node=container/one/shop-db&select=container/one/shop-api+container/one/shop-db": "shop-api → shop-db",
	} {
		p := webtest.Start(t).Open(address+query, 1400, 850)
		p.Until(`document.querySelector("#panel:not([hidden]) h2")`)
		if got := p.Texts("#panel h2")[0]; got != heading {
			t.Errorf("%s: %q, want %q", query, got, heading)
		}
		if n := len(names(p)); strings.Contains(query, "node=") && n != 2 {
			t.Errorf("%s: %d nodes", query, n)
		}
		p.Click("#zoom-in") // writes the address
		p.Until(`location.search.includes("look=")`)
		if address := webtest.Eval[string](p, `location.search`); strings.Contains(address, "api2") || strings.Contains(address, "shop-") {
			t.Errorf("%s became %s", query, address)
		}
	}
}

// without returns g without the nodes with some names, and without their links.
func without(g graph.Graph, dropped ...string) graph.Graph {
	ids := make(map[string]bool)
	nodes := slices.DeleteFunc(slices.Clone(g.Nodes), func(n graph.Node) bool {
		ids[n.ID] = slices.Contains(dropped, n.Name)
		return ids[n.ID]
	})
	links := slices.DeleteFunc(slices.Clone(g.Links), func(l graph.Link) bool { return ids[l.Client] || ids[l.Server] })
	return newMap(nodes, links, g.Targets...)
}

// TestGoneNodeIsNamed selects a container that then goes. The panel says so, with the time, and offers its service on another host.
func TestGoneNodeIsNamed(t *testing.T) {
	t.Parallel()
	p, served := open(t, shop(), "?select=container/one/shop/api")
	p.Until(`document.querySelector("#panel h2")?.textContent === "shop-api"`)
	moved := without(shop(), "shop-api")
	elsewhere := container("two", "shop", "api")
	elsewhere.Name = "shop-api-1"
	served.set(newMap(append(moved.Nodes, elsewhere), moved.Links, moved.Targets...), nil)
	p.Until(`document.querySelector("#panel h2")?.textContent === "shop-api is gone"`)
	expect(t, "panel", panelText(p), "Last seen at", "Its service runs on another host", "Show shop-api-1 on two", "shop/api:1")
	p.Shot("gone")
	p.Press(kb.Escape)
	p.Until(`document.querySelector("#panel").hidden`)

	served.set(without(shop(), "shop-api"), nil)
	p.Until(`![...document.querySelectorAll(".node .name")].some((n) => n.textContent.startsWith("api"))`)
	webtest.Eval[bool](p, `(history.back(), true)`)
	p.Until(`document.querySelector("#panel:not([hidden]) h2")?.textContent === "shop-api is gone"`)
}

// TestAddressOfGoneNode opens addresses of what does not exist.
func TestAddressOfGoneNode(t *testing.T) {
	t.Parallel()
	g := without(shop(), "shop-cache")
	g.Targets = g.Targets[:1]
	_, address := serve(t, newMap(append(g.Nodes, container("two", "shop", "cache")), g.Links, g.Targets...))
	for query, parts := range map[string][]string{
		"?select=container/one/shop/cache":                                            {"cache is not in the map", "It is gone, or", "another host", "Show shop-cache on two"},
		"?select=container/one/shop-api-7":                                            {"shop-api-7 is not in the map", "In its place runs", "Show shop-api on one"},
		"?select=container/one/" + strings.Repeat("0123456789abcdef", 4):              {"0123456789ab is not in the map"},
		"?node=container/one/shop/cache":                                              {"cache is not in the map", "Show shop-cache on two"},
		"?select=project/none":                                                        {"none is not in the map"},
		"?select=external/192.0.2.77":                                                 {"192.0.2.77 is not in the map"},
		"?select=container/one/shop/api+container/one/shop/cache+6379+direct":         {"cache is not in the map", "Show shop-cache on two"},
		"?group=host&select=container/one/shop/api+container/one/shop/db+5432+direct": {"shop-api → shop-db", "Port 5432, direct", "4"},
		"?select=container/one/shop/api+container/two/shop/cache+6379+direct":         {"This link is gone", "last 60 minutes", "Show shop-api on one", "Show shop-cache on two"},
	} {
		p := webtest.Start(t).Open(address+query, 1400, 850)
		p.Until(`document.querySelector("#panel:not([hidden]) h2")`)
		expect(t, query, panelText(p), parts...)
		if strings.HasPrefix(query, "?node=") {
			p.Click("#panel .actions button")
			p.Until(`document.querySelector("#panel h2")?.textContent === "shop-cache"`)
			p.Until(`new URLSearchParams(location.search).get("node") === "container/two/shop/cache"`)
		}
	}
	// What a filter hides is not gone, a text that names nothing is ignored, and a link inside a group has its panel.
	for _, query := range []string{
		"?select=nobody", "?project=batch&select=container/one/shop/db",
		"?select=project/shop", "?select=container/one/shop/web+project/shop+8080+direct",
	} {
		p := webtest.Start(t).Open(address+query, 1400, 850)
		p.Until(`document.querySelector(".node")`)
		if text := panelText(p); text != "" {
			t.Errorf("%s: %q", query, text)
		}
	}
}

// TestUnreadHostIsNotGone opens the address of a container while a target has no data.
func TestUnreadHostIsNotGone(t *testing.T) {
	t.Parallel()
	g := shop()
	g.Targets = []graph.Target{{Target: "three:9057", State: graph.StatePending}, g.Targets[0]}
	p, served := open(t, newMap(g.Nodes, g.Links, g.Targets...), "?select=container/three/shop/api")
	p.Until(`document.querySelector("#panel:not([hidden]) h2")`)
	expect(t, "panel", panelText(p), "api is not in the map", "It may be on a host without data", "See 1 target without data")
	served.set(newMap(append(g.Nodes, container("three", "shop", "api")), g.Links, graph.Target{Target: "three:9057", Host: "three", State: graph.StateOK}), nil)
	p.Until(`document.querySelector("#panel h2")?.textContent === "shop-api"`)
}
