// Command prose checks the language of the tree. It reports banned phrases in all text that people read,
// and sentences of more than 30 words and dead links in Markdown.
//
//	go run ./.ci/prose [FILE...]
//
// Without arguments it checks all files that Git knows or would add. Vendored files and testdata are skipped.
// It prints one line for each finding, file:line: problem, and exits with status 1 if there are any.
//
// Vale was considered: it reads comments, but not string literals, so it cannot check log lines and errors.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed banned.txt
var bannedList string

// maxWords is the length of the longest sentence that Markdown may have.
const maxWords = 30

func main() {
	paths := os.Args[1:]
	if len(paths) == 0 {
		tracked, err := trackedFiles()
		if err != nil {
			fmt.Fprintln(os.Stderr, "prose:", err)
			os.Exit(2)
		}
		paths = tracked
	}
	rules := parseRules(bannedList)
	failed := false
	for _, path := range paths {
		content, err := os.ReadFile(path) // #nosec G304 G703 -- the caller names the files
		if err != nil {
			fmt.Fprintln(os.Stderr, "prose:", err)
			os.Exit(2)
		}
		for _, f := range check(path, content, rules) {
			fmt.Printf("%s:%d: %s\n", path, f.line, f.problem)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// trackedFiles lists the files that the check reads by default.
func trackedFiles() ([]string, error) {
	output, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output() //nolint:noctx // a short-lived command
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var paths []string
	for path := range strings.SplitSeq(strings.TrimRight(string(output), "\x00"), "\x00") {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() { // deleted and not yet committed
			continue
		}
		if !skipped(path) && kindOf(path) != kindOther {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// skipped reports whether path is vendored, a test corpus, or the list of banned phrases itself.
func skipped(path string) bool {
	parts := strings.Split(path, "/")
	return slices.Contains(parts, "vendor") || slices.Contains(parts, "testdata") || strings.HasPrefix(path, ".ci/prose/")
}

type kind int

const (
	kindOther kind = iota
	kindGo
	kindMarkdown
	kindText // checked wholly: in these a banned word is no better as an identifier
)

// kindOf returns how the file at path is read.
func kindOf(path string) kind {
	switch filepath.Ext(path) {
	case ".go":
		return kindGo
	case ".md":
		return kindMarkdown
	case ".js", ".html", ".css", ".svg", ".yml", ".yaml", ".json", ".sh", ".service":
		return kindText
	}
	if base := filepath.Base(path); base == "Makefile" || base == "Dockerfile" || strings.HasPrefix(path, ".ci/") {
		return kindText
	}
	return kindOther
}

// A finding is one problem in a file.
type finding struct {
	line    int
	problem string
}

// check returns the problems of one file, in order.
func check(path string, content []byte, rules []rule) []finding {
	var findings []finding
	switch kindOf(path) {
	case kindGo:
		for _, t := range goTexts(content) {
			findings = append(findings, t.banned(rules)...)
		}
	case kindMarkdown:
		for _, t := range markdownTexts(string(content)) {
			findings = append(findings, t.banned(rules)...)
			findings = append(findings, t.longSentences()...)
		}
		findings = append(findings, deadLinks(path, string(content))...)
	default:
		findings = plainText(string(content)).banned(rules)
	}
	slices.SortStableFunc(findings, func(a, b finding) int { return a.line - b.line })
	return findings
}

// A rule bans one phrase.
type rule struct {
	pattern *regexp.Regexp
	advice  string
}

// parseRules reads a list in the form of banned.txt.
func parseRules(list string) []rule {
	var rules []rule
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		phrase, advice, _ := strings.Cut(line, "\t")
		pattern := `(?i)\b` + strings.ReplaceAll(phrase, " ", `\s+`) + `\b`
		rules = append(rules, rule{regexp.MustCompile(pattern), strings.TrimSpace(advice)})
	}
	return rules
}

// A text is a run of prose. Line i of it stands in line lines[i] of the file.
type text struct {
	words bytes.Buffer
	lines []int
}

func (t *text) add(line int, s string) {
	t.words.WriteString(s)
	t.words.WriteByte('\n')
	t.lines = append(t.lines, line)
}

// lineAt returns the file's line of a byte of the text.
func (t *text) lineAt(offset int) int {
	return t.lines[bytes.Count(t.words.Bytes()[:offset], []byte("\n"))]
}

// banned returns a finding for each banned phrase.
func (t *text) banned(rules []rule) []finding {
	var findings []finding
	for _, r := range rules {
		for _, at := range r.pattern.FindAllIndex(t.words.Bytes(), -1) {
			phrase := strings.Join(strings.Fields(string(t.words.Bytes()[at[0]:at[1]])), " ")
			findings = append(findings, finding{t.lineAt(at[0]), fmt.Sprintf("banned phrase %q: %s", phrase, r.advice)})
		}
	}
	return findings
}
