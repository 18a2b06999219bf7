package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/snapshot"
)

// shop is two hosts: on a, web calls db and another web calls an address outside; on b, a worker calls the db of a.
func shop() Graph {
	compose := func(d snapshot.Document, services map[string]string) snapshot.Document {
		for i, c := range d.Containers {
			if service := services[strings.TrimPrefix(c.Name, "/")]; service != "" {
				d.Containers[i].Project, d.Containers[i].Service = "shop", service
				d.Containers[i].Image = service + ":1"
			}
		}
		return d
	}
	one := compose(a(
		ctr{name: "web-1", networks: []string{"br0 172.17.0.2 172.17.0.1"}, listen: []string{"0.0.0.0:80 0.0.0.0:80"}, rows: []string{
			"out 172.17.0.2:40000 172.17.0.4:5432", "in 172.17.0.2:80 192.0.2.7:50000", "in 172.17.0.2:80 192.0.2.8:50000",
		}},
		ctr{name: "web-2", networks: []string{"br0 172.17.0.3 172.17.0.1"}, rows: []string{"out 172.17.0.3:40000 172.17.0.4:5432", "out 172.17.0.3:40001 198.51.100.9:443"}},
		ctr{name: "db", networks: []string{"br0 172.17.0.4 172.17.0.1"}, listen: []string{"0.0.0.0:5432 0.0.0.0:5432"}, rows: []string{
			"in 172.17.0.4:5432 172.17.0.2:40000", "in 172.17.0.4:5432 172.17.0.3:40000", "in 172.17.0.4:5432 10.77.0.12:40000",
		}},
	).document(), map[string]string{"web-1": "web", "web-2": "web", "db": "db"})
	two := b(ctr{name: "worker", networks: []string{"br0 172.17.0.2 172.17.0.1"}, rows: []string{"out 172.17.0.2:40000 10.77.0.11:5432"}}).document()
	names, err := ReadNames(strings.NewReader("198.51.100.0/24 payments\n"))
	if err != nil {
		panic(err)
	}
	return Of([]Source{
		{Target: "a", Host: NewHost(one, netip.Addr{}, nil, noon), State: StateOK, Seen: noon},
		{Target: "b", Host: NewHost(two, netip.Addr{}, nil, noon), State: StateOK, Seen: noon.Add(-time.Hour)},
	}, names)
}

func TestViews(t *testing.T) {
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
		{"since=2026-01-02T12:00:00Z", web1 + web2 + pay + worker + seven + eight}, // the server's half was seen then
		{"since=2026-01-02T12:00:01Z", ""},
		{"since=1m", ""},
		{"group=service external=hide", "b/worker > service db:5432 published both 1\nservice web > external payments:443 direct client 1\nservice web > service db:5432 direct both 2\n"},
		{"group=project external=group", "b/worker > project shop:5432 published both 1\nexternal external > project shop:80 published server 2\nproject shop > external payments:443 direct client 1\nproject shop > project shop:5432 direct both 2\n"},
		{"group=image external=hide", "image it > image db:1:5432 published both 1\nimage web:1 > external payments:443 direct client 1\nimage web:1 > image db:1:5432 direct both 2\n"},
		{"group=host external=hide", "a > a:5432 direct both 2\na > external payments:443 direct client 1\nb > a:5432 published both 1\n"},
	} {
		t.Run(test.query, func(t *testing.T) {
			var view View
			for word := range strings.FieldsSeq(test.query) {
				name, value, _ := strings.Cut(word, "=")
				if err := view.Set(name, value); err != nil {
					t.Fatal(err)
				}
			}
			g := shop()
			before := fmt.Sprint(g)
			got := view.Of(g, noon.Add(2*time.Minute))
			if diff := cmp.Diff(test.want, lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if fmt.Sprint(g) != before {
				t.Error("the map that was looked at has changed")
			}
			ids := make(map[string]bool)
			for _, n := range got.Nodes {
				ids[n.ID] = true
			}
			for _, l := range got.Links {
				if !ids[l.Client] || !ids[l.Server] {
					t.Errorf("%s or %s is no node", l.Client, l.Server)
				}
			}
		})
	}
}

func TestWrongViews(t *testing.T) {
	for _, word := range []string{"depth=0", "depth=101", "depth=x", "since=yesterday", "since=-1m", "external=yes", "group=planet", "color=red"} {
		var view View
		name, value, _ := strings.Cut(word, "=")
		if err := view.Set(name, value); err == nil {
			t.Errorf("%s is taken: %+v", word, view)
		}
	}
}

func TestNames(t *testing.T) {
	names, err := ReadNames(strings.NewReader("# ours\n10.0.0.0/8 office # all of it\n10.1.0.0/16\tdata centre\n192.0.2.7 the one\n2001:db8::/32 six\n\n"))
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
		if _, err := ReadNames(strings.NewReader(wrong)); err == nil {
			t.Errorf("%.30q is taken", wrong)
		}
	}
}

// Equal input gives equal output, in whichever order it comes.
func TestEqualInputGivesEqualOutput(t *testing.T) {
	var outputs []string
	for range 10 {
		var text bytes.Buffer
		for _, write := range []func() error{
			func() error { return WriteJSON(&text, shop()) },
			func() error { return WriteDOT(&text, shop()) },
			func() error { return WriteMermaid(&text, shop()) },
			func() error { return WriteCSV(&text, shop()) },
		} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
		outputs = append(outputs, text.String())
	}
	if len(slices.Compact(outputs)) != 1 {
		t.Error("they differ")
	}
	g := shop()
	if !slices.IsSortedFunc(g.Nodes, CompareNodes) || !slices.IsSortedFunc(g.Links, func(a, b Link) int { return a.Compare(&b) }) {
		t.Error("nodes or links are not in order")
	}
}

func TestDOT(t *testing.T) {
	var text bytes.Buffer
	if err := WriteDOT(&text, View{External: "group"}.Of(shop(), noon)); err != nil {
		t.Fatal(err)
	}
	want := `digraph outpost {
  rankdir=LR;
  node [shape=box];
  subgraph cluster_0 {
    label="a";
    n0 [label="db"];
    n1 [label="web-1"];
    n2 [label="web-2"];
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
	if err := WriteMermaid(&text, View{External: "hide", Host: "b"}.Of(shop(), noon)); err != nil {
		t.Fatal(err)
	}
	want := `flowchart LR
  subgraph h0["a"]
    n0["db"]
  end
  subgraph h1["b"]
    n1["worker"]
  end
  n1 -->|"5432"| n0
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCSV(t *testing.T) {
	var text bytes.Buffer
	if err := WriteCSV(&text, View{Host: "b"}.Of(shop(), noon)); err != nil {
		t.Fatal(err)
	}
	want := "client_kind,client_host,client,server_kind,server_host,server,port,via,evidence,connections,closed,live,first_seen,last_seen\n" +
		"container,b,worker,container,a,db,5432,published,both,1,0,true,2026-01-02T12:00:00Z,2026-01-02T12:00:00Z\n"
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Foreign texts are texts, in every form.
func TestForeignTextsAreNoMarkup(t *testing.T) {
	evil := "\"];a->b;//\n<img src=x onerror=alert(1)>\\\r=1+1`|{"
	d := host{name: evil, containers: []ctr{{name: evil, rows: []string{"out 172.17.0.2:1 192.0.2.1:2"}}, {name: "=cmd()", rows: []string{"out 172.17.0.3:1 192.0.2.1:2"}}}}.document()
	g := Of([]Source{{Target: "a", Host: NewHost(d, netip.Addr{}, nil, noon), State: StateOK, Seen: noon}}, nil)
	var dot, mermaid, csv bytes.Buffer
	for _, err := range []error{WriteDOT(&dot, g), WriteMermaid(&mermaid, g), WriteCSV(&csv, g)} {
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

func TestGrafana(t *testing.T) {
	g := ForGrafana(View{Host: "b"}.Of(shop(), noon))
	if len(g.Nodes) != 2 || len(g.Edges) != 1 || g.Nodes[0].MainStat != "1 in" || g.Nodes[1].SecondaryStat != "1 out" || g.Edges[0].MainStat != "5432" {
		t.Errorf("%+v", g)
	}
	// The data source takes the fields that are described, and no others.
	described := make(map[string]bool)
	fields := FieldsForGrafana()
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

func TestMeasured(t *testing.T) {
	d := a(server("in 172.17.0.106:8080 172.17.0.107:1", "in 172.17.0.106:8080 172.17.0.107:2", "in 172.17.0.106:8080 192.0.2.1:3"),
		client("out 172.17.0.107:1 172.17.0.106:8080", "out 172.17.0.107:2 172.17.0.106:8080")).document()
	measure := func(container, connection int, rtt int64, sent, received uint64) {
		d.Containers[container].Connections[connection].Measured = &snapshot.MeasuredDocument{RTTMicroseconds: rtt, BytesSent: sent, BytesReceived: received}
	}
	measure(1, 0, 100, 10, 20) // both ends of the first connection, the client's counts
	measure(0, 0, 900, 99, 99)
	measure(0, 1, 300, 2, 1) // the server's end alone of the second
	measure(0, 2, 50, 7, 8)
	g := Of([]Source{{Target: "a", Host: NewHost(d, netip.Addr{}, nil, noon), State: StateOK, Seen: noon}}, nil)
	got := make(map[string]Measured)
	for _, l := range g.Links {
		got[l.Client] = *l.Measured
	}
	want := map[string]Measured{
		"container/engine of a/id-a-client": {RTTMicroseconds: 200, BytesSent: 11, BytesReceived: 22},
		"external/192.0.2.1":                {RTTMicroseconds: 50, BytesSent: 8, BytesReceived: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever a daemon answers, linking it with a well one ends, and shows the well one's links.
func FuzzLink(f *testing.F) {
	seed, err := json.Marshal(a(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080"), onHost("agent", []string{"[::]:1"})).document())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"version":1,"containers":[{"id":"a","networkMode":"container:a","listening":[{"address":"x","port":0}],"connections":[{}]},{"id":"a"},{"id":"b","networkMode":"container:c"},{"id":"c","networkMode":"container:b"}]}`))
	well := NewHost(b(server("in 172.17.0.106:8080 172.17.0.107:43614"), client("out 172.17.0.107:43614 172.17.0.106:8080")).document(), netip.Addr{}, nil, noon)
	f.Fuzz(func(t *testing.T, data []byte) {
		var d snapshot.Document
		if json.Unmarshal(data, &d) != nil {
			return
		}
		g := Of([]Source{{Target: "well", Host: well, State: StateOK}, {Target: "foreign", Host: NewHost(d, netip.Addr{}, nil, noon), State: StateOK}}, nil)
		found := slices.ContainsFunc(g.Links, func(l Link) bool {
			return strings.HasSuffix(l.Client, "id-b-client") && strings.HasSuffix(l.Server, "id-b-server") && l.Evidence == EvidenceBoth
		})
		if !found {
			t.Errorf("the well host's link is gone: %+v", g.Links)
		}
		for _, write := range []func() error{
			func() error { return WriteJSON(&bytes.Buffer{}, g) }, func() error { return WriteDOT(&bytes.Buffer{}, g) },
			func() error { return WriteMermaid(&bytes.Buffer{}, g) }, func() error { return WriteCSV(&bytes.Buffer{}, g) },
		} {
			if err := write(); err != nil {
				t.Error(err)
			}
		}
		if !slices.IsSortedFunc(g.Links, func(a, b Link) int { return a.Compare(&b) }) {
			t.Error("the links are not in order")
		}
	})
}
