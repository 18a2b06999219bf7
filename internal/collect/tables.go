package collect

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// tables is what was read of a network namespace.
type tables struct {
	sockets  []socket.Socket
	problems []Problem // of the tables, through whichever container they are read
}

// tables prints the TCP tables of c's network namespace. Beside an error there may be a part of them.
func (x *executor) tables(ctx context.Context, c container.Container) (tables, error) {
	decoder := x.decoders.Get().(*procnet.Decoder) //nolint:errcheck // it holds nothing else
	defer x.decoders.Put(decoder)
	decoder.Reset()
	exit, err := x.run(ctx, c, tablesCommand, decoder, io.Discard)
	if exit.truncated {
		decoder.DropRest() // the row is whole, but was not looked at to its end
	}
	table := decoder.Table()
	read := tablesIn(table)
	switch {
	case err != nil:
	case exit.truncated:
		read.problems = append(read.problems, tooMuch(tablesCommand[0], false).Problem)
	case !complete(table, exit):
		err = exit.failure(tablesCommand[0])
	}
	return read, err
}

// complete reports whether cat printed all tables that there are: a kernel without IPv6 has no tcp6.
func complete(table procnet.Table, exit exit) bool {
	if !table.IPv4 {
		return false
	}
	return exit.code == 0 || !table.IPv6 && strings.Contains(exit.stderr, "No such file")
}

func tablesIn(table procnet.Table) tables {
	read := tables{sockets: slices.Clone(table.Sockets)}
	if table.Malformed > 0 {
		read.problems = []Problem{{
			Reason: "rows of the socket table cannot be decoded",
			Detail: fmt.Sprintf("%d of %d; %v", table.Malformed, table.Malformed+len(table.Sockets), table.FirstMalformed),
		}}
	}
	return read
}
