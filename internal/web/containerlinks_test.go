package web_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// shownLink is a link in the panel.
type shownLink struct{ Text, Href, Target, Rel string }

func shownLinks(p *webtest.Page) []shownLink {
	return webtest.Eval[[]shownLink](p, `[...document.querySelectorAll("#panel a")].map((a) => ({ Text: a.textContent, Href: a.getAttribute("href"), Target: a.target, Rel: a.rel }))`)
}

func TestContainerLinks(t *testing.T) {
	t.Parallel()
	g := shop()
	g.ContainerLinks = []graph.ContainerLink{
		{Label: "Logs of it", URL: "https://dozzle.example/container/{id}"},
		{Label: "Short", URL: "http://{host}:8080/{shortID}#{name}"},
		{Label: "Runbook", URL: "/runbooks/{project}/{service}?image={image}"},
		{Label: "Metrics", URL: "https://grafana.example/d/x?from={from}"},
		{Label: hostile, URL: "/{name}"},
		{Label: "Wrong", URL: "javascript:alert({name})"},
	}
	p, served := open(t, g, "")
	p.ClickText(".node .name", "shop-web")
	links := shownLinks(p)
	if len(links) != 5 {
		t.Fatalf("%+v", links)
	}
	for i, want := range []shownLink{
		{Text: "Logs of it", Href: "https://dozzle.example/container/oneshop-web"},
		{Text: "Short", Href: "http://one:8080/oneshop-web#shop-web"},
		{Text: "Runbook", Href: "/runbooks/shop/web?image=shop%2Fweb%3A1"},
		{Text: "Metrics"},
		{Text: hostile, Href: "/shop-web"},
	} {
		if want.Target, want.Rel = "_blank", "noopener noreferrer"; want.Text == "Metrics" {
			want.Href = links[i].Href
		}
		if links[i] != want {
			t.Errorf("%+v, want %+v", links[i], want)
		}
	}
	from, err := strconv.ParseInt(strings.TrimPrefix(links[3].Href, "https://grafana.example/d/x?from="), 10, 64)
	if ago := time.Since(time.UnixMilli(from)); err != nil || ago < time.Hour || ago > time.Hour+time.Minute {
		t.Errorf("%s is %s ago, %v; want an hour", links[3].Href, ago, err)
	}
	p.Shot("links")

	p.ClickText(".node .name", "idle") // without a project
	if links := shownLinks(p); len(links) != 4 || links[2].Text != "Metrics" {
		t.Errorf("a container without a project: %+v", links)
	}
	p.ClickText(".node .name", "payments")
	if links := shownLinks(p); len(links) != 0 {
		t.Errorf("an external address: %+v", links)
	}
	p.ClickText(".node .name", "shop-web")
	g.ContainerLinks = nil
	served.set(g, nil)
	p.Until(`document.querySelectorAll("#panel a").length === 0`)
	expect(t, "the panel without links", panelText(p), "shop-web", "shop/web:1")
}

// A value is one part of a path or one value of a query, whatever text it is.
func TestContainerLinksEscapeForeignText(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	fill := func(template, value string) string {
		t.Helper()
		arguments, err := json.Marshal([]string{template, value})
		if err != nil {
			t.Fatal(err)
		}
		return webtest.Eval[string](p, fmt.Sprintf(`(async ([template, value]) => {
			const { fillTemplate } = await import("./containerlinks.js");
			return fillTemplate(template, new Map([["name", value]]));
		})(%s)`, arguments))
	}
	for _, value := range []string{
		"web", "a b", `"><img src=x onerror=alert(1)>`, `' onclick='alert(1)`, "javascript:alert(1)", "../../admin", `..\..\admin`, "//evil.example", "a/b", "?x=1&y=2#z", "100%",
		"%2e%2e", "naïve/☃", "日本語", "😀", "a+b", "!*'()~-_.", "{name}", "$&$1", "\t\n\r", "<script>", "a;b,c=d@e",
	} {
		escaped := strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
		for _, template := range []string{"https://logs.example/container/{name}/log?q={name}#{name}", "/logs/{name}", "/{name}", "HTTP://logs.example/?{name}"} {
			if got, want := fill(template, value), strings.ReplaceAll(template, "{name}", escaped); got != want {
				t.Errorf("%s with %q: %q, want %q", template, value, got, want)
			}
		}
		got := fill("https://logs.example/container/{name}/log?q={name}", value)
		if u, err := url.Parse(got); err != nil || u.Host != "logs.example" || u.Query().Get("q") != value || u.Path != "/container/"+value+"/log" {
			t.Errorf("%q: %s, %v", value, got, err)
		}
	}
	for template, values := range map[string][]string{
		"/logs/{name}/x":                {"", ".", ".."},
		"/logs/.{name}":                 {"."},
		"/logs/%2e{name}":               {"."},
		"https://logs.example/{name}":   {"", ".", ".."},
		"https://logs.example/{name}?q": {".", ".."},
		"https://{name}/":               {"a/b", "a@b", "a:b", "%", "#"},
		"javascript:alert('{name}')":    {"web"},
		"data:text/html,{name}":         {"web"},
		"{name}":                        {"web", "javascript:alert(1)", "https://evil.example", "/logs"},
		"{name}://logs.example":         {"javascript"},
		"//logs.example/{name}":         {"web"},
		`/\logs.example/{name}`:         {"web"},
		"/\t/logs.example/{name}":       {"web"},
		"logs/{name}":                   {"web"},
		"":                              {"web"},
		"https://{name}":                {"a/../b"},
		"https://logs.example/{absent}": {"web"},
		"/{constructor}":                {"web"},
	} {
		for _, value := range values {
			if got := fill(template, value); got != "" {
				t.Errorf("%s with %q: %q, want no link", template, value, got)
			}
		}
	}
}
