package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
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

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/mapper"
)

// linksOptions are the flags of links.
type linksOptions struct {
	from  string
	write func(io.Writer, graph.Graph) error
	view  graph.View
	query url.Values // that says the same
}

// writers are the forms in which a map is printed, by their flags.
var writers = map[string]func(io.Writer, graph.Graph) error{
	"json": graph.WriteJSON, "dot": graph.WriteDOT, "mermaid": graph.WriteMermaid, "csv": graph.WriteCSV,
}

func parseLinks(args []string) (linksOptions, error) {
	o := linksOptions{write: linksTable, query: url.Values{}}
	flags := flag.NewFlagSet("links", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.from, "from", "", "")
	forms := 0
	for name, write := range writers {
		flags.BoolFunc(name, "", func(string) error {
			o.write = write
			forms++
			return nil
		})
	}
	for _, name := range graph.Options() {
		flags.Func(name, "", func(value string) error {
			o.query.Set(name, value)
			return o.view.Set(name, value)
		})
	}
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err == nil && forms > 1 {
		err = errors.New("more than one form")
	}
	if err == nil && o.from != "" {
		err = checkURL(o.from)
	}
	if err != nil {
		return o, usageError{fmt.Errorf("links: %w; see outpost --help", err)}
	}
	return o, nil
}

// links prints a map: that of --from, or else of the daemon or mapper of this configuration or, if none is there, one
// that is drawn here and now.
func links(ctx context.Context, args []string, c config.Config, stdout io.Writer) error {
	o, err := parseLinks(args)
	if err != nil {
		return err
	}
	from, tokens := o.from, c.TargetToken
	if from == "" {
		scheme, err := access.Scheme(c.WebConfig)
		if err != nil {
			return fmt.Errorf("links: %w", err)
		}
		from, tokens = scheme+"://"+c.LocalAddress(), cmp.Or(c.TargetToken, c.TokenFile)
	}
	var drawn graph.Graph
	err = fetch(ctx, c, tokens, strings.TrimRight(from, "/")+"/v1/graph?"+o.query.Encode(), &drawn)
	switch {
	case err == nil && drawn.Version != graph.Version:
		return fmt.Errorf("links: %s answers in version %d, not %d", hostOf(from), drawn.Version, graph.Version)
	case errors.Is(err, syscall.ECONNREFUSED) && o.from == "":
		drawn, err = drawHere(ctx, c)
		drawn = o.view.Apply(drawn, time.Now())
	}
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	return o.write(stdout, drawn)
}

// drawHere draws the map of this host.
func drawHere(ctx context.Context, c config.Config) (graph.Graph, error) {
	here, err := assemble(ctx, c, zerolog.Nop()) // what cannot be read is in the answer
	if err != nil {
		return graph.Graph{}, err
	}
	drawn, err := mapper.NewLocalMap(here, here.names, mapper.NewHistory(c.Window)).Graph(ctx)
	return drawn, errors.Join(err, here.close(context.WithoutCancel(ctx)))
}

// linksTable prints links for people, and below them what is wrong with targets.
func linksTable(stdout io.Writer, g graph.Graph) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CLIENT\tSERVER\tPORT\tVIA\tSEEN BY\tCONNECTIONS")
	names := namesOf(g)
	sorted := slices.SortedStableFunc(slices.Values(g.Links), func(a, b graph.Link) int {
		return cmp.Or(strings.Compare(names[a.Client], names[b.Client]), strings.Compare(names[a.Server], names[b.Server]), cmp.Compare(a.Port, b.Port))
	})
	for _, l := range sorted {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", names[l.Client], names[l.Server], l.Port, l.Via, l.Evidence, connectionsOf(l))
	}
	_ = w.Flush() // into memory
	if len(g.Links) == 0 {
		text.Reset()
		text.WriteString("No links.\n")
	}
	for _, t := range g.Targets {
		if t.State != graph.StateOK || t.Reason != "" {
			_, _ = fmt.Fprintf(&text, "%s is %s: %s\n", visible(t.Target), t.State, visible(t.Reason))
		}
	}
	for _, n := range g.Nodes {
		if n.Reason != "" {
			_, _ = fmt.Fprintf(&text, "%s is not known completely: %s\n", names[n.ID], visible(n.Reason))
		}
	}
	_, err := io.WriteString(stdout, text.String())
	return err
}

// namesOf returns what nodes are called in the table; where there are several hosts, containers by their hosts too.
func namesOf(g graph.Graph) map[string]string {
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
		case n.Kind != graph.KindContainer:
			name = string(n.Kind) + " " + n.Name
		}
		names[n.ID] = visible(name)
	}
	return names
}

func connectionsOf(l graph.Link) string {
	text := strconv.Itoa(l.Connections)
	if l.Closed > 0 {
		text += fmt.Sprintf(" and %d closed", l.Closed)
	}
	if !l.Live && l.Closed == 0 {
		text = "last " + l.LastSeen.Format(time.RFC3339)
	}
	return text
}
