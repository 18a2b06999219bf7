package web_test

import (
	"fmt"
	"testing"

	"github.com/PabloL007/outpost/internal/web/webtest"
)

// TestForcedColoursKeepStatesApart has the colours of the system in place of the page's: what looks different stays different.
func TestForcedColoursKeepStatesApart(t *testing.T) {
	t.Parallel()
	p, _ := open(t, troubled(), "?newSince=5m&select=container/one/shop-api%20container/one/shop-db")
	for _, scheme := range []string{"light", "dark"} {
		p.Emulate("screen", [2]string{"forced-colors", "active"}, [2]string{"prefers-color-scheme", scheme})
		alike := webtest.Eval[[]string](p, `(() => {
			const look = (selector) => {
				const e = document.querySelector(selector), s = getComputedStyle(e);
				return [s.backgroundColor, s.color, s.fill, s.stroke, s.strokeDasharray, s.strokeWidth, s.outlineStyle, s.borderLeftWidth, e.getAttribute("rx"), e.closest(".node")?.querySelectorAll(".sign, .body").length].join(" ");
			};
			const kinds = [
				[".node.container:not(.past, .stale, .incomplete) .body", ".node.past .body", ".node.stale .body", ".node.incomplete .body", ".node.external .body"],
				[".line:not(.past, .one-sided, .new, .selected, .stale) .stroke", ".line.past .stroke", ".line.one-sided:not(.past) .stroke", ".line.new .stroke", ".line.selected .stroke"],
				["tbody tr:not(.past, .selected, .new) td", "tbody tr.past td", "tbody tr.selected td", "tbody tr.new td"],
				[".box:not(.stale) > rect", ".box.project > rect", ".box.stale > rect"],
			];
			return kinds.flatMap((kind) => kind.flatMap((a, i) => kind.slice(i + 1).filter((b) => look(a) === look(b)).map((b) => a + " looks like " + b)));
		})()`)
		for _, pair := range alike {
			t.Errorf("%s: %s", scheme, pair)
		}
		p.Shot("forced-colours-" + scheme)
	}
}

func TestForcedColoursHaveContrast(t *testing.T) {
	t.Parallel()
	p, _ := open(t, troubled(), "?newSince=5m")
	for _, scheme := range []string{"light", "dark"} {
		p.Emulate("screen", [2]string{"forced-colors", "active"}, [2]string{"prefers-color-scheme", scheme})
		for _, selector := range []string{".node .name", ".node.stale .name", ".node.external .small", ".labels .label text", ".labels .label.new text", ".port-badge text", "#counts", ".warning", "#table td"} {
			if ratio := webtest.Eval[float64](p, fmt.Sprintf(contrast, selector)); ratio < 4.5 {
				t.Errorf("%s: contrast of %s is %.1f", scheme, selector, ratio)
			}
		}
		p.Shot("forced-colours-all-" + scheme)
	}
}

// TestPrintHasMapAndTable prints in both themes: the whole map and all rows are on white, without controls.
func TestPrintHasMapAndTable(t *testing.T) {
	t.Parallel()
	g := fleet(100)
	_, address := serve(t, g)
	for _, scheme := range []string{"light", "dark"} {
		p := webtest.Start(t).Open(address+"?group=container&look=0,0,0.3", 1400, 850)
		p.Until(`document.querySelector(".node")`)
		p.Emulate("print", [2]string{"prefers-color-scheme", scheme})
		p.Resize(794, 1123) // A4 with 96 px for an inch
		for what, expression := range map[string]string{
			"the page is white":            `getComputedStyle(document.body).backgroundColor === "rgb(255, 255, 255)"`,
			"texts are dark":               `getComputedStyle(document.querySelector(".node .name")).fill === getComputedStyle(document.body).color && getComputedStyle(document.body).color === "rgb(27, 34, 45)"`,
			"no control is visible":        `[...document.querySelectorAll("header button, header input, select, #filters *, .zoom *, .tools input, .tools button, .warning")].every((e) => !e.getClientRects().length)`,
			"the whole map is on the page": `[...document.querySelectorAll(".node .body, .box > rect")].every((e) => { const r = e.getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth && r.width > 0; })`,
			"names are shown":              `[...document.querySelectorAll(".node .name")].every((e) => e.getClientRects().length)`,
			"the table is below the map":   `document.querySelector("#table").getBoundingClientRect().top >= document.querySelector(".drawing-root").getBoundingClientRect().bottom`,
			"no row is cut off":            `document.querySelector("tbody").rows.length >= 200 && [".scroll", ".links", "main", "body"].every((s) => { const e = document.querySelector(s); return e.scrollHeight <= e.clientHeight + 1 || getComputedStyle(e).overflow === "visible"; })`,
		} {
			if !webtest.Eval[bool](p, expression) {
				t.Errorf("%s: not true: %s", scheme, what)
			}
		}
		p.Shot("print-" + scheme)
		if scheme == "dark" {
			p.PDF("print")
		}
	}
}
