package e2e

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/graph"
)

// foreignProgram returns the path of a program that the test needs. Without it the test is skipped, and fails in CI.
func foreignProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		failInCI(t, fmt.Sprintf("%v: run .ci/engine start test", err))
	}
	return path
}

// npmPackages returns the directory with the packages of `make npm`. Without them the test is skipped, and fails in CI.
func npmPackages(t testing.TB) string {
	t.Helper()
	foreignProgram(t, "node")
	directory := filepath.Join(root, ".build", "npm")
	if _, err := os.Stat(filepath.Join(directory, "package")); err != nil { // installed last
		failInCI(t, fmt.Sprintf("%v: run make npm", err))
	}
	return directory
}

// failInCI skips a test that cannot run here. With CI=true it fails.
func failInCI(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// pipe runs a program in a directory with an input, and returns what it prints. The program must succeed without messages.
func pipe(t testing.TB, input, directory, program string, args ...string) (output []byte) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	var messages bytes.Buffer
	command.Stdin, command.Stderr, command.Dir = strings.NewReader(input), &messages, directory
	output, err := command.Output()
	if err != nil || messages.Len() > 0 {
		t.Fatalf("%s: %v: %s%s", program, err, messages.String(), output)
	}
	return output
}

// hostileNames have a meaning in DOT, Mermaid, HTML, SVG or a terminal. The values are their labels if these differ.
var hostileNames = map[string]string{
	`"];a->b;//`: "", `a"`: "", `ends with \`: "", `\N \G \l \" \\`: "", "<b>bold</b>": "", "</text></svg><script>alert(1)</script>": "",
	"<img src=x onerror=alert(1)>": "", "&lt;b&gt; &amp; &#34; &": "", "`code` **bold** _it_": "", "{a} [b] (c) |d| ; '": "", "]-->x": "", "%% comment": "",
	"%%{init: {}}%%": "", "end": "", "subgraph x": "", "style n0 fill:red": "", "#34; #quot; #": "", "Grüße 漢字 🐳 \u202eabc": "", "": "", "$$x$$": "",
	"@{ shape: cyl }":             "",
	"line\nbreak\rcarriage\ttab":  "line break carriage tab",
	"---\ntitle: x\n---":          "--- title: x ---",
	"a\u2028%% b\u2029%% c":       "a %% b %% c",
	"a\x00b\x1b[31mc\x7fd\u0085e": "a b [31mc d e",
	"a\ufffeb\uffffc":             "a b c",
	"not \xff UTF-8":              "not \ufffd UTF-8",
	strings.Repeat("long", 5000):  strings.Repeat("long", 64) + "…",
}

// diagram is what a program read from a diagram, by its labels.
type diagram struct {
	Nodes, Clusters, Links []string
}

// sorted returns the diagram in alphabetical order, without what the layout does to spaces.
func (d diagram) sorted() diagram {
	for _, labels := range [][]string{d.Nodes, d.Clusters, d.Links} {
		for i, label := range labels {
			labels[i] = strings.Join(strings.Fields(label), " ")
		}
		slices.Sort(labels)
	}
	return d
}

// hostileGraph has two linked nodes for each hostile name: a container on a host and in a project of that name, and an external address.
func hostileGraph() (g graph.Graph, want diagram) {
	for name, label := range hostileNames {
		if label == "" {
			label = name
		}
		client, server := fmt.Sprintf("client/%q", name), fmt.Sprintf("server/%q", name)
		g.Nodes = append(g.Nodes,
			graph.Node{ID: client, Kind: graph.KindContainer, Host: name, Project: name, Name: name},
			graph.Node{ID: server, Kind: graph.KindExternal, Name: name})
		g.Links = append(g.Links, graph.Link{Client: client, Server: server, Port: 80, Evidence: graph.EvidenceClient, Connections: 2, Live: true})
		want.Nodes = append(want.Nodes, label, label)
		want.Links = append(want.Links, label+" > "+label+": 80 ×2")
		if name != "" {
			want.Clusters = append(want.Clusters, label, label)
		}
	}
	return g, want.sorted()
}

// drawDOT draws a text with Graphviz.
func drawDOT(t *testing.T, text string) (drawn diagram) {
	t.Helper()
	svg := pipe(t, text, "", foreignProgram(t, "dot"), "-Tsvg")
	var document struct {
		Groups []struct {
			Class string `xml:"class,attr"`
			Title string `xml:"title"`
			Text  string `xml:"text"`
		} `xml:"g>g"`
	}
	if err := xml.Unmarshal(svg, &document); err != nil {
		t.Fatalf("%v in %s", err, svg)
	}
	labels := make(map[string]string)
	for _, group := range document.Groups {
		switch group.Class {
		case "node":
			labels[group.Title] = group.Text
			drawn.Nodes = append(drawn.Nodes, group.Text)
		case "cluster":
			drawn.Clusters = append(drawn.Clusters, group.Text)
		case "edge":
			client, server, _ := strings.Cut(group.Title, "->")
			drawn.Links = append(drawn.Links, labels[client]+" > "+labels[server]+": "+group.Text)
		}
	}
	return drawn.sorted()
}

// parseMermaid parses a text with Mermaid.
func parseMermaid(t *testing.T, text string) (parsed diagram) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "mermaid.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	output := pipe(t, text, npmPackages(t), "node", "--input-type=module", "--eval", string(script))
	if err := json.Unmarshal(output, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.sorted()
}

func TestGraphvizDrawsHostileNames(t *testing.T) {
	g, want := hostileGraph()
	var text strings.Builder
	if err := graph.WriteDOT(&text, g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, drawDOT(t, text.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMermaidParsesHostileNames(t *testing.T) {
	g, want := hostileGraph()
	var text strings.Builder
	if err := graph.WriteMermaid(&text, g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, parseMermaid(t, text.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// `outpost links` prints a real map, in which a label of a container is hostile.
func TestDiagramsOfTheCommandLine(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const project = "shop\"];\n<b>&amp;|{#34;\\"
	l.peer("server", []string{"--label", "com.docker.compose.project=" + project, "--label", "com.docker.compose.service=web"}, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:2:"+l.address("server")+":80")
	o := start(t)
	want := diagram{
		Nodes: []string{l.Name("client"), `shop"]; <b>&amp;|{#34;\`},
		Links: []string{l.Name("client") + ` > shop"]; <b>&amp;|{#34;\: 80 ×2`},
	}.sorted()
	for form, read := range map[string]func(*testing.T, string) diagram{"--dot": drawDOT, "--mermaid": parseMermaid} {
		output, status := runOutpost(t, nil, "links", "--from", o.url, form, "--group", "project", "--container", l.Name("client"))
		if status != 0 {
			t.Fatalf("%s: %d %s", form, status, output)
		}
		got := read(t, output)
		got.Clusters = nil // the machine's name
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", form, diff)
		}
	}
}
