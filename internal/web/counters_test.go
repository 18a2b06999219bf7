package web_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// refusedLink returns a live link with refused dials alone.
func refusedLink(client, server graph.Node, port uint16, dials uint64) graph.Link {
	l := link(client, server, port, 0)
	l.Unanswered, l.Evidence, l.Counters = true, graph.EvidenceClient, &graph.Counters{Failed: dials, Refused: dials}
	return l
}

// countedMap returns a map of web, which calls api often, db once and cache in vain. Nothing counts its calls of queue.
func countedMap() graph.Graph {
	web, api, db, cache, queue, search := container("one", "", "web"), container("one", "", "api"), container("one", "", "db"), container("one", "", "cache"), container("one", "", "queue"), container("one", "", "search")
	db.Image = "postgres:17"
	often := closing(web, api, 8080, 9)
	often.Measured = &graph.Measured{RTTMicroseconds: 900, BytesSent: 1, BytesReceived: 1}
	often.Counters = &graph.Counters{Opened: 1234, Failed: 3, Refused: 2, BytesSent: 5_000_000_000, BytesReceived: 2_500, Retransmits: 7, RTTMicroseconds: 420, MinRTTMicroseconds: 50}
	once := link(web, db, 5432, 1)
	once.Measured = &graph.Measured{RTTMicroseconds: 310, BytesSent: 100, BytesReceived: 100}
	once.Counters = &graph.Counters{Opened: 1, BytesSent: 100}
	pooled := link(web, search, 7000, 1) // its kernel measures no open connections
	pooled.Counters = &graph.Counters{Opened: 2, BytesSent: 10}
	plain := link(web, queue, 5672, 2)
	plain.Measured = &graph.Measured{RTTMicroseconds: 610, BytesSent: 12_000, BytesReceived: 13_000}
	names := container("one", "", "names")
	asked := udpLink(web, names, 53, graph.ViaDirect)
	asked.Counters = &graph.Counters{Opened: 3}
	return newMap([]graph.Node{web, api, db, cache, queue, search, names}, []graph.Link{often, once, pooled, plain, asked, refusedLink(web, cache, 6379, 4), refusedLink(api, db, 5432, 1)})
}

func TestPanelShowsCounters(t *testing.T) {
	t.Parallel()
	p, _ := open(t, countedMap(), "")
	facts := func(server string) []string {
		p.ClickLine("container/one/web container/one/" + server)
		p.Until(fmt.Sprintf(`document.querySelector("#panel:not([hidden]) h2")?.textContent === "web → %s"`, server))
		return webtest.Eval[[]string](p, `[...document.querySelectorAll("#panel dt")].filter((e) => /^(Connections|Opened|Failed|Round|Sent|Received)/.test(e.textContent)).map((e) => e.textContent + ": " + e.nextElementSibling.textContent)`)
	}
	same(t, "counted", facts("api"), "Connections: active, 9/min", "Opened: 1,234 connections", "Failed: 3: 2 refused, 1 without an answer", "Round trip: median 0.42 ms, least 0.05 ms",
		"Sent by the client: 5.0 GB", "Received by the client: 2.5 kB", "Sent again: 7 segments")
	p.Shot("counters")
	same(t, "none ended", facts("db"), "Connections: 1", "Opened: 1 connection", "Failed: 0", "Round trip: 0.31 ms",
		"Sent by the client: 200 B", "Received by the client: 100 B", "Sent again: 0 segments")
	same(t, "refused", facts("cache"), "Connections: refused, 4 failed dials", "Opened: 0 connections", "Failed: 4 refused",
		"Sent by the client: 0 B", "Received by the client: 0 B", "Sent again: 0 segments")
	same(t, "open without figures", facts("search"), "Connections: 1", "Opened: 2 connections", "Failed: 0",
		"Sent by the client: 10 B over ended connections", "Received by the client: 0 B over ended connections", "Sent again: 0 segments")
	same(t, "of UDP", facts("names"), "Connections: 1", "Opened: 3 connections")
	same(t, "not counted", facts("queue"), "Connections: 2", "Round trip: 0.61 ms", "Sent by the client: 12 kB", "Received by the client: 13 kB")
}

// The table and the lines show counters, and the overview names who is refused.
func TestCountersOnThePage(t *testing.T) {
	t.Parallel()
	p, _ := open(t, countedMap(), "?columns=all&width=bytes&sort=-Opened")
	cells := webtest.Eval[[]string](p, `(() => {
		const names = [...document.querySelectorAll("thead th")].map((th) => th.textContent), at = (name) => names.indexOf(name);
		return [...document.querySelectorAll("tbody tr")].map((tr) => ["Server", "Conn.", "Opened", "Failed", "Round trip", "Sent", "Received"].map((name) => tr.cells[at(name)].textContent).join("|"));
	})()`)
	same(t, "table", cells, "api|active, 9/min|1,234|3|0.42 ms|5.0 GB|2.5 kB", "names|1|3||||", "search|1|2|0||10 B|0 B", "db|1|1|0|0.31 ms|200 B|100 B",
		"db|refused, 1 failed dial|0|1||0 B|0 B", "cache|refused, 4 failed dials|0|4||0 B|0 B", "queue|2|||0.61 ms|12 kB|13 kB")
	same(t, "titles", webtest.Eval[[]string](p, `[...document.querySelectorAll("tbody td[title*=refused]")].map((e) => e.title)`), "3: 2 refused, 1 without an answer", "1 refused", "4 refused")
	if !webtest.Eval[bool](p, geometry+`width("8080 · 9/min") > width("5672 ×2") && width("5672 ×2") > width("5432")})()`) {
		t.Error("the lines do not show the bytes")
	}
	same(t, "stores", section(p, "stores"), "Databases, caches, queues (2)", "db PostgreSQL :5432 ← web; refused api", "queue RabbitMQ :5672 ← web")
}

// TestPageShowsFailuresAsTheServer has the links that package graph tests.
func TestPageShowsFailuresAsTheServer(t *testing.T) {
	t.Parallel()
	vectors, err := os.ReadFile("../graph/testdata/failures.json")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := open(t, shop(), "")
	for _, difference := range webtest.Eval[[]string](p, fmt.Sprintf(`(async () => {
		const { formatLoad, isFailed, linkState } = await import("./activity.js");
		return %s.flatMap(({ what, link, state, label }) => {
			const got = [linkState(link), link.port + formatLoad([link])];
			return got[0] === state && got[1] === label && !!isFailed(link) === (state === "failed") ? [] : [what + ": " + got];
		});
	})()`, vectors)) {
		t.Error(difference)
	}
}
