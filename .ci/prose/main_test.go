package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// findingsOf returns the findings in a sample, each as "line: problem" up to the first colon of the problem.
func findingsOf(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	var findings []string
	for _, f := range check(filepath.Join("testdata", path), content, parseRules(bannedList)) {
		findings = append(findings, fmt.Sprintf("%d %.24s", f.line, f.problem))
	}
	return findings
}

func TestBadSamplesAreReported(t *testing.T) {
	for path, want := range map[string][]string{
		"bad/sample.go": {`3 banned phrase "tells": n`, `3 banned phrase "whose": s`, `3 banned phrase "as it is"`, `5 banned phrase "is wanted`},
		"bad/sample.md": {`3 sentence of 31 words (at`, `6 banned phrase "anew": us`, `13 dead link: absent.md`, `14 dead link: no heading #n`, `14 dead link: no heading ..`},
		"bad/sample.js": {`2 banned phrase "anew": us`},
		"bad/Makefile":  {`1 banned phrase "for good"`, `3 banned phrase "whose": s`},
	} {
		if got := findingsOf(t, path); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", path, got, want)
		}
	}
}

func TestGoodSamplesPass(t *testing.T) {
	for _, path := range []string{"good/sample.go", "good/sample.md", "good/sample.js", "good/Makefile"} {
		if got := findingsOf(t, path); got != nil {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestEachRuleMatchesItsPhrase(t *testing.T) {
	for phrase, want := range map[string]bool{
		"it lets in everybody": true, "what is seen there is old": true, "one\nthat": true, "as long as it is": true, "WHOSE": true,
		"retells": false, "is wantedly": false, "a letter": false,
	} {
		text := plainText(phrase)
		if got := len(text.banned(parseRules(bannedList))) > 0; got != want {
			t.Errorf("%q is banned: %v, want %v", phrase, got, want)
		}
	}
}

func TestVendoredFilesAreSkipped(t *testing.T) {
	for path, want := range map[string]bool{
		"internal/web/static/vendor/x.js": true, "internal/a/testdata/x.json": true, ".ci/prose/banned.txt": true, "internal/a/a.go": false,
	} {
		if got := skipped(path); got != want {
			t.Errorf("%s is skipped: %v, want %v", path, got, want)
		}
	}
}
