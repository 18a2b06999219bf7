package collect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/procnet"
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
	// outputLimit is how many bytes of a command's output are looked at: some 200,000 rows of a table.
	outputLimit = 32 << 20
	// giveUpLimit is how many bytes after that it takes to believe that the command will not end.
	giveUpLimit = 512 << 20
)

// Exit codes of a command that could not be started: which of the two means what depends on engine and
// runtime, and so does the text. A shell that finds no command exits with 127 too.
const (
	exitNotStarted = 126
	exitNotFound   = 127
)

// commandError says why a command gave nothing.
type commandError struct {
	Problem
	final bool // as long as the container lives, it would fail again
}

func (e *commandError) Error() string { return e.String() }

func final(err error) bool {
	var e *commandError
	return errors.As(err, &e) && e.final
}

// executor runs commands in containers, and remembers those that could not be run.
type executor struct {
	engine   Engine
	self     Self
	failures *failures
	decoders sync.Pool // of *procnet.Decoder: their buffers grow to the size of the tables once
}

func newExecutor(engine Engine, self Self, f *failures) *executor {
	return &executor{engine: engine, self: self, failures: f, decoders: sync.Pool{New: func() any {
		// The kernel is the engine's; that it has Outpost's own byte order is taken for granted.
		return procnet.NewDecoder(binary.NativeEndian)
	}}}
}

// tables reads the TCP tables of c's network namespace. There may be rows also where there is an error.
func (x *executor) tables(ctx context.Context, c container.Container) (procnet.Table, error) {
	decoder := x.decoders.Get().(*procnet.Decoder) //nolint:errcheck // it holds nothing else
	defer x.decoders.Put(decoder)
	decoder.Reset()
	err := x.decodeTables(ctx, c, decoder)
	table := decoder.Table()
	table.Sockets = slices.Clone(table.Sockets)
	return table, err
}

func (x *executor) decodeTables(ctx context.Context, c container.Container, decoder *procnet.Decoder) error {
	if x.self.is(c.ID) {
		return x.self.tables(decoder)
	}
	exit, err := x.run(ctx, c, tablesCommand, decoder, io.Discard)
	switch table := decoder.Table(); {
	case err != nil:
		return err
	case exit.truncated:
		return tooMuch(tablesCommand[0], false)
	case exit.code == 0 && table.IPv4:
		return nil
	case table.IPv4 && !table.IPv6 && strings.Contains(exit.stderr, "No such file"):
		return nil // a kernel without IPv6 has no tcp6
	}
	return exit.failure(tablesCommand[0])
}

// owners finds the sockets of c's processes.
func (x *executor) owners(ctx context.Context, c container.Container) (procfd.Owners, error) {
	if x.self.is(c.ID) {
		return x.self.owners()
	}
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
	return &commandError{Problem: Problem{
		Reason: fmt.Sprintf("%s gave no complete answer (exit code %d)", what, e.code), Detail: text,
	}}
}

// run runs a command, unless it is known to fail in c. An error means that it did not run to its end.
func (x *executor) run(ctx context.Context, c container.Container, command []string, stdout, stderr io.Writer) (exit, error) {
	name := command[0]
	if err := x.failures.recall(c, name); err != nil {
		return exit{}, err
	}
	var out, complaints head
	limited := &limitWriter{next: io.MultiWriter(stdout, &out), keep: outputLimit, drop: giveUpLimit}
	code, err := x.engine.Exec(ctx, c.ID, command, limited, io.MultiWriter(stderr, &complaints))
	ended := exit{code: code, stdout: out.String(), stderr: complaints.String(), truncated: limited.dropped}
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
		return &commandError{Problem: Problem{Reason: "exec not permitted", Detail: err.Error()}}
	case err != nil:
		return &commandError{Problem: Problem{Reason: "exec failed", Detail: err.Error()}}
	case ended.code != exitNotStarted && ended.code != exitNotFound:
		return nil
	}
	text := strings.TrimSpace(ended.stdout + ended.stderr)
	if lower := strings.ToLower(text); ended.code == exitNotFound || strings.Contains(lower, "not found") || strings.Contains(lower, "no such file") {
		return &commandError{final: true, Problem: Problem{Reason: "the image has no " + needs(name), Detail: text}}
	}
	return &commandError{Problem: Problem{Reason: name + " could not be started", Detail: text}}
}

func tooMuch(name string, final bool) error {
	return &commandError{final: final, Problem: Problem{
		Reason: fmt.Sprintf("%s printed more than %d MiB: what came after is missing", name, outputLimit>>20),
	}}
}

func needs(command string) string {
	if command == ownersCommand[0] {
		return "sh or no ls"
	}
	return command
}
