package web_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

const emptyText = `document.querySelector("#empty:not([hidden])")?.innerText`

// TestNoDataBeforeTheFirstMap looks at times before the server had data.
func TestNoDataBeforeTheFirstMap(t *testing.T) {
	t.Parallel()
	g := shop()
	g.DataSince = time.Now().UTC().Add(-20 * time.Minute)
	p, served := open(t, g, "")
	p.Until(`/^no data before \d\d:\d\d$/.test(document.querySelector("#no-data:not([hidden])")?.textContent)`)
	if share := webtest.Eval[float64](p, `document.querySelector("#no-data-range").offsetWidth / document.querySelector("#at").offsetWidth`); share < 0.6 || share > 0.7 {
		t.Errorf("%.2f of the slider is marked", share)
	}
	p.Shot("no-data-mark")
	p.Choose("#at", "-900")
	expect(t, "after the first map", counts(p), "8 nodes, 5 links")
	p.Choose("#at", "-1800")
	p.Until(`!document.querySelector(".node")`)
	p.Until(`/^Viewing \d\d:\d\d:\d\d: no data before \d\d:\d\d:\d\d/.test(document.querySelector("#banner").textContent)`)
	expect(t, "empty map", webtest.Eval[string](p, emptyText), "No data before ", "no map of an earlier time", "Return to live")
	expect(t, "counts", counts(p), "no data before ")
	expect(t, "slider", webtest.Eval[string](p, `document.querySelector("#at").getAttribute("aria-valuetext")`), ", no data before ")
	p.Shot("no-data")
	_, minuteAndSecond, _ := strings.Cut(g.DataSince.Truncate(time.Second).Add(time.Second).Format("15:04:05"), ":")
	p.Until(`/^Go to \d\d:` + minuteAndSecond + `$/.test(document.querySelector("#empty button").textContent)`)
	p.Click("#empty button")
	p.Until(`document.querySelectorAll(".node").length === 8 && /^Viewing \d\d:\d\d:\d\dReturn/.test(document.querySelector("#banner").textContent)`)

	g.DataSince = g.DataSince.Add(-24 * time.Hour)
	served.set(g, nil)
	p.Until(`document.querySelector("#no-data").hidden && document.querySelector("#no-data-range").hidden`)
}

// changed returns a map in which links appeared and went during the last hour.
func changed() graph.Graph {
	g := shop()
	g.DataSince = time.Now().UTC().Add(-time.Hour - time.Second)
	nodes := make(map[string]graph.Node)
	for _, n := range g.Nodes {
		nodes[n.Name] = n
	}
	for i := range 40 { // went all at once
		gone := link(nodes["shop-web"], nodes["shop-db"], uint16(9000+i), 0)
		gone.Live, gone.FirstSeen, gone.LastSeen = false, g.DataSince, time.Now().UTC().Truncate(time.Hour).Add(-time.Minute)
		g.Links = append(g.Links, gone)
	}
	return newMap(g.Nodes, g.Links, g.Targets...)
}

const bars = `[...document.querySelectorAll("#timeline .mark")].map((e) => [e.parentElement.classList.contains("appeared"), e.getAttribute("aria-label")].join(" "))`

// TestTimelineMarksChanges looks at the marks of links that appeared and went, and goes from one to the next.
func TestTimelineMarksChanges(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	marks := webtest.Eval[[]string](p, bars)
	for i, want := range []string{`^true \d\d:\d\d:\d\d: 5 links appeared$`, `^true \d\d:\d\d:\d\d: 1 link appeared$`, `^false \d\d:\d\d:\d\d: 1 link went$`} {
		if i >= len(marks) || !regexp.MustCompile(want).MatchString(marks[i]) {
			t.Fatalf("marks %q, want %q at %d", marks, want, i)
		}
	}
	if len(marks) != 3 {
		t.Errorf("marks %q", marks)
	}
	longer := `((marks) => marks[0] > marks[1])([...document.querySelectorAll(".appeared .mark")].map((e) => parseFloat(getComputedStyle(e, "::before").height)))`
	if !webtest.Eval[bool](p, longer) {
		t.Error("the mark of more links is not longer")
	}
	expect(t, "text of the marks", webtest.Eval[string](p, `document.querySelector("#marks-text").textContent`), " 1 link appeared; ", " 1 link went; ", " 5 links appeared. The keys [ and ]")
	ticks := p.Texts(".ticks span")
	if len(ticks) != 5 || ticks[4] != "now" || !regexp.MustCompile(`^\d\d:\d\d$`).MatchString(ticks[0]) {
		t.Errorf("ticks %q", ticks)
	}
	p.Shot("timeline")

	viewing := func(what, mark string) {
		t.Helper()
		at := mark[strings.Index(mark, " ")+1:][:8]
		p.Until(fmt.Sprintf(`document.querySelector("#at-text").textContent === %q`, at))
		expect(t, what, webtest.Eval[string](p, `document.querySelector("#banner").textContent`), "Viewing "+at)
	}
	p.Press("[")
	viewing("the last mark", marks[1])
	expect(t, "spoken", webtest.Eval[string](p, `document.querySelector("#said").textContent`), "1 link appeared")
	expect(t, "slider", webtest.Eval[string](p, `document.querySelector("#at").getAttribute("aria-valuetext")`), ", 1 link appeared")
	p.Press("[")
	viewing("the mark before", marks[2])
	same(t, "past links then", p.Texts("#table tr.past td:first-child"), "shop-api")
	p.Press("[")
	viewing("the first mark", marks[0])
	p.Press("[")
	p.Until(`document.querySelector("#toast:not([hidden])")?.textContent === "No link appeared or went earlier"`)
	for range 3 {
		p.Press("]")
	}
	p.Until(`document.querySelector("#at-text").textContent === "now"`)

	p.Click(".went .mark")
	viewing("a pressed mark", marks[2])
	webtest.Eval[bool](p, `(document.querySelector("#at").focus(), true)`)
	before := webtest.Eval[float64](p, `document.querySelector("#at").valueAsNumber`)
	p.Press(kb.ArrowLeft)
	p.Press(kb.ArrowLeft)
	p.Press(kb.ArrowRight)
	p.Until(fmt.Sprintf(`Math.abs(document.querySelector("#at").valueAsNumber - %f + 60) <= 6`, before))

	p.Choose("[name=port]", "443")
	p.Until(`document.querySelectorAll("#timeline .mark").length === 1`)
}

// TestTimelineIsBounded has links that appeared at thousands of times.
func TestTimelineIsBounded(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	type mark struct{ At, Appeared, Went int }
	for _, test := range []struct{ width, links int }{{60, 60}, {3600, 3000}, {86400, 3000}, {30 * 86400, 3000}} {
		got := webtest.Eval[[]mark](p, fmt.Sprintf(`(async () => {
			const { findMarks, markSpan } = await import("./timeline.js"), now = Date.parse("2026-01-02T12:00:00Z"), width = 1000 * %d, n = %d;
			const links = Array.from({ length: n }, (_, i) => {
				const seen = new Date(now - width + (i + 0.5) * width / n).toISOString();
				return { live: i %% 2 > 0, closed: 0, firstSeen: seen, lastSeen: seen };
			});
			return findMarks(links, now - width, now, markSpan(width), 0);
		})()`, test.width, test.links))
		var appeared, went int
		for _, m := range got {
			appeared, went = appeared+m.Appeared, went+m.Went
		}
		if len(got) > 41 || len(got) < 15 || appeared < test.links-1 || went < test.links/2-1 {
			t.Errorf("window of %d s: %d marks of %d and %d links", test.width, len(got), appeared, went)
		}
	}
}

// TestTimelineOnAPhone goes to a mark in the sheet of a phone.
func TestTimelineOnAPhone(t *testing.T) {
	t.Parallel()
	_, address := serve(t, changed())
	browser := webtest.Start(t)
	for _, scheme := range []string{"light", "dark"} {
		p := browser.Open(address, 390, 844)
		p.Prefer(scheme)
		p.Until(`document.querySelector(".node")`)
		p.Click("#controls-toggle")
		if outside := webtest.Eval[[]string](p, `[...document.querySelectorAll("#controls, #controls *")].filter((e) => {
			const r = e.getBoundingClientRect();
			return r.width && !e.closest(".visually-hidden, .menu > div") && (r.left < -1 || r.right > innerWidth + 1 || r.bottom > innerHeight + 1);
		}).map((e) => e.outerHTML.slice(0, 80))`); len(outside) > 0 {
			t.Errorf("%s: outside of the page: %q", scheme, outside)
		}
		for selector, least := range map[string]float64{".ticks span": 4.5, "#at-text": 4.5} {
			if ratio := webtest.Eval[float64](p, fmt.Sprintf(contrast, selector)); ratio < least {
				t.Errorf("%s: contrast of %s is %.1f", scheme, selector, ratio)
			}
		}
		p.Shot("timeline-phone-" + scheme)
		p.Click(".went .mark")
		p.Until(`document.querySelector("#banner:not([hidden])")`)
	}
}
