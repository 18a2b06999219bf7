package web_test

import (
	"testing"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

// countAnimations counts the elements of the map that the page animates, by their classes.
const countAnimations = `window.animated = {};
const animate = Element.prototype.animate;
Element.prototype.animate = function (...how) {
	const [name] = this.classList;
	animated[name] = (animated[name] || 0) + 1;
	return animate.apply(this, how);
};`

// TestNodesMoveVisibly selects a node, which moves none, drags one and rearranges the map. All nodes that get another place are animated,
// and none is if the system asks for reduced motion.
func TestNodesMoveVisibly(t *testing.T) {
	t.Parallel()
	browser := webtest.Start(t)
	for _, motion := range []string{"no-preference", "reduce"} {
		t.Run(motion, func(t *testing.T) {
			_, address := serve(t, shop())
			p := browser.OpenWith(countAnimations, address+"?group=container", 1400, 850)
			p.Emulate("screen", [2]string{"prefers-reduced-motion", motion})
			p.Until(`document.querySelector(".node")`)
			animated := func() int { return webtest.Eval[int](p, `animated.node || 0`) }

			before := placesOf(p)
			p.ClickText(".node", "shop-web")
			p.Until(`document.querySelector(".node.selected")`)
			if moved := movedNodes(before, placesOf(p)); moved > 0 || animated() > 0 {
				t.Errorf("selecting a node moved %d nodes and animated %d", moved, animated())
			}

			p.DragText(".node", "shop-cache", 60, -70)
			dragged := placesOf(p)
			p.Click("#rearrange")
			p.Until(`[...document.querySelectorAll(".node")].find((e) => e.getAttribute("aria-label").startsWith("shop-cache,")).getAttribute("transform") !== "` + transform(dragged["shop-cache"]) + `"`)
			moved := movedNodes(dragged, placesOf(p))
			if want := map[string]int{"no-preference": moved, "reduce": 0}[motion]; moved == 0 || animated() != want {
				t.Errorf("%d of %d moved nodes were animated", animated(), moved)
			}
		})
	}
}

func movedNodes(before, after map[string]point) (moved int) {
	for name, place := range before {
		if after[name] != place {
			moved++
		}
	}
	return moved
}
