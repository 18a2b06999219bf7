package web_test

import (
	"fmt"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// TestPrintHasMatrix prints matrices while the screen shows a small part. The paper has all of them on white, in both themes.
func TestPrintHasMatrix(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]graph.Graph{"shop": shop(), "company": newCompany(60, 2), "fleet": newCompany(1000, 10)} {
		for _, scheme := range []string{"light", "dark"} {
			p, _ := openMatrix(t, g, "&group=container&look=0,60,3")
			p.Emulate("screen", [2]string{"prefers-color-scheme", scheme})
			const place = `document.querySelector(".matrix-body > svg").style.transform + document.querySelector(".matrix-left").textContent`
			before := webtest.Eval[string](p, place)
			p.Emulate("print", [2]string{"prefers-color-scheme", scheme})
			p.Resize(717, 1046) // A4 without margins, with 96 px for an inch
			p.Until(`document.querySelector(".matrix-paper")`)
			for what, expression := range map[string]string{
				"the page is white":               `getComputedStyle(document.body).backgroundColor === "rgb(255, 255, 255)"`,
				"texts are dark":                  `getComputedStyle(document.querySelector(".matrix-paper .axis:not(.band) text, .matrix-paper .corner")).fill !== "rgb(230, 233, 238)" && getComputedStyle(document.body).color === "rgb(27, 34, 45)"`,
				"nothing of the screen is there":  `[".matrix-body", ".matrix-left", ".matrix-top", ".matrix-corner", ".zoom"].every((s) => !document.querySelector(s).getClientRects().length)`,
				"all cells are on the page":       `(() => { const r = document.querySelector(".matrix-paper .cells-ground").getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth && r.width > 30 && r.height > 30 && r.height < 900; })()`,
				"the first and last rows are":     `(() => { const all = [...document.querySelectorAll(".matrix-paper .axis")].map((e) => e.textContent); return all.length > 5 && all.some((n) => /external|203[.]0/.test(n)) && all.some((n) => /shop-api|ams-docker|catalog-ident/.test(n)); })()`,
				"texts have 11 px":                `(() => { const paper = document.querySelector(".matrix-paper"); return paper.getBoundingClientRect().width >= paper.width.baseVal.value - 1 && [...paper.querySelectorAll(".axis text, .title text")].every((e) => parseFloat(getComputedStyle(e).fontSize) >= 11); })()`,
				"the table is below the matrix":   `document.querySelector("#table").getBoundingClientRect().top >= document.querySelector(".matrix-paper").getBoundingClientRect().bottom`,
				"no text is outside of the paper": `(() => { const page = document.querySelector(".matrix-paper").getBoundingClientRect(); return [...document.querySelectorAll(".matrix-paper text")].every((e) => { const r = e.getBoundingClientRect(); return r.left >= page.left - 1 && r.right <= page.right + 1 && r.top >= page.top - 1; }); })()`,
			} {
				if !webtest.Eval[bool](p, expression) {
					t.Errorf("%s, %s: not true: %s", name, scheme, what)
				}
			}
			p.Shot(fmt.Sprintf("matrix-print-%s-%s", name, scheme))
			p.Resize(1400, 850)
			p.Emulate("screen", [2]string{"prefers-color-scheme", scheme})
			p.Until(`!document.querySelector(".matrix-paper")`)
			if after := webtest.Eval[string](p, place); after != before {
				t.Errorf("%s, %s: printing moved the matrix: %s, want %s", name, scheme, after, before)
			}
			if scheme == "dark" {
				p.PDF("matrix-" + name)
			}
		}
	}
}
