package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/callpool"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
)

// The only commands that run in containers.
var (
	// netnsCommand runs in one container of each network namespace. Files of addresses follow the tables.
	netnsCommand = []string{"cat", "/proc/net/tcp", "/proc/net/tcp6", netUDP, netUDP6, ifInet6, fibTrie}
	// tablesCommand runs instead on the host's network, and if the addresses are too long.
	tablesCommand = []string{"cat", "/proc/net/tcp", "/proc/net/tcp6", netUDP, netUDP6}
	// ownersCommand runs in each container that shares its network namespace.
	ownersCommand = []string{"sh", "-c", procfd.Script}
)

// The tables of UDP that both commands print. A container may lack them.
const (
	netUDP  = "/proc/net/udp"
	netUDP6 = "/proc/net/udp6"
)

// The files of addresses that netnsCommand prints.
const (
	ifInet6 = "/proc/net/if_inet6"
	fibTrie = "/proc/net/fib_trie"
)

// Commands returns the commands that run in containers: first the command that prints socket tables and addresses, then the same
// without addresses, then the command that lists the sockets of processes.
func Commands() [][]string {
	return [][]string{slices.Clone(netnsCommand), slices.Clone(tablesCommand), slices.Clone(ownersCommand)}
}

const (
	// maxOutput is how many bytes of a command's output are decoded: about 100,000 rows of a table.
	maxOutput = 16 << 20
	// maxDiscarded is how many further bytes are discarded before a command counts as endless.
	maxDiscarded = 64 << 20
)

// Exit codes of a command that did not start (moby daemon/errors.go, setExitCodeFromError). The engine and the runtime
// determine which code means what. A shell also exits with 127 if it does not find a command.
const (
	minNotStarted = 126
	maxNotStarted = 128
)

// runner runs commands in containers, except those that are known to fail.
type runner struct {
	engine   Engine
	failures *callpool.FailureCache
	decoders *decoderPool
}

// exitStatus is how a command ended.
type exitStatus struct {
	code      int
	stdout    string // the beginning
	stderr    string // the beginning
	truncated bool   // the output exceeded maxOutput
}

func (s exitStatus) incompleteError(what string) error {
	text := s.stderr
	if text == "" {
		text = s.stdout
	}
	return &reasonError{Problem: Problem{
		Reason: what + " returned an incomplete answer", Detail: fmt.Sprintf("exit code %d: %s", s.code, text),
	}}
}

// run runs a command in c, unless its failure is cached. An error means that the command did not run to its end.
func (r *runner) run(ctx context.Context, c container.Container, command []string, stdout, stderr io.Writer) (exitStatus, error) {
	name := command[0]
	if err := r.failures.Get(failureKey(c, name)); err != nil {
		return exitStatus{}, err
	}
	var outPrefix, errPrefix callpool.Prefix
	output := callpool.NewOutput(maxOutput, maxDiscarded)
	code, err := r.engine.Exec(ctx, c.ID, command, output.To(io.MultiWriter(stdout, &outPrefix)), output.To(io.MultiWriter(stderr, &errPrefix)))
	status := exitStatus{code: code, stdout: outPrefix.String(), stderr: errPrefix.String(), truncated: output.Truncated()}
	if err = explainExec(name, status, err); ctx.Err() == nil {
		r.failures.Put(failureKey(c, name), err)
	}
	return status, err
}

// failureKey identifies an operation on c in the failure cache.
func failureKey(c container.Container, operation string) callpool.FailureKey {
	return callpool.FailureKey{Container: c.ID, StartedAt: c.StartedAt, Operation: operation}
}

// explainExec returns why a command did not run to its end, or nil if it did.
func explainExec(name string, status exitStatus, err error) error {
	switch {
	case errors.Is(err, callpool.ErrOutputLimit):
		return newTruncatedError(name, true)
	case errors.Is(err, container.ErrForbidden):
		return &reasonError{hostWide: true, Problem: Problem{Reason: "exec not permitted", Detail: err.Error()}}
	case err != nil:
		return &reasonError{Problem: Problem{Reason: "exec failed", Detail: err.Error()}}
	case status.code < minNotStarted || status.code > maxNotStarted:
		return nil
	}
	text := strings.TrimSpace(status.stdout + status.stderr)
	// Runtimes and shells print these words if a command does not exist. All other failures may pass.
	if strings.Contains(text, "not found") {
		return &reasonError{permanent: true, Problem: Problem{Reason: "the image has no " + missingCommand(name), Detail: text}}
	}
	return &reasonError{Problem: Problem{Reason: name + " could not be started", Detail: text}}
}

func newTruncatedError(name string, permanent bool) *reasonError {
	return &reasonError{permanent: permanent, Problem: Problem{
		Reason: fmt.Sprintf("%s printed more than %d MiB: the rest is missing", name, maxOutput>>20),
	}}
}

// missingCommand names what an image may lack for a command: sh starts ls.
func missingCommand(name string) string {
	if name == ownersCommand[0] {
		return "sh or no ls"
	}
	return name
}

// runOwnersCommand runs ownersCommand in c.
func (r *runner) runOwnersCommand(ctx context.Context, c container.Container) (procfd.OwnedSockets, error) {
	decoder := procfd.NewDecoder(c.ID)
	status, err := r.run(ctx, c, ownersCommand, &decoder.Output, &decoder.Errors)
	if err != nil {
		return procfd.OwnedSockets{}, err
	}
	if status.truncated {
		return procfd.OwnedSockets{}, newTruncatedError("ls", false)
	}
	const maxTrouble = 2 // ls exits with 1 or 2 if it could not read some files
	if status.code > maxTrouble {
		return procfd.OwnedSockets{}, status.incompleteError("ls")
	}
	owners, ok := decoder.OwnedSockets()
	if !ok {
		return procfd.OwnedSockets{}, status.incompleteError("the list of processes")
	}
	return owners, nil
}
