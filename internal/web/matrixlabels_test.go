package web_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// named returns a container with exactly a name.
func named(host, project, name string) graph.Node {
	n := container(host, project, name)
	n.Name = name
	n.ID = "container/" + host + "/" + project + "." + name
	return n
}

// chained returns a map in which each node calls the next one.
func chained(nodes ...graph.Node) graph.Graph {
	var links []graph.Link
	for i, n := range nodes {
		links = append(links, link(n, nodes[(i+1)%len(nodes)], 8080, 1+i))
	}
	return newMap(slices.Clone(nodes), links)
}

// labelFaults lists the labels and titles of a matrix that are cut by the frame, below 11 px, on another text, or equal to another label.
const labelFaults = `["left", "top"].flatMap((side) => {
	const frame = document.querySelector(".matrix-" + side).getBoundingClientRect(), faults = [], seen = new Set();
	const texts = [...document.querySelectorAll(".matrix-" + side + " text")].map((e) => ({ e, text: e.textContent, r: e.getBoundingClientRect(), isLabel: !!e.closest(".axis") }));
	for (const { e, text, r, isLabel } of texts) {
		if (r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1) faults.push(side + ": cut: " + text);
		if ([e, ...e.querySelectorAll("tspan")].some((t) => parseFloat(getComputedStyle(t).fontSize) < 11)) faults.push(side + ": small: " + text);
		if (isLabel && seen.has(text)) faults.push(side + ": twice: " + text);
		if (isLabel) seen.add(text);
	}
	texts.forEach(({ text, r }, i) => texts.slice(i + 1).forEach((o) => {
		const across = Math.min(r.right, o.r.right) - Math.max(r.left, o.r.left), down = Math.min(r.bottom, o.r.bottom) - Math.max(r.top, o.r.top);
		if (across > 2 && down > 2) faults.push(side + ": " + text + " is on " + o.text);
	}));
	return faults;
})`

// TestMatrixTellsEqualNamesApart has containers with equal names. The labels name their projects and hosts as far as they need them.
func TestMatrixTellsEqualNamesApart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what  string
		nodes []graph.Node
		want  []string
	}{
		{"names differ", []graph.Node{named("one", "shop", "db"), named("one", "shop", "api")}, []string{"api", "db"}},
		{"projects differ", []graph.Node{named("one", "shop", "db"), named("one", "blog", "db"), named("one", "blog", "api")}, []string{"api", "db · blog", "db · shop"}},
		{"hosts differ", []graph.Node{named("one", "shop", "db"), named("two", "shop", "db")}, []string{"db · one", "db · two"}},
		{
			"some need both", []graph.Node{named("one", "shop", "db"), named("two", "shop", "db"), named("two", "blog", "db"), named("one", "blog", "web")},
			[]string{"web", "db · shop · one", "db · blog", "db · shop · two"},
		},
		{"without a project", []graph.Node{named("one", "", "db"), named("two", "", "db")}, []string{"db · one", "db · two"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			p, _ := openMatrix(t, chained(test.nodes...), "&group=container")
			same(t, "callers", p.Texts(".matrix-left .axis"), test.want...)
			same(t, "called nodes", p.Texts(".matrix-top .axis"), test.want...)
			same(t, "faults", webtest.Eval[[]string](p, labelFaults))
			p.Shot("matrix-labels-" + strings.ReplaceAll(test.what, " ", "-"))
		})
	}
}

// TestMatrixShortensLabels has names too long for the frame, with what distinguishes them at each place.
func TestMatrixShortensLabels(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	for i := range 24 {
		nodes = append(nodes, named("one", "", fmt.Sprintf("acme-europe-production-%02d-customer-relationship-management-database-replica", i)),
			named("one", "", fmt.Sprintf("WWWWWWWWWWWW-%02d-web", i)), named("two", fmt.Sprint("project", i), "database-of-customer-relationship-management"))
	}
	g := chained(nodes...)
	for _, size := range [][2]int64{{1400, 850}, {390, 844}} {
		_, address := serve(t, g)
		p := webtest.Start(t).Open(address+"?as=matrix&group=container&look=0,0,1.2", size[0], size[1])
		p.Until(`document.querySelector(".matrix-left .axis:not(.band)")`)
		p.Shot(fmt.Sprint("matrix-long-", size[0]))
		if shortened := webtest.Eval[int](p, `[...document.querySelectorAll(".matrix-left .axis")].filter((e) => e.textContent.includes("…")).length`); shortened < 5 {
			t.Errorf("%d pixels wide: only %d names are shortened", size[0], shortened)
		}
		same(t, fmt.Sprintf("faults, %d pixels wide", size[0]), webtest.Eval[[]string](p, labelFaults))
	}
}

// TestMatrixFirstViewHasNoCutLabel opens fleets in common sizes of screens.
func TestMatrixFirstViewHasNoCutLabel(t *testing.T) {
	t.Parallel()
	browser := webtest.Start(t)
	for _, containers := range []int{100, 1000} {
		_, address := serve(t, newCompany(containers, max(2, containers/100)))
		for _, size := range [][2]int64{{1280, 720}, {390, 844}} {
			for _, group := range []string{"container", "service", "project"} {
				what := fmt.Sprintf("%d containers by %s, %d pixels wide", containers, group, size[0])
				p := browser.Open(address+"?as=matrix&group="+group, size[0], size[1])
				p.Until(`document.querySelector(".matrix-left .axis")`)
				p.Shot(fmt.Sprintf("matrix-first-%d-%s-%d", containers, group, size[0]))
				same(t, what, webtest.Eval[[]string](p, labelFaults))
			}
		}
	}
}

// TestMatrixNamesHostAndProject zooms a fleet in. Each row and column on the screen has its host and project in a title beside it, or in its label.
func TestMatrixNamesHostAndProject(t *testing.T) {
	t.Parallel()
	p, _ := openMatrix(t, newCompany(1000, 10), "&group=container")
	for range 22 {
		p.Press("+")
		p.Until(`document.querySelector(".matrix-left .axis")`)
		same(t, "rows and columns without their host or project", webtest.Eval[[]string](p, `import("./format.js").then(() => ["left", "top"].flatMap((side) => {
			const [start, end] = side === "left" ? ["top", "bottom"] : ["left", "right"], svg = document.querySelector(".matrix-" + side), frame = svg.getBoundingClientRect();
			const titles = [...svg.querySelectorAll(".title text")].map((e) => [e.textContent, e.parentElement.querySelector("rect").getBoundingClientRect()]);
			return [...svg.querySelectorAll(".axis:not(.band)")].filter((e) => e.dataset.id.startsWith("container/")).flatMap((e) => {
				const [, host, name] = e.dataset.id.split("/"), r = e.querySelector(".reach").getBoundingClientRect(), middle = (r[start] + r[end]) / 2;
				if (Math.min(middle - frame[start], frame[end] - middle) < 120) return []; // the frame cuts its project
				const beside = titles.filter(([, t]) => t[start] <= middle && t[end] >= middle).map(([text]) => text), texts = [...beside, e.textContent];
				return [!texts.some((text) => text.includes(host)) && side + ": no host: " + texts, e.textContent.includes("…") || texts.some((text) => name.startsWith(text)) || texts.some((text) => text.includes(name)) ? "" : side + ": no project: " + texts].filter(Boolean);
			});
		}))`))
	}
	p.Until(`document.querySelectorAll(".matrix-left .title text").length > 2`)
	p.Shot("matrix-titles")
	p.Press("-", "-", "-", "-", "-", "-")
	p.Shot("matrix-titles-smaller")
	p.Press(kb.Escape)
}
