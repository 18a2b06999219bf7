package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// lsOptions are the flags of ls.
type lsOptions struct {
	json   bool
	from   string
	filter snapshot.Filter
}

const lsUsage = "outpost ls [--json] [--from URL] [--container NAME|ID] [--project NAME]"

func parseLs(args []string) (lsOptions, error) {
	var o lsOptions
	flags := flag.NewFlagSet("ls", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.json, "json", false, "")
	flags.StringVar(&o.from, "from", "", "")
	flags.StringVar(&o.filter.Container, "container", "", "")
	flags.StringVar(&o.filter.Project, "project", "", "")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err == nil && o.from != "" {
		err = checkURL(o.from)
	}
	if err != nil {
		return o, usageError{fmt.Errorf("ls: %w; usage: %s", err, lsUsage)}
	}
	return o, nil
}

func checkURL(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("--from: want an address such as http://localhost:9057") // what it is instead may hold a password
	}
	return nil
}

// hostOf returns an address's host, without a password.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// ls prints a snapshot: one taken here, or by the daemon of --from.
func ls(ctx context.Context, args []string, c config.Config, stdout io.Writer) error {
	o, err := parseLs(args)
	if err != nil {
		return err
	}
	document, err := take(ctx, o, c)
	if err != nil {
		return err
	}
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(document)
	}
	return table(stdout, document)
}

func take(ctx context.Context, o lsOptions, c config.Config) (snapshot.Document, error) {
	if o.from != "" {
		return fetchSnapshot(ctx, c, o.from, o.filter)
	}
	here, err := assemble(ctx, c, zerolog.Nop()) // what cannot be read is in the answer
	if err != nil {
		return snapshot.Document{}, err
	}
	taken, err := here.Snapshot(ctx, true)
	if err == nil && c.IsMethodForced() {
		err = here.works(ctx)
	}
	return snapshot.DocumentOf(o.filter.Apply(taken)), errors.Join(err, here.close(context.WithoutCancel(ctx)))
}

// fetchSnapshot asks a daemon.
func fetchSnapshot(ctx context.Context, c config.Config, from string, filter snapshot.Filter) (document snapshot.Document, err error) {
	query := url.Values{"container": {filter.Container}, "project": {filter.Project}}
	if err := fetch(ctx, c, c.TargetToken, strings.TrimRight(from, "/")+"/v1/snapshot?"+query.Encode(), &document); err != nil {
		return document, fmt.Errorf("ls: %w", err)
	}
	if document.Version != snapshot.Version {
		return document, fmt.Errorf("ls: %s answers in version %d, not %d", hostOf(from), document.Version, snapshot.Version)
	}
	return document, nil
}

// table prints the containers for people, and below them why something is missing.
func table(stdout io.Writer, document snapshot.Document) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CONTAINER\tLISTENING\tPUBLISHED AS\tIN\tOUT\tREAD BY")
	for _, c := range document.Containers {
		rows(w, c)
	}
	_ = w.Flush() // into memory
	for _, c := range document.Containers {
		if c.Reason != "" {
			_, _ = fmt.Fprintf(&text, "%s is %s: %s\n", visible(c.Name), c.Status, visible(c.Reason))
		}
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(stdout, visible(strings.TrimRight(line, " \n"))); err != nil {
			return err
		}
	}
	return nil
}

// rows prints a container: its first listener beside its name, each other one on a line of its own.
func rows(w io.Writer, c snapshot.ContainerDocument) {
	in, out := 0, 0
	for _, connection := range c.Connections {
		switch {
		case connection.State != "ESTABLISHED":
		case connection.Direction == "in":
			in++
		default:
			out++
		}
	}
	listening := endpointsOf(c.Listening)
	_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", visible(strings.TrimPrefix(c.Name, "/")), listening[0], in, out, readBy(c))
	for _, more := range listening[1:] {
		_, _ = fmt.Fprintf(w, "\t%s\t\t\t\n", more)
	}
}

// readBy is the method, marked if something is missing.
func readBy(c snapshot.ContainerDocument) string {
	if c.Status != snapshot.StatusOK {
		return string(c.Method) + " (" + c.Status + ")"
	}
	return string(c.Method)
}

// endpointsOf returns the columns of each listener, equal ones once; at least one line.
func endpointsOf(listening []snapshot.ListenerDocument) []string {
	var lines []string
	for _, l := range listening {
		published := make([]string, len(l.Published))
		for i, p := range l.Published {
			published[i] = p.String()
		}
		line := l.String() + "\t" + strings.Join(published, " ")
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return []string{"-\t"}
	}
	return lines
}
