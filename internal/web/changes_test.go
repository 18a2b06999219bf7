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

// deployed returns a map of a shop after its api was replaced and its queue removed. The first map was two hours ago.
func deployed() graph.Graph {
	ago := func(minutes int) time.Time { return time.Now().UTC().Add(-time.Duration(minutes) * time.Minute) }
	web, db, queue, before, after := container("one", "shop", "web"), container("one", "shop", "db"), container("one", "shop", "queue"), container("one", "shop", "api-old"), container("one", "shop", "api")
	nodes := []graph.Node{web, db, queue, before, after}
	for i := range nodes {
		nodes[i].FirstSeen = ago(120)
	}
	nodes[2].Past, nodes[2].LastSeen = true, ago(12)
	nodes[3].Past, nodes[3].LastSeen = true, ago(11)
	nodes[4].FirstSeen = ago(10)
	link := func(client, server graph.Node, port uint16, first, last int) graph.Link {
		l := link(client, server, port, 1)
		l.FirstSeen, l.LastSeen = ago(first), ago(last)
		if l.Live = last == 0; !l.Live {
			l.Connections = 0
		}
		return l
	}
	g := newMap(nodes, []graph.Link{
		link(web, before, 8080, 120, 11), link(before, db, 5432, 120, 11), link(before, queue, 5672, 120, 12),
		link(web, after, 8080, 10, 0), link(after, db, 5432, 10, 0), link(web, db, 5432, 120, 0), link(web, db, 9000, 120, 90),
	})
	g.DataSince = ago(120)
	return g
}

// TestWhatChanged asks with one press what changed in the last hour.
func TestWhatChanged(t *testing.T) {
	t.Parallel()
	p, _ := open(t, deployed(), "?group=container")
	if marked := p.Texts(".new, .gone, .new-badge, .gone-badge, .changed"); len(marked) > 0 {
		t.Errorf("marked at first: %q", marked)
	}
	p.Click("#what-changed")
	p.Until(`document.querySelector(".label.gone")`)
	expect(t, "counts", counts(p), "2 new links, 3 gone, 1 new container, 2 containers gone since ")
	labels := func(selector string) []string {
		texts := p.Texts(selector + " text")
		slices.Sort(texts)
		return texts
	}
	same(t, "new lines", labels(".label.new"), "5432 new", "8080 new")
	same(t, "gone lines", labels(".label.gone"), "5432 gone", "5672 gone", "8080 gone")
	same(t, "new containers", p.Texts(".new-badge"), "new")
	same(t, "gone containers", p.Texts(".gone-badge"), "gone", "gone")
	same(t, "spoken", webtest.Eval[[]string](p, `[...document.querySelectorAll(".node")].map((n) => n.getAttribute("aria-label")).filter((l) => /, (new|gone)$/.test(l)).map((l) => l.replace(/,.*,/, "")).sort()`),
		"shop-api new", "shop-api-old gone", "shop-queue gone")
	same(t, "states of the first rows", p.Texts("#table tr td:last-child"), "new, live", "gone", "gone", "new, live", "gone", "live", "past")
	if differs := webtest.Eval[bool](p, `(() => {
		const style = (line) => getComputedStyle(document.querySelector(line + " .stroke")), gone = style(".line.gone"), other = style(".line:not(.changed)");
		return gone.stroke !== other.stroke && gone.strokeDasharray !== other.strokeDasharray && gone.markerStart.includes("start-gone") && other.opacity < 0.5;
	})()`); !differs {
		t.Error("lines that are gone have no mark of their own, or unchanged lines are not faded")
	}
	p.Until(`location.search.includes("newSince=1h")`)
	p.Shot("changed")
	p.Prefer("dark")
	for selector, least := range map[string]float64{".labels .label.gone text": 4.5, ".labels .label.new text": 4.5} {
		if ratio := webtest.Eval[float64](p, fmt.Sprintf(contrast, selector)); ratio < least {
			t.Errorf("dark: contrast of %s is %.1f", selector, ratio)
		}
	}
	p.Shot("changed-dark")

	p.Choose("#new-since", "1m")
	expect(t, "counts", counts(p), "no changes since ")
	p.Choose("#new-since", "1h")
	p.Choose("[name=group]", "project")
	p.Until(`document.querySelector(".node.group")`)
	same(t, "badges of a group", p.Texts(".node.group .new-badge, .node.group .gone-badge"), "1 new", "2 new links", "2 gone", "3 links gone")
	p.Choose("#new-since", "")
	p.Until(`!document.querySelector("#what-changed").hidden && !document.querySelector(".new-badge")`)
}

// TestNothingOfTheFirstMapIsNew opens a map of a server that started half an hour ago.
func TestNothingOfTheFirstMapIsNew(t *testing.T) {
	t.Parallel()
	g := deployed()
	g.DataSince = time.Now().UTC().Add(-30 * time.Minute)
	for i := range g.Links {
		if g.Links[i].FirstSeen.Before(g.DataSince) {
			g.Links[i].FirstSeen = g.DataSince
		}
	}
	p, _ := open(t, g, "?group=container&newSince=1h")
	expect(t, "counts", counts(p), "2 new links, 3 gone, 1 new container, 2 containers gone since ", ", when the data begins")
	p.Choose("#at", "-660") // before the deployment
	p.Until(`!document.querySelector(".new-badge")`)
	if names := strings.Join(names(p), " "); names != "shop-api-old shop-db shop-queue shop-web" {
		t.Errorf("containers before the deployment: %s", names)
	}
}

// TestChangedOnAPhone asks on a phone what changed: the button is in the first view.
func TestChangedOnAPhone(t *testing.T) {
	t.Parallel()
	_, address := serve(t, deployed())
	p := webtest.Start(t).Open(address, 390, 844)
	p.Until(`document.querySelector(".node")`)
	p.Shot("phone-before-changed")
	p.Click("#what-changed")
	p.Until(`document.querySelector(".label.gone")`)
	if webtest.Eval[float64](p, "document.documentElement.scrollWidth") > 390 {
		t.Error("wider than the page")
	}
	same(t, "focus", []string{webtest.Eval[string](p, `document.activeElement.id`)}, "new-since")
	p.Shot("changed-phone")
}

// TestLineOfALiveLinkIsNotGone groups a caller that has gone with a live one.
func TestLineOfALiveLinkIsNotGone(t *testing.T) {
	t.Parallel()
	db, one, two := container("one", "data", "db"), container("one", "shop", "api-1"), container("one", "shop", "api-2")
	gone := link(one, db, 5432, 0)
	gone.Live, gone.LastSeen = false, time.Now().UTC().Add(-10*time.Minute)
	p, _ := open(t, newMap([]graph.Node{db, one, two}, []graph.Link{gone, link(two, db, 5432, 3)}), "?group=project&newSince=15m")
	same(t, "label", p.Texts(".labels .label text"), "5432 ×3 1 gone")
	same(t, "state", p.Texts("#table tr td:last-child"), "live")
	if webtest.Eval[bool](p, `!!document.querySelector(".line.gone, tr.gone")`) {
		t.Error("the line of a live link is drawn as gone")
	}
}

// TestReplacedContainersAreMarked asks what changed after a redeploy.
func TestReplacedContainersAreMarked(t *testing.T) {
	t.Parallel()
	_, address := serve(t, observed())
	browser := webtest.Start(t)
	for query, badge := range map[string]string{"?newSince=1h&group=container": "replaced", "?newSince=1h&group=project": "1 replaced"} {
		p := browser.Open(address+query, 1400, 850)
		p.Until(`document.querySelector(".node")`)
		if badges := p.Texts(".new-badge"); !slices.Contains(badges, badge) {
			t.Errorf("%s: %q", query, badges)
		}
		expect(t, "counts", counts(p), "1 container replaced since ")
	}
}
