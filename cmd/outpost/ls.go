package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/snapshot"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// lsOptions are the flags of ls.
type lsOptions struct {
	json   bool
	from   string
	filter snapshot.Filter
}

func newLsCommand() *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:               "ls",
		Short:             "Print the containers, what they listen on and how many connections they have",
		Long:              "Print the containers, what they listen on and how many connections they have.\nOutpost reads this host itself, or asks the daemon of --from.",
		Args:              rejectArgumentsOfFlags,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig()
			if err != nil {
				return err
			}
			return ls(cmd.Context(), o, c, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&o.json, "json", false, "print the JSON of /v1/snapshot")
	addFromFlag(flags, &o.from, "ask the daemon at `URL`, such as http://localhost:9057")
	flags.StringVar(&o.filter.Container, "container", "", "only the container with this `NAME|ID`; the beginning of an ID suffices")
	flags.StringVar(&o.filter.Project, "project", "", "only the containers of the Compose project `NAME`")
	return cmd
}

// ls prints a snapshot: one taken here, or by the daemon of --from.
func ls(ctx context.Context, o lsOptions, c config.Config, stdout io.Writer) error {
	document, err := takeSnapshot(ctx, o, c)
	if err != nil {
		return err
	}
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(document)
	}
	return printContainers(stdout, document)
}

func takeSnapshot(ctx context.Context, o lsOptions, c config.Config) (snapshotv1.Snapshot, error) {
	if o.from != "" {
		return fetchSnapshot(ctx, c, o.from, o.filter)
	}
	here, err := assemble(ctx, c, zerolog.Nop()) // the snapshot has the reasons for what cannot be read
	if err != nil {
		return snapshotv1.Snapshot{}, err
	}
	taken, err := here.Snapshot(ctx, true)
	if err == nil && c.IsMethodForced() {
		err = here.checkForcedMethod(ctx)
	}
	return o.filter.Apply(taken).ToV1(), errors.Join(err, here.close(context.WithoutCancel(ctx)))
}

func fetchSnapshot(ctx context.Context, c config.Config, from string, filter snapshot.Filter) (document snapshotv1.Snapshot, err error) {
	query := url.Values{"container": {filter.Container}, "project": {filter.Project}}
	if err := fetch(ctx, c, c.TargetToken, strings.TrimRight(from, "/")+"/v1/snapshot?"+query.Encode(), &document); err != nil {
		return document, fmt.Errorf("ls: %w", err)
	}
	if document.Version != snapshotv1.Version {
		return document, fmt.Errorf("ls: %s answers in version %d, not %d", urlHost(from), document.Version, snapshotv1.Version)
	}
	return document, nil
}

// printContainers prints a table of the containers, and below it the reasons for what is missing.
func printContainers(stdout io.Writer, document snapshotv1.Snapshot) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CONTAINER\tLISTENING\tPUBLISHED AS\tIN\tOUT\tREAD BY")
	for _, c := range document.Containers {
		printContainer(w, c)
	}
	_ = w.Flush() // a strings.Builder cannot fail
	for _, c := range document.Containers {
		if c.Reason != "" {
			_, _ = fmt.Fprintf(&text, "%s (%s): %s\n", printable(c.Name), c.Status, printable(c.Reason))
		}
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(stdout, printable(strings.TrimRight(line, " \n"))); err != nil {
			return err
		}
	}
	return nil
}

// printContainer prints the first listener beside the container's name, and each other one in a line of its own.
func printContainer(w io.Writer, c snapshotv1.Container) {
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
	listening := formatListeners(c.Listening)
	_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", printable(strings.TrimPrefix(c.Name, "/")), listening[0], in, out, formatMethod(c))
	for _, more := range listening[1:] {
		_, _ = fmt.Fprintf(w, "\t%s\t\t\t\n", more)
	}
}

// formatMethod returns the method, and the status if something is missing.
func formatMethod(c snapshotv1.Container) string {
	if c.Status != snapshotv1.StatusOK {
		return string(c.Method) + " (" + c.Status + ")"
	}
	return string(c.Method)
}

// formatListeners returns the columns of each listener, adjacent equal ones once; at least one line.
func formatListeners(listening []snapshotv1.Listener) []string {
	var lines []string
	for _, l := range listening {
		published := make([]string, len(l.Published))
		for i, p := range l.Published {
			published[i] = p.String() + l.Protocol.Suffix()
		}
		line := l.String() + l.Protocol.Suffix() + "\t" + strings.Join(published, " ")
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return []string{"-\t"}
	}
	return lines
}
