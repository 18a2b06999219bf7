// Package webtest drives the map page in a real Chromium with pointer and keys. Each console message, exception, dialog or request
// to another server fails the test.
package webtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// stepTimeout bounds one step of the browser. It allows for a machine under heavy load.
const stepTimeout = time.Minute

// networkChanged is the error of the requests that Chromium ends when an address or interface of the machine changes. Each
// container that starts or stops changes them.
const networkChanged = "net::ERR_NETWORK_CHANGED"

// Browser is a headless Chromium without data of others, as in a private window.
type Browser struct {
	t         testing.TB
	ctx       context.Context
	downloads string
}

// Start starts a browser that ends with the test. It skips the test if there is no Chromium, and fails it in CI.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no chromium: ", err)
	}
	shared, release, err := acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	ctx, shut := chromedp.NewContext(shared, chromedp.WithNewBrowserContext())
	t.Cleanup(shut)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b := &Browser{t, ctx, t.TempDir()}
	behavior := browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: b.downloads, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
	}
	if _, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, behavior); err != nil {
		t.Fatal(err)
	}
	return b
}

// Page is a tab of a browser.
type Page struct {
	t      testing.TB
	ctx    context.Context
	origin string // of the page's requests
	opened string // of the requests that carry the credentials of the opened address

	downloads string

	isInterrupted atomic.Bool // a request ended with networkChanged since the last load

	mu         sync.Mutex
	complaints []string
}

// Open opens an address in a new tab of a size in pixels.
func (b *Browser) Open(address string, width, height int64) *Page {
	b.t.Helper()
	return b.OpenWith("", address, width, height)
}

// OpenWith is Open with a script that runs before the scripts of the page.
func (b *Browser) OpenWith(script, address string, width, height int64) *Page {
	b.t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &Page{t: b.t, origin: at.Scheme + "://" + at.Host + "/", downloads: b.downloads}
	p.opened = p.origin
	if at.User != nil {
		p.opened = at.Scheme + "://" + at.User.String() + "@" + at.Host + "/"
	}
	ctx, shut := chromedp.NewContext(b.ctx, chromedp.WithListener(p.listen))
	p.ctx = ctx
	b.t.Cleanup(func() {
		shut()
		for _, complaint := range p.Complaints() {
			b.t.Error("browser: ", complaint)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context that opens it
		b.t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.t.Fatal(err)
	}
	p.do(chromedp.EmulateViewport(width, height))
	p.load(address)
	return p
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.load(Eval[string](p, "location.href"))
}

// load opens an address, again if the machine's network changed meanwhile. It fails the test after stepTimeout.
func (p *Page) load(address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	for {
		p.isInterrupted.Store(false)
		err := chromedp.Do(ctx, chromedp.Navigate(address))
		failed, isLoad := errors.AsType[*chromedp.LoadError](err)
		switch {
		case isLoad && failed.ErrorText == networkChanged:
		case err != nil:
			p.t.Fatal(err)
		case !p.isInterrupted.Load():
			return
		}
	}
}

// listen records console messages, exceptions, violations of the Content-Security-Policy, dialogs, and requests to other servers.
// It does not record networkChanged, which says nothing about the page.
func (p *Page) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range e.Args {
			words = append(words, string(arg.Value)+arg.Description)
		}
		p.complain("console." + string(e.Type) + ": " + strings.Join(words, " "))
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.complain(text)
	case *log.EventEntryAdded:
		if strings.Contains(e.Entry.Text, networkChanged) {
			p.isInterrupted.Store(true)
			return
		}
		p.complain(string(e.Entry.Level) + ": " + e.Entry.Text + " " + e.Entry.URL)
	case *page.EventJavascriptDialogOpening:
		p.complain("dialog: " + e.Message)
	case *network.EventRequestWillBeSent:
		own := strings.HasPrefix(e.Request.URL, p.origin) || strings.HasPrefix(e.Request.URL, p.opened) || strings.HasPrefix(e.Request.URL, "blob:"+p.origin)
		if !own && e.Request.URL != "about:blank" {
			p.complain("request to " + e.Request.URL)
		}
	}
}

func (p *Page) complain(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, what)
}

// Complaints returns and clears the recorded complaints of the browser.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	complaints := p.complaints
	p.complaints = nil
	return complaints
}

// do performs steps in order.
func (p *Page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// get performs a step and returns its result.
func get[T any](p *Page, step chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	value, err := chromedp.Run(ctx, step)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

// Eval returns the value of an expression. It awaits a promise.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return get(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Prefer sets the preferred colour scheme: "light" or "dark".
func (p *Page) Prefer(scheme string) {
	p.t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		p.t.Fatal(err)
	}
}

// Until waits until an expression is true. It fails the test after stepTimeout.
func (p *Page) Until(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(stepTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if p.holds(expression) {
			return
		}
	}
	p.Shot("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
	p.t.Fatalf("never true: %s\n%.3000s\n%q", expression, Eval[string](p, "document.body.innerText"), p.Complaints())
}

// holds reports whether an expression is true. It is not while the tab goes to another document.
func (p *Page) holds(expression string) bool {
	p.t.Helper()
	const serverError = -32000 // "Inspected target navigated or closed"
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")", chromedp.EvalAwaitPromise))
	if failed, ok := errors.AsType[*cdproto.Error](err); ok && failed.Code == serverError {
		return false
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return is
}

// settle waits until the map shows what the last step asked for.
func (p *Page) settle() {
	p.t.Helper()
	p.Until(`!document.querySelector("#map[aria-busy]")`)
}

// Texts returns the texts of all elements of a selector.
func (p *Page) Texts(selector string) []string {
	p.t.Helper()
	return Eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%q)].map((e) => e.textContent)`, selector))
}

// downloadPause keeps the downloads of a page below ten in a second. Chromium drops more of them without an error.
const downloadPause = 150 * time.Millisecond

// Downloaded returns the content of the file that save saves, with a name that ends with end. It waits until the file is not empty.
func (p *Page) Downloaded(end string, save func()) []byte {
	p.t.Helper()
	pattern := filepath.Join(p.downloads, "*"+end)
	time.Sleep(downloadPause)
	save()
	for deadline := time.Now().Add(stepTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		found, _ := filepath.Glob(pattern)
		if len(found) == 0 {
			continue
		}
		content, err := os.ReadFile(found[0])
		if err != nil {
			p.t.Fatal(err)
		}
		if len(content) == 0 { // the browser reserves the name before it writes the content
			continue
		}
		if err := os.Remove(found[0]); err != nil {
			p.t.Fatal(err)
		}
		return content
	}
	p.t.Fatalf("nothing was saved as *%s", end)
	return nil
}

// Shot writes a screenshot to .build/screens of the module for review.
func (p *Page) Shot(name string) {
	p.t.Helper()
	p.keep(name+".png", get(p, chromedp.CaptureScreenshot()))
}

// keep writes a file to .build/screens of the module.
func (p *Page) keep(name string, content []byte) {
	p.t.Helper()
	output, err := exec.CommandContext(p.ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		p.t.Fatal(err)
	}
	directory := filepath.Join(strings.TrimSpace(string(output)), ".build", "screens")
	if err := errors.Join(os.MkdirAll(directory, 0o755), os.WriteFile(filepath.Join(directory, name), content, 0o600)); err != nil {
		p.t.Fatal(err)
	}
}
