// Package sockdiag reads the TCP sockets of a network namespace by inet_diag netlink (net/ipv4/inet_diag.c).
package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// netlinkInetDiag is NETLINK_INET_DIAG of include/uapi/linux/netlink.h, also called NETLINK_SOCK_DIAG.
const netlinkInetDiag = 4

const (
	// maxSockets bounds the memory that one namespace can take.
	maxSockets = 1 << 20
	// attempts is how often a dump is made that comes back inconsistent or overrun.
	attempts = 3
)

// Errors on which callers branch.
var (
	// ErrTooMany means that the namespace has more sockets than are read.
	ErrTooMany = fmt.Errorf("more than %d sockets", maxSockets)
	errTorn    = errors.New("the table changed while it was dumped")
)

// Dump returns the listening, established and TIME_WAIT sockets of both families in the network namespace that
// the file refers to, such as /proc/<pid>/ns/net, or in Outpost's own if it is nil. Another one takes
// CAP_SYS_ADMIN, one's own no capability. The kernel walks its table once for both families. With info, it is
// asked for the Info of connections too, which takes each socket's lock.
// With ErrTooMany come as many sockets as are read.
func Dump(ctx context.Context, namespace *os.File, info bool) ([]socket.Socket, error) {
	config := &netlink.Config{}
	if namespace != nil {
		config.NetNS = int(namespace.Fd())
	}
	// The library enters the namespace on a thread of its own, which dies if it cannot return. The socket stays in
	// the namespace in which it was made.
	conn, err := netlink.Dial(netlinkInetDiag, config)
	if err != nil {
		return nil, fmt.Errorf("inet_diag: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, fmt.Errorf("inet_diag: %w", err)
		}
	}
	return dump(ctx, conn, info)
}

func dump(ctx context.Context, conn *netlink.Conn, info bool) (sockets []socket.Socket, err error) {
	for range attempts {
		sockets, err = dumpOnce(conn, info)
		if !errors.Is(err, errTorn) && !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("inet_diag: %w", err)
	}
	return sockets, err
}

func dumpOnce(conn *netlink.Conn, info bool) ([]socket.Socket, error) {
	if _, err := conn.Send(request(info)); err != nil {
		return nil, err
	}
	var failed error
	var sockets []socket.Socket
	seen := make(map[uint64]struct{}) // where the kernel takes up its walk again it may show a socket twice
	for message, err := range conn.ReceiveIter() {
		if err != nil {
			return nil, err
		}
		if failed != nil {
			continue // reading on to the end of the dump, so that nothing of it is left for the next
		}
		row, cookie, err := decode(message.Data)
		_, again := seen[cookie]
		switch {
		case err != nil:
			failed = err
		case message.Header.Flags&netlink.DumpInterrupted != 0:
			failed = errTorn
		case len(sockets) == maxSockets:
			failed = ErrTooMany
		case !again:
			seen[cookie] = struct{}{}
			sockets = append(sockets, row)
		}
	}
	return sockets, failed
}
