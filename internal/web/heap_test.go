package web_test

import (
	"fmt"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// churned returns a map with jobs and external clients, others at each refresh, and with changed numbers of connections.
func churned(g graph.Graph, refresh int) graph.Graph {
	server := g.Nodes[0]
	for i := refresh; i < refresh+5; i++ {
		job, client := container(server.Host, "jobs", fmt.Sprint("job-", i)), external(fmt.Sprintf("198.51.%d.%d", i/200, i%200+1))
		g.Nodes = append(g.Nodes, job, client)
		g.Links = append(g.Links, link(job, server, 8080, i), link(client, server, 443, 1))
	}
	for i := range g.Links {
		g.Links[i].Connections = 1 + (i+refresh)%9
	}
	return newMap(g.Nodes, g.Links, g.Targets...)
}

// refresh makes the page poll a map until it draws the newest job of it. The script is the same at each refresh: the browser keeps all
// different ones.
func refresh(p *webtest.Page, served *drawn, g graph.Graph) {
	served.set(g, nil)
	webtest.Eval[bool](p, `(async () => {
		const newest = "jobs-job-" + (4 + (window.refreshed = (window.refreshed ?? -1) + 1));
		while (![...document.querySelectorAll(".node")].some((n) => n.dataset.id.endsWith("/" + newest))) {
			document.dispatchEvent(new Event("visibilitychange")); // the page polls when it becomes visible
			await new Promise((resolve) => setTimeout(resolve, 10));
		}
		return true;
	})()`)
}

// heapGrowth returns the heap after some refreshes of a map divided by that after the first ten.
func heapGrowth(t testing.TB, newGraph func() graph.Graph, refreshes int) float64 {
	t.Helper()
	served, address := serve(t, churned(newGraph(), 0))
	p := webtest.Start(t).Open(address+"?group=container", 1400, 850)
	var before float64
	for i := range refreshes {
		refresh(p, served, churned(newGraph(), i))
		if i == 9 {
			before = p.Heap()
		}
	}
	return p.Heap() / before
}

// TestRefreshesDoNotFillTheHeap refreshes a map of 300 containers in which nodes come and go.
func TestRefreshesDoNotFillTheHeap(t *testing.T) {
	t.Parallel()
	if growth := heapGrowth(t, func() graph.Graph { return newCompany(300, 2) }, 60); growth > 1.1 {
		t.Errorf("the heap is %.2f times as large after 60 refreshes", growth)
	}
}

// BenchmarkRefreshes refreshes a map of 1,000 containers as often as a page does in an hour.
func BenchmarkRefreshes(b *testing.B) {
	growth := 0.0
	for b.Loop() {
		growth = max(growth, heapGrowth(b, func() graph.Graph { return busyFleet(1000) }, 720))
	}
	b.ReportMetric(growth, "heap-after/before")
	b.ReportMetric(0, "ns/op")
}
