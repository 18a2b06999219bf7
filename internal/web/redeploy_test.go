package web_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
