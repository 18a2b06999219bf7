package webtest

import (
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
