package web_test

import (
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// observeShifts records the layout shifts of a page with their sources.
const observeShifts = `window.shifts = [];
new PerformanceObserver((list) => {
	for (const { value, hadRecentInput, sources } of list.getEntries()) if (!hadRecentInput) shifts.push({ Value: value, Sources: sources.map(({ node }) => node?.id || node?.getAttribute?.("class") || node?.nodeName || "") });
}).observe({ type: "layout-shift", buffered: true });`

// TestPageDoesNotShift loads maps: what is on the screen stays where it is while data arrives, and at a refresh. The limit is that of
// Core Web Vitals for the cumulative layout shift.
func TestPageDoesNotShift(t *testing.T) {
	t.Parallel()
	browser := webtest.Start(t)
	for name, g := range map[string]graph.Graph{"shop": shop(), "fleet": fleet(1000)} {
		_, address := serve(t, g)
		for _, size := range [][2]int64{{1400, 850}, {390, 844}} {
			p := browser.OpenWith(observeShifts, address, size[0], size[1])
			p.Until(`document.querySelector(".node") && !document.querySelector("#map[aria-busy]")`)
			webtest.Eval[bool](p, `new Promise((resolve) => { document.dispatchEvent(new Event("visibilitychange")); requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))); })`)
			sum := 0.0
			shifts := webtest.Eval[[]struct {
				Value   float64
				Sources []string
			}](p, "shifts")
			for _, shift := range shifts {
				sum += shift.Value
			}
			t.Logf("%s at %d: %.3f", name, size[0], sum)
			if sum >= 0.1 {
				t.Errorf("%s at %d pixels: layout shift %.3f: %+v", name, size[0], sum, shifts)
			}
		}
	}
}
