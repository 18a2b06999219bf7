package webtest

import (
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Emulate sets the medium, "screen" or "print", and features of it such as {"forced-colors", "active"}. It replaces earlier ones.
func (p *Page) Emulate(medium string, features ...[2]string) {
	p.t.Helper()
	emulated := emulation.SetEmulatedMediaParams{Media: medium}
	for _, feature := range features {
		emulated.Features = append(emulated.Features, &emulation.MediaFeature{Name: feature[0], Value: feature[1]})
	}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulated); err != nil {
		p.t.Fatal(err)
	}
}

// Resize changes the size of the tab in pixels.
func (p *Page) Resize(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
	p.settle()
}

// PDF prints the page to a file of .build/screens of the module for review.
func (p *Page) PDF(name string) {
	p.t.Helper()
	printed, err := chromedp.Call(p.ctx, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69})
	if err != nil {
		p.t.Fatal(err)
	}
	p.keep(name+".pdf", printed.Data)
}
