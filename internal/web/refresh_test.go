package web_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

func TestTimeAndPause(t *testing.T) {
	t.Parallel()
	p, served := open(t, shop(), "")
	p.Choose("#new-since", "5m")
	same(t, "new", p.Texts(".label.new text"), "443 ×2 new")
	expect(t, "counts", counts(p), "1 new link since ")
	same(t, "new rows", p.Texts("tr.new td:first-child"), "shop-api")
	p.Shot("new")
	p.Choose("#new-since", "")

	p.Choose("#at", "-900") // 15 minutes ago: without the new link, with the past one live
	expect(t, "counts", counts(p), "5 links", "1 link (not seen yet at that time)")
	if past := p.Texts("#table tr.past td:first-child"); len(past) != 0 {
		t.Errorf("past at that time: %q", past)
	}
	p.Choose("#at", "0")
	expect(t, "counts", counts(p), "6 links", "nothing is hidden")

	p.Click("#pause")
	p.Until(`document.querySelector("#freshness").textContent.startsWith("paused")`)
	g := shop()
	g.Nodes = append(g.Nodes, container("two", "", "late"))
	served.set(g, nil)
	time.Sleep(6 * time.Second) // longer than the polling interval
	if slices.Contains(names(p), "late") {
		t.Error("the map changed while it was paused")
	}
	p.Click("#pause")
	p.Until(`[...document.querySelectorAll(".node .name")].some((n) => n.textContent === "late")`)
}

// TestRefreshMovesNoExistingNode adds and removes containers while the page is open.
func TestRefreshMovesNoExistingNode(t *testing.T) {
	t.Parallel()
	g := shop()
	p, served := open(t, g, "")
	places := func() map[string]string {
		return webtest.Eval[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".node")].map((n) => [n.getAttribute("aria-label").split(",")[0], n.getAttribute("transform")]))`)
	}
	before := places()
	late, client := container("one", "shop", "late"), container("three", "other", "client")
	more := newMap(append(slices.Clone(g.Nodes), late, client), append(slices.Clone(g.Links), link(container("one", "shop", "web"), late, 9000, 1), link(client, late, 9000, 2)), g.Targets...)
	served.set(more, nil)
	p.Until(`document.querySelectorAll(".node").length === 11`)
	after := places()
	for name, at := range before {
		if after[name] != at {
			t.Errorf("%s moved from %s to %s", name, at, after[name])
		}
	}
	for what, expression := range map[string]string{
		"the new one is in its boxes":     `within(rect("shop-late"), box("shop")) && within(rect("shop-late"), box("one"))`,
		"a new host has a box":            `within(rect("other-client"), box("three")) && !within(rect("other-client"), box("one"))`,
		"nothing overlaps":                `nodes.every((a, i) => nodes.slice(i + 1).every((b) => apart(a, b)))`,
		"boxes of hosts are apart":        `apart(box("one"), box("two")) && apart(box("one"), box("three")) && apart(box("two"), box("three"))`,
		"boxes keep their containers":     `["shop-web", "shop-api", "shop-db", "shop-cache"].every((n) => within(rect(n), box("shop")))`,
		"no other node is in the project": `!["idle", "sealed", "batch-job", "other-client"].some((n) => within(rect(n), box("shop")))`,
	} {
		if !webtest.Eval[bool](p, geometry+expression+"})()") {
			t.Errorf("%s: not true", what)
		}
	}
	p.Shot("refreshed")
	served.set(g, nil)
	p.Until(`document.querySelectorAll(".node").length === 9`)
	if after := places(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
}

// TestPlacesNeverOverlap lays out many random maps and adds nodes to them. Nodes and boxes never overlap, and each box contains
// exactly its nodes.
func TestPlacesNeverOverlap(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	wrong := webtest.Eval[[]string](p, `(async () => {
		const { overlaps } = await import("./lattice.js"), { layouts } = await import("./layout.js"), { insertNodes } = await import("./incremental.js");
		const wrong = [];
		let seed = 7;
		const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
		const check = (what, items, places) => {
			const inside = (a, b) => a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w + 1e-6 && a.y + a.h <= b.y + b.h + 1e-6;
			const boxes = [...new Set(items.flatMap((i) => i.boxes))];
			items.forEach((i, n) => {
				const at = places.get(i.id);
				if (!at || ![at.x, at.y, at.w, at.h].every(Number.isFinite) || at.x < 0 || at.y < 0) wrong.push(what + ": " + i.id + " has no place");
				for (const j of items.slice(n + 1)) if (overlaps(at, places.get(j.id))) wrong.push(what + ": " + i.id + " overlaps " + j.id);
				for (const box of boxes) if (i.boxes.includes(box) ? !inside(at, places.get(box)) : overlaps(at, places.get(box))) wrong.push(what + ": " + i.id + " and " + box);
			});
			for (const a of boxes) for (const b of boxes) {
				if (a < b && !b.startsWith(a + " ") && overlaps(places.get(a), places.get(b))) wrong.push(what + ": " + a + " overlaps " + b);
			}
		};
		const item = (n, hosts, projects) => {
			const host = random(hosts + 1), project = random(projects + 1);
			const boxes = host === hosts ? [] : project === projects ? ["box h" + host] : ["box h" + host, "box h" + host + " p" + project];
			return { id: "n" + n, w: 64 + 8 * random(22), h: 40, boxes, side: host === hosts ? ["first", "last"][random(2)] : undefined };
		};
		for (const [hosts, projects, nodes, lines] of [[1, 1, 1, 0], [1, 1, 12, 20], [3, 3, 45, 60], [5, 2, 50, 20], [2, 4, 40, 200], [4, 3, 300, 500], [10, 10, 400, 900]]) {
			const items = Array.from({ length: nodes }, (_, n) => item(n, hosts, projects));
			const pairs = Array.from({ length: lines }, () => ["n" + random(nodes), "n" + random(nodes)]).filter(([a, b]) => a !== b);
			for (const { places, style } of layouts(items, pairs, { w: 900, h: 600 }, random(3)).slice(0, 4)) {
				const what = [hosts, projects, nodes, lines, JSON.stringify(style)].join(" ");
				const all = [...items], linked = [...pairs];
				check(what, all, places);
				for (let added = 0; added < 12; added++) {
					const fresh = item(nodes + added, hosts + 1, projects + 1);
					all.push(fresh);
					if (random(3)) linked.push([fresh.id, "n" + random(nodes)]);
					if (!insertNodes(all, linked, places, { style })) wrong.push(what + ": no room for " + fresh.id);
					check(what + " +" + (added + 1), all, places);
				}
			}
		}
		return wrong.slice(0, 20);
	})()`)
	for _, w := range wrong {
		t.Error(w)
	}
}

// TestRefreshKeepsFocusAndPosition refreshes the map while a button has the focus and while a filter is in use.
func TestRefreshKeepsFocusAndPosition(t *testing.T) {
	t.Parallel()
	p, served := open(t, shop(), "")
	p.ClickText(".node .name", "shop-web")
	transform := `document.querySelector(".drawing-root").style.transform`
	p.Drag("#map", 50, 300, 5)
	moved := webtest.Eval[string](p, transform)
	webtest.Eval[bool](p, `([...document.querySelectorAll("#panel button")].find((b) => b.textContent === "batch-job").focus(), true)`)
	g := shop()
	g.Nodes = append(g.Nodes, container("one", "shop", "late"), container("two", "", "later"))
	g.Links[0].Connections = 77
	served.set(newMap(g.Nodes, g.Links, g.Targets...), nil)
	p.Until(`document.querySelectorAll(".node").length === 11`)
	if focused := webtest.Eval[string](p, `document.activeElement.textContent`); focused != "batch-job" {
		t.Errorf("the focus went to %q", focused)
	}
	if now := webtest.Eval[string](p, transform); now != moved {
		t.Errorf("the map moved from %s to %s", moved, now)
	}
	p.Choose("[name=host]", "two")
	webtest.Eval[bool](p, `(document.querySelector("[name=host]").focus(), true)`)
	g.Nodes = append(g.Nodes, container("three", "", "new-host"))
	served.set(newMap(g.Nodes, g.Links, g.Targets...), nil)
	p.Until(`[...document.querySelectorAll("[name=host] option")].some((o) => o.value === "three")`)
	same(t, "the filter", []string{webtest.Eval[string](p, `document.querySelector("[name=host]").value`)}, "two")
}

// TestForeignAnswersKeepTheLastMap gets answers that are not from Outpost for a while, as from a proxy.
func TestForeignAnswersKeepTheLastMap(t *testing.T) {
	t.Parallel()
	g := shop()
	p, served := open(t, g, "")
	served.set(graph.Graph{}, nil) // null in place of lists
	p.Until(`document.querySelector("#freshness").textContent.includes("The answer is not from Outpost")`)
	same(t, "the last data stays", []string{fmt.Sprint(len(names(p)))}, "9")
	served.set(g, nil)
	p.Until(`document.querySelector("#freshness").textContent.startsWith("live")`)
	renamed := shop() // as if another host of the same name appears: the box changes, the nodes do not
	for i := range renamed.Nodes {
		if renamed.Nodes[i].Host == "one" {
			renamed.Nodes[i].Host = "one@192.0.2.1"
		}
	}
	served.set(renamed, nil)
	p.Until(`[...document.querySelectorAll(".box-title")].some((b) => b.textContent === "one@192.0.2.1")`)
}
