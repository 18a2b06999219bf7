package webtest

import (
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// tiny is no movement, but the protocol requires both deltas and the client leaves out 0.
const tiny = 1e-9

// Wheel turns the wheel over the middle of the element of a selector in steps of dy pixels.
func (p *Page) Wheel(selector string, dy float64, steps int) {
	p.t.Helper()
	x, y, ok := p.middleOf(fmt.Sprintf("document.querySelector(%q)", selector))
	if !ok {
		p.t.Fatalf("no %s", selector)
	}
	for range steps {
		event := input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: x, Y: y, DeltaX: tiny, DeltaY: dy}
		if _, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, event); err != nil {
			p.t.Fatal(err)
		}
	}
}
