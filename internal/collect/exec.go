package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
)

// The commands that are run in containers; there are no others.
var (
	// tablesCommand runs in one container of each network namespace.
	tablesCommand = []string{"cat", "/proc/net/tcp", "/proc/net/tcp6"}
	// ownersCommand runs in each container that shares its network namespace.
	ownersCommand = []string{"sh", "-c", procfd.Script}
)

// Commands returns the commands that are run in containers: the one that reads the socket tables and the one
// that finds the owners of sockets.
func Commands() [][]string {
	return [][]string{slices.Clone(tablesCommand), slices.Clone(ownersCommand)}
}

const (
	// outputLimit is how many bytes of a command's output are looked at: some 100,000 rows of a table.
	outputLimit = 16 << 20
	// giveUpLimit is how many bytes after that it takes to believe that the command will not end.
	giveUpLimit = 64 << 20
)

// Exit codes of a command that could not be started (moby daemon/errors.go, setExitCodeFromError): which of them
// means what depends on engine and runtime. A shell that finds no command exits with 127 too.
const (
	firstNotStarted = 126
	lastNotStarted  = 128
)

// executor runs commands in containers, and remembers those that could not be run.
type executor struct {
	engine   Engine
	failures *failures
	decoders *sync.Pool
}

// exit is how a command that ran has ended.
type exit struct {
	code      int
	stdout    string // the beginning
	stderr    string // the beginning
	truncated bool   // not all output was looked at
}

func (e exit) failure(what string) error {
	text := e.stderr
	if text == "" {
		text = e.stdout
	}
	return &explainedError{Problem: Problem{
		Reason: what + " gave no complete answer", Detail: fmt.Sprintf("exit code %d: %s", e.code, text),
	}}
}

// run runs a command, unless it is known to fail in c. An error means that it did not run to its end.
func (x *executor) run(ctx context.Context, c container.Container, command []string, stdout, stderr io.Writer) (exit, error) {
	name := command[0]
	if err := x.failures.recall(c, name); err != nil {
		return exit{}, &recalledError{err}
	}
	var out, complaints head
	limit := &limit{keep: outputLimit, drop: giveUpLimit}
	code, err := x.engine.Exec(ctx, c.ID, command, limit.on(io.MultiWriter(stdout, &out)), limit.on(io.MultiWriter(stderr, &complaints)))
	ended := exit{code: code, stdout: out.String(), stderr: complaints.String(), truncated: limit.dropped}
	if err = classify(name, ended, err); ctx.Err() == nil {
		x.failures.note(c, name, err)
	}
	return ended, err
}

// classify puts into plain words why a command did not run to its end; nil if it did.
func classify(name string, ended exit, err error) error {
	switch {
	case errors.Is(err, errOutputLimit):
		return tooMuch(name, true)
	case errors.Is(err, container.ErrForbidden):
		return &explainedError{general: true, Problem: Problem{Reason: "exec not permitted", Detail: err.Error()}}
	case err != nil:
		return &explainedError{Problem: Problem{Reason: "exec failed", Detail: err.Error()}}
	case ended.code < firstNotStarted || ended.code > lastNotStarted:
		return nil
	}
	text := strings.TrimSpace(ended.stdout + ended.stderr)
	// Runtimes and shells agree on these words where there is no such command. All else may pass.
	if strings.Contains(text, "not found") {
		return &explainedError{final: true, Problem: Problem{Reason: "the image has no " + needs(name), Detail: text}}
	}
	return &explainedError{Problem: Problem{Reason: name + " could not be started", Detail: text}}
}

func tooMuch(name string, final bool) *explainedError {
	return &explainedError{final: final, Problem: Problem{
		Reason: fmt.Sprintf("%s printed more than %d MiB: what came after is missing", name, outputLimit>>20),
	}}
}

func needs(command string) string {
	if command == ownersCommand[0] {
		return "sh or no ls"
	}
	return command
}

// owners finds the sockets of c's processes.
func (x *executor) owners(ctx context.Context, c container.Container) (procfd.Owners, error) {
	decoder := procfd.NewDecoder(c.ID)
	exit, err := x.run(ctx, c, ownersCommand, &decoder.Output, &decoder.Errors)
	if err != nil {
		return procfd.Owners{}, err
	}
	if exit.truncated {
		return procfd.Owners{}, tooMuch("ls", false)
	}
	const trouble = 2 // ls exits with 1 or 2 if there were files that it could not read
	if exit.code > trouble {
		return procfd.Owners{}, exit.failure("ls")
	}
	owners, ok := decoder.Owners()
	if !ok {
		return procfd.Owners{}, exit.failure("the listing of processes")
	}
	return owners, nil
}
