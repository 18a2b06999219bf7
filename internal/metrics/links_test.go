package metrics

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// sampleMap returns a map with two containers of a service. They call a database on another host and have external
// clients.
func sampleMap() graph.Graph {
	g := graph.Graph{
		Nodes: []graph.Node{
			{ID: "w1", Kind: graph.KindContainer, Name: "shop-web-1", Project: "shop", Service: "web"},
			{ID: "w2", Kind: graph.KindContainer, Name: "shop-web-2", Project: "shop", Service: "web"},
			{ID: "db", Kind: graph.KindContainer, Name: "d\xffb"},
			{ID: "x1", Kind: graph.KindExternal, Name: "192.0.2.1"},
			{ID: "x2", Kind: graph.KindExternal, Name: "192.0.2.2"},
			{ID: "pay", Kind: graph.KindExternal, Name: "payments"},
			{ID: "h", Kind: graph.KindHost, Name: "h"},
			{ID: "a", Kind: graph.KindAmbiguous, Name: "10.0.0.1"},
		},
		Targets: []graph.Target{
			{Target: "a:9057", State: graph.StateOK, LastAnswer: time.Unix(1700000000, 0)},
			{Target: "b:9057", State: graph.StateFailed, Reason: "nothing listens there"},
		},
		Forgotten: 3,
	}
	link := func(client, server string, port uint16, via graph.Via, connections int) {
		g.Links = append(g.Links, graph.Link{Client: client, Server: server, Port: port, Via: via, Connections: connections})
	}
	link("w1", "db", 5432, graph.ViaPublished, 2)
	link("w2", "db", 5432, graph.ViaPublished, 3)
	link("x1", "w1", 80, graph.ViaPublished, 1)
	link("x2", "w2", 80, graph.ViaPublished, 1)
	link("w1", "pay", 443, graph.ViaDirect, 1)
	link("h", "a", 22, graph.ViaHost, 0)
	link("w1", "db", 9999, graph.ViaDirect, 0)
	link("w2", "db", 9998, graph.ViaDirect, 0)
	g.Links[6].Unanswered, g.Links[7].Unanswered = true, true
	g.Links[0].Counters = &graph.Counters{Opened: 20, Failed: 7, Refused: 4, BytesSent: 100, BytesReceived: 200, Retransmits: 2}
	g.Links[1].Counters = &graph.Counters{Opened: 1, BytesSent: 10, BytesReceived: 20, Retransmits: 1}
	g.Links[5].Counters = &graph.Counters{Opened: 3} // a past link
	g.Links[6].Counters = &graph.Counters{Failed: 9, Refused: 9}
	return g
}

func scrape(t *testing.T, maxSeries int) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	NewMapperHandler("1.2.3", sampleMap, maxSeries).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	return recorder.Body.String()
}

func TestMapMetrics(t *testing.T) {
	body := scrape(t, 2000)
	for _, line := range []string{
		`outpost_link_connections{client="shop/web",protocol="tcp",server="d?b",server_port="5432",via="published"} 5`,
		`outpost_link_connections{client="external",protocol="tcp",server="shop/web",server_port="80",via="published"} 2`,
		`outpost_link_connections{client="shop/web",protocol="tcp",server="payments",server_port="443",via="direct"} 1`,
		`outpost_link_connections{client="host h",protocol="tcp",server="ambiguous",server_port="22",via="host"} 0`,
		"outpost_link_series_omitted 0", "outpost_links_forgotten_total 3",
		`outpost_target_up{target="a:9057"} 1`, `outpost_target_up{target="b:9057"} 0`,
		`outpost_target_state{state="failed",target="b:9057"} 1`, `outpost_target_state{state="ok",target="b:9057"} 0`,
		`outpost_target_reason{reason="nothing listens there",target="b:9057"} 1`,
		`outpost_target_last_answer_timestamp_seconds{target="a:9057"} 1.7e+09`, `outpost_build_info{`,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("no %s in\n%s", line, body)
		}
	}
	for _, wrong := range []string{"192.0.2.1", "10.0.0.1", "shop-web-1", "9998", `reason="",`, `last_answer_timestamp_seconds{target="b`} {
		if strings.Contains(body, wrong) {
			t.Errorf("the metrics contain %s", wrong)
		}
	}
}

// A link of UDP is another one than that of TCP at the same port. A link to the engine's resolver has no series.
func TestUDPLinks(t *testing.T) {
	latest := sampleMap()
	udp := func(via graph.Via, connections int) graph.Link {
		return graph.Link{Client: "w1", Server: "db", Port: 5432, Protocol: socket.UDP, Via: via, Connections: connections, Counters: &graph.Counters{Opened: 9}}
	}
	latest.Links = append(latest.Links, udp(graph.ViaPublished, 7), udp(graph.ViaResolver, 8))
	recorder := httptest.NewRecorder()
	NewMapperHandler("1.2.3", func() graph.Graph { return latest }, 2000).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	body := recorder.Body.String()
	for protocol, connections := range map[string]int{"tcp": 5, "udp": 7} {
		line := fmt.Sprintf(`outpost_link_connections{client="shop/web",protocol="%s",server="d?b",server_port="5432",via="published"} %d`, protocol, connections)
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %s in\n%s", line, body)
		}
	}
	const opened = `outpost_link_connections_total{client="shop/web",protocol="udp",server="d?b",server_port="5432",via="published"} 9`
	if series := strings.Count(body, `protocol="udp"`); series != 2 || !strings.Contains(body, opened) {
		t.Errorf("%d series of UDP instead of the open and the opened connections in\n%s", series, body)
	}
	if strings.Contains(body, `via="resolver"`) {
		t.Errorf("a link to the resolver in\n%s", body)
	}
}

func TestLinkCounters(t *testing.T) {
	body := scrape(t, 2000)
	labels := func(direction, reason string) string {
		return `{client="shop/web",` + direction + `protocol="tcp",` + reason + `server="d?b",server_port="5432",via="published"}`
	}
	for _, line := range []string{
		"# TYPE outpost_link_connections_total counter", "# TYPE outpost_link_failed_total counter", "# TYPE outpost_link_bytes_total counter",
		"# TYPE outpost_link_retransmits_total counter",
		"outpost_link_connections_total" + labels("", "") + " 21",
		"outpost_link_failed_total" + labels("", `reason="refused",`) + " 4",
		"outpost_link_failed_total" + labels("", `reason="unanswered",`) + " 3",
		"outpost_link_bytes_total" + labels(`direction="sent",`, "") + " 110",
		"outpost_link_bytes_total" + labels(`direction="received",`, "") + " 220",
		"outpost_link_retransmits_total" + labels("", "") + " 3",
		`outpost_link_connections_total{client="host h",protocol="tcp",server="ambiguous",server_port="22",via="host"} 3`,
		`outpost_link_failed_total{client="shop/web",protocol="tcp",reason="refused",server="d?b",server_port="9999",via="direct"} 9`, // it never answered
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %s in\n%s", line, body)
		}
	}
	if n := strings.Count(body, "\noutpost_link_connections_total{"); n != 3 {
		t.Errorf("%d series, want those of counted links alone", n)
	}
	for maxSeries, want := range map[int]int{0: 0, 1: 1} {
		if n := strings.Count(scrape(t, maxSeries), "\noutpost_link_connections_total{"); n != want {
			t.Errorf("%d series with a limit of %d", n, maxSeries)
		}
	}
}

// Above the limit the busiest series are kept, and the number of omitted ones is reported.
func TestLinkSeriesAreLimited(t *testing.T) {
	for maxSeries, omitted := range map[int]int{0: 5, 2: 3, 5: 0} {
		body := scrape(t, maxSeries)
		if got := strings.Count(body, "\noutpost_link_connections{"); got != maxSeries {
			t.Errorf("%d series, want %d", got, maxSeries)
		}
		if want := fmt.Sprintf("outpost_link_series_omitted %d\n", omitted); !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
		if maxSeries == 2 && (strings.Contains(body, "payments") || !strings.Contains(body, `server="d?b"`)) {
			t.Error("the busiest series is missing")
		}
	}
}

func TestMapMetricsPassLinter(t *testing.T) {
	problems, err := testutil.CollectAndLint(newMapCollector(sampleMap, 2000))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
