package web_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

type point struct{ X, Y float64 }

// placesOf returns the upper left corners of the nodes in the drawing by their names.
func placesOf(p *webtest.Page) map[string]point {
	return webtest.Eval[map[string]point](p, `Object.fromEntries([...document.querySelectorAll(".node")].map((e) => {
		const [X, Y] = e.getAttribute("transform").match(/[\d.]+/g).map(Number);
		return [e.getAttribute("aria-label").split(",")[0], { X, Y }];
	}))`)
}

func transform(at point) string { return fmt.Sprintf("translate(%v, %v)", at.X, at.Y) }

// TestDraggedNodeStays drags a node. It stays where it was dropped when the map refreshes, and no other node moves. Lines avoid the node at
// its new place. "Rearrange" restores the layout.
func TestDraggedNodeStays(t *testing.T) {
	t.Parallel()
	g := shop()
	p, served := open(t, g, "?group=container")
	scale := webtest.Eval[float64](p, `document.querySelector(".node .body").getScreenCTM().a`)
	before := placesOf(p)
	const dragged = "shop-cache"
	p.DragText(".node", dragged, 48*scale, -64*scale)
	after := placesOf(p)
	if dx, dy := after[dragged].X-before[dragged].X, after[dragged].Y-before[dragged].Y; math.Hypot(dx-48, dy+64) > 40 {
		t.Errorf("the node moved by %.0f, %.0f", dx, dy)
	}
	others := func(what string, places map[string]point) {
		t.Helper()
		for name, place := range before {
			if name != dragged && places[name] != place {
				t.Errorf("%s: %s moved from %v to %v", what, name, place, places[name])
			}
		}
	}
	others("dragged", after)
	got := webtest.Eval[drawing](p, faults)
	if got.Behind+got.LabelsOnLabels+got.LabelsOnTitles+got.LabelsOnNodes+got.LabelsOnLines+got.NoLabel > 0 {
		t.Errorf("%+v", got)
	}
	if webtest.Eval[bool](p, `location.search.includes("select=")`) {
		t.Error("the drag selected the node")
	}

	for i := range g.Links {
		if g.Links[i].Port == 5432 {
			g.Links[i].Connections = 44
		}
	}
	served.set(g, nil)
	p.Until(`[...document.querySelectorAll(".label text")].some((e) => e.textContent === "5432 ×44")`)
	refreshed := placesOf(p)
	others("refreshed", refreshed)
	if refreshed[dragged] != after[dragged] {
		t.Errorf("a refresh moved the node from %v to %v", after[dragged], refreshed[dragged])
	}

	p.Click("#rearrange")
	p.Until(`[...document.querySelectorAll(".node")].find((e) => e.getAttribute("aria-label").startsWith("shop-cache,")).getAttribute("transform") !== "` + transform(refreshed[dragged]) + `"`)
}

// TestDraggedNodeOutlivesLayouts drags a node, and then has the map laid out again: with a filter, and with another grouping for a while. The node stands
// where it was dropped, or near if that place is taken, and no node is on another one. "Rearrange" lets it go.
func TestDraggedNodeOutlivesLayouts(t *testing.T) {
	t.Parallel()
	p, _ := open(t, newCompany(15, 1), "?group=container")
	p.Click("#filters-toggle")
	p.Click("#rearrange")
	p.Until(`!document.querySelector("#map[aria-busy]")`)
	scale := webtest.Eval[float64](p, `document.querySelector(".node .body").getScreenCTM().a`)
	const dragged = "checkout-shop-cache-1"
	original := placesOf(p)[dragged]
	p.DragText(".node", dragged, 0, -200*scale)
	dropped := placesOf(p)[dragged]
	if original.Y-dropped.Y < 150 {
		t.Fatalf("the node moved from %v to %v", original, dropped)
	}
	isNear := func(what string) {
		t.Helper()
		if at := placesOf(p)[dragged]; math.Hypot(at.X-dropped.X, at.Y-dropped.Y) > 100 {
			t.Errorf("%s: the node moved from %v to %v, and was at %v before the drag", what, dropped, at, original)
		}
		if got := webtest.Eval[drawing](p, faults); got.Behind+got.LabelsOnTitles+got.LabelsOnNodes+got.Outside+got.Covered > 0 {
			t.Errorf("%s: %+v", what, got)
		}
		if !webtest.Eval[bool](p, geometry+`nodes.every((a, i) => nodes.slice(i + 1).every((b) => apart(a, b)))})()`) {
			t.Errorf("%s: nodes are on each other", what)
		}
	}
	isNear("dragged")
	p.Click("#hide-monitoring")
	p.Until(`document.querySelector("#counts").textContent.includes("hidden") && ![...document.querySelectorAll(".node")].some((e) => e.textContent.includes("prometheus"))`)
	isNear("filtered")
	p.Shot("pinned")
	p.Click("#hide-monitoring")
	p.Until(`[...document.querySelectorAll(".node")].some((e) => e.textContent.includes("prometheus"))`)
	isNear("all again")
	p.Choose("[name=group]", "project")
	p.Until(`document.querySelector(".node.group")`)
	p.Choose("[name=group]", "container")
	p.Until(`!document.querySelector(".node.group")`)
	isNear("grouped for a while")
	p.Click("#rearrange")
	p.Until(`[...document.querySelectorAll(".node")].find((e) => e.getAttribute("aria-label").startsWith("` + dragged + `,")).getAttribute("transform") === "` + transform(original) + `"`)
}
