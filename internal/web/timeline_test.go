package web_test

import (
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

const emptyText = `document.querySelector("#empty:not([hidden])")?.innerText`

// TestNoDataBeforeTheFirstMap looks at times before the server had data.
func TestNoDataBeforeTheFirstMap(t *testing.T) {
	t.Parallel()
	g := shop()
	g.DataSince = time.Now().UTC().Add(-20 * time.Minute)
	p, served := open(t, g, "")
	p.Until(`/^no data before \d\d:\d\d:\d\d$/.test(document.querySelector("#no-data:not([hidden])")?.textContent)`)
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
	p.ClickText("#empty button", "Go to "+g.DataSince.Truncate(time.Second).Add(time.Second).Local().Format("15:04:05"))
	p.Until(`document.querySelectorAll(".node").length === 8 && /^Viewing \d\d:\d\d:\d\dReturn/.test(document.querySelector("#banner").textContent)`)

	g.DataSince = g.DataSince.Add(-24 * time.Hour)
	served.set(g, nil)
	p.Until(`document.querySelector("#no-data").hidden && document.querySelector("#no-data-range").hidden`)
}
