package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/mapper"
)

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

const usage = `Outpost tells which container of this Docker host listens where and who is connected to whom.

Usage:
  outpost              serve what is known of this host
  outpost map          serve the map of many hosts: poll the daemons of OUTPOST_TARGETS and these
                       [TARGET…]
  outpost ls           print the containers, what they listen on and how many connections they have
                       [--json] [--from URL] [--container NAME|ID] [--project NAME]
  outpost links        print who talks to whom, as the daemon or mapper of this configuration knows it, or as it is now
                       [--json|--dot|--mermaid|--csv] [--from URL] [--container NAME|ID] [--depth N] [--project NAME]
                       [--host NAME] [--since DURATION|TIME] [--external show|group|hide]
                       [--group container|service|project|host|image]
  outpost diff A B     print which links are gone, new or changed in file B, both written by links --json;
                       exit with 1 if any is
  outpost doctor       say in plain words what can be seen here, way by way, and what is missing; exit with 1 if
                       something of a container is
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
	if len(args) > 0 && !slices.Contains([]string{"ls", "map", "links", "diff"}, command) {
		return fail(stderr, statusUsage, fmt.Errorf("too many arguments: %q; see outpost --help", mapper.RedactUserinfo(strings.Join(args, " "))))
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
	case "serve", "map", "healthcheck", "doctor", "ls", "links", "diff":
	default:
		return fail(stderr, statusUsage, fmt.Errorf("unknown command %q; see outpost --help", mapper.RedactUserinfo(command)))
	}

	configuration, err := config.FromEnvironment()
	if err != nil {
		return fail(stderr, statusUsage, err)
	}
	switch command {
	case "healthcheck":
		err = healthcheck(ctx, configuration)
	case "doctor":
		err = doctor(ctx, configuration, stdout)
	case "ls":
		err = ls(ctx, args, configuration, stdout)
	case "links":
		err = links(ctx, args, configuration, stdout)
	case "diff":
		err = diff(args, stdout)
	case "map":
		err = serveMap(ctx, args, configuration, stderr)
	default:
		err = serve(ctx, configuration, stderr)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return fail(stderr, statusUsage, err)
	}
	if errors.Is(err, errDiffer) || errors.Is(err, errUnwell) { // all is said
		return statusFailed
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
