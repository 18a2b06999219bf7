package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/socket"
)

// udpRead is what was read of the UDP sockets of a network namespace.
type udpRead struct {
	sockets []socket.Socket
	unread  string // why some are missing
	// isHeard means that the kernel can report the end of each one: it has udp_diag, or no UDP socket exists.
	isHeard bool
}

// addUDP adds the UDP sockets after those of TCP.
func (t *tables) addUDP(read udpRead) {
	t.sockets = append(t.sockets, read.sockets...)
	t.udpUnread = read.unread
}

// dumpFamily dumps the UDP sockets of an address family.
type dumpFamily func(family sockdiag.Family) ([]socket.Socket, error)

// readUDP dumps the UDP sockets of a process's network namespace. It dumps nothing if counts prove that there are none. If the kernel cannot
// dump them, it reads the process's tables. It never fails: without UDP, the sockets of TCP are still valid.
func (p *pass) readUDP(ctx context.Context, process *hostproc.Process, counts hostproc.UDPCounts, quota *socket.Quota, dump dumpFamily) (read udpRead) {
	if counts.None() {
		return udpRead{isHeard: true}
	}
	before, err := quota.Mark(), sockdiag.ErrNoUDP
	if !p.lacksUDPDiag.Load() {
		read.sockets, err = dumpUDP(counts, dump)
	}
	switch {
	case err == nil:
		read.isHeard = true
		return read
	case errors.Is(err, sockdiag.ErrTooMany), ctx.Err() != nil:
		read.unread = err.Error()
		return read
	case errors.Is(err, sockdiag.ErrNoUDP): // each dump would make the kernel look for the module again
		p.lacksUDPDiag.Store(true)
	}
	quota.ReleaseTo(before)
	return p.readUDPTables(process, quota)
}

// dumpUDP dumps each family that may have sockets.
func dumpUDP(counts hostproc.UDPCounts, dump dumpFamily) (sockets []socket.Socket, err error) {
	if !counts.Known || counts.IPv4 > 0 {
		if sockets, err = dump(sockdiag.IPv4); err != nil {
			return sockets, err
		}
	}
	if counts.Known && counts.IPv6 == 0 {
		return sockets, nil
	}
	ofIPv6, err := dump(sockdiag.IPv6)
	return append(sockets, ofIPv6...), err
}

// readUDPTables reads /proc/<pid>/net/udp and udp6 in the host's /proc.
func (p *pass) readUDPTables(process *hostproc.Process, quota *socket.Quota) (read udpRead) {
	decoder := p.decoders.get(quota)
	defer p.decoders.put(decoder)
	err := process.CopyUDPTables(decoder)
	if err != nil {
		decoder.DropPartialRow()
		read.unread = udpTablesUnread(err)
	}
	table := decoder.Table()
	if table.Malformed > 0 {
		read.unread = fmt.Sprintf("%d rows of the tables of UDP cannot be decoded: %v", table.Malformed, table.FirstMalformed)
	}
	read.sockets = slices.Clone(table.Sockets)
	return read
}

func udpTablesUnread(err error) string {
	return "reading the tables of UDP in the host's /proc: " + err.Error()
}

// udpUnread returns why UDP sockets are missing in what a command printed. A kernel without IPv6 has no udp6.
func udpUnread(decoded procnet.Table, status exitStatus) string {
	switch {
	case !decoded.UDP:
		return "the command printed no " + netUDP
	case decoded.IPv6 && !decoded.UDP6:
		return "the command printed no " + netUDP6
	}
	for message := range messages(status) {
		if isAboutUDP(message) && !isNoFile(message) {
			return message
		}
	}
	return ""
}
