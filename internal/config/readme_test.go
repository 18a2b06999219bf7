package config

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The table of variables in README.md is the one of --help: name, default and meaning, in the same order.
func TestReadmeHasTheTableOfHelp(t *testing.T) {
	var help bytes.Buffer
	if err := Usage(&help); err != nil {
		t.Fatal(err)
	}
	columns := regexp.MustCompile(` {2,}`)
	var want [][]string
	for line := range strings.Lines(help.String()) {
		want = append(want, columns.Split(strings.TrimSpace(line), -1))
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| variable | default | meaning |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var got [][]string
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, "`", ""), "| "), " | ")
		got = append(got, cells)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-help +README.md:\n%s", diff)
	}
}
