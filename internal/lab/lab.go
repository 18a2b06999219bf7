// Package lab runs containers on a real Docker engine, for the end-to-end tests, the benchmarks and the demo. It calls the
// docker command, as people do, and needs no image registry.
package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Lab is a set of containers, networks and images that belong together. The label and name of each contain the lab's name.
type Lab struct {
	name string
	host string    // of the engine, in the form of DOCKER_HOST; empty for the engine that the environment names
	echo io.Writer // receives each command before it runs; may be nil
}

// New returns a lab. Labs with different names are independent of each other. echo receives each command before it runs.
func New(name string, echo io.Writer) *Lab { return &Lab{name: name, echo: echo} }

// OnHost returns a lab on the engine at host; see Engine.Host.
func OnHost(host, name string, echo io.Writer) *Lab { return &Lab{name: name, host: host, echo: echo} }

// Name returns the name of part, with the lab's name in front.
func (l *Lab) Name(part string) string { return l.name + "-" + part }

// Label is on every container, network and image of the lab.
func (l *Lab) Label() string { return "outpost.lab=" + l.name }

// Docker runs the docker command and returns its output.
func (l *Lab) Docker(ctx context.Context, args ...string) (string, error) {
	if l.echo != nil {
		_, _ = fmt.Fprintln(l.echo, "+ docker "+shellQuoted(l.onHost(args)))
	}
	return l.docker(ctx, nil, args...)
}

func (l *Lab) docker(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	args = l.onHost(args)
	command := exec.CommandContext(ctx, "docker", args...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = stdin, &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", shellQuoted(args), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

func (l *Lab) onHost(args []string) []string {
	if l.host == "" {
		return args
	}
	return append([]string{"-H", l.host}, args...)
}

// Run starts a container called Name(part) in the background and returns its ID. args follow `docker run -d`: options, image
// and command.
func (l *Lab) Run(ctx context.Context, part string, args ...string) (id string, err error) {
	all := append([]string{"run", "-d", "--label", l.Label(), "--name", l.Name(part)}, args...)
	return l.Docker(ctx, all...)
}

// Ready waits until each container has printed "ready", as peer does.
func (l *Lab) Ready(ctx context.Context, parts ...string) error {
	for _, part := range parts {
		if err := l.waitFor(ctx, part, "ready"); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) waitFor(ctx context.Context, part, line string) error {
	const timeout, pause = 30 * time.Second, 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		printed, err := l.docker(ctx, nil, "logs", l.Name(part))
		if err == nil && strings.Contains(printed, line) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not print %q: %w", l.Name(part), line, errors.Join(err, ctx.Err()))
		case <-time.After(pause):
		}
	}
}

// Network creates a bridge network called Name(part).
func (l *Lab) Network(ctx context.Context, part string) error {
	_, err := l.Docker(ctx, "network", "create", "--label", l.Label(), l.Name(part))
	return err
}

// Close removes the containers, networks and images of the lab, including those of an earlier run that was interrupted.
func (l *Lab) Close(ctx context.Context) error {
	return errors.Join(
		l.removeAll(ctx, []string{"ps", "-aq", "--filter", "label=" + l.Label()}, "rm", "-f", "-v"),
		l.removeAll(ctx, []string{"network", "ls", "-q", "--filter", "label=" + l.Label()}, "network", "rm"),
		l.removeAll(ctx, []string{"images", "-q", "--filter", "label=" + l.Label()}, "rmi", "-f"),
	)
}

func (l *Lab) removeAll(ctx context.Context, list []string, remove ...string) error {
	found, err := l.docker(ctx, nil, list...)
	if err != nil || found == "" {
		return err
	}
	_, err = l.docker(ctx, nil, append(remove, strings.Fields(found)...)...)
	return err
}

// shellQuoted returns args as a shell command line.
func shellQuoted(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\n'\"$;|&<>*?()`\\") {
			words[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
