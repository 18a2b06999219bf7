package linkfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/graph"
)

func TestParse(t *testing.T) {
	long := "Long https://logs.example/" + strings.Repeat("é", maxLineLength-len("Long https://logs.example/"))
	many := strings.Repeat("Logs /logs/{id}\n", maxLinks)
	for name, test := range map[string]struct {
		text  string
		want  []graph.ContainerLink
		fails string
	}{
		"nothing":                {"", nil, ""},
		"comments":               {"# Logs https://logs.example\n\n \t# more\r\n", nil, ""},
		"a link":                 {"Logs https://dozzle.example/container/{id}\n", []graph.ContainerLink{{Label: "Logs", URL: "https://dozzle.example/container/{id}"}}, ""},
		"without a newline":      {"Logs http://dozzle.example", []graph.ContainerLink{{Label: "Logs", URL: "http://dozzle.example"}}, ""},
		"a label with spaces":    {"  Logs of  it \t https://logs.example/{name}  # all of them\r\n", []graph.ContainerLink{{Label: "Logs of  it", URL: "https://logs.example/{name}"}}, ""},
		"a fragment":             {"Logs https://logs.example/#/{name}\n", []graph.ContainerLink{{Label: "Logs", URL: "https://logs.example/#/{name}"}}, ""},
		"a path":                 {"Logs /logs?name={name}\n", []graph.ContainerLink{{Label: "Logs", URL: "/logs?name={name}"}}, ""},
		"a host":                 {"Logs http://{host}:8080/{shortID}\n", []graph.ContainerLink{{Label: "Logs", URL: "http://{host}:8080/{shortID}"}}, ""},
		"all placeholders":       {"All /{id}{shortID}{name}{host}{project}{service}{image}{from}", []graph.ContainerLink{{Label: "All", URL: "/{id}{shortID}{name}{host}{project}{service}{image}{from}"}}, ""},
		"an upper-case scheme":   {"Logs HTTPS://logs.example/", []graph.ContainerLink{{Label: "Logs", URL: "HTTPS://logs.example/"}}, ""},
		"two links":              {"B /b\nA /a\n", []graph.ContainerLink{{Label: "B", URL: "/b"}, {Label: "A", URL: "/a"}}, ""},
		"as long as it may be":   {long + "\n", []graph.ContainerLink{{Label: "Long", URL: strings.TrimPrefix(long, "Long ")}}, ""},
		"longer":                 {"# first\n" + long + "é\n", nil, "line 2: want at most 2000 characters"},
		"a long comment":         {"#" + strings.Repeat("x", maxLineLength), nil, "line 1: want at most 2000 characters"},
		"too many":               {many + "\nLogs /logs", nil, "line 22: want at most 20 links"},
		"no label":               {"https://logs.example/{id}", nil, `line 1: "https://logs.example/{id}": want a label and a URL, such as Logs https://logs.example/{name}`},
		"no URL":                 {"\nLogs # https://logs.example", nil, `line 2: "Logs": want a label and a URL, such as Logs https://logs.example/{name}`},
		"an unknown placeholder": {"Logs https://logs.example/{ID}", nil, `line 1: "https://logs.example/{ID}": unknown placeholder {ID}: want one of {id}, {shortID}, {name}, {host}, {project}, {service}, {image}, {from}`},
		"an empty placeholder":   {"Logs https://logs.example/{}", nil, `line 1: "https://logs.example/{}": unknown placeholder {}: want one of {id}, {shortID}, {name}, {host}, {project}, {service}, {image}, {from}`},
		"an open brace":          {"Logs https://logs.example/{id", nil, `line 1: "https://logs.example/{id": want %7B and %7D for braces that are no placeholder`},
		"a brace around another": {"Logs https://logs.example/{{id}}", nil, `line 1: "https://logs.example/{{id}}": want %7B and %7D for braces that are no placeholder`},
		"a dot segment":          {"Logs https://logs.example/../{id}", nil, `line 1: "https://logs.example/../{id}": want a path without "." and ".." in it`},
		"an escaped dot segment": {"Logs /%2e%2E/{id}", nil, `line 1: "/%2e%2E/{id}": want a path without "." and ".." in it`},
	} {
		got, err := parse("links.txt", test.text)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if reason := fmt.Sprint(err); test.fails != "" && reason != "links.txt: "+test.fails || test.fails == "" && err != nil {
			t.Errorf("%s: error %v, want %q", name, err, test.fails)
		}
	}
}

func TestOnlyTheWebIsLinked(t *testing.T) {
	for _, template := range []string{
		"javascript:alert(1)", "JavaScript://logs.example/%0aalert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://logs.example/", "ssh://{host}", "{name}://logs.example",
		"{name}", "//logs.example/{id}", `/\logs.example/{id}`, `\\logs.example`, "logs.example/{id}", "logs/{id}", "?id={id}", "#{id}", "https:", "https://", "https:///{id}", "https:logs.example",
		"http://:80/", "https://logs.example:port/", "https://logs.example:{id}/", "https://[::1/{id}", "https://logs.example/%zz", "https://a\x00b/", "https://a\x7fb/",
	} {
		links, err := parse("links.txt", "Logs "+template)
		if err == nil {
			t.Errorf("%q: %v", template, links)
		}
	}
}

func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "links")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var logged bytes.Buffer
	write("\xef\xbb\xbfLogs /logs/{id}\r\n")
	f, err := Open(path, zerolog.New(&logged))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what, label string, lines int) {
		t.Helper()
		for range 2 {
			if links := f.Links(); len(links) != 1 || links[0].Label != label {
				t.Errorf("%s: %v, want %s", what, links, label)
			}
		}
		if n := strings.Count(logged.String(), "\n"); n != lines {
			t.Errorf("%s: %d lines in the log, want %d: %s", what, n, lines, &logged)
		}
	}
	expect("first", "Logs", 0)
	write("Metrics /metrics/{id}\n")
	expect("changed", "Metrics", 0)
	write("Metrics javascript:{id}\n")
	expect("invalid", "Metrics", 1)
	write("Logs /logs/{id}\n")
	expect("valid again", "Logs", 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("removed", "Logs", 2)
	write("# none\n")
	if links := f.Links(); len(links) != 0 {
		t.Errorf("%v", links)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "links")
	if _, err := Open(path, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("\n\nLogs logs.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := path + `: line 3: "logs.example": want a URL that begins with http:// or https://, or a path that begins with one /`
	if _, err := Open(path, zerolog.Nop()); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
