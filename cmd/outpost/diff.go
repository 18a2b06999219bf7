package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/textfile"
)

// errMapsDiffer means that diff has printed a difference.
var errMapsDiffer = errors.New("the maps differ")

func newDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff A B",
		Short: "Print which links are gone, new or changed in the map of file B",
		Long:  "Print which links are gone, new or changed in the map of file B, compared with file A.\nBoth are written by outpost links --json. The exit status is 1 if the maps differ.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return wrongUse(cmd, errors.New("want two files, written by outpost links --json"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return diff(args[0], args[1], cmd.OutOrStdout()) },
	}
}

// diff prints the differences between two saved maps.
func diff(before, after string, stdout io.Writer) error {
	a, err := readMap(before)
	if err != nil {
		return err
	}
	b, err := readMap(after)
	if err != nil {
		return err
	}
	d := graph.Compare(a, b)
	for _, edge := range d.Gone {
		printEdge(stdout, "gone", edge, "")
	}
	for _, edge := range d.New {
		printEdge(stdout, "new", edge, "")
	}
	for _, change := range d.Changed {
		printEdge(stdout, "changed", change.Edge, fmt.Sprintf(": was %s, is %s", printable(change.Was), printable(change.Is)))
	}
	if d.Empty() {
		return nil
	}
	return errMapsDiffer
}

func printEdge(w io.Writer, what string, e graph.Edge, details string) {
	_, _ = fmt.Fprintf(w, "%-8s %s -> %s:%s%s\n", what, printable(e.Client), printable(e.Server), e.Port, details)
}

// readMap reads a map that outpost links --json has written.
func readMap(path string) (g graph.Graph, err error) {
	text, err := textfile.Read(path, maxAnswer)
	if err != nil {
		return g, usageError{fmt.Errorf("diff: %w", err)}
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&g); err != nil {
		return g, usageError{fmt.Errorf("diff: %s is not a saved map: %w", path, err)}
	}
	if g.Version != graph.Version {
		return g, usageError{fmt.Errorf("diff: %s is a map of version %d, want %d", path, g.Version, graph.Version)}
	}
	return g, nil
}
