package graph

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of a query.
const (
	maxQueryLen   = 1000 // characters
	maxQueryTerms = 50
)

// queryBlanks separate the terms of a query.
const queryBlanks = " \t\r\n"

// The fields of terms.
var (
	textFields = []string{"name", "project", "service", "host", "image"}
	nodeFields = append(slices.Clone(textFields), "kind", "address", "is")
	linkFields = []string{"port", "protocol", "via", "state", "seen"}
)

// Query is a parsed filter query. The zero value selects everything.
type Query struct {
	nodes conditions[Node]
	links conditions[Link]
}

// conditions are the terms about nodes, or those about links. The positive terms of one field are alternatives, and different fields
// must all hold.
type conditions[T any] struct {
	positive map[string][]func(T) bool // by field
	negative []func(T) bool
}

func (c *conditions[T]) add(t queryTerm, matches func(T) bool) {
	if t.isNegative {
		c.negative = append(c.negative, matches)
		return
	}
	if c.positive == nil {
		c.positive = make(map[string][]func(T) bool)
	}
	c.positive[t.field] = append(c.positive[t.field], matches)
}

// selectsSome reports whether there are positive terms.
func (c *conditions[T]) selectsSome() bool { return len(c.positive) > 0 }

// selects reports whether the positive terms hold for an item.
func (c *conditions[T]) selects(item T) bool {
	for _, alternatives := range c.positive {
		if !slices.ContainsFunc(alternatives, func(matches func(T) bool) bool { return matches(item) }) {
			return false
		}
	}
	return true
}

// excludes reports whether a negative term matches an item.
func (c *conditions[T]) excludes(item T) bool {
	return slices.ContainsFunc(c.negative, func(matches func(T) bool) bool { return matches(item) })
}

// ParseQuery parses terms of the form [-][field:]value. A value may be in double quotes. The error names the term.
func ParseQuery(text string) (q Query, err error) {
	if utf8.RuneCountInString(text) > maxQueryLen {
		return Query{}, fmt.Errorf("q: more than %d characters", maxQueryLen)
	}
	rest := strings.TrimLeft(text, queryBlanks)
	for n := 1; rest != ""; n++ {
		if n > maxQueryTerms {
			return Query{}, fmt.Errorf("q: more than %d terms", maxQueryTerms)
		}
		var t queryTerm
		if t, rest, err = cutTerm(rest); err == nil {
			err = q.add(t)
		}
		if err != nil {
			return Query{}, fmt.Errorf("q: term %q: %w", Truncate(t.text), err)
		}
		rest = strings.TrimLeft(rest, queryBlanks)
	}
	return q, nil
}

func (q *Query) add(t queryTerm) error {
	if t.value == "" && (!t.isQuoted || !slices.Contains(textFields, t.field)) {
		return errors.New("no value")
	}
	if slices.Contains(linkFields, t.field) {
		matches, err := linkMatcher(t.field, t.value)
		q.links.add(t, matches)
		return err
	}
	if t.hasField && !slices.Contains(nodeFields, t.field) {
		return fmt.Errorf("unknown field %q: want one of %s; put a text with a colon in quotes", Truncate(t.field), strings.Join(slices.Concat(nodeFields, linkFields), ", "))
	}
	matches, err := nodeMatcher(t.field, t.value)
	q.nodes.add(t, matches)
	return err
}

// queryTerm is a term of a query.
type queryTerm struct {
	text, field, value             string
	isNegative, hasField, isQuoted bool
}

// cutTerm returns the first term of a text, and the text after it. If the term has an error, it is the whole text.
func cutTerm(text string) (t queryTerm, rest string, err error) {
	rest, t.isNegative = strings.CutPrefix(text, "-")
	if i := strings.IndexAny(rest, queryBlanks+`:"`); i >= 0 && rest[i] == ':' {
		t.field, rest, t.hasField = fold(rest[:i]), rest[i+1:], true
	}
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		t.value, rest, err = cutQuoted(quoted)
		t.isQuoted = true
	} else {
		end := strings.IndexAny(rest+" ", queryBlanks)
		t.value, rest = rest[:end], rest[end:]
	}
	t.text = text[:len(text)-len(rest)]
	return t, rest, err
}

// cutQuoted returns the text before a closing quote, and the text after it. In quotes, \" is a quote and \\ a backslash.
func cutQuoted(text string) (value, rest string, err error) {
	var unescaped strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			if rest = text[i+1:]; rest != "" && !strings.Contains(queryBlanks, rest[:1]) {
				return "", "", errors.New("a blank must follow the closing quote")
			}
			return unescaped.String(), rest, nil
		case strings.HasPrefix(text[i:], `\"`), strings.HasPrefix(text[i:], `\\`):
			i++
		}
		unescaped.WriteByte(text[i])
	}
	return "", "", errors.New("the closing quote is missing")
}

// fold returns a text for comparison without regard to case.
func fold(text string) string { return strings.ToLower(text) }

// pattern is a folded text in which * stands for any text, divided at each *.
type pattern []string

func newPattern(text string) pattern { return strings.Split(fold(text), "*") }

// matches reports whether the pattern matches the whole text. The time is linear in the length of the text: each part matches at its
// first occurrence.
func (p pattern) matches(text string) bool {
	text = fold(text)
	last := len(p) - 1
	if last == 0 {
		return text == p[0]
	}
	rest, ok := strings.CutPrefix(text, p[0])
	if !ok {
		return false
	}
	for _, part := range p[1:last] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, p[last])
}
