package graph

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// label returns the label of a node.
func (n Node) label() string {
	switch n.Kind {
	case KindContainer, KindExternal, KindUnknown, KindService, KindProject, KindImage:
		return n.Name
	case KindHost, KindAmbiguous:
	}
	return string(n.Kind) + " " + n.Name
}

// label returns the label of a link: its port, and the number of connections if there are several. Without any, it is the number of
// those that ended within the last minute, or that the server does not answer or refuses.
func (l Link) label() string {
	text := l.ServerPort().String()
	switch {
	case l.Connections > 1:
		text += " ×" + strconv.Itoa(l.Connections)
	case l.isOnlyClosing(), l.isFailed():
		text += " · " + l.stat()
	}
	return text
}

// clusterNames are the clusters around a node, the outermost first. The name is empty if the node is in no such cluster.
var clusterNames = []func(Node) string{
	func(n Node) string { return n.Host },
	func(n Node) string {
		if n.Kind == KindProject {
			return ""
		}
		return n.Project
	},
}

// diagramSyntax is how a language writes clusters and nodes.
type diagramSyntax struct {
	begin func(id, name, indent string) string // of a cluster
	end   string
	node  func(i int, n Node) string
}

// writeNodes writes a line for each node, in the clusters of its host and project.
func (s diagramSyntax) writeNodes(text *strings.Builder, nodes []Node) {
	all := make([]int, len(nodes))
	for i := range nodes {
		all[i] = i
	}
	s.writeClusters(text, nodes, all, clusterNames, "", "  ")
}

// writeClusters writes the nodes with some indexes. names are the names of the clusters that remain to be written.
func (s diagramSyntax) writeClusters(text *strings.Builder, nodes []Node, members []int, names []func(Node) string, id, indent string) {
	if len(names) == 0 {
		for _, i := range members {
			text.WriteString(indent + s.node(i, nodes[i]) + "\n")
		}
		return
	}
	clusters, membersOf := divide(nodes, members, names[0])
	for i, name := range clusters {
		inner := id + "_" + strconv.Itoa(i)
		if name == "" {
			s.writeClusters(text, nodes, membersOf[name], names[1:], inner, indent)
			continue
		}
		text.WriteString(indent + s.begin(inner, name, indent) + "\n")
		s.writeClusters(text, nodes, membersOf[name], names[1:], inner, indent+"  ")
		text.WriteString(indent + s.end + "\n")
	}
}

// divide returns the names of nodes in order of appearance, and the indexes of the nodes of each name.
func divide(nodes []Node, members []int, nameOf func(Node) string) (names []string, membersOf map[string][]int) {
	membersOf = make(map[string][]int)
	for _, i := range members {
		name := nameOf(nodes[i])
		if membersOf[name] == nil {
			names = append(names, name)
		}
		membersOf[name] = append(membersOf[name], i)
	}
	return names, membersOf
}

// indexes returns the index of each node by ID.
func indexes(nodes []Node) map[string]int {
	index := make(map[string]int, len(nodes))
	for i, n := range nodes {
		index[n.ID] = i
	}
	return index
}

// WriteJSON writes a graph as JSON.
func WriteJSON(w io.Writer, g Graph) error { return json.NewEncoder(w).Encode(g) }

// WriteDOT writes a graph in the DOT language of Graphviz.
func WriteDOT(w io.Writer, g Graph) error {
	var text strings.Builder
	text.WriteString("digraph outpost {\n  rankdir=LR;\n  node [shape=box];\n")
	diagramSyntax{
		begin: func(id, name, indent string) string {
			return fmt.Sprintf("subgraph cluster%s {\n%s  label=%s;", id, indent, dotQuoted(name))
		},
		end: "}",
		node: func(i int, n Node) string {
			return fmt.Sprintf("n%d [label=%s%s%s];", i, dotQuoted(n.label()), dotShape(n), dotColor(n))
		},
	}.writeNodes(&text, g.Nodes)
	index := indexes(g.Nodes)
	for _, l := range g.Links {
		style := ""
		switch {
		case l.Gone && !l.Live:
			style = ", color=red"
		case !l.Live:
			style = ", color=gray"
		case l.isFailed():
			style = ", color=red"
		case l.New:
			style = ", color=green"
		}
		switch {
		case l.Evidence != EvidenceBoth:
			style += ", style=dashed"
		case l.isIdle():
			style += ", style=dotted"
		}
		fmt.Fprintf(&text, "  n%d -> n%d [label=%s%s];\n", index[l.Client], index[l.Server], dotQuoted(l.label()), style)
	}
	text.WriteString("}\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func dotShape(n Node) string {
	switch n.Kind {
	case KindExternal:
		return ", shape=ellipse"
	case KindAmbiguous, KindUnknown:
		return ", shape=diamond"
	case KindContainer, KindHost, KindService, KindProject, KindImage:
	}
	return ""
}

func dotColor(n Node) string {
	switch {
	case n.Gone:
		return ", color=red"
	case n.New:
		return ", color=green"
	}
	return ""
}

// dotQuoted quotes a text for DOT, where a backslash starts an escape sequence, and an ampersand an entity of HTML.
func dotQuoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;").Replace(printable(text)) + `"`
}

// printable returns a text of bounded length in one line, as labels need it: Graphviz rejects longer ones, Mermaid other lines,
// and SVG control characters and noncharacters. These become spaces.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) {
			return ' '
		}
		return r
	}, Truncate(text))
}

// WriteMermaid writes a graph as a Mermaid flowchart.
func WriteMermaid(w io.Writer, g Graph) error {
	var text strings.Builder
	text.WriteString("flowchart LR\n")
	diagramSyntax{
		begin: func(id, name, _ string) string { return fmt.Sprintf("subgraph cluster%s[%s]", id, mermaidQuoted(name)) },
		end:   "end",
		node: func(i int, n Node) string {
			left, right := mermaidShape(n)
			return fmt.Sprintf("n%d%s%s%s", i, left, mermaidQuoted(n.label()), right)
		},
	}.writeNodes(&text, g.Nodes)
	index := indexes(g.Nodes)
	for _, l := range g.Links {
		arrow := "-->"
		if l.Evidence != EvidenceBoth || !l.Live {
			arrow = "-.->"
		}
		fmt.Fprintf(&text, "  n%d %s|%s| n%d\n", index[l.Client], arrow, mermaidQuoted(l.label()), index[l.Server])
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func mermaidShape(n Node) (left, right string) {
	switch n.Kind {
	case KindExternal:
		return "([", "])"
	case KindAmbiguous, KindUnknown:
		return "{", "}"
	case KindContainer, KindHost, KindService, KindProject, KindImage:
	}
	return "[", "]"
}

// mermaidQuoted quotes a text for Mermaid. Characters that Mermaid or a browser may read as markup become numeric entities.
func mermaidQuoted(text string) string {
	if text == "" {
		text = " " // Mermaid rejects an empty label
	}
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, r := range printable(text) {
		if strings.ContainsRune("\"<>&#;`\\[]{}|", r) {
			fmt.Fprintf(&quoted, "#%d;", r)
		} else {
			quoted.WriteRune(r)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

// WriteCSV writes a row for each link below a header row.
func WriteCSV(w io.Writer, g Graph) error {
	table := csv.NewWriter(w)
	rows := [][]string{slices.Concat([]string{
		"client_kind", "client_host", "client", "server_kind", "server_host", "server", "port", "via", "evidence",
		"connections", "closed", "live", "first_seen", "last_seen",
	}, counterColumns, []string{"protocol"})}
	index := indexes(g.Nodes)
	for _, l := range g.Links {
		client, server := g.Nodes[index[l.Client]], g.Nodes[index[l.Server]]
		rows = append(rows, slices.Concat([]string{
			string(client.Kind), escapeFormula(client.Host), escapeFormula(client.Name), string(server.Kind), escapeFormula(server.Host), escapeFormula(server.Name),
			strconv.Itoa(int(l.Port)), l.Via.String(), l.Evidence.String(),
			l.count(l.Connections), l.count(l.Closed), strconv.FormatBool(l.Live),
			l.FirstSeen.Format(time.RFC3339), l.LastSeen.Format(time.RFC3339),
		}, l.Counters.columns(), []string{l.Protocol.String()}))
	}
	return table.WriteAll(rows)
}

// count writes a number of connections, and nothing if it is unknown.
func (l Link) count(n int) string {
	if l.CountsUnknown {
		return ""
	}
	return strconv.Itoa(n)
}

// escapeFormula returns text that no spreadsheet reads as a formula.
func escapeFormula(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
