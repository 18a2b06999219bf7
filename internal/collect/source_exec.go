package collect

import (
	"context"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/callpool"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// execSource prints the tables with a command in a container. It needs no rights besides the engine's socket.
type execSource struct{}

func (execSource) Method() Method { return Exec }

// Read hedges: if a command does not answer, it runs the command in the next container too (see callpool.Hedge).
func (execSource) Read(ctx context.Context, p *pass, targets []*target) (tables, error) {
	var best tables
	printTables := func(ctx context.Context, deadline time.Time, t *target) (tables, error) {
		return p.printTables(ctx, deadline, t, p.newQuota(targets))
	}
	read, err := callpool.Hedge(ctx, p.execs, targets, printTables, func(t *target, partial tables, err error) {
		t.tablesErr = err
		best = best.larger(partial)
	})
	if err != nil {
		return best, err
	}
	return read, nil
}

// printTables runs the command in one container.
func (p *pass) printTables(ctx context.Context, deadline time.Time, t *target, quota *socket.Quota) (tables, error) {
	if err := checkExecutable(t); err != nil {
		return tables{}, err
	}
	return callpool.DoUntil(ctx, p.pool, deadline, execKey(t), func(ctx context.Context) (tables, error) {
		return p.runner.readTables(ctx, t.Container, !t.network.host, quota)
	})
}

// ownersByExec lists the sockets that a container's processes hold, with a command in it.
func (p *pass) ownersByExec(ctx context.Context, t *target) (procfd.OwnedSockets, error) {
	if err := checkExecutable(t); err != nil {
		return procfd.OwnedSockets{}, err
	}
	return callpool.Do(ctx, p.execs, execKey(t), func(ctx context.Context) (procfd.OwnedSockets, error) {
		return p.runner.runOwnersCommand(ctx, t.Container)
	})
}

// execKey is the same for all commands in a container: none starts beside a hung command.
func execKey(t *target) callpool.Key { return callpool.Key{Kind: "exec", ID: t.Container.ID} }

// checkExecutable returns why no command can run in a container.
func checkExecutable(t *target) error {
	switch {
	case isExited(t.process.err): // The engine may not have noticed the exit, and would report it as the failure of an exec.
		return t.process.err
	case t.Container.State == container.Paused:
		return &reasonError{Problem: Problem{Reason: "the container is paused: no command can run in it"}}
	}
	return nil
}

// addressesOperation is the operation in the failure cache of printing the addresses of a network namespace.
const addressesOperation = "addresses"

// readTables runs a command in c that prints the tables and, withAddresses, the addresses of its network namespace. The tables are
// partial if the error is not nil. Addresses that are too long leave the tables complete. They are then not printed again.
func (r *runner) readTables(ctx context.Context, c container.Container, withAddresses bool, quota *socket.Quota) (tables, error) {
	command := tablesCommand
	if withAddresses && r.failures.Get(failureKey(c, addressesOperation)) == nil {
		command = netnsCommand
	}
	decoder := r.decoders.get(quota)
	defer r.decoders.put(decoder)
	status, err := r.run(ctx, c, command, decoder, io.Discard)
	if status.truncated {
		decoder.DropPartialRow() // The decoder has the beginning of the last row only.
	}
	decoded := decoder.Table()
	read := newTables(decoded, quota)
	read.udpUnread = udpUnread(decoded, status)
	switch {
	case status.truncated && decoded.AddressRows:
		r.failures.Put(failureKey(c, addressesOperation), newTruncatedError(command[0], true))
		r.failures.Put(failureKey(c, command[0]), nil)
		return read, nil
	case err != nil:
	case status.truncated:
		read.problems = append(read.problems, newTruncatedError(command[0], false).Problem)
	case !isComplete(decoded, status):
		err = status.incompleteError(command[0])
	}
	return read, err
}

// isComplete reports whether cat printed all tables of TCP. A kernel without IPv6 has no tcp6. The tables of UDP and the files of addresses
// may be missing, or forbidden.
func isComplete(decoded procnet.Table, status exitStatus) bool {
	if !decoded.IPv4 || status.code != 0 && status.stderr == "" {
		return false
	}
	if status.code == 0 {
		return true
	}
	for message := range messages(status) {
		lacksIPv6 := !decoded.IPv6 && isNoFile(message)
		if message != "" && !lacksIPv6 && !isAboutUDP(message) && !strings.Contains(message, ifInet6) && !strings.Contains(message, fibTrie) {
			return false
		}
	}
	return true
}

// messages returns what cat says of each file that it cannot print.
func messages(status exitStatus) iter.Seq[string] {
	return strings.SplitSeq(status.stderr, netnsCommand[0]+": ")
}

func isNoFile(message string) bool { return strings.Contains(message, "No such file") }

func isAboutUDP(message string) bool { return strings.Contains(message, netUDP) } // and netUDP6
