package web_test

import (
	"slices"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// watch records when the first node, or the text of an empty map, is on the screen, in ms since the navigation.
const watch = `new MutationObserver((_, observer) => {
	if (!document.querySelector(".node, #empty:not([hidden]) pre")) return;
	observer.disconnect();
	requestAnimationFrame(() => requestAnimationFrame(() => { window.seen = performance.now(); }));
}).observe(document, { subtree: true, childList: true, attributes: true });`

// frames counts frames until counted() is called. That returns the frames per second and the longest frame in ms.
const frames = `(() => {
	const times = [];
	let on = true;
	const count = (at) => { times.push(at); if (on) requestAnimationFrame(count); };
	requestAnimationFrame(count);
	window.counted = () => {
		on = false;
		const gaps = times.slice(1).map((at, i) => at - times[i]);
		return { Rate: 1000 * gaps.length / (times.at(-1) - times[0]), Longest: Math.max(...gaps) };
	};
	return true;
})()`

// busyFleet returns a fleet with five links for each container.
func busyFleet(containers int) graph.Graph {
	g := fleet(containers)
	containersOf := slices.Clone(g.Nodes)
	for i, client := range containersOf {
		for j, step := range []int{271, 433} {
			g.Links = append(g.Links, link(client, containersOf[(i+step)%len(containersOf)], []uint16{9092, 443}[j], 1+i%3))
		}
	}
	return newMap(g.Nodes, g.Links)
}

// moved is the frame rate and the longest frame in ms during a move.
type moved struct{ Rate, Longest float64 }

// measureMove counts frames during a move.
func measureMove(p *webtest.Page, move func()) moved {
	webtest.Eval[bool](p, frames)
	move()
	return webtest.Eval[moved](p, "window.counted()")
}

// BenchmarkPage measures the time from the navigation until a map is on the screen, and the frame rates while the pointer drags it and
// while the wheel zooms it out and in. The page without containers is the baseline.
func BenchmarkPage(b *testing.B) {
	none := newMap([]graph.Node{}, []graph.Link{}, []graph.Target{}...)
	none.Role = graph.RoleDaemon
	for _, test := range []struct {
		name, query string
		graph       graph.Graph
	}{
		{"nothing", "", none},
		{"nodes=9", "", shop()},
		{"nodes=1000/as-it-opens", "", busyFleet(1000)},
		{"nodes=1000/all", "?group=container", busyFleet(1000)},
	} {
		b.Run(test.name, func(b *testing.B) {
			_, address := serve(b, test.graph)
			browser := webtest.Start(b)
			var opened, pan, zoom, longest float64
			rounds := 0.0
			for b.Loop() {
				p := browser.OpenWith(watch, address+test.query, 1400, 850)
				p.Until("window.seen")
				opened += webtest.Eval[float64](p, "window.seen")
				panned := measureMove(p, func() {
					for range 3 {
						p.Drag("#map", 200, 120, 60)
						p.Drag("#map", -200, -120, 60)
					}
				})
				zoomed := measureMove(p, func() {
					for range 2 {
						p.Wheel("#map", 40, 60)
						p.Wheel("#map", -40, 60)
					}
				})
				pan, zoom = pan+panned.Rate, zoom+zoomed.Rate
				longest = max(longest, panned.Longest, zoomed.Longest)
				rounds++
			}
			b.ReportMetric(opened/rounds, "ms/picture")
			b.ReportMetric(pan/rounds, "fps/pan")
			b.ReportMetric(zoom/rounds, "fps/zoom")
			b.ReportMetric(longest, "ms/longest-frame")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkLayout measures how long the layout of 300 containers takes in the worker, and the longest frame of the page meanwhile.
func BenchmarkLayout(b *testing.B) {
	_, address := serve(b, newCompany(300, 10))
	p := webtest.Start(b).OpenWith(watch, address+"?group=container", 1400, 850)
	p.Until("window.seen")
	var took, longest float64
	rounds := 0.0
	for b.Loop() {
		webtest.Eval[bool](p, frames)
		took += webtest.Eval[float64](p, `new Promise((resolve) => {
			const start = performance.now(), map = document.querySelector("#map");
			new MutationObserver((_, observer) => {
				if (map.hasAttribute("aria-busy")) return;
				observer.disconnect();
				const end = performance.now();
				requestAnimationFrame(() => requestAnimationFrame(() => resolve(end - start)));
			}).observe(map, { attributes: true, attributeFilter: ["aria-busy"] });
			document.querySelector("#rearrange").click();
		})`)
		longest = max(longest, webtest.Eval[moved](p, "window.counted()").Longest)
		rounds++
	}
	b.ReportMetric(took/rounds, "ms/layout")
	b.ReportMetric(longest, "ms/longest-frame")
	b.ReportMetric(0, "ns/op")
}
