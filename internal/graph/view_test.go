package graph_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/graph/graphtest"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

//go:embed testdata/shop.json
var shopJSON []byte

// shop returns the graph of two hosts. On host a, two containers of service web call db; one of them also calls an external
// address. On host b, worker calls db. Package correlate's tests check that this is what it builds.
func shop() graph.Graph {
	var g graph.Graph
	if err := json.Unmarshal(shopJSON, &g); err != nil {
		panic(err)
	}
	return g
}

func TestViewsFilterAndGroup(t *testing.T) {
	const (
		web1   = "a/web-1 > a/db:5432 direct both 1\n"
		web2   = "a/web-2 > a/db:5432 direct both 1\n"
		pay    = "a/web-2 > external payments:443 direct client 1\n"
		worker = "b/worker > a/db:5432 published both 1\n"
		seven  = "external 192.0.2.7 > a/web-1:80 published server 1\n"
		eight  = "external 192.0.2.8 > a/web-1:80 published server 1\n"
	)
	for _, test := range []struct{ query, want string }{
		{"", web1 + web2 + pay + worker + seven + eight},
		{"external=show group=container", web1 + web2 + pay + worker + seven + eight},
		{"external=hide", web1 + web2 + pay + worker},
		{"external=group", web1 + web2 + pay + worker + "external external > a/web-1:80 published server 2\n"},
		{"container=/web-2", web2 + pay},
		{"container=web-2 depth=2", web1 + web2 + pay + worker},
		{"container=id-b", worker},
		{"container=nothing", ""},
		{"host=b", worker},
		{"host=a project=shop", web1 + web2 + pay + worker + seven + eight},
		{"since=2026-01-02T12:00:00Z", web1 + web2 + pay + worker + seven + eight}, // the server's end was observed then
		{"since=2026-01-02T12:00:01Z", ""},
		{"since=1m", ""},
		{"since=1m newSince=1h", ""},
		{"newSince=2026-01-02T12:00:00Z", web1 + web2 + pay + worker + seven + eight}, // marks, and filters nothing
		{"image=db:1", web1 + web2 + worker},
		{"port=5432", web1 + web2 + worker},
		{"port=80 external=hide", ""},
		{"state=live", web1 + web2 + pay + worker + seven + eight},
		{"state=past", ""},
		{"unlinked=hide", web1 + web2 + pay + worker + seven + eight},
		{"node=external/192.0.2.7", seven},
		{"node=external/192.0.2.7 depth=2", web1 + seven + eight},
		{"node=project/shop", web1 + web2 + pay + worker + seven + eight},
		{"node=image/it", worker},
		{"at=2026-01-02T11:59:59Z", ""},
		{"at=2026-01-02T12:00:00Z", uncounted(web1 + web2 + pay + worker + seven + eight)},
		{"at=2030-01-02T12:00:00Z", web1 + web2 + pay + worker + seven + eight}, // not in the past
		{"group=host open=host/a external=hide", web1 + web2 + pay + "b > a/db:5432 published both 1\n"},
		{"group=host open=host/a open=host/b external=hide", web1 + web2 + pay + worker},
		{"closed=host/b", web1 + web2 + pay + "b > a/db:5432 published both 1\n" + seven + eight},
		{"closed=host/a open=host/a external=hide", "a > a:5432 direct both 2\na > external payments:443 direct client 1\nb/worker > a:5432 published both 1\n"},
		{"closed=external group=project open=project/shop", web1 + web2 + pay + worker + "external external > a/web-1:80 published server 2\n"},
		{"group=service external=hide", "b/worker > service db:5432 published both 1\nservice web > external payments:443 direct client 1\nservice web > service db:5432 direct both 2\n"},
		{"group=project external=group", "b/worker > project shop:5432 published both 1\nexternal external > project shop:80 published server 2\nproject shop > external payments:443 direct client 1\nproject shop > project shop:5432 direct both 2\n"},
		{"group=image external=hide", "image it > image db:1:5432 published both 1\nimage web:1 > external payments:443 direct client 1\nimage web:1 > image db:1:5432 direct both 2\n"},
		{"group=host external=hide", "a > a:5432 direct both 2\na > external payments:443 direct client 1\nb > a:5432 published both 1\n"},
	} {
		t.Run(test.query, func(t *testing.T) {
			var view graph.View
			for word := range strings.FieldsSeq(test.query) {
				name, value, _ := strings.Cut(word, "=")
				if err := view.Set(name, value); err != nil {
					t.Fatal(err)
				}
			}
			g := shop()
			before := fmt.Sprint(g)
			got := view.Apply(g, noon.Add(2*time.Minute))
			if diff := cmp.Diff(test.want, graphtest.Lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if fmt.Sprint(g) != before {
				t.Error("Apply changed its graph")
			}
			ids := make(map[string]bool)
			for _, n := range got.Nodes {
				ids[n.ID] = true
			}
			for _, l := range got.Links {
				if !ids[l.Client] || !ids[l.Server] {
					t.Errorf("%s or %s is not a node", l.Client, l.Server)
				}
			}
		})
	}
}

// uncounted returns lines without numbers of connections.
func uncounted(lines string) string { return strings.ReplaceAll(lines, " 1\n", " 0\n") }

func TestUnlinkedNodesAreDropped(t *testing.T) {
	nodes := func(words string) string {
		var view graph.View
		for word := range strings.FieldsSeq(words) {
			name, value, _ := strings.Cut(word, "=")
			if err := view.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
		g := shop()
		g.Nodes = append(g.Nodes, graph.Node{ID: "container/a/idle", Kind: graph.KindContainer, Name: "idle"}, graph.Node{ID: "container/a/old", Kind: graph.KindContainer, Name: "old", Past: true})
		var names []string
		for _, n := range view.Apply(g, noon.Add(2*time.Minute)).Nodes {
			names = append(names, n.Name)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	for query, want := range map[string]string{
		"":                         "192.0.2.7 192.0.2.8 db idle old payments web-1 web-2 worker",
		"unlinked=show":            "192.0.2.7 192.0.2.8 db idle payments web-1 web-2 worker",
		"unlinked=hide":            "192.0.2.7 192.0.2.8 db payments web-1 web-2 worker",
		"since=1m":                 "192.0.2.7 192.0.2.8 db idle old payments web-1 web-2 worker",
		"since=1m unlinked=show":   "db idle web-1 web-2 worker",
		"since=1m unlinked=hide":   "",
		"port=443":                 "payments web-2",
		"port=443 unlinked=show":   "payments web-2",
		"state=past unlinked=show": "",
		"state=live unlinked=show": "192.0.2.7 192.0.2.8 db idle payments web-1 web-2 worker",
	} {
		if got := nodes(query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

func TestNewLinksAreMarked(t *testing.T) {
	g := shop()
	g.Links[0].FirstSeen = noon.Add(time.Hour)
	view := graph.View{NewSince: graph.Moment{Ago: time.Hour}, Group: "service"}
	got := view.Apply(g, noon.Add(90*time.Minute))
	isNew := 0
	for _, l := range got.Links {
		if l.New {
			isNew++
		}
	}
	var dot, csv bytes.Buffer
	if err := graph.WriteDOT(&dot, got); err != nil {
		t.Fatal(err)
	}
	if err := graph.WriteCSV(&csv, graph.View{At: noon}.Apply(g, noon.Add(90*time.Minute))); err != nil {
		t.Fatal(err)
	}
	if isNew != 1 || strings.Count(dot.String(), "color=green") != 1 || g.Links[0].New {
		t.Errorf("%d links are new, %s", isNew, dot.String())
	}
	if n := strings.Count(csv.String(), ",,,true,"); n != len(g.Links)-1 {
		t.Errorf("%d rows without counts in %s", n, csv.String())
	}
}

// TestOpenedGroupsDivide opens groups: those of more than 60 nodes divide into smaller groups.
func TestOpenedGroupsDivide(t *testing.T) {
	var g graph.Graph
	for i := range 100 {
		n := graph.Node{Kind: graph.KindContainer, Host: "h", Name: fmt.Sprint("c", i), Image: "it:1", ID: graph.NodeID(graph.KindContainer, "h", fmt.Sprint(i))}
		if i < 70 {
			n.Project, n.Service = "large", fmt.Sprint("s", i%2)
		}
		if i == 99 {
			n.Image = "single:1"
		}
		g.Nodes = append(g.Nodes, n)
	}
	for _, test := range []struct {
		open []string
		want map[graph.Kind]int
	}{
		{nil, map[graph.Kind]int{graph.KindHost: 1}},
		{[]string{"host/h"}, map[graph.Kind]int{graph.KindProject: 1, graph.KindImage: 1, graph.KindContainer: 1}},
		{[]string{"host/h", "project/large"}, map[graph.Kind]int{graph.KindService: 2, graph.KindImage: 1, graph.KindContainer: 1}},
		{[]string{"host/h", "project/large", "service/large/s0"}, map[graph.Kind]int{graph.KindService: 1, graph.KindImage: 1, graph.KindContainer: 36}},
		{[]string{"host/h", "image/it:1"}, map[graph.Kind]int{graph.KindProject: 1, graph.KindContainer: 30}},
	} {
		got := make(map[graph.Kind]int)
		for _, n := range (graph.View{Group: "host", Open: test.open}).Apply(g, noon).Nodes {
			got[n.Kind]++
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.open, diff)
		}
	}
}

func TestInvalidParametersAreRejected(t *testing.T) {
	for _, word := range []string{"depth=0", "depth=101", "depth=x", "since=yesterday", "since=-1m", "external=yes", "group=planet", "color=red", "port=0", "port=65536", "port=http", "state=alive", "unlinked=maybe", "newSince=1", "at=10m"} {
		var view graph.View
		name, value, _ := strings.Cut(word, "=")
		if err := view.Set(name, value); err == nil {
			t.Errorf("%s is accepted: %+v", word, view)
		}
	}
}

func TestNamesOfNetworks(t *testing.T) {
	names, err := graph.ReadNames(strings.NewReader("# ours\n10.0.0.0/8 office # all of it\n10.1.0.0/16\tdata centre\n192.0.2.7 the one\n2001:db8::/32 six\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"10.2.3.4": "office", "10.1.3.4": "data centre", "192.0.2.7": "the one", "192.0.2.8": "", "2001:db8::1": "six", "2001:db9::1": "",
	} {
		if got := names.NameOf(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
	for _, wrong := range []string{"10.0.0.0/8", "10.0.0.0/33 x", "office 10.0.0.0/8", "10.0.0.1%eth0 x", strings.Repeat("x", 1<<17)} {
		if _, err := graph.ReadNames(strings.NewReader(wrong)); err == nil {
			t.Errorf("%.30q is accepted", wrong)
		}
	}
}

func TestDOT(t *testing.T) {
	var text bytes.Buffer
	if err := graph.WriteDOT(&text, graph.View{External: "group"}.Apply(shop(), noon)); err != nil {
		t.Fatal(err)
	}
	want := `digraph outpost {
  rankdir=LR;
  node [shape=box];
  subgraph cluster_0 {
    label="a";
    subgraph cluster_0_0 {
      label="shop";
      n0 [label="db"];
      n1 [label="web-1"];
      n2 [label="web-2"];
    }
  }
  subgraph cluster_1 {
    label="b";
    n3 [label="worker"];
  }
  n4 [label="external", shape=ellipse];
  n5 [label="payments", shape=ellipse];
  n1 -> n0 [label="5432"];
  n2 -> n0 [label="5432"];
  n2 -> n5 [label="443", style=dashed];
  n3 -> n0 [label="5432"];
  n4 -> n1 [label="80 ×2", style=dashed];
}
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMermaid(t *testing.T) {
	var text bytes.Buffer
	if err := graph.WriteMermaid(&text, graph.View{External: "hide", Host: "b"}.Apply(shop(), noon)); err != nil {
		t.Fatal(err)
	}
	want := `flowchart LR
  subgraph cluster_0["a"]
    subgraph cluster_0_0["shop"]
      n0["db"]
    end
  end
  subgraph cluster_1["b"]
    n1["worker"]
  end
  n1 -->|"5432"| n0
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestClusters has nodes of one project on two hosts, and groups without a host or of a project.
func TestClusters(t *testing.T) {
	g := graph.Graph{Nodes: []graph.Node{
		{ID: "1", Kind: graph.KindContainer, Host: "a", Name: "web", Project: "shop"}, {ID: "2", Kind: graph.KindContainer, Host: "a", Name: "alone"},
		{ID: "3", Kind: graph.KindContainer, Host: "a", Name: "db", Project: "shop"}, {ID: "4", Kind: graph.KindContainer, Host: "b", Name: "job", Project: "shop"},
		{ID: "5", Kind: graph.KindProject, Host: "b", Name: "batch", Project: "batch"}, {ID: "6", Kind: graph.KindService, Name: "everywhere", Project: "shop"},
		{ID: "7", Kind: graph.KindProject, Name: "mail", Project: "mail"}, {ID: "8", Kind: graph.KindExternal, Name: "outside"},
	}}
	var dot, mermaid strings.Builder
	if err := errors.Join(graph.WriteDOT(&dot, g), graph.WriteMermaid(&mermaid, g)); err != nil {
		t.Fatal(err)
	}
	wantDOT := `digraph outpost {
  rankdir=LR;
  node [shape=box];
  subgraph cluster_0 {
    label="a";
    subgraph cluster_0_0 {
      label="shop";
      n0 [label="web"];
      n2 [label="db"];
    }
    n1 [label="alone"];
  }
  subgraph cluster_1 {
    label="b";
    subgraph cluster_1_0 {
      label="shop";
      n3 [label="job"];
    }
    n4 [label="batch"];
  }
  subgraph cluster_2_0 {
    label="shop";
    n5 [label="everywhere"];
  }
  n6 [label="mail"];
  n7 [label="outside", shape=ellipse];
}
`
	wantMermaid := `flowchart LR
  subgraph cluster_0["a"]
    subgraph cluster_0_0["shop"]
      n0["web"]
      n2["db"]
    end
    n1["alone"]
  end
  subgraph cluster_1["b"]
    subgraph cluster_1_0["shop"]
      n3["job"]
    end
    n4["batch"]
  end
  subgraph cluster_2_0["shop"]
    n5["everywhere"]
  end
  n6["mail"]
  n7(["outside"])
`
	if diff := cmp.Diff([]string{wantDOT, wantMermaid}, []string{dot.String(), mermaid.String()}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCSV(t *testing.T) {
	var text bytes.Buffer
	if err := graph.WriteCSV(&text, graph.View{Host: "b"}.Apply(shop(), noon)); err != nil {
		t.Fatal(err)
	}
	want := "client_kind,client_host,client,server_kind,server_host,server,port,via,evidence,connections,closed,live,first_seen,last_seen," +
		"opened,failed,refused,bytes_sent,bytes_received,retransmits,rtt_microseconds,min_rtt_microseconds,protocol\n" +
		"container,b,worker,container,a,db,5432,published,both,1,0,true,2026-01-02T12:00:00Z,2026-01-02T12:00:00Z,,,,,,,,,tcp\n"
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestForeignTextIsNeverMarkup writes names with markup in each format.
func TestForeignTextIsNeverMarkup(t *testing.T) {
	evil := "\"];a->b;//\n<img src=x onerror=alert(1)>\\\r=1+1`|{"
	g := graph.Graph{
		Nodes: []graph.Node{
			{ID: "1", Kind: graph.KindContainer, Host: evil, Name: evil, Project: evil},
			{ID: "2", Kind: graph.KindContainer, Host: evil, Name: "=cmd()"},
			{ID: "3", Kind: graph.KindExternal, Name: "192.0.2.1"},
		},
		Links: []graph.Link{
			{Client: "1", Server: "3", Port: 2, Via: graph.ViaDirect, Evidence: graph.EvidenceClient, Connections: 1, Live: true},
			{Client: "2", Server: "3", Port: 2, Via: graph.ViaDirect, Evidence: graph.EvidenceClient, Connections: 1, Live: true},
		},
	}
	var dot, mermaid, csv bytes.Buffer
	for _, err := range []error{graph.WriteDOT(&dot, g), graph.WriteMermaid(&mermaid, g), graph.WriteCSV(&csv, g)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := `[label="\"];a->b;// <img src=x onerror=alert(1)>\\ =1+1` + "`|{\"];"; !strings.Contains(dot.String(), want) {
		t.Errorf("no %s in %s", want, dot.String())
	}
	for _, sign := range []string{"<", "`", "{", "a->b"} {
		if strings.Contains(strings.ReplaceAll(mermaid.String(), "-->", ""), sign) {
			t.Errorf("%q in %s", sign, mermaid.String())
		}
	}
	if strings.Contains(csv.String(), ",=cmd()") {
		t.Errorf("a formula in %s", csv.String())
	}
}

// Labels are one line without control characters and of bounded length. An ampersand is no entity, and Mermaid has no empty label.
func TestLabels(t *testing.T) {
	for _, test := range []struct{ name, dot, mermaid string }{
		{"plain", `"plain"`, `"plain"`},
		{"", `""`, `" "`},
		{"a\n%% b\u2028%% c\u2029d", `"a %% b %% c d"`, `"a %% b %% c d"`},
		{"a\x00b\x1bc\x7fd\u0085e\ufffef", `"a b c d e f"`, `"a b c d e f"`},
		{"&lt; &", `"&amp;lt; &amp;"`, `"#38;lt#59; #38;"`},
		{"\xff", "\"\ufffd\"", "\"\ufffd\""},
		{strings.Repeat("ä", graph.MaxTextLen), `"` + strings.Repeat("ä", graph.MaxTextLen/2) + `…"`, `"` + strings.Repeat("ä", graph.MaxTextLen/2) + `…"`},
	} {
		g := graph.Graph{Nodes: []graph.Node{{ID: "1", Kind: graph.KindContainer, Name: test.name}}}
		var dot, mermaid strings.Builder
		if err := errors.Join(graph.WriteDOT(&dot, g), graph.WriteMermaid(&mermaid, g)); err != nil {
			t.Fatal(err)
		}
		if want := "n0 [label=" + test.dot + "]"; !strings.Contains(dot.String(), want) {
			t.Errorf("no %s in %s", want, dot.String())
		}
		if want := "n0[" + test.mermaid + "]"; !strings.Contains(mermaid.String(), want) {
			t.Errorf("no %s in %s", want, mermaid.String())
		}
	}
}

func TestGrafana(t *testing.T) {
	g := graph.ForGrafana(graph.View{Host: "b"}.Apply(shop(), noon))
	if len(g.Nodes) != 2 || len(g.Edges) != 1 || g.Nodes[0].MainStat != "1 in" || g.Nodes[1].SecondaryStat != "1 out" || g.Edges[0].MainStat != "5432" {
		t.Errorf("%+v", g)
	}
	// The data source reads only the described fields.
	described := make(map[string]bool)
	fields := graph.FieldsForGrafana()
	for _, field := range slices.Concat(fields.Nodes, fields.Edges) {
		described[field.Name] = true
	}
	for _, item := range []any{g.Nodes[0], g.Edges[0]} {
		text, err := json.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		var named map[string]string
		if err := json.Unmarshal(text, &named); err != nil {
			t.Fatal(err)
		}
		for name := range named {
			if !described[name] {
				t.Errorf("%s is not described", name)
			}
		}
	}
}

// A link without an open connection shows the rate of those that ended within the last minute.
func TestLinksThatOnlyCloseHaveARate(t *testing.T) {
	g := shop()
	l := graph.Link{Client: g.Nodes[0].ID, Server: g.Nodes[1].ID, Port: 5432, Via: graph.ViaDirect, Evidence: graph.EvidenceBoth, Closed: 9, Live: true}
	g.Links = []graph.Link{l}
	var dot, mermaid bytes.Buffer
	if err := errors.Join(graph.WriteDOT(&dot, g), graph.WriteMermaid(&mermaid, g)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(dot.String(), `[label="5432 · 9/min"]`) || !strings.Contains(mermaid.String(), `-->|"5432 · 9/min"|`) {
		t.Errorf("%s\n%s", &dot, &mermaid)
	}
	if edge := graph.ForGrafana(g).Edges[0]; edge.SecondaryStat != "9/min" {
		t.Errorf("Grafana: %+v", edge)
	}
}

// At an earlier time, the links are live that were seen less than three intervals before it.
func TestEarlierLinksAreLiveForThreeIntervals(t *testing.T) {
	g := shop()
	g.Links = []graph.Link{{Client: g.Nodes[0].ID, Server: g.Nodes[1].ID, FirstSeen: noon.Add(-time.Hour), LastSeen: noon}}
	g.IntervalSeconds = 1.5
	for ago, live := range map[time.Duration]bool{0: true, 4499 * time.Millisecond: true, 4500 * time.Millisecond: false} {
		if got := (graph.View{At: noon.Add(ago)}).Apply(g, noon.Add(time.Hour)).Links[0].Live; got != live {
			t.Errorf("%s after it was seen: live %t", ago, got)
		}
	}
}

// TestNoDataBeforeTheStart looks at times before and after the first map, and before the window.
func TestNoDataBeforeTheStart(t *testing.T) {
	g := shop()
	g.WindowSeconds, g.DataSince = 3600, noon
	for _, test := range []struct {
		at, now int // minutes after noon
		empty   bool
	}{{-1, 30, true}, {0, 30, false}, {10, 30, false}, {29, 90, true}, {30, 90, false}, {-1, -1, false}} {
		minute := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
		got := graph.View{At: minute(test.at)}.Apply(g, minute(test.now))
		if (len(got.Nodes) == 0) != test.empty || test.empty && (len(got.Links) > 0 || got.Links == nil || got.Nodes == nil) {
			t.Errorf("%d seen from %d: %d nodes, %d links", test.at, test.now, len(got.Nodes), len(got.Links))
		}
	}
	g.DataSince = time.Time{}
	if got := (graph.View{At: noon.Add(-time.Hour)}).Apply(g, noon); len(got.Nodes) == 0 {
		t.Error("an unknown beginning hides all")
	}
}

// TestPastHasNoLaterReplacement looks at a container that was replaced twice, before, between and after.
func TestPastHasNoLaterReplacement(t *testing.T) {
	g := shop()
	g.Nodes = slices.Clone(g.Nodes)
	replaced := func(minute int, image string) graph.Predecessor {
		return graph.Predecessor{Image: image, LastSeen: noon.Add(time.Duration(minute) * time.Minute)}
	}
	all := []graph.Predecessor{replaced(20, "b"), replaced(10, "a")}
	i := slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Kind == graph.KindContainer })
	g.Nodes[i].Image, g.Nodes[i].Predecessors = "c", all
	for minute, want := range map[int]struct {
		image        string
		predecessors []graph.Predecessor
	}{5: {"a", nil}, 10: {"a", nil}, 15: {"b", all[1:]}, 25: {"c", all}} {
		got := graph.View{At: noon.Add(time.Duration(minute) * time.Minute)}.Apply(g, noon.Add(time.Hour)).Nodes
		n := got[slices.IndexFunc(got, func(n graph.Node) bool { return n.ID == g.Nodes[i].ID })]
		if n.Image != want.image || !slices.Equal(n.Predecessors, want.predecessors) {
			t.Errorf("after %d minutes: image %q, predecessors %v", minute, n.Image, n.Predecessors)
		}
	}
	if !slices.Equal(g.Nodes[i].Predecessors, all) || g.Nodes[i].Image != "c" {
		t.Error("the view changed the graph")
	}
}

// A group's link is idle as long as all of its connections are.
func TestGroupsMergeIdleTimes(t *testing.T) {
	link := func(server string, connections int, measured *graph.Measured) graph.Link {
		return graph.Link{Client: "a", Server: server, Connections: connections, Measured: measured, Live: true}
	}
	idle := func(seconds int64) *graph.Measured { return &graph.Measured{BytesSent: 1, IdleSeconds: seconds} }
	node := func(id string) graph.Node {
		return graph.Node{ID: id, Kind: graph.KindContainer, Name: id, Service: "s" + id[:1]}
	}
	for name, test := range map[string]struct {
		links []graph.Link
		want  *graph.Measured
	}{
		"both idle":          {[]graph.Link{link("b1", 1, idle(90)), link("b2", 2, idle(70))}, &graph.Measured{BytesSent: 2, IdleSeconds: 70}},
		"one is busy":        {[]graph.Link{link("b1", 1, idle(90)), link("b2", 2, idle(0))}, &graph.Measured{BytesSent: 2}},
		"one is unknown":     {[]graph.Link{link("b1", 1, idle(90)), link("b2", 2, nil)}, &graph.Measured{BytesSent: 1}},
		"the first unknown":  {[]graph.Link{link("b1", 1, nil), link("b2", 2, idle(90))}, &graph.Measured{BytesSent: 1}},
		"one has none":       {[]graph.Link{link("b1", 0, nil), link("b2", 2, idle(90))}, &graph.Measured{BytesSent: 1, IdleSeconds: 90}},
		"the other has none": {[]graph.Link{link("b1", 1, idle(90)), link("b2", 0, nil)}, &graph.Measured{BytesSent: 1, IdleSeconds: 90}},
		"none is measured":   {[]graph.Link{link("b1", 1, nil), link("b2", 2, nil)}, nil},
	} {
		g := graph.Graph{Nodes: []graph.Node{node("a"), node("b1"), node("b2")}, Links: test.links}
		got := graph.View{Group: "service"}.Apply(g, noon)
		if diff := cmp.Diff(test.want, got.Links[0].Measured); diff != "" || len(got.Links) != 1 {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
		if m := test.links[0].Measured; m != nil && m.IdleSeconds != 90 {
			t.Errorf("%s: the graph changed: %+v", name, m)
		}
	}
}

// A link without an answer says so, and an idle one is dotted. Beside a connection, attempts do not count.
func TestStatesInDOT(t *testing.T) {
	g := shop()
	link := func(port uint16, change func(*graph.Link)) graph.Link {
		l := graph.Link{Client: g.Nodes[0].ID, Server: g.Nodes[1].ID, Port: port, Via: graph.ViaDirect, Evidence: graph.EvidenceBoth, Attempts: 3, Live: true}
		change(&l)
		return l
	}
	g.Links = []graph.Link{
		link(1, func(*graph.Link) {}), link(2, func(l *graph.Link) { l.Attempts, l.Unanswered = 0, true }), link(3, func(l *graph.Link) { l.Connections = 1 }),
		link(4, func(l *graph.Link) { l.Closed = 1 }), link(5, func(l *graph.Link) { l.Attempts, l.Live = 0, false }),
		link(6, func(l *graph.Link) { l.Attempts, l.Connections, l.Measured = 0, 1, &graph.Measured{IdleSeconds: 60} }),
	}
	var dot bytes.Buffer
	if err := graph.WriteDOT(&dot, g); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[string]string{"1": ` · no answer", color=red]`, "2": ` · no answer", color=red]`, "3": `"]`, "4": ` · 1/min"]`, "5": `", color=gray]`, "6": `", style=dotted]`} {
		if !strings.Contains(dot.String(), `[label="`+port+want) {
			t.Errorf("no %q of port %s in %s", want, port, &dot)
		}
	}
	if edges := graph.ForGrafana(g).Edges; edges[0].SecondaryStat != "no answer" || edges[2].SecondaryStat != "1" {
		t.Errorf("Grafana: %+v", edges)
	}
	if past := (graph.View{At: noon}).Apply(g, noon.Add(time.Hour)).Links[0]; past.Attempts != 0 || !past.CountsUnknown {
		t.Errorf("earlier: %+v", past)
	}
}

// A group's link has the attempts of its members, and is unanswered if all of them are.
func TestGroupsMergeAttempts(t *testing.T) {
	link := func(server string, connections, attempts int) graph.Link {
		return graph.Link{Client: "a", Server: server, Connections: connections, Attempts: attempts, Unanswered: connections == 0, Live: true}
	}
	node := func(id string) graph.Node {
		return graph.Node{ID: id, Kind: graph.KindContainer, Name: id, Service: "s" + id[:1]}
	}
	for _, connections := range []int{0, 1} {
		g := graph.Graph{Nodes: []graph.Node{node("a"), node("b1"), node("b2")}, Links: []graph.Link{link("b1", connections, 1), link("b2", 0, 2)}}
		if l := (graph.View{Group: "service"}).Apply(g, noon).Links[0]; l.Attempts != 3 || l.Unanswered != (connections == 0) {
			t.Errorf("%+v", l)
		}
	}
}
