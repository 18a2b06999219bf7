package webtest

import (
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// PointAt moves the pointer to a point of the window.
func (p *Page) PointAt(x, y float64) {
	p.t.Helper()
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
}

// ClickAt clicks a point of the window.
func (p *Page) ClickAt(x, y float64) {
	p.t.Helper()
	p.do(chromedp.MouseClickXY(x, y))
	p.settle()
}

// DragText drags from the middle of the element of a selector with exactly the text by dx and dy.
func (p *Page) DragText(selector, text string, dx, dy float64) {
	p.t.Helper()
	const steps = 8
	x, y := p.middle(selector, text)
	p.do(chromedp.DragAndDropXY(x, y, x+dx, y+dy, steps))
	p.settle()
}

// Drag drags by dx and dy in steps, from the point of an element of a selector that is nearest to its middle and outside of all nodes.
func (p *Page) Drag(selector string, dx, dy float64, steps int) {
	p.t.Helper()
	at := Eval[struct{ X, Y float64 }](p, fmt.Sprintf(`(() => {
		const r = document.querySelector(%q).getBoundingClientRect(), middle = { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
		const offsets = Array.from({ length: 31 }, (_, i) => (i - 15) * 8), points = offsets.flatMap((x) => offsets.map((y) => ({ X: middle.X + x, Y: middle.Y + y })));
		const distance = ({ X, Y }) => Math.hypot(X - middle.X, Y - middle.Y);
		return points.sort((a, b) => distance(a) - distance(b)).find(({ X, Y }) => !document.elementFromPoint(X, Y)?.closest(".node"));
	})()`, selector))
	p.do(chromedp.DragAndDropXY(at.X, at.Y, at.X+dx, at.Y+dy, steps))
}
