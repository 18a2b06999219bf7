package web_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// counted returns a map in which a client calls nodes with cells of each kind.
func counted() graph.Graph {
	client := container("one", "shop", "client")
	stale := container("two", "", "stale")
	stale.Stale = true
	servers := []graph.Node{
		container("one", "shop", "few"), container("one", "shop", "some"), container("one", "shop", "many"), container("one", "shop", "rate"), container("one", "shop", "idle"),
		container("one", "shop", "idle-many"), container("one", "shop", "past"), container("one", "shop", "fresh"), container("one", "shop", "failed"), stale, container("one", "shop", "huge"),
	}
	var links []graph.Link
	for i, connections := range []int{1, 7, 42, 0, 1, 20, 0, 3, 0, 5, 123456} {
		links = append(links, link(client, servers[i], 8080, connections))
	}
	links[3].Closed = 99
	for _, i := range []int{4, 5} {
		links[i].Measured = &graph.Measured{IdleSeconds: 600}
	}
	links[6].Live, links[6].LastSeen = false, time.Now().UTC().Add(-10*time.Minute)
	links[7].FirstSeen = time.Now().UTC().Add(-time.Minute)
	links[8].Attempts = 4
	half := link(client, servers[8], 9090, 6)
	targets := []graph.Target{{Target: "one:9057", Host: "one", State: graph.StateOK, Format: "snapshot", LastAnswer: time.Now().UTC()}, {Target: "two:9057", Host: "two", State: graph.StateStale, Reason: "no answer within 30s", LastAnswer: began()}}
	return newMap(append(servers, client), append(links, half), targets...)
}

// numberFaults lists the numbers of a matrix that are below 11 px on the screen, wider or higher than their cell, or have too little contrast
// over its colour, with the marks of the pointer and the selection below it or not.
const numberFaults = `(() => {
	const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
	const blend = (...layers) => {
		for (const [colour, opacity] of layers) {
			canvas.globalAlpha = opacity;
			canvas.fillStyle = colour;
			canvas.fillRect(0, 0, 1, 1);
		}
		const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const fill = (e) => [getComputedStyle(e).fill, +getComputedStyle(e).fillOpacity], svg = document.querySelector(".matrix-body > svg"), scale = svg.getBoundingClientRect().width / svg.width.baseVal.value;
	const accent = getComputedStyle(document.querySelector("#pause")).getPropertyValue("--accent");
	return [...document.querySelectorAll(".numbers text")].flatMap((text) => {
		const name = text.getAttribute("class"), faults = [], r = text.getBoundingClientRect();
		if (parseFloat(getComputedStyle(text).fontSize) * scale < 10.9) faults.push("small: " + text.textContent);
		if (r.width > 14 * scale) faults.push("too wide: " + text.textContent);
		const ground = fill(document.querySelector(".cells-ground")), cell = name === "open" ? [] : [fill(document.querySelector(".cell." + name.replaceAll(" ", ".")))];
		for (const marks of [[], [[accent, 0.16], [accent, 0.28]]]) {
			const a = blend([getComputedStyle(text).fill, 1]), b = blend(ground, ...marks, ...cell), contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
			if (contrast < 4.5) faults.push("contrast of " + name + " with " + marks.length + " marks: " + contrast.toFixed(2));
		}
		return faults;
	});
})()`

// TestMatrixCellsShowNumbers zooms in until cells have room for the numbers of their connections.
func TestMatrixCellsShowNumbers(t *testing.T) {
	t.Parallel()
	p, _ := openMatrix(t, counted(), "&group=container&newSince=5m&look=80,8,3")
	p.Until(`document.querySelectorAll(".numbers text").length`)
	same(t, "numbers", slices.Sorted(slices.Values(p.Texts(".numbers text"))), "1", "1", "123K", "20", "3", "42", "5", "6", "7", "99/min")
	if order := webtest.Eval[bool](p, `[...document.querySelector(".matrix-body > svg").children].findIndex((e) => e.matches(".stripes")) < [...document.querySelector(".matrix-body > svg").children].findIndex((e) => e.matches(".cell"))`); !order {
		t.Error("the marks cover the cells")
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, forced := range []string{"none", "active"} {
			p.Emulate("screen", [2]string{"prefers-color-scheme", scheme}, [2]string{"forced-colors", forced})
			same(t, fmt.Sprintf("%s, forced colours %s", scheme, forced), webtest.Eval[[]string](p, numberFaults))
			p.Shot(fmt.Sprintf("matrix-numbers-%s-%s", scheme, forced))
		}
	}
	for range 6 {
		p.Press("-")
	}
	p.Until(`document.querySelectorAll(".numbers text").length === 0`)
	for range 4 {
		p.Press("+")
	}
	p.Until(`document.querySelectorAll(".numbers text").length`)
	same(t, "faults of small cells", webtest.Eval[[]string](p, numberFaults))
	p.Shot("matrix-numbers-small")
}

// TestMatrixDrawsNumbersOfVisibleCells has more cells than numbers: those on the screen and near it have one.
func TestMatrixDrawsNumbersOfVisibleCells(t *testing.T) {
	t.Parallel()
	p, _ := openMatrix(t, busyFleet(1000), "&group=container")
	if shown := webtest.Eval[int](p, `document.querySelectorAll(".numbers text").length`); shown > 0 {
		t.Errorf("%d numbers in cells without room", shown)
	}
	numbered := `(() => {
		const frame = document.querySelector(".matrix-body").getBoundingClientRect();
		const far = (r) => r.right < frame.left - 300 || r.left > frame.right + 300 || r.bottom < frame.top - 300 || r.top > frame.bottom + 300;
		const all = [...document.querySelectorAll(".numbers text")].map((e) => e.getBoundingClientRect());
		return { All: all.length, Far: all.filter(far).length, On: all.filter((r) => r.left > frame.left && r.right < frame.right && r.top > frame.top && r.bottom < frame.bottom).length };
	})()`
	_, address := serve(t, busyFleet(1000))
	p = webtest.Start(t).Open(address+"?as=matrix&group=container&look=800,800,1.5", 1400, 850)
	p.Until(`document.querySelectorAll(".numbers text").length`)
	type numbers struct{ All, Far, On int }
	got := webtest.Eval[numbers](p, numbered)
	if got.On < 20 || got.Far > 0 || got.All > 500 {
		t.Errorf("%+v", got)
	}
	for range 6 {
		p.Drag(".matrix-body", -250, -250, 8)
	}
	p.Until(`(` + numbered + `).On >= 20`)
	if got := webtest.Eval[numbers](p, numbered); got.Far > 0 {
		t.Errorf("after panning: %+v", got)
	}
	p.Shot("matrix-numbers-fleet")
}

// denseFleet returns a fleet in which each of the first containers calls each other one.
func denseFleet(containers, dense int) graph.Graph {
	g := busyFleet(containers)
	for i, client := range g.Nodes[:dense] {
		for j, server := range g.Nodes[:dense] {
			if i != j {
				g.Links = append(g.Links, link(client, server, 9000, 1+(i+j)%12))
			}
		}
	}
	return newMap(g.Nodes, g.Links)
}

// BenchmarkMatrix measures the frame rates of a matrix of 1,500 callers and called nodes where all cells on the screen have a number, while the
// pointer drags it and while the wheel zooms it in and out.
func BenchmarkMatrix(b *testing.B) {
	_, address := serve(b, denseFleet(1500, 100))
	browser := webtest.Start(b)
	var pan, zoom, longest float64
	rounds := 0.0
	for b.Loop() {
		p := browser.Open(address+"?as=matrix&group=container&look=600,600,1", 1400, 850)
		p.Until(`document.querySelectorAll(".numbers text").length > 500`)
		panned := measureMove(p, func() {
			for range 3 {
				p.Drag(".matrix-body", 200, 120, 60)
				p.Drag(".matrix-body", -200, -120, 60)
			}
		})
		zoomed := measureMove(p, func() {
			for range 2 {
				p.Wheel(".matrix-body", -20, 60)
				p.Wheel(".matrix-body", 20, 60)
			}
		})
		pan, zoom = pan+panned.Rate, zoom+zoomed.Rate
		longest = max(longest, panned.Longest, zoomed.Longest)
		rounds++
	}
	b.ReportMetric(pan/rounds, "fps/pan")
	b.ReportMetric(zoom/rounds, "fps/zoom")
	b.ReportMetric(longest, "ms/longest-frame")
	b.ReportMetric(0, "ns/op")
}
