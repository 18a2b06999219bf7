package main

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/graph"
)

func TestHelpNamesEveryVariable(t *testing.T) {
	for _, arg := range []string{"--help", "-help", "-h", "help"} {
		status, stdout, stderr := runWith(t, arg)
		if status != 0 || stderr != "" {
			t.Fatalf("%s: status %d, %s", arg, status, stderr)
		}
		for field := range reflect.TypeFor[config.Config]().Fields() {
			for _, tag := range []string{"envconfig", "default", "shown", "desc"} {
				if text := field.Tag.Get(tag); !strings.Contains(stdout, text) {
					t.Errorf("%s: no %q in\n%s", arg, text, stdout)
				}
			}
		}
	}
}

// The help of a command needs no valid configuration, no engine and no target.
func TestHelpOfEachCommand(t *testing.T) {
	polled := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("polled: %s", r.URL) }))
	t.Cleanup(polled.Close)
	t.Setenv("OUTPOST_TARGETS", polled.URL)
	t.Setenv("DOCKER_HOST", strings.Replace(polled.URL, "http://", "tcp://", 1))
	t.Setenv("WORKERS", "none")
	flags := map[string][]string{
		"serve": nil, "map": nil, "diff": nil, "doctor": nil, "healthcheck": nil, "version": nil, "help": nil, "completion": nil,
		"ls":    {"json", "from", "container", "project"},
		"links": append([]string{"json", "dot", "mermaid", "csv", "wide", "from"}, graph.Options()...),
	}
	for _, command := range newRootCommand().Commands() {
		name := command.Name()
		if _, ok := flags[name]; !ok {
			t.Errorf("no test of %s", name)
		}
		for _, args := range [][]string{{name, "--help"}, {name, "-help"}, {name, "-h"}, {name, "argument", "--help"}, {"help", name}} {
			status, stdout, stderr := runWith(t, args...)
			if status != 0 || stderr != "" || !strings.Contains(stdout, command.Short) && !strings.Contains(stdout, command.Long) || !strings.Contains(stdout, "outpost "+name) {
				t.Errorf("%q: status %d, %s%s", args, status, stdout, stderr)
			}
			for _, flag := range flags[name] {
				if !strings.Contains(stdout, "--"+flag+" ") {
					t.Errorf("%q: no --%s in\n%s", args, flag, stdout)
				}
			}
		}
	}
	if status, _, stderr := runWith(t, "map", polled.URL, "--help"); status != 0 || stderr != "" {
		t.Errorf("with a target: status %d, %s", status, stderr)
	}
}

func TestHelpOfUnknownCommand(t *testing.T) {
	for _, args := range [][]string{{"help", "fly"}, {"fly", "--help"}, {"fly", "-h"}} {
		status, stdout, stderr := runWith(t, args...)
		if status != 2 || stdout != "" || stderr != "outpost: unknown command \"fly\"; see outpost --help\n" {
			t.Errorf("%q: status %d, %q, %q", args, status, stdout, stderr)
		}
	}
}

func TestEachViewFlagIsDescribed(t *testing.T) {
	for _, name := range graph.Options() {
		if viewFlags[name] == "" {
			t.Errorf("--%s has no description", name)
		}
	}
}

func TestCompletion(t *testing.T) {
	for shell, part := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef outpost", "fish": "complete -c outpost", "powershell": "Register-ArgumentCompleter",
	} {
		status, stdout, stderr := runWith(t, "completion", shell)
		if status != 0 || stderr != "" || !strings.Contains(stdout, part) {
			t.Errorf("%s: status %d, %s, %.200s", shell, status, stderr, stdout)
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		status, stdout, stderr := runWith(t, args...)
		if status != 2 || stdout != "" || !strings.Contains(stderr, "bash|zsh|fish|powershell") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: status %d, %s%s", args, status, stdout, stderr)
		}
	}
	// What the scripts call.
	if status, stdout, _ := runWith(t, "__complete", "links", "--ex"); status != 0 || !strings.Contains(stdout, "--external") {
		t.Errorf("flags of links: status %d, %s", status, stdout)
	}
	if status, stdout, _ := runWith(t, "__complete", "links", "--wi"); status != 0 || !strings.Contains(stdout, "--wide") {
		t.Errorf("forms of links: status %d, %s", status, stdout)
	}
	if status, stdout, _ := runWith(t, "__complete", "h"); status != 0 || !strings.Contains(stdout, "healthcheck") {
		t.Errorf("commands: status %d, %s", status, stdout)
	}
}
