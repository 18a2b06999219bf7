package linkfile

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/PabloL007/outpost/internal/graph"
)

const (
	maxLinks      = 20
	maxLineLength = 2000 // in characters
)

// placeholders are the names that a template may have in braces. The page replaces them.
var placeholders = []string{"id", "shortID", "name", "host", "project", "service", "image", "from"}

var (
	// comment matches a comment until the end of a line. A # inside a URL starts none.
	comment = regexp.MustCompile(`(^|\s)#.*`)
	braces  = regexp.MustCompile(`\{([^{}]*)\}`)
)

// parse parses the text of the file at path. An error has the form "path: line 1: reason".
func parse(path, text string) (links []graph.ContainerLink, err error) {
	for i, line := range strings.Split(text, "\n") {
		link, err := parseLine(line)
		if err == nil && link.URL != "" {
			links = append(links, link)
		}
		if len(links) > maxLinks {
			err = fmt.Errorf("want at most %d links", maxLinks)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, i+1, err)
		}
	}
	return links, nil
}

// parseLine returns an empty link for a line without one.
func parseLine(line string) (graph.ContainerLink, error) {
	if utf8.RuneCountInString(line) > maxLineLength {
		return graph.ContainerLink{}, fmt.Errorf("want at most %d characters", maxLineLength)
	}
	line = strings.TrimSpace(comment.ReplaceAllString(line, ""))
	if line == "" {
		return graph.ContainerLink{}, nil
	}
	end := strings.LastIndexFunc(line, unicode.IsSpace)
	if end < 0 {
		return graph.ContainerLink{}, fmt.Errorf("%q: want a label and a URL, such as Logs https://logs.example/{name}", line)
	}
	label, template := strings.TrimSpace(line[:end]), strings.TrimSpace(line[end:])
	if err := checkTemplate(template); err != nil {
		return graph.ContainerLink{}, fmt.Errorf("%q: %w", template, err)
	}
	return graph.ContainerLink{Label: label, URL: template}, nil
}

var errURL = errors.New("want a URL that begins with http:// or https://, or a path that begins with one /")

// checkTemplate returns an error unless each container's URL leads to the web, or to a path of the page's own server.
func checkTemplate(template string) error {
	for _, found := range braces.FindAllStringSubmatch(template, -1) {
		if !slices.Contains(placeholders, found[1]) {
			return fmt.Errorf("unknown placeholder %s: want one of {%s}", found[0], strings.Join(placeholders, "}, {"))
		}
	}
	sample := braces.ReplaceAllString(template, "x")
	if strings.ContainsAny(sample, "{}") {
		return errors.New("want %7B and %7D for braces that are no placeholder")
	}
	parsed, err := url.Parse(sample)
	switch {
	case err != nil:
		return errURL
	case slices.ContainsFunc(strings.Split(parsed.Path, "/"), func(s string) bool { return s == "." || s == ".." }):
		return errors.New("want a path without \".\" and \"..\" in it")
	case parsed.Scheme == "http" || parsed.Scheme == "https":
		if parsed.Hostname() == "" {
			return errURL
		}
		return nil
	case !isOwnPath(template):
		return errURL
	}
	return nil
}

// isOwnPath reports whether browsers read a template as a path of the page's own server. They read two slashes as another server, and a
// backslash as a slash.
func isOwnPath(template string) bool {
	return strings.HasPrefix(template, "/") && !strings.HasPrefix(template, "//") && !strings.HasPrefix(template, `/\`)
}
