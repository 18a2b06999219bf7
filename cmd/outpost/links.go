package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/daemon"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/history"
)

// linksOptions are the flags of links.
type linksOptions struct {
	from  string
	write func(io.Writer, graph.Graph) error
	forms int // how many flags choose a form
	view  graph.View
	query url.Values // the same view as parameters of /v1/graph
}

// linkForms are the flags that choose the form of the output.
var linkForms = []struct {
	flag, usage string
	write       func(io.Writer, graph.Graph) error
}{
	{"json", "print the JSON of /v1/graph, which outpost diff reads", graph.WriteJSON},
	{"dot", "print a graph for Graphviz", graph.WriteDOT},
	{"mermaid", "print a flowchart for Mermaid", graph.WriteMermaid},
	{"csv", "print comma-separated values", graph.WriteCSV},
	{"wide", "print a table with the connections opened, failed dials, bytes, retransmits and median round-trip time", printWideLinks},
}

// viewFlags describes the flags of links that are parameters of /v1/graph too.
var viewFlags = map[string]string{
	"container": "only the container with this `NAME|ID`, and what it is linked with",
	"image":     "only the containers of the image `NAME`, and what they are linked with",
	"node":      "only the node or group with this `ID` or reference, and what it is linked with",
	"q":         "only what a `QUERY` selects: terms such as project:shop -is:monitoring port:8000-8099",
	"depth":     "with --container, --project, --host, --image, --node or --q: how many links away to go, `N` from 1 to 100; by default 1",
	"port":      "only the links to port `N`",
	"protocol":  "only the links of `tcp|udp`",
	"dns":       "`show|hide` links to the engine's own DNS resolver; hidden by default",
	"state":     "only `live|past` links",
	"unlinked":  "`show|hide` containers without links",
	"at":        "the links of an earlier `TIME`, such as 2026-01-02T15:04:05Z",
	"newSince":  "mark what is new or gone since a `DURATION|TIME`: in JSON, and green or red in DOT",
	"open":      "show the members of the group with this `ID`; may be repeated",
	"closed":    "show the group with this `ID` although --group is another; may be repeated",
	"project":   "only the containers of the Compose project `NAME`, and what they are linked with",
	"host":      "only the host `NAME`, and what it is linked with",
	"since":     "only the links seen since a `DURATION|TIME`, such as 10m or 2026-01-02T15:04:05Z",
	"external":  "`show|group|hide` external addresses without a name; by default show",
	"group":     "combine containers by `container|service|project|host|image`; by default container",
}

func newLinksCommand() *cobra.Command {
	o := linksOptions{write: printLinks, query: url.Values{}}
	cmd := &cobra.Command{
		Use:   "links",
		Short: "Print who talks to whom",
		Long: `Print who talks to whom: the map of --from, or else of the daemon or mapper at OUTPOST_LISTEN.
If nothing listens there, Outpost reads this host itself.`,
		Args:              rejectArgumentsOfFlags,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.forms > 1 {
				return wrongUse(cmd, errors.New("more than one output format: choose one of them"))
			}
			c, err := readConfig()
			if err != nil {
				return err
			}
			return links(cmd.Context(), o, c, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, form := range linkForms {
		flags.BoolFunc(form.flag, form.usage, func(string) error {
			o.write = form.write
			o.forms++
			return nil
		})
	}
	addFromFlag(flags, &o.from, "ask the daemon or mapper at `URL`, such as http://localhost:9057")
	for _, name := range graph.Options() {
		flags.Func(name, cmp.Or(viewFlags[name], "see /v1/graph"), func(value string) error {
			o.query.Add(name, value)
			return o.view.Set(name, value)
		})
	}
	return cmd
}

// links prints a map: that of --from, or else of the daemon or mapper of this configuration. If nothing listens there,
// it reads this host itself.
func links(ctx context.Context, o linksOptions, c config.Config, stdout io.Writer) error {
	from, tokenFile := o.from, c.TargetToken
	if from == "" {
		scheme, err := access.Scheme(c.WebConfig)
		if err != nil {
			return fmt.Errorf("links: %w", err)
		}
		from, tokenFile = scheme+"://"+c.LocalAddress(), cmp.Or(c.TargetToken, c.TokenFile)
	}
	var g graph.Graph
	err := fetch(ctx, c, tokenFile, strings.TrimRight(from, "/")+"/v1/graph?"+o.query.Encode(), &g)
	switch {
	case err == nil && g.Version != graph.Version:
		return fmt.Errorf("links: %s answers in version %d, not %d", urlHost(from), g.Version, graph.Version)
	case errors.Is(err, syscall.ECONNREFUSED) && o.from == "":
		g, err = localMap(ctx, c)
		g = o.view.Apply(g, time.Now())
	}
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	return o.write(stdout, g)
}

// localMap returns the map of this host.
func localMap(ctx context.Context, c config.Config) (graph.Graph, error) {
	here, err := assemble(ctx, c, zerolog.Nop()) // the map has the reasons for what cannot be read
	if err != nil {
		return graph.Graph{}, err
	}
	g, err := daemon.NewLocalMap(here, here.names, history.New(c.Window)).Graph(ctx)
	return g, errors.Join(err, here.close(context.WithoutCancel(ctx)))
}

// printLinks prints a table of links, and below it what is wrong with targets and nodes.
func printLinks(stdout io.Writer, g graph.Graph) error {
	return printLinkTable(stdout, g, nil, func(graph.Link) []string { return nil })
}

// printLinkTable prints the table of printLinks with more columns. cellsOf returns the cells of a link in them.
func printLinkTable(stdout io.Writer, g graph.Graph, columns []string, cellsOf func(graph.Link) []string) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(append([]string{"CLIENT\tSERVER\tPORT\tVIA\tSEEN BY\tCONNECTIONS"}, columns...), "\t"))
	names := nodeNames(g)
	sorted := slices.SortedStableFunc(slices.Values(g.Links), func(a, b graph.Link) int {
		return cmp.Or(strings.Compare(names[a.Client], names[b.Client]), strings.Compare(names[a.Server], names[b.Server]), a.ServerPort().Compare(b.ServerPort()))
	})
	for _, l := range sorted {
		row := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", names[l.Client], names[l.Server], l.ServerPort(), l.Via, l.Evidence, formatConnections(l))
		_, _ = fmt.Fprintln(w, strings.Join(append([]string{row}, cellsOf(l)...), "\t"))
	}
	_ = w.Flush() // a strings.Builder cannot fail
	if len(g.Links) == 0 {
		text.Reset()
		text.WriteString("No links.\n")
	}
	for _, t := range g.Targets {
		if t.State != graph.StateOK || t.Reason != "" {
			_, _ = fmt.Fprintf(&text, "%s (%s): %s\n", printable(t.Target), t.State, printable(t.Reason))
		}
	}
	for _, n := range g.Nodes {
		if n.Reason != "" {
			_, _ = fmt.Fprintf(&text, "%s is incomplete: %s\n", names[n.ID], printable(n.Reason))
		}
	}
	_, err := io.WriteString(stdout, text.String())
	return err
}

// nodeNames returns the nodes' names in the table, by ID. Containers of several hosts are prefixed with their hosts. Other nodes are prefixed
// with their kinds, unless the name says it.
func nodeNames(g graph.Graph) map[string]string {
	hosts := make(map[string]bool)
	for _, n := range g.Nodes {
		if n.Host != "" {
			hosts[n.Host] = true
		}
	}
	names := make(map[string]string, len(g.Nodes))
	for _, n := range g.Nodes {
		name := n.Name
		switch {
		case n.Kind == graph.KindContainer && len(hosts) > 1:
			name = n.Host + "/" + n.Name
		case n.Kind != graph.KindContainer && n.Kind != graph.KindUnknown:
			name = string(n.Kind) + " " + n.Name
		}
		names[n.ID] = printable(name)
	}
	return names
}

func formatConnections(l graph.Link) string {
	switch {
	case l.CountsUnknown && l.Live:
		return "live then"
	case l.IsRefused():
		return formatRefused(l)
	case l.Connections+l.Closed == 0 && l.Attempts == 1:
		return "no answer, 1 attempt"
	case l.Connections+l.Closed == 0 && l.Attempts > 0:
		return fmt.Sprintf("no answer, %d attempts", l.Attempts)
	case l.Unanswered:
		return "no answer"
	case l.Connections == 0 && l.Closed > 0:
		return fmt.Sprintf("active, %d/min", l.Closed)
	case l.Connections == 0:
		return "last " + l.LastSeen.Format(time.RFC3339)
	case l.Closed > 0:
		return fmt.Sprintf("%d and %d closed", l.Connections, l.Closed)
	}
	return strconv.Itoa(l.Connections)
}
