package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/PabloL007/outpost/internal/graph"
)

// errDiffer means that there is a difference, which has been printed.
var errDiffer = errors.New("the maps differ")

// diff prints what is different in two maps that were saved.
func diff(args []string, stdout io.Writer) error {
	if len(args) != 2 {
		return usageError{errors.New("diff: want two files, written by outpost links --json")}
	}
	var saved [2]graph.Graph
	for i, path := range args {
		var err error
		if saved[i], err = readGraph(path); err != nil {
			return usageError{fmt.Errorf("diff: %w", err)}
		}
	}
	d := graph.Compare(saved[0], saved[1])
	for _, edge := range d.Gone {
		printEdge(stdout, "gone", edge, "")
	}
	for _, edge := range d.New {
		printEdge(stdout, "new", edge, "")
	}
	for _, change := range d.Changed {
		printEdge(stdout, "changed", change.Edge, fmt.Sprintf(": was %s, is %s", visible(change.Was), visible(change.Is)))
	}
	if d.Empty() {
		return nil
	}
	return errDiffer
}

func printEdge(w io.Writer, what string, e graph.Edge, more string) {
	_, _ = fmt.Fprintf(w, "%-8s %s -> %s:%d%s\n", what, visible(e.Client), visible(e.Server), e.Port, more)
}

func readGraph(path string) (g graph.Graph, err error) {
	file, err := os.Open(path) //nolint:gosec // whoever starts the program says which
	if err != nil {
		return g, err
	}
	defer func() { _ = file.Close() }()
	if err := json.NewDecoder(io.LimitReader(file, fetchLimit)).Decode(&g); err != nil {
		return g, fmt.Errorf("%s is no saved map: %w", path, err)
	}
	if g.Version != graph.Version {
		return g, fmt.Errorf("%s is a map of version %d, not %d", path, g.Version, graph.Version)
	}
	return g, nil
}
