package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

const firstToken, secondToken = "the-first-token-of-the-test", "the-second-token-of-the-test"

// tokenFile is a file with a token that a test replaces.
type tokenFile struct {
	t    *testing.T
	path string
}

func newTokenFile(t *testing.T) tokenFile {
	f := tokenFile{t, filepath.Join(t.TempDir(), "tokens")}
	f.set(firstToken)
	return f
}

func (f tokenFile) set(token string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(token), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// signIn sends the form of the sign-in page.
func signIn(p *webtest.Page, token string) {
	p.Until(`document.querySelector("h1")?.textContent === "Sign in to Outpost"`)
	p.Choose("[name=secret]", token)
	p.Click("button")
}

func expectNoComplaints(t *testing.T, name string, p *webtest.Page) {
	t.Helper()
	for _, complaint := range p.Complaints() {
		if !strings.Contains(complaint, "Failed to load resource") { // the 401
			t.Errorf("%s: %s", name, complaint)
		}
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	_, handler := newHandler(shop())
	b := webtest.Start(t)
	for name, prefix := range map[string]func(http.Handler) http.Handler{"no prefix": nil, "removed": removed, "passed on": passedOn} {
		tokens := newTokenFile(t)
		root := serveGuarded(t, access.Options{TokenFile: tokens.path, BasePath: "/outpost"}, handler)
		path := ""
		if prefix != nil {
			root, path = serveBelow(t, root, prefix), "/outpost"
		}
		p := b.Open(root+"/map/?group=host", 1200, 800)
		arrived := func() {
			t.Helper()
			p.Until(`document.querySelector(".node")`)
			if at := webtest.Eval[string](p, `location.pathname + location.search`); at != path+"/map/?group=host" {
				t.Errorf("%s: the page is at %s", name, at)
			}
		}
		signIn(p, "a-wrong-token-of-this-test")
		p.Until(`document.querySelector("[role=alert]")?.textContent === "This token is not valid."`)
		signIn(p, firstToken)
		arrived()
		if cookie := webtest.Eval[string](p, `document.cookie`); cookie != "" {
			t.Errorf("%s: scripts see the cookie %s", name, cookie)
		}
		tokens.set(secondToken)
		p.Click("#pause")
		p.Click("#pause") // polls at once
		p.Until(`document.querySelector("#freshness.trouble button")?.textContent === "Sign in again"`)
		p.Click("#freshness button")
		signIn(p, secondToken)
		arrived()
		p.Until(`!document.querySelector("#sign-out").hidden`)
		p.Click("#sign-out")
		p.Until(`document.querySelector("h1")?.textContent === "Sign in to Outpost"`)
		expectNoComplaints(t, name, p)
	}
}

// The root has no slash at its end below a prefix, and a sign-in there leads to the page too.
func TestSignInAtTheRoot(t *testing.T) {
	t.Parallel()
	_, handler := newHandler(shop())
	b := webtest.Start(t)
	direct := serveGuarded(t, access.Options{TokenFile: newTokenFile(t).path}, handler)
	for address, arrives := range map[string]string{direct: "/map/", direct + "/?group=host": "/map/?group=host", serveBelow(t, direct, removed): "/outpost/map/"} {
		p := b.Open(address, 1200, 800)
		signIn(p, firstToken)
		p.Until(`document.querySelector(".node")`)
		if at := webtest.Eval[string](p, `location.pathname + location.search`); at != arrives {
			t.Errorf("%s arrives at %s, want %s", address, at, arrives)
		}
		p.Click("#sign-out")
		p.Until(`document.querySelector("h1")?.textContent === "Sign in to Outpost"`)
		expectNoComplaints(t, address, p)
	}
}

// Browsers send the cookies of a host to all of its ports. They send no cookie with SameSite=Strict where another site leads.
func TestSignInLastsWithOtherServers(t *testing.T) {
	t.Parallel()
	_, handler := newHandler(shop())
	b := webtest.Start(t)
	var pages []*webtest.Page
	var addresses []string
	for range 2 {
		address := serveGuarded(t, access.Options{TokenFile: newTokenFile(t).path}, handler) + "/map/"
		p := b.Open(address, 1200, 800)
		signIn(p, firstToken)
		p.Until(`document.querySelector(".node")`)
		pages, addresses = append(pages, p), append(addresses, address)
	}
	pages[0].Reload()
	pages[0].Until(`document.querySelector(".node")`)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fmt.Sprintf("<!doctype html><link rel=icon href='data:,'><a href='%s'>map</a>", addresses[0]))
	}))
	t.Cleanup(other.Close)
	p := b.Open(strings.Replace(other.URL, "127.0.0.1", "localhost", 1), 1200, 800)
	p.Click("a")
	p.Until(`document.querySelector(".node")`)
	for _, p := range append(pages, p) {
		for _, complaint := range p.Complaints() {
			if !strings.Contains(complaint, "Failed to load resource") && !strings.HasPrefix(complaint, "request to "+strings.TrimSuffix(addresses[0], "map/")) {
				t.Error(complaint)
			}
		}
	}
}

func TestSignInPageIsReadable(t *testing.T) {
	t.Parallel()
	_, handler := newHandler(shop())
	b := webtest.Start(t)
	config := newTokenFile(t)
	config.set("basic_auth_users:\n  a: $2a$04$uZ9.d3X8QyWlqHBrgEYqr.dmLVFbJbAZ5Wz3V9m4m1Pn8b6zZ9a2y\n")
	for name, options := range map[string]access.Options{
		"token": {TokenFile: newTokenFile(t).path}, "users": {WebConfig: config.path}, "both": {TokenFile: newTokenFile(t).path, WebConfig: config.path},
	} {
		p := b.Open(serveGuarded(t, options, handler)+"/map/", 360, 640)
		p.Until(`document.activeElement.matches("input")`)
		for _, scheme := range []string{"light", "dark"} {
			p.Prefer(scheme)
			p.Shot("sign-in-" + name + "-" + scheme)
		}
		if !webtest.Eval[bool](p, `document.documentElement.scrollWidth <= innerWidth`) {
			t.Errorf("%s: the page is wider than a phone", name)
		}
		expectNoComplaints(t, name, p)
	}
}
