package web_test

import (
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

// BenchmarkPage measures the time from the navigation until a map is on the screen, and the frame rate during drags. The page
// without containers is the baseline.
func BenchmarkPage(b *testing.B) {
	none := newMap([]graph.Node{}, []graph.Link{}, []graph.Target{}...)
	none.Role = graph.RoleDaemon
	for _, test := range []struct {
		name, query string
		graph       graph.Graph
	}{
		{"nothing", "", none},
		{"nodes=9", "", shop()},
		{"nodes=1000/as-it-opens", "", fleet(1000)},
		{"nodes=1000/all", "?group=container", fleet(1000)},
	} {
		b.Run(test.name, func(b *testing.B) {
			_, address := serve(b, test.graph)
			browser := webtest.Start(b)
			var opened, rate, longest float64
			rounds := 0.0
			for b.Loop() {
				p := browser.OpenWith(watch, address+test.query, 1400, 850)
				p.Until("window.seen")
				opened += webtest.Eval[float64](p, "window.seen")
				webtest.Eval[bool](p, frames)
				for range 3 {
					p.Drag("#map", 200, 120, 60)
					p.Drag("#map", -200, -120, 60)
				}
				counted := webtest.Eval[struct{ Rate, Longest float64 }](p, "window.counted()")
				rate += counted.Rate
				longest = max(longest, counted.Longest)
				rounds++
			}
			b.ReportMetric(opened/rounds, "ms/picture")
			b.ReportMetric(rate/rounds, "frames/s")
			b.ReportMetric(longest, "ms/longest-frame")
			b.ReportMetric(0, "ns/op")
		})
	}
}
