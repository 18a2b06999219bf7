package web_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	engine "github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

const hostile = `<img src=x onerror="window.broken = 1">`

// TestForeignTextIsNeverMarkup has markup in each name from outside. The browser reports requests for images and blocked scripts.
func TestForeignTextIsNeverMarkup(t *testing.T) {
	t.Parallel()
	evil := container(hostile+"host", hostile, hostile)
	evil.Image, evil.Service, evil.Reason = hostile+":1", hostile, hostile
	evil.Details.Networks[0].Name, evil.Details.Listening[0].Process, evil.Details.Method = hostile, hostile, hostile
	other := graph.Node{ID: "external/" + hostile, Kind: graph.KindExternal, Name: hostile + `"]; -->`}
	g := newMap([]graph.Node{evil, other}, []graph.Link{link(other, evil, 80, 1)},
		graph.Target{Target: hostile, Host: hostile, State: graph.StateStale, Reason: hostile})
	p, _ := open(t, g, "?newSince=1h&select="+strings.ReplaceAll("container/"+hostile+"host/"+hostile+"-"+hostile, " ", "%20"))
	for what, text := range map[string]string{
		"panel": panelText(p), "table": strings.Join(p.Texts("#table td"), " "), "filters": strings.Join(p.Texts("[name=image] option"), " "),
	} {
		expect(t, what, text, hostile)
	}
	p.Point(".node .name", p.Texts(".node .name")[0])
	p.Until(`!document.querySelector("#tip").hidden`)
	for _, warning := range p.Texts(".warning") {
		p.ClickText(".warning", warning)
		expect(t, warning, panelText(p), hostile)
	}
	p.Press("/")
	p.Press("img")
	p.Until(`document.querySelectorAll("#found [role=option]").length === 4`)
	p.Choose("[name=group]", "project")
	saveAll(t, p)
	for _, tag := range []string{"img:not([alt=''])", "[onerror]", "svg image", "svg script"} {
		if found := p.Texts(tag); len(found) > 0 {
			t.Errorf("%d of %s", len(found), tag)
		}
	}
	if webtest.Eval[bool](p, "window.broken === 1") {
		t.Error("markup was executed")
	}
}

// saveAll saves the shown map in each format.
func saveAll(t *testing.T, p *webtest.Page) map[string][]byte {
	t.Helper()
	saved := make(map[string][]byte)
	for form, end := range map[string]string{"png": ".png", "svg": ".svg", "dot": ".dot", "mermaid": ".mmd", "csv": ".csv", "json": ".json"} {
		saved[form] = p.Downloaded(end, func() {
			p.Click("#save summary")
			p.Click("[data-form=" + form + "]")
		})
	}
	return saved
}

func TestSaving(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "?project=batch")
	saved := saveAll(t, p)
	picture, err := png.Decode(bytes.NewReader(saved["png"]))
	if err != nil {
		t.Fatal(err)
	}
	colours := make(map[string]bool)
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			colours[fmt.Sprint(picture.At(x, y))] = true
		}
	}
	if width := picture.Bounds().Dx(); width < 400 || len(colours) < 20 {
		t.Errorf("PNG: %d pixels wide, %d colours", width, len(colours))
	}
	for decoder := xml.NewDecoder(bytes.NewReader(saved["svg"])); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal("SVG: ", err)
		}
	}
	p.Prefer("dark")
	dark := p.Downloaded(".svg", func() {
		p.Click("#save summary")
		p.Click("[data-form=svg]")
	})
	if !bytes.Equal(dark, saved["svg"]) {
		i := 0
		for i < min(len(dark), len(saved["svg"])) && dark[i] == saved["svg"][i] {
			i++
		}
		t.Errorf("SVG in the dark theme: %.200s, want %.200s", dark[max(0, i-60):], saved["svg"][max(0, i-60):])
	}
	expect(t, "SVG", string(saved["svg"]), "batch-job", "shop-web", "8080 ×3", ":8000", "fill: rgb(", "<title>Outpost")
	if strings.Contains(string(saved["svg"]), "var(") || strings.Contains(string(saved["svg"]), "shop-db") {
		t.Error("SVG: a variable, or a node that is not shown")
	}
	expect(t, "DOT", string(saved["dot"]), `[label="batch-job"]`, `n1 -> n0 [label="8080 ×3", style=dashed];`)
	expect(t, "Mermaid", string(saved["mermaid"]), "flowchart LR", `["batch-job"]`, `-.->|"8080 ×3"|`)
	rows, err := csv.NewReader(bytes.NewReader(saved["csv"])).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][2] != "batch-job" {
		t.Errorf("CSV: %q, %v", rows, err)
	}
	expect(t, "JSON", string(saved["json"]), `"id": "container/two/batch-job"`, `"port": 8080`)
}

// TestSavedPastHasNoCounts saves the map of an earlier time: its numbers of connections are unknown.
func TestSavedPastHasNoCounts(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	p.Choose("#at", "-900")
	saved := saveAll(t, p)
	rows, err := csv.NewReader(bytes.NewReader(saved["csv"])).ReadAll()
	if err != nil || len(rows) != 6 || rows[0][9] != "connections" || rows[1][9] != "" || rows[1][10] != "" || rows[1][11] != "true" {
		t.Errorf("CSV: %q, %v", rows, err)
	}
	var document struct {
		At    time.Time
		Links []map[string]any
	}
	if err := json.Unmarshal(saved["json"], &document); err != nil || time.Since(document.At) < 10*time.Minute || len(document.Links) != 5 {
		t.Fatalf("JSON: %v, %s", err, saved["json"])
	}
	if n, ok := document.Links[0]["connections"]; ok {
		t.Errorf("JSON: %v connections", n)
	}
}

// TestInvalidCharactersAreReplaced saves names with characters that XML forbids, and a name that a spreadsheet reads as a formula.
func TestInvalidCharactersAreReplaced(t *testing.T) {
	t.Parallel()
	odd := container("one", "a\x01\ufffeb", "c\x1b")
	formula := container("one", "", `=HYPERLINK("http://evil.example","x")`)
	p, _ := open(t, newMap([]graph.Node{odd, formula}, []graph.Link{link(odd, formula, 80, 1)}), "")
	saved := saveAll(t, p)
	for decoder := xml.NewDecoder(bytes.NewReader(saved["svg"])); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal("SVG: ", err)
		}
	}
	if _, err := png.Decode(bytes.NewReader(saved["png"])); err != nil {
		t.Error("PNG: ", err)
	}
	webtest.Eval[bool](p, `(navigator.clipboard.writeText = async (text) => { window.copied = text; }, true)`)
	p.Click("#copy")
	p.Until(`window.copied`)
	expect(t, "copied", webtest.Eval[string](p, `window.copied`), "\t'=HYPERLINK")
	expect(t, "CSV", string(saved["csv"]), `"'=HYPERLINK`)
}

// TestPageAndServerShowTheSameView compares the views of the page with those of the server, in each format.
func TestPageAndServerShowTheSameView(t *testing.T) {
	t.Parallel()
	g := shop()
	g.Nodes[0].Name = `=1+1 "quoted", \back` + "\tslash"
	g.Nodes = append(g.Nodes, fleet(100).Nodes...)
	g.Links = append(g.Links, fleet(100).Links...)
	for i := range g.Links {
		if i%4 > 0 {
			g.Links[i].Attempts = i % 2
			g.Links[i].Measured = &graph.Measured{RTTMicroseconds: int64(i), BytesSent: 1, BytesReceived: 2, IdleSeconds: int64(i % 4 * 50)}
		}
		if i%3 > 0 {
			n := uint64(i)
			g.Links[i].Counters = &graph.Counters{Opened: n % 7, Failed: n % 5, Refused: n % 5 / 2, BytesSent: n, BytesReceived: 1, Retransmits: n, RTTMicroseconds: int64(i) % 4, MinRTTMicroseconds: int64(i) / 3 % 3}
		}
	}
	ended := link(g.Nodes[3], g.Nodes[1], 7000, 0) // within three intervals before the time of "at"
	ended.Live, ended.LastSeen = false, time.Now().UTC().Add(-15*time.Minute-20*time.Second)
	g = newMap(g.Nodes, append(g.Links, ended, closing(g.Nodes[3], g.Nodes[1], 7001, 9), failing(g.Nodes[3], g.Nodes[1], 7002), refusedLink(g.Nodes[3], g.Nodes[1], 7003, 2)))
	g.DataSince = time.Now().UTC().Add(-20 * time.Minute)
	for i := range g.Nodes { // some are new, some gone, some replaced
		if n := &g.Nodes[i]; n.Kind == graph.KindContainer {
			n.FirstSeen = time.Now().UTC().Add(-time.Duration(i%4) * 7 * time.Minute)
			if n.Past = i%5 == 0; n.Past {
				n.LastSeen = time.Now().UTC().Add(-time.Duration(i%3) * 6 * time.Minute)
			} else if i%7 == 0 {
				n.Predecessors = []graph.Predecessor{{Container: "before" + n.Container, Name: n.Name, Image: "shop/" + n.Service + ":0", LastSeen: time.Now().UTC().Add(-4 * time.Minute)}}
			}
		}
	}
	for i := range g.Links {
		if l := &g.Links[i]; i%6 == 0 {
			l.Live, l.LastSeen = false, time.Now().UTC().Add(-time.Duration(i%4)*5*time.Minute)
		}
	}
	p, _ := open(t, g, "?group=container")
	for _, query := range []string{
		"", "external=hide", "external=group", "project=shop", "project=shop&depth=2", "host=two", "host=one&project=shop", "project=shop1&depth=3",
		"group=service", "group=project", "group=host", "group=image", "group=project&external=group", "host=one&group=service",
		"image=shop/web:1", "port=8080", "state=past", "state=live&unlinked=hide", "unlinked=hide", "node=container/one/shop-api&depth=2", "node=project/shop",
		"container=shop-api", "container=/batch-job&depth=100", "since=5m", "since=2m30s&external=group", "newSince=5m", "newSince=5m&group=project", "newSince=1h", "newSince=10m&group=service",
		"newSince=1h&at=" + time.Now().UTC().Add(-8*time.Minute).Format(time.RFC3339),
		"at=" + time.Now().UTC().Add(-15*time.Minute).Format(time.RFC3339), "at=" + time.Now().UTC().Add(-25*time.Minute).Format(time.RFC3339), "group=host&open=host/host0", "group=host&open=host/host0&open=project/shop3",
		"group=service&open=service/shop/api", "closed=project/shop&closed=external", "group=image&host=one&closed=host/two&port=8080",
		"q=shop-db", "q=project:shop+-name:*db", "q=image:shop/web&depth=2&host=one", "q=kind:external", "q=-kind:external&group=service", "q=address:203.0.113.0/24",
		"q=is:published+-is:incomplete&depth=3", "q=-port:5432", "q=port:8000-8099+via:published", "q=state:past", "q=state:idle", "q=state:failed+-state:past", "q=seen:client&unlinked=hide",
		"q=service:web+-project:shop1*&group=project", "q=nothing", "q=%22shop/web:1%22+name:batch-job+name:idle&since=5m",
	} {
		for form, path := range map[string]string{"json": "graph", "dot": "graph.dot", "mermaid": "graph.mmd", "csv": "graph.csv"} {
			difference := webtest.Eval[string](p, fmt.Sprintf(`(async () => {
				const { applyView, exportQuery, parseView } = await import("./view.js"), { exportJSON, fetchExport } = await import("./save.js");
				const all = await (await fetch("../v1/graph")).json();
				const view = { ...parseView(%[2]q), group: new URLSearchParams(%[2]q).get("group") || "container" };
				const shown = applyView(all, view, Date.now());
				const isText = %[3]q !== "json";
				const answer = await (await fetch("../v1/%[1]s?" + (isText ? %[2]q + "&unlinked=" + view.unlinked : exportQuery(view, shown)))).text();
				const sorted = (v) => v && typeof v === "object" && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort().map(([k, w]) => [k, sorted(w)])) : Array.isArray(v) ? v.map(sorted) : v;
				const comparable = (text) => {
					if (isText) return text;
					const g = JSON.parse(text);
					for (const l of g.links) if (view.at) [l.connections, l.closed, l.countsUnknown, l.attempts] = [];
					return JSON.stringify(sorted(g), null, 1);
				};
				const saved = isText ? await fetchExport(%[3]q, location.href, view, shown) : exportJSON(shown, all);
				const got = comparable(saved).split("\n"), want = comparable(answer).split("\n");
				const at = got.findIndex((line, i) => line !== want[i]);
				return at < 0 && got.length === want.length ? "" : "line " + at + ": " + got[at] + " — server: " + want[at];
			})()`, path, query, form))
			if difference != "" {
				t.Errorf("%s of ?%s: %s", form, query, difference)
			}
		}
	}
}

// TestPageReadsQueriesAsTheServer has the queries and results that package graph tests.
func TestPageReadsQueriesAsTheServer(t *testing.T) {
	t.Parallel()
	vectors, err := os.ReadFile("../graph/testdata/query.json")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := open(t, shop(), "")
	differences := webtest.Eval[[]string](p, fmt.Sprintf(`(async () => {
		const { applyView, exportQuery, parseView } = await import("./view.js"), { parseQuery } = await import("./query.js");
		const vectors = %s, differences = [];
		const same = (what, got, want) => { if (JSON.stringify(got) !== JSON.stringify(want)) differences.push(what + ": " + JSON.stringify(got) + ", want " + JSON.stringify(want)); };
		const apply = (graph, query, parameters = "") => {
			const view = { ...parseView(parameters), group: "container", q: query }, shown = applyView(graph, view, Date.parse("2026-01-02T12:00:00Z"));
			return { ...shown, exported: new URLSearchParams(exportQuery(view, shown)).get("q") };
		};
		for (const { query, with: parameters, nodes, links } of vectors.valid) {
			const shown = apply(vectors.graph, query, parameters), names = new Map(shown.nodes.map((n) => [n.id, n.name]));
			same(query, [shown.nodes.map((n) => n.name), shown.links.map((l) => names.get(l.client) + " > " + names.get(l.server) + ":" + l.port)], [nodes, links]);
			same(query + " exported", shown.exported || "", query);
		}
		for (const { query, error } of vectors.invalid) {
			same(query, parseQuery(query), { terms: [], error });
			const shown = apply(vectors.graph, query);
			same(query + " ignored", [shown.nodes.length, shown.hidden, shown.exported], [vectors.graph.nodes.length, {}, null]);
		}
		for (const image of [...vectors.monitoring, ...vectors.other]) {
			const graph = { nodes: [{ id: "1", kind: "container", name: "it", image }], links: [] };
			same(image, apply(graph, "is:monitoring").nodes.length, vectors.monitoring.includes(image) ? 1 : 0);
		}
		same("long", [1000, 1001].map((n) => parseQuery("ä".repeat(n)).error), ["", "q: more than 1000 characters"]);
		same("terms", [50, 51].map((n) => parseQuery("a ".repeat(n)).error), ["", "q: more than 50 terms"]);
		same("hidden", apply(vectors.graph, "web -db port:8080").hidden, {
			"left out by the query": { nodes: 0, links: 12 }, "excluded by the query": { nodes: 2, links: 1 }, "outside this filter": { nodes: 11, links: 0 },
		});
		return differences;
	})()`, vectors))
	for _, difference := range differences {
		t.Error(difference)
	}
}

// TestSavedFilesHaveWhatIsDrawn compares the files that the server writes with the map and the table.
func TestSavedFilesHaveWhatIsDrawn(t *testing.T) {
	t.Parallel()
	p, _ := open(t, newMap(append(shop().Nodes, fleet(100).Nodes...), append(shop().Links, fleet(100).Links...)), "?newSince=5m")
	label := regexp.MustCompile(`(?m)^ +n\d+.*?"(.*)"`)
	for _, step := range []func(){
		func() {},
		func() { p.DoubleClickText(".node .name", "shop3") },
		func() { p.Choose("[name=port]", "8080") },
		func() { p.Choose("[name=state]", "live") },
		func() { p.Choose("[name=unlinked]", "hide") },
		func() { p.Choose("[name=host]", "host0") },
		func() { p.Choose("[name=since]", "1h") },
	} {
		step()
		saved := make(map[string][]byte)
		for form, end := range map[string]string{"dot": ".dot", "mermaid": ".mmd", "csv": ".csv"} {
			saved[form] = p.Downloaded(end, func() {
				p.Click("#save summary")
				p.Click("[data-form=" + form + "]")
			})
		}
		drawn := names(p)
		for _, form := range []string{"dot", "mermaid"} {
			var labels []string
			for _, found := range label.FindAllSubmatch(saved[form], -1) {
				if !bytes.Contains(found[0], []byte("-> n")) && !bytes.Contains(found[0], []byte("|")) {
					labels = append(labels, string(found[1]))
				}
			}
			slices.Sort(labels)
			same(t, form, labels, drawn...)
		}
		rows, err := csv.NewReader(bytes.NewReader(saved["csv"])).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var links []string
		for _, row := range rows[1:] {
			links = append(links, strings.Join([]string{row[6], row[9], row[7], row[8]}, " "))
		}
		table := webtest.Eval[[]string](p, `[...document.querySelectorAll("#table tbody tr")].map((r) => [...r.cells].slice(2, 6).map((c) => c.textContent).join(" "))`)
		if n := webtest.Eval[string](p, `document.querySelector("#more").hidden ? "" : document.querySelector("#more").textContent`); n != "" {
			t.Fatal("the table does not show all links: ", n)
		}
		slices.Sort(links)
		slices.Sort(table) // what changed comes first in it
		same(t, "CSV", links, table...)
	}
}

// TestPolicyBlocksForeignScript shows that the browser blocks foreign scripts, and that these tests would notice them.
func TestPolicyBlocksForeignScript(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	refused := webtest.Eval[[]bool](p, `[
		() => (document.createElement("script").textContent = "window.broken = 1"),
		() => document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='window.broken = 1'>"),
		() => new Worker("worker.js"),
		() => trustedTypes.createPolicy("other", { createHTML: (text) => text }),
	].map((attempt) => { try { attempt(); return false; } catch { return true; } })`)
	if complaints := p.Complaints(); slices.Contains(refused, false) || len(complaints) < 4 || webtest.Eval[bool](p, "window.broken === 1") {
		t.Errorf("script in the markup: refused %v, %q", refused, complaints)
	}
	webtest.Eval[bool](p, `(() => {
		const image = document.createElement("img");
		image.src = "icon.svg";
		image.style = "color: red";
		document.body.append(image);
		return true;
	})()`)
	p.Until(`document.querySelector("img[src='icon.svg']:last-child").complete`)
	webtest.Eval[bool](p, `fetch("http://192.0.2.1/").then(() => true, () => false)`)
	if complaints := p.Complaints(); !strings.Contains(strings.Join(complaints, " "), "Content Security Policy") {
		t.Errorf("a request to elsewhere: %q", complaints)
	}
}

// TestPasswordIsNotPassedOn opens a page behind a proxy that requires a password: it polls with the password, and a copied link lacks it.
func TestPasswordIsNotPassedOn(t *testing.T) {
	t.Parallel()
	served, handler := newHandler(shop())
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "a-password" {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	address := strings.TrimPrefix(proxy.URL, "http://")

	p := webtest.Start(t).Open(fmt.Sprintf("http://me:a-password@%s/map/", address), 1200, 800)
	p.Until(`document.querySelectorAll(".node").length === 9`)
	served.set(newMap([]graph.Node{container("one", "", "alone")}, nil), nil)
	p.Until(`document.querySelectorAll(".node").length === 1`)
	webtest.Eval[bool](p, `(navigator.clipboard.writeText = async (text) => { window.copied = text; }, true)`)
	p.Click("#save summary")
	p.Click("[data-form=address]")
	p.Until(`window.copied`)
	if copied, want := webtest.Eval[string](p, `window.copied`), fmt.Sprintf("http://%s/map/", address); copied != want {
		t.Errorf("copied %q, want %q", copied, want)
	}
}

func TestProblemsAndRemedies(t *testing.T) {
	t.Parallel()
	g := shop()
	stale := container("four", "", "gone")
	stale.Stale = true
	g.Nodes = append(g.Nodes, stale)
	g.Targets = append(g.Targets, graph.Target{Target: "four:9057", Host: "four", State: graph.StateStale, Reason: "no answer within 30s", LastAnswer: began()})
	p, _ := open(t, newMap(g.Nodes, g.Links, g.Targets...), "")
	same(t, "warnings", p.Texts(".warning"), "2 of 4 targets without current data", "1 container partly readable")
	expect(t, "the box of the stale host", strings.Join(p.Texts(".box.stale .box-title"), "|"), "four · stopped responding, data from ")
	p.ClickText(".warning", "2 of 4 targets without current data")
	expect(t, "targets", panelText(p), "three:9057: failed", "nothing listens there", "can this host reach it?", "four:9057: stale", "no answer within 30s", "OUTPOST_STALE_AFTER", "one:9057 (one)")
	p.Shot("targets")
	p.ClickText(".warning", "1 container partly readable")
	expect(t, "incomplete", panelText(p), "sealed", "the image has no cat", "Mount the host's /proc into Outpost: -v /proc:/host/proc:ro")
	same(t, "signs", webtest.Eval[[]string](p, `[...document.querySelectorAll(".node.incomplete .name, .node.stale .name")].map((n) => n.textContent).sort()`), "gone", "sealed")
	p.ClickText("#panel button.link", "sealed")
	p.Until(`document.querySelector(".node.selected .name")?.textContent === "sealed"`)
}

func TestEmptyStates(t *testing.T) {
	t.Parallel()
	daemon := func(nodes ...graph.Node) graph.Graph {
		g := newMap(append([]graph.Node{}, nodes...), []graph.Link{})
		g.Role, g.Targets = graph.RoleDaemon, []graph.Target{}
		return g
	}
	noTargets := newMap([]graph.Node{}, []graph.Link{})
	noTargets.Targets = []graph.Target{}
	noneAnswers := newMap([]graph.Node{}, []graph.Link{}, graph.Target{Target: "one:9057", State: graph.StateFailed, Reason: "nothing listens there"})
	served, address := serve(t, daemon())
	p := webtest.Start(t).Open(address, 1000, 700)
	for _, test := range []struct {
		name  string
		graph graph.Graph
		err   error
		says  []string
	}{
		{"no-containers", daemon(), nil, []string{"No containers run here", "docker run -d"}},
		{"no-links", daemon(container("one", "", "alone")), nil, []string{"No links yet", "open one, and wait"}},
		{"no-targets", noTargets, nil, []string{"No targets", "outpost map host1", "OUTPOST_TARGETS"}},
		{"none-answers", noneAnswers, nil, []string{"No data from any target", "See why"}},
	} {
		served.set(test.graph, test.err)
		p.Until(fmt.Sprintf(`document.querySelector("#empty:not([hidden])")?.innerText.includes(%q)`, test.says[0]))
		expect(t, test.name, webtest.Eval[string](p, `document.querySelector("#empty").innerText`), test.says...)
		p.Shot(test.name)
	}
	served.set(shop(), nil)
	p.Until(`document.querySelector(".node") && document.querySelector("#empty").hidden`)
	p.Choose("[name=port]", "1")
	p.Until(`document.querySelector("#empty h2")?.textContent === "Nothing matches these filters"`)
	p.Click("#empty button")
	p.Until(`document.querySelectorAll(".node").length === 9`)

	served.set(graph.Graph{}, engine.ErrUnreachable)
	p.Until(`document.querySelector("#freshness").textContent.includes("The container engine cannot be reached; data from ")`)
	same(t, "the last data stays", []string{fmt.Sprint(len(names(p)))}, "9")
	for _, complaint := range p.Complaints() {
		if !strings.Contains(complaint, "503") { // which the browser always reports
			t.Error(complaint)
		}
	}
	served.set(shop(), nil)
	p.Until(`document.querySelector("#freshness").textContent.startsWith("live")`)
	_ = p.Complaints()
}

// TestSizesAndThemes opens the page in sizes from a phone to a wall display: nothing is outside the page.
func TestSizesAndThemes(t *testing.T) {
	t.Parallel()
	g := shop()
	gone := container("one", "shop", "gone")
	gone.Past = true
	ended := link(gone, container("one", "shop", "db"), 5432, 0)
	ended.Live = false
	for i := range g.Nodes {
		g.Nodes[i].Stale = g.Nodes[i].Host == "two"
	}
	_, address := serve(t, newMap(append(g.Nodes, gone), append(g.Links, ended), g.Targets...))
	browser := webtest.Start(t)
	var p *webtest.Page
	for _, scheme := range []string{"light", "dark"} {
		for _, size := range [][2]int64{{360, 740}, {390, 844}, {768, 1024}, {1400, 850}, {3840, 2160}} {
			p = browser.Open(address, size[0], size[1])
			p.Prefer(scheme)
			p.Until(`document.querySelector(".node")`)
			if small := webtest.Eval[[]string](p, `["#map", ".links"].filter((s) => document.querySelector(s).offsetHeight < 150)`); len(small) > 0 {
				t.Errorf("%s at %d: too low: %q", scheme, size[0], small)
			}
			if outside := webtest.Eval[[]string](p, `[...document.querySelectorAll("header *, .status *, .tools *, .zoom *, #map, .scroll, #filters-toggle")].filter((e) => {
				const r = e.getBoundingClientRect();
				return r.width && !e.closest(".visually-hidden, [hidden], .menu > div") && (r.left < -1 || r.right > innerWidth + 1 || r.bottom > innerHeight + 1);
			}).map((e) => e.outerHTML.slice(0, 80))`); len(outside) > 0 {
				t.Errorf("%s at %d: outside of the page: %q", scheme, size[0], outside)
			}
			if webtest.Eval[float64](p, "document.documentElement.scrollWidth") > float64(size[0]) {
				t.Errorf("%s at %d: wider than the page", scheme, size[0])
			}
			p.Shot(fmt.Sprintf("%s-%d", scheme, size[0]))
		}
		for selector, least := range map[string]float64{".node .name": 4.5, ".node .small": 4.5, ".node.past .name": 4.5, ".node.past .small": 4.5, ".node.stale .small": 4.5, ".labels .label.past text": 4.5, ".labels .label text": 4.5, "#counts": 4.5, ".warning": 4.5, "#table td": 4.5, "tr.past td": 4.5, ".port-badge text": 4.5} {
			if ratio := webtest.Eval[float64](p, fmt.Sprintf(contrast, selector)); ratio < least {
				t.Errorf("%s: contrast of %s is %.1f", scheme, selector, ratio)
			}
		}
	}
	ground := `getComputedStyle(document.body).backgroundColor`
	dark := webtest.Eval[string](p, ground)
	p.Click("#theme")
	if light := webtest.Eval[string](p, ground); light == dark {
		t.Error("the button for light does nothing")
	}
}

// contrast is the contrast ratio of WCAG 2 between a text and its background.
const contrast = `(() => {
	const text = document.querySelector(%q);
	for (let e = text; e; e = e.parentElement) if (getComputedStyle(e).opacity !== "1") return 0; // translucent text is not measured
	const behind = text.closest(".label")?.querySelector(".label-ground") || text.closest(".node")?.querySelector(".body") || text.closest(".port-badge")?.querySelector("rect") || text;
	const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
	const light = (colour) => {
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	let ground = behind, colour;
	do { colour = ground instanceof SVGElement && ground !== text ? getComputedStyle(ground).fill : ground instanceof SVGElement ? getComputedStyle(text).stroke : getComputedStyle(ground).backgroundColor; ground = ground.parentElement; } while (/^rgba.*, 0\)$/.test(colour));
	const a = light(text instanceof SVGElement ? getComputedStyle(text).fill : getComputedStyle(text).color), b = light(colour);
	return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
})()`

// TestAccessibleNames checks that all controls have names.
func TestAccessibleNames(t *testing.T) {
	t.Parallel()
	p, _ := open(t, shop(), "")
	if nameless := webtest.Eval[[]string](p, `[...document.querySelectorAll("button, input, select, [role=button], [tabindex='0']:not(tr)")].filter((e) =>
		!(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML.slice(0, 100))`); len(nameless) > 0 {
		t.Errorf("without a name: %q", nameless)
	}
	if twice := webtest.Eval[[]string](p, `[...document.querySelectorAll("[id]")].map((e) => e.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(twice) > 0 {
		t.Errorf("IDs that there are twice: %q", twice)
	}
	for _, selector := range []string{"html[lang]", "main", "h1", "table caption", "th[scope=col]", "#counts[role=status]", "#said[aria-live]", "a.skip[href='#table']"} {
		if len(p.Texts(selector)) == 0 {
			t.Errorf("no %s", selector)
		}
	}
}

// TestVendoredFilesMatchChecksums compares the vendored libraries with their checksums.
func TestVendoredFilesMatchChecksums(t *testing.T) {
	list, err := os.ReadFile("vendor.sha256")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		want[name] = sum
	}
	got := make(map[string]string)
	vendored := os.DirFS("static/vendor")
	if err := fs.WalkDir(vendored, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(vendored, name)
		sum := sha256.Sum256(body)
		got[name] = hex.EncodeToString(sum[:])
		if served, _, ok := web.File("vendor/" + name); !ok || !bytes.Equal(served, body) {
			t.Errorf("%s is not served", name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) || len(got) == 0 {
		t.Errorf("got %v, want %v", got, want)
	}
	for name := range got {
		if strings.HasSuffix(name, ".js") && !slices.Contains(slices.Collect(maps.Keys(got)), strings.TrimSuffix(name, ".esm.js")+".LICENSE.txt") {
			t.Errorf("%s has no licence beside it", name)
		}
	}
}

// TestOwnFilesAreMinified compares the page's own scripts and styles with their sources. Vendored files are served as they are.
func TestOwnFilesAreMinified(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"static/*.js", "static/*.css"} {
		sources, err := filepath.Glob(pattern)
		if err != nil || len(sources) == 0 {
			t.Fatalf("%s: %q, %v", pattern, sources, err)
		}
		for _, path := range sources {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			body, _, ok := web.File(filepath.Base(path))
			if !ok || len(body) == 0 || len(body) > len(source)*9/10 || bytes.Contains(body, []byte("\n/")) {
				t.Errorf("%s: %d bytes of %d", path, len(body), len(source))
			}
		}
	}
}

func TestFile(t *testing.T) {
	for name, want := range map[string]string{"": "text/html; charset=utf-8", "main.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		if body, got, ok := web.File(name); !ok || got != want || len(body) == 0 {
			t.Errorf("%q: %d bytes of %q, %v", name, len(body), got, ok)
		}
	}
	for _, name := range []string{"none.js", "vendor", "vendor/", "../web.go", "/main.js", "static/main.js", "..", "index.html/"} {
		if _, _, ok := web.File(name); ok {
			t.Errorf("%q is a file", name)
		}
	}
}
