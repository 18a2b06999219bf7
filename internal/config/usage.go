package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

// usage is envconfig's template of a table of name, default and description.
const usage = `{{range .}}  {{usage_key .}}	{{or (.Tags.Get "shown") (usage_default .)}}	{{usage_description .}}
{{end}}`

// Usage writes a line for each variable.
func Usage(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if err := envconfig.Usagef("", &Config{}, table, usage); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	return table.Flush()
}

// Unknown returns the names of the OUTPOST_ variables of environ ("NAME=value") that Config does not have.
func Unknown(environ []string) []string {
	known := make(map[string]bool)
	for field := range reflect.TypeFor[Config]().Fields() {
		known[field.Tag.Get("envconfig")] = true
	}
	var unknown []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "OUTPOST_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}
