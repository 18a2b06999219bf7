package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/PabloL007/outpost/internal/config"
)

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

const usage = `Outpost tells which container of this Docker host listens where and who is connected to whom.

Usage:
  outpost              serve
  outpost ls           print the containers, what they listen on and how many connections they have
                       [--json] [--from URL] [--container NAME|ID] [--project NAME]
  outpost healthcheck  exit with 0 if the daemon of this host's configuration lives
  outpost version      print the version

It is configured by environment variables (name, default, meaning):
`

// run is the program: it serves until ctx ends, or does what args say. The environment is the process's own,
// because the libraries that read it take no other.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	if len(args) > 0 && command != "ls" {
		return fail(stderr, statusUsage, fmt.Errorf("too many arguments: %q; see outpost --help", args))
	}
	switch command {
	case "version", "--version":
		_, _ = fmt.Fprintln(stdout, versionOf())
		return statusOK
	case "help", "--help", "-h":
		_, _ = fmt.Fprint(stdout, usage)
		if err := config.Usage(stdout); err != nil {
			return fail(stderr, statusFailed, err)
		}
		return statusOK
	case "serve", "healthcheck", "ls":
	default:
		return fail(stderr, statusUsage, fmt.Errorf("unknown command %q; see outpost --help", command))
	}

	configuration, err := config.FromEnvironment()
	if err != nil {
		return fail(stderr, statusUsage, err)
	}
	switch command {
	case "healthcheck":
		err = healthcheck(ctx, configuration.Listen.Reachable())
	case "ls":
		err = ls(ctx, args, configuration, stdout)
	default:
		err = serve(ctx, configuration, stderr)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return fail(stderr, statusUsage, err)
	}
	if err != nil {
		return fail(stderr, statusFailed, err)
	}
	return statusOK
}

// usageError is an error of whoever starts the program.
type usageError struct{ error }

func fail(stderr io.Writer, status int, err error) int {
	_, _ = fmt.Fprintln(stderr, "outpost:", err)
	return status
}
