package collect

import (
	"context"
	"errors"
	"fmt"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/socket"
)

// procfsSource reads /proc/<pid>/net/tcp, tcp6, udp and udp6 in the host's /proc.
type procfsSource struct{}

func (procfsSource) Method() Method { return Procfs }

func (s procfsSource) Read(ctx context.Context, p *pass, targets []*target) (tables, error) {
	return readThroughProcess(ctx, p, s, targets)
}

// ReadProcess decodes the tables of a process. It returns the rows before an error or a limit.
func (procfsSource) ReadProcess(_ context.Context, p *pass, process *hostproc.Process, quota *socket.Quota) (tables, error) {
	decoder := p.decoders.get(quota)
	defer p.decoders.put(decoder)
	err := process.CopyTables(decoder)
	if udpErr, ok := errors.AsType[*hostproc.UDPError](err); ok {
		decoder.DropPartialRow()
		read := newTables(decoder.Table(), quota)
		read.udpUnread = udpTablesUnread(udpErr)
		return read, nil
	}
	if errors.Is(err, hostproc.ErrTableTooLong) {
		decoder.DropPartialRow()
		read := newTables(decoder.Table(), quota)
		read.problems = append(read.problems, Problem{Reason: err.Error()})
		read.udpUnread = "the tables of UDP come after one of TCP that is too long"
		return read, nil
	}
	if err != nil {
		err = fmt.Errorf("reading the host's /proc: %w", err)
	}
	return newTables(decoder.Table(), quota), err
}
