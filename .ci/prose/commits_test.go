package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes a Git repository that has .ci/commits, added by its second commit.
func repository(t *testing.T) (run func(name string, args ...string) (string, error), commit func(subject string)) {
	t.Helper()
	script, err := os.ReadFile("../commits")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run = func(name string, args ...string) (string, error) {
		command := exec.CommandContext(t.Context(), name, args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@localhost", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@localhost")
		output, err := command.CombinedOutput()
		return string(output), err
	}
	commit = func(subject string) {
		t.Helper()
		if output, err := run("git", "commit", "-q", "--no-verify", "--allow-empty", "-m", subject); err != nil {
			t.Fatal(output)
		}
	}
	if output, err := run("git", "init", "-q"); err != nil {
		t.Fatal(output)
	}
	commit("An old commit that is not checked")
	if err := os.Mkdir(filepath.Join(dir, ".ci"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".ci/commits"), script, 0o700); err != nil {
		t.Fatal(err)
	}
	if output, err := run("git", "add", "."); err != nil {
		t.Fatal(output)
	}
	commit("ci: check commit subjects")
	return run, commit
}

func TestCommitSubjects(t *testing.T) {
	for subject, want := range map[string]string{
		"collect: read a shared namespace once":        "",
		"collect, internal/web: rename a few things":   "",
		"README: rewrite":                              "not in the form",
		"rewrite the collector":                        "not in the form",
		"collect:":                                     "not in the form",
		"collect: added a source":                      "not imperative",
		"collect: add a source.":                       "full stop",
		"collect: " + strings.Repeat("x", 64):          "more than 72 characters",
		"collect: add " + strings.Repeat("ä", 72-13):   "",
		"collect: use what follows without objections": "",
	} {
		t.Run(subject, func(t *testing.T) {
			run, commit := repository(t)
			commit(subject)
			output, err := run(".ci/commits")
			if (err != nil) != (want != "") || !strings.Contains(output, want) {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

func TestCommitsInShallowClone(t *testing.T) {
	run, commit := repository(t)
	commit("bad subject at the boundary")
	commit("a: good subject")
	for _, command := range [][]string{{"sh", "-c", `git clone -q --depth 2 "file://$PWD" shallow`}, {"sh", "-c", "cd shallow && .ci/commits"}} {
		if output, err := run(command[0], command[1:]...); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	}
}

func TestCommitHookRejectsBadSubject(t *testing.T) {
	run, _ := repository(t)
	if output, err := run(".ci/commits", "install"); err != nil {
		t.Fatal(output)
	}
	if output, err := run("git", "commit", "-q", "--allow-empty", "-m", "No package"); err == nil || !strings.Contains(output, "commit rejected") {
		t.Errorf("%v: %s", err, output)
	}
	for _, subject := range []string{"a: good subject", "fixup! a: good subject"} {
		if output, err := run("git", "commit", "-q", "--allow-empty", "-m", subject); err != nil {
			t.Errorf("%s: %s", subject, output)
		}
	}
}
