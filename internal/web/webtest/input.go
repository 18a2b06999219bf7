package webtest

import (
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// Click clicks the element of a selector.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
	p.settle()
}

// ClickText clicks the middle of the element of a selector with exactly the text. It works for SVG elements too. Within
// a node it clicks the middle of the node. The text of a node is its name or its full name, which its label starts with.
func (p *Page) ClickText(selector, text string) {
	p.t.Helper()
	x, y := p.middle(selector, text)
	p.do(chromedp.MouseClickXY(x, y))
	p.settle()
}

// DoubleClickText is ClickText with two clicks.
func (p *Page) DoubleClickText(selector, text string) {
	p.t.Helper()
	x, y := p.middle(selector, text)
	for count := range int64(2) {
		for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
			event := input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: count + 1}
			if _, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, event); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	p.settle()
}

// middle returns the middle of the element of a selector with exactly the text.
func (p *Page) middle(selector, text string) (x, y float64) {
	p.t.Helper()
	x, y, ok := p.middleOf(fmt.Sprintf(`[...document.querySelectorAll(%[1]q)].map((e) => {
		const node = e.closest(".node");
		return (e.textContent.trim() === %[2]q || node?.getAttribute("aria-label").startsWith(%[2]q + ",")) && (node || e);
	}).find(Boolean)`, selector, text))
	if !ok {
		p.t.Fatalf("no %s has the text %q", selector, text)
	}
	return x, y
}

// middleOf returns the middle of an element, and whether it exists.
func (p *Page) middleOf(element string) (x, y float64, ok bool) {
	p.t.Helper()
	at := Eval[struct {
		X, Y float64
		OK   bool
	}](p, fmt.Sprintf(`(() => {
		const r = (%s)?.getBoundingClientRect();
		return r ? { X: r.x + r.width / 2, Y: r.y + r.height / 2, OK: true } : { OK: false };
	})()`, element))
	return at.X, at.Y, at.OK
}

// Press presses keys: the letters of a text, or a key of chromedp's package kb.
func (p *Page) Press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		if strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			p.do(chromedp.KeyEvent(key))
			p.settle()
			continue
		}
		for _, letter := range key {
			p.key(string(letter))
		}
		p.settle()
	}
}

// key presses the key of a letter. Nothing is typed if the page handles the key.
func (p *Page) key(letter string) {
	p.t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: letter, Text: letter, UnmodifiedText: letter}
	up := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: letter}
	for _, event := range []input.DispatchKeyEventParams{down, up} {
		if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, event); err != nil {
			p.t.Fatal(err)
		}
	}
}

// Choose sets a field to a value and sends its input event.
func (p *Page) Choose(selector, value string) {
	p.t.Helper()
	if !Eval[bool](p, fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.value = %q;
		field.dispatchEvent(new Event("input", { bubbles: true }));
		return field.value === %[2]q;
	})()`, selector, value)) {
		p.t.Fatalf("%s has no %q", selector, value)
	}
	p.settle()
}

// Point moves the pointer to the element of a selector with exactly the text.
func (p *Page) Point(selector, text string) {
	p.t.Helper()
	x, y := p.middle(selector, text)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
}

// ClickLine clicks a line of the map near its client.
func (p *Page) ClickLine(id string) {
	p.t.Helper()
	at := Eval[struct{ X, Y float64 }](p, fmt.Sprintf(`(() => {
		const path = [...document.querySelectorAll(".label")].find((l) => l.dataset.id === %q).querySelector(".reach");
		const at = path.getPointAtLength(path.getTotalLength() * 0.2).matrixTransform(path.getScreenCTM());
		return { X: at.x, Y: at.y };
	})()`, id))
	p.do(chromedp.MouseClickXY(at.X, at.Y))
	p.settle()
}

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
