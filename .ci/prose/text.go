package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// goTexts returns the comments and the string literals of a Go file. Comments on consecutive lines are one text,
// so that a phrase is found across a line break.
func goTexts(source []byte) []*text {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	var texts []*text
	comment, lastLine := (*text)(nil), 0
	for {
		position, tok, literal := s.Scan()
		line := file.Line(position)
		switch tok {
		case token.EOF:
			return texts
		case token.COMMENT:
			if comment == nil || line > lastLine+1 {
				comment = new(text)
				texts = append(texts, comment)
			}
			for i, l := range strings.Split(literal, "\n") {
				comment.add(line+i, strings.TrimLeft(l, "/* \t"))
			}
			lastLine = line + strings.Count(literal, "\n")
		case token.STRING:
			t := new(text)
			for i, l := range strings.Split(literal, "\n") {
				t.add(line+i, l)
			}
			texts = append(texts, t)
		}
	}
}

// commentMarker matches what begins a line of a comment.
var commentMarker = regexp.MustCompile(`^\s*(//+|/?\*+|#+)?`)

// plainText returns a file as one text.
func plainText(content string) *text {
	t := new(text)
	for i, l := range strings.Split(content, "\n") {
		t.add(i+1, commentMarker.ReplaceAllString(l, ""))
	}
	return t
}

var (
	fence     = regexp.MustCompile("^\\s*(```|~~~)")
	blockMark = regexp.MustCompile(`^\s*([-*+]|\d+[.)])\s+`)
	heading   = regexp.MustCompile(`^\s*#+\s`)
	tableRule = regexp.MustCompile(`^[\s|:-]+$`)
	code      = regexp.MustCompile("``[^`]+``|`[^`]+`")
	link      = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	comment   = regexp.MustCompile(`(?s)<!--.*?-->`)
)

// markdownTexts returns the paragraphs, headings, list items and table cells of a Markdown file. Fenced blocks are left
// out, inline code counts as one word, and of a link its text remains.
func markdownTexts(content string) []*text {
	content = comment.ReplaceAllStringFunc(content, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
	content = inlineCode(content)
	var texts []*text
	var block *text
	inFence := false
	for i, line := range strings.Split(content, "\n") {
		isFence := fence.MatchString(line)
		if isFence {
			inFence = !inFence
		}
		plain := strings.TrimSpace(line)
		switch {
		case isFence, inFence, plain == "":
			block = nil
			continue
		case strings.HasPrefix(plain, "|"):
			block = nil
			if tableRule.MatchString(plain) {
				continue
			}
			for cell := range strings.SplitSeq(strings.Trim(plain, "|"), "|") {
				t := new(text)
				t.add(i+1, withoutLinks(cell))
				texts = append(texts, t)
			}
			continue
		case heading.MatchString(line), blockMark.MatchString(line):
			block = nil
		}
		if block == nil {
			block = new(text)
			texts = append(texts, block)
		}
		block.add(i+1, withoutLinks(blockMark.ReplaceAllString(line, "")))
		if heading.MatchString(line) {
			block = nil
		}
	}
	return texts
}

// inlineCode replaces inline code by a word, outside of fenced blocks.
func inlineCode(content string) string {
	lines := strings.Split(content, "\n")
	inFence := false
	for i, line := range lines {
		if fence.MatchString(line) {
			inFence = !inFence
		} else if !inFence {
			lines[i] = code.ReplaceAllString(line, "code")
		}
	}
	return strings.Join(lines, "\n")
}

func withoutLinks(s string) string { return link.ReplaceAllString(s, "$1") }

// sentenceEnd matches the end of a sentence. A dot inside a word, as in 0.4 or main.go, is none.
var sentenceEnd = regexp.MustCompile(`[.!?]["')*_]*(\s|$)`)

var word = regexp.MustCompile(`[\pL\pN]`)

// longSentences returns a finding for each sentence that is longer than maxWords.
func (t *text) longSentences() []finding {
	var findings []finding
	all := t.words.String()
	for start := 0; start < len(all); {
		end := len(all)
		if at := sentenceEnd.FindStringIndex(all[start:]); at != nil {
			end = start + at[1]
		}
		sentence := strings.Fields(all[start:end])
		n := 0
		for _, w := range sentence {
			if word.MatchString(w) {
				n++
			}
		}
		if n > maxWords {
			findings = append(findings, finding{t.lineAt(start), fmt.Sprintf("sentence of %d words (at most %d): %s …", n, maxWords, strings.Join(sentence[:6], " "))})
		}
		start = end
	}
	return findings
}

var (
	target = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	// dropped are the characters that GitHub removes from a heading to make its anchor.
	dropped = regexp.MustCompile(`[^\pL\pN _-]`)
)

// deadLinks returns a finding for each link to a file or heading that does not exist. Links to other sites are not followed.
func deadLinks(path, content string) []finding {
	var findings []finding
	for i, line := range strings.Split(unfenced(content), "\n") {
		for _, m := range target.FindAllStringSubmatch(code.ReplaceAllString(line, "code"), -1) {
			if problem := deadLink(path, content, m[1]); problem != "" {
				findings = append(findings, finding{i + 1, problem})
			}
		}
	}
	return findings
}

// deadLink returns what is wrong with a link of a document, or nothing.
func deadLink(path, content, to string) string {
	if strings.Contains(to, "://") {
		return ""
	}
	name, anchor, _ := strings.Cut(to, "#")
	if name != "" {
		name = filepath.Join(filepath.Dir(path), name)
		if _, err := os.Stat(name); err != nil { // #nosec G703 -- a file of the tree
			return "dead link: " + to
		}
		if anchor == "" {
			return ""
		}
		linked, err := os.ReadFile(name) // #nosec G304 G703 -- a document of the tree
		if err != nil {
			return "dead link: " + to
		}
		content = string(linked)
	}
	if !slices.Contains(anchors(content), anchor) {
		return "dead link: no heading " + to
	}
	return ""
}

// anchors returns the anchors of a document's headings, as GitHub makes them.
func anchors(content string) []string {
	var all []string
	for line := range strings.SplitSeq(unfenced(content), "\n") {
		if heading.MatchString(line) {
			title := strings.ToLower(withoutLinks(strings.TrimSpace(strings.TrimLeft(line, "# "))))
			all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(title, ""), " ", "-"))
		}
	}
	return all
}

// unfenced empties the lines of fenced blocks.
func unfenced(content string) string {
	lines := strings.Split(content, "\n")
	inFence := false
	for i, line := range lines {
		isFence := fence.MatchString(line)
		if isFence {
			inFence = !inFence
		}
		if isFence || inFence {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}
