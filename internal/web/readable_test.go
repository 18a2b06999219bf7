package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

// faults counts what makes a map unreadable: lines behind nodes that are not their ends, labels on labels, on titles, on nodes or on other lines,
// labels without room, names that are cut or too wide for their nodes, texts below 11 px, nodes outside of the frame, and nodes, labels, titles and
// points of lines that the frame cuts or the zoom buttons cover.
const faults = `(() => {
	const frame = document.querySelector("#map").getBoundingClientRect();
	const nodes = [...document.querySelectorAll(".node")].map((e) => ({ id: e.dataset.id, rect: e.querySelector(".body").getBoundingClientRect(), element: e }));
	const lines = [...document.querySelectorAll(".lines .line")].map((e) => {
		const path = e.querySelector(".stroke"), toScreen = path.getScreenCTM(), length = path.getTotalLength(), points = [];
		for (let at = 0; at <= length; at += 3) points.push(path.getPointAtLength(at).matrixTransform(toScreen));
		return { id: e.dataset.id, points };
	});
	const labels = [...document.querySelectorAll(".labels .label")].map((e) => ({ id: e.dataset.id, crowded: e.classList.contains("crowded"), rect: e.querySelector("text").getBoundingClientRect() }));
	const visible = labels.filter((l) => !l.crowded);
	const touch = (a, b, by = 0) => a.left < b.right - by && b.left < a.right - by && a.top < b.bottom - by && b.top < a.bottom - by;
	const holds = (r, p, by) => p.x > r.left + by && p.x < r.right - by && p.y > r.top + by && p.y < r.bottom - by;
	const shown = (e) => getComputedStyle(e).display !== "none" && getComputedStyle(e).visibility !== "hidden" && e.getBoundingClientRect().width > 0;
	const scale = (e) => e.getScreenCTM?.()?.a ?? 1;
	const texts = [...document.querySelectorAll("#map text")].filter(shown);
	const within = (r) => r.left >= frame.left && r.right <= frame.right && r.top >= frame.top && r.bottom <= frame.bottom;
	const controls = [...document.querySelectorAll(".zoom button")].map((e) => e.getBoundingClientRect());
	const drawn = [...nodes, ...visible, ...lines.flatMap((l) => l.points.map(({ x, y }) => ({ rect: { left: x, right: x, top: y, bottom: y } })))].map(({ rect }) => rect);
	const titles = [...document.querySelectorAll(".box-title text")].filter(shown).map((e) => e.getBoundingClientRect());
	drawn.push(...titles);
	const names = [...document.querySelectorAll(".node .name")];
	return {
		Nodes: nodes.length, Lines: lines.length,
		Behind: lines.filter((l) => nodes.some((n) => !l.id.split(" ").includes(n.id) && l.points.some((p) => holds(n.rect, p, 1)))).length,
		LabelsOnLabels: visible.filter((a, i) => visible.slice(i + 1).some((b) => touch(a.rect, b.rect, 1))).length,
		LabelsOnTitles: visible.filter((a) => titles.some((t) => touch(a.rect, t, 1))).length,
		LabelsOnNodes: visible.filter((a) => nodes.some((n) => touch(a.rect, n.rect, 1))).length,
		LabelsOnLines: visible.filter((a) => lines.some((l) => l.id !== a.id && l.points.some((p) => holds(a.rect, p, 2)))).length,
		NoLabel: labels.length - visible.length + lines.length - labels.length,
		Cut: names.filter((e) => !shown(e) || e.textContent.includes("…") || e.getBoundingClientRect().right > e.closest(".node").querySelector(".body").getBoundingClientRect().right).length,
		Small: texts.filter((e) => parseFloat(getComputedStyle(e).fontSize) * scale(e) < 10.99).length +
			[...document.querySelectorAll("body *:not(svg *)")].filter((e) => [...e.childNodes].some((c) => c.nodeType === Node.TEXT_NODE && c.data.trim()) && shown(e) && parseFloat(getComputedStyle(e).fontSize) < 11).length,
		Outside: nodes.filter((n) => n.rect.left < frame.left - 1 || n.rect.right > frame.right + 1 || n.rect.top < frame.top - 1 || n.rect.bottom > frame.bottom + 1).length,
		Covered: drawn.filter((r) => !within(r) || controls.some((c) => touch(r, c))).length,
		Filled: Math.round(100 * Math.max(
			(Math.max(...nodes.map((n) => n.rect.right)) - Math.min(...nodes.map((n) => n.rect.left))) / frame.width,
			(Math.max(...nodes.map((n) => n.rect.bottom)) - Math.min(...nodes.map((n) => n.rect.top))) / frame.height)),
	};
})()`

// drawing is the result of faults. Filled is the part of the frame's width or height that the nodes take, whichever is larger, in percent.
type drawing struct {
	Nodes, Lines, Behind, LabelsOnLabels, LabelsOnTitles, LabelsOnNodes, LabelsOnLines, NoLabel, Cut, Small, Outside, Covered, Filled int
}

// TestFirstViewIsReadable opens maps in common sizes of screens. Only between few hosts with many links may labels be without room.
func TestFirstViewIsReadable(t *testing.T) {
	t.Parallel()
	browser := webtest.Start(t)
	for _, fixture := range []struct{ containers, hosts int }{{15, 1}, {30, 1}, {60, 1}, {30, 2}, {40, 2}, {1000, 10}} {
		_, address := serve(t, newCompany(fixture.containers, fixture.hosts))
		for _, size := range [][2]int64{{1280, 720}, {1440, 900}, {1920, 1080}, {2560, 1440}} {
			what := fmt.Sprintf("%d containers on %d hosts at %dx%d", fixture.containers, fixture.hosts, size[0], size[1])
			p := browser.Open(address, size[0], size[1])
			p.Until(`document.querySelector(".node")`)
			got := webtest.Eval[drawing](p, faults)
			p.Shot(fmt.Sprintf("readable-%d-%d-%d", fixture.containers, fixture.hosts, size[0]))
			t.Logf("%s: %+v", what, got)
			if got.Behind+got.LabelsOnLabels+got.LabelsOnTitles+got.LabelsOnNodes+got.LabelsOnLines+got.Cut+got.Small+got.Outside+got.Covered > 0 || (got.Nodes <= 40 && got.Lines <= 3*got.Nodes && got.NoLabel > 0) {
				t.Errorf("%s: %+v", what, got)
			}
			if got.Filled < 60 {
				t.Errorf("%s: the map fills %d %% of the frame", what, got.Filled)
			}
		}
	}
}

// TestSmallNodesShowVersions opens a map with names but no second lines in its nodes. The tags of the images stand beside the names.
func TestSmallNodesShowVersions(t *testing.T) {
	t.Parallel()
	g := newCompany(15, 1)
	for i := range g.Nodes {
		if g.Nodes[i].Service == "loki" {
			g.Nodes[i].Image = "registry:5000/loki:3.0.1@sha256:" + strings.Repeat("0", 64)
		}
		if g.Nodes[i].Service == "promtail" {
			g.Nodes[i].Image = "registry:5000/promtail"
		}
	}
	_, address := serve(t, g)
	p := webtest.Start(t).Open(address, 1280, 720)
	p.Until(`document.querySelector(".node")`)
	versions := webtest.Eval[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".node:has(.small)")].map((e) => [e.querySelector(".name").textContent, e.querySelector(".small").textContent]))`)
	for name, want := range map[string]string{"db-1": "16-alpine", "api-1": "2.4.1", "loki-1": "3.0.1", "promtail-1": "", "outpost": "", "203.0.113.1": ""} {
		if versions[name] != want {
			t.Errorf("%s: version %q, want %q", name, versions[name], want)
		}
	}
	for _, o := range webtest.Eval[[]string](p, `[...document.querySelectorAll(".node:has(.small)")].filter((e) => {
		const at = (selector) => [...e.querySelectorAll(selector)].map((part) => part.getBoundingClientRect()), [version] = at(".small"), [body] = at(".body");
		return version.left < at(".name")[0].right + 2 || version.right > body.right - 4 || at(".node g rect").some((r) => version.right > r.left);
	}).map((e) => e.textContent)`) {
		t.Errorf("the version has no room in %q", o)
	}
}

// TestNamesGrowWhenSmall zooms out until names would be too small. The nodes then have their names, as far as they fit, in large letters.
func TestNamesGrowWhenSmall(t *testing.T) {
	t.Parallel()
	_, address := serve(t, newCompany(15, 1))
	p := webtest.Start(t).Open(address, 1280, 720)
	p.Until(`document.querySelector(".node")`)
	p.Click("#zoom-out")
	p.Until(`document.querySelector(".far:not(.farther)")`)
	for _, wrong := range webtest.Eval[[]string](p, `[...document.querySelectorAll(".node")].filter((e) => {
		const name = e.querySelector(".name").textContent, large = e.querySelector(".large"), rect = large.getBoundingClientRect(), body = e.querySelector(".body").getBoundingClientRect();
		if (rect.left < e.querySelector(".monogram")?.getBoundingClientRect().right) return true;
		return !large.textContent.split("…").every((part, i) => (i ? name.endsWith(part) : name.startsWith(part))) || rect.width === 0 || rect.left < body.left || rect.right > body.right;
	}).map((e) => e.querySelector(".large").textContent)`) {
		t.Errorf("a node has the name %q", wrong)
	}
	p.Shot("far")
}

// TestBeginningIsInView opens a map on a phone that does not fit there. Its upper left corner is in view, although the texts above the map make its frame
// lower.
func TestBeginningIsInView(t *testing.T) {
	t.Parallel()
	_, address := serve(t, newCompany(1000, 10))
	p := webtest.Start(t).Open(address, 390, 844)
	p.Until(`document.querySelector("#counts").textContent.includes("line labels don't fit")`)
	p.Until(`(() => {
		const frame = document.querySelector("#map").getBoundingClientRect();
		const drawn = [...document.querySelectorAll(".node .body, .lines .stroke, .label:not(.crowded) text")].map((e) => e.getBoundingClientRect());
		return drawn.every((r) => r.left >= frame.left && r.top >= frame.top) && drawn.some((r) => r.right > frame.right || r.bottom > frame.bottom);
	})()`)
}

// TestRoutesAvoidNodesAndLabels arranges random maps, then adds, removes, drags and pins nodes. No node lies on another one. Each line leads from the side of its client to the side
// of its server. It passes no other node and no label of another line.
func TestRoutesAvoidNodesAndLabels(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	wrong := webtest.Eval[[]string](p, `(async () => {
		const { arrange } = await import("./arrange.js"), { isBox, overlaps } = await import("./lattice.js");
		const wrong = [];
		let seed = 3;
		const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
		const isAtSide = ({ x, y }, p) => ((x === p.x || x === p.x + p.w) && y > p.y && y < p.y + p.h) || ((y === p.y || y === p.y + p.h) && x > p.x && x < p.x + p.w);
		const check = (what, lines, { places, routes }) => {
			const nodes = [...places].filter(([id]) => !isBox(id));
			const segments = new Map(lines.map(({ id }) => {
				const points = routes.get(id)?.points ?? [];
				return [id, points.slice(1).map((b, i) => ({ x: Math.min(points[i].x, b.x), y: Math.min(points[i].y, b.y), w: Math.abs(points[i].x - b.x), h: Math.abs(points[i].y - b.y) }))];
			}));
			nodes.forEach(([a, place], i) => nodes.slice(i + 1).forEach(([b, other]) => {
				if (overlaps(place, other)) wrong.push(what + ": " + a + " is on " + b);
			}));
			for (const { id, from, to } of lines) {
				const route = routes.get(id);
				if (!route) {
					wrong.push(what + ": no route for " + id);
					continue;
				}
				if (segments.get(id).some(({ w, h }) => w && h)) wrong.push(what + ": " + id + " is oblique");
				if (!isAtSide(route.points[0], places.get(from)) || !isAtSide(route.points.at(-1), places.get(to))) wrong.push(what + ": " + id + " does not end at its nodes");
				for (const [node, place] of nodes) {
					if (node !== from && node !== to && segments.get(id).some((s) => overlaps(s, place))) wrong.push(what + ": " + id + " passes " + node);
					if (route.label && overlaps(route.label, place)) wrong.push(what + ": the label of " + id + " is on " + node);
				}
				for (const other of lines) {
					if (other.id !== id && route.label && segments.get(other.id).some((s) => overlaps(route.label, s, -1))) wrong.push(what + ": " + other.id + " passes the label of " + id);
					if (other.id !== id && route.label && routes.get(other.id)?.label && overlaps(route.label, routes.get(other.id).label)) wrong.push(what + ": labels of " + id + " and " + other.id);
				}
			}
		};
		for (const [hosts, projects, count] of [[1, 1, 8], [1, 3, 25], [2, 3, 40], [3, 5, 70], [1, 1, 60]]) {
			const item = (n) => {
				const host = random(hosts + 1), boxes = host === hosts ? [] : ["box h" + host, ...(random(4) ? ["box h" + host + " p" + random(projects)] : [])];
				return { id: "n" + n, sizes: [{ w: 64 + 8 * random(20), h: 40 }, { w: 64 + 8 * random(10), h: 24 }], boxes, titles: boxes.map(() => 60), side: host === hosts ? ["first", "last"][random(2)] : undefined };
			};
			let items = Array.from({ length: count }, (_, n) => item(n));
			const connect = (n, i) => ({ id: "l" + n, from: items[i].id, to: items[random(items.length)].id, labelWidths: [52, 36] });
			let lines = Array.from({ length: Math.ceil(count * 1.3) }, (_, n) => connect(n, random(items.length)));
			lines = lines.filter((l, i) => lines.findIndex((o) => o.from === l.from && o.to === l.to) === i);
			const request = { frame: { w: 900, h: 600, corner: { w: 158, h: 50 } }, minScale: 0.85 };
			let arrangement = arrange({ ...request, items, lines });
			const what = [hosts, projects, count].join(" ");
			check(what, lines, arrangement);
			for (let round = 1; round <= 8; round++) {
				const gone = items[random(items.length)].id, previous = new Map(items.map((i) => [i.id, i]));
				items = [...items.filter((i) => i.id !== gone), item(count + round)];
				lines = [...lines.filter((l) => l.from !== gone && l.to !== gone), connect(1000 + round, items.length - 1)];
				arrangement = arrange({ ...request, items, lines, kept: { ...arrangement, previous, alive: new Set(), moved: { id: items[random(items.length)].id, x: random(900), y: random(600) } } });
				const shown = new Set(items.flatMap((i) => [i.id, ...i.boxes]));
				check(what + " round " + round, lines, { ...arrangement, places: new Map([...arrangement.places].filter(([id]) => shown.has(id))) });
			}
			const pins = items.filter(() => !random(5)).map(({ id }) => ({ id, x: random(900), y: random(600) }));
			check(what + " pinned", lines, arrange({ ...request, items, lines, pins }));
		}
		return wrong.slice(0, 20);
	})()`)
	for _, w := range wrong {
		t.Error(w)
	}
}
