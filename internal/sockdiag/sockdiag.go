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
	// ErrUnsupported means that the kernel has no inet_diag for TCP, or cannot load it: modules inet_diag and tcp_diag.
	ErrUnsupported = errors.New("the kernel lacks inet_diag for TCP")
	errTorn        = errors.New("the table changed while it was dumped")
	errStray       = errors.New("the answer is to another request")
)

// Conn asks the kernel for the sockets of one network namespace. It is for one goroutine.
type Conn struct {
	ctx  context.Context // bounds the life of a Conn, which is that of one reading
	dial func() (*netlink.Conn, error)
	conn *netlink.Conn // nil where there is none without an answer that is not read to its end
}

// Open returns a connection to the network namespace that the file refers to, such as /proc/<pid>/ns/net, or to
// Outpost's own if it is nil. Another one takes CAP_SYS_ADMIN, one's own no capability. It ends with ctx, and must be
// closed.
func Open(ctx context.Context, namespace *os.File) (*Conn, error) {
	c := &Conn{ctx: ctx, dial: func() (*netlink.Conn, error) { return dial(ctx, namespace) }}
	return c, translate(c.open())
}

// Close closes the connection.
func (c *Conn) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// Listening returns the listening sockets of both families: the kernel walks through these alone.
func (c *Conn) Listeners() ([]socket.Socket, error) { return c.retry(1<<socket.Listen, false) }

// All returns the listening, established and TIME_WAIT sockets of both families. The kernel walks through the hash
// table of all namespaces once for both. With info, it is asked for the Info of connections too, which takes each
// socket's lock. With ErrTooMany come as many sockets as are read.
func (c *Conn) All(info bool) ([]socket.Socket, error) {
	return c.retry(1<<socket.Listen|1<<socket.Established|1<<socket.TimeWait, info)
}

// translate wraps an error. What an errno means of netlink, it does not mean of a file: ENOENT, for one, is the answer
// to a question after a protocol that the kernel does not have (net/ipv4/inet_diag.c, inet_diag_lock_handler).
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %v", ErrUnsupported, err) //nolint:errorlint // it must not be taken for another's
	}
	return fmt.Errorf("inet_diag: %w", err)
}

// dial opens a socket in a namespace. The library enters it on a thread of its own, which dies if it cannot return.
// The socket stays in the namespace in which it was made.
func dial(ctx context.Context, namespace *os.File) (*netlink.Conn, error) {
	config := &netlink.Config{}
	if namespace != nil {
		config.NetNS = int(namespace.Fd())
	}
	conn, err := netlink.Dial(netlinkInetDiag, config)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

func (c *Conn) open() (err error) {
	if c.conn == nil {
		c.conn, err = c.dial()
	}
	return err
}

// retry makes a dump until one is whole. After one that failed each is made on a socket of its own: on the old one the
// kernel may still be at the one that failed, the rest of which would be taken for the next.
func (c *Conn) retry(states uint32, info bool) (sockets []socket.Socket, err error) {
	for range attempts {
		if sockets, err = c.dump(states, info); err == nil {
			return sockets, nil
		}
		_ = c.Close() // the error that matters is the dump's
		if !errors.Is(err, errTorn) && !errors.Is(err, unix.ENOBUFS) || c.ctx.Err() != nil {
			break
		}
	}
	return sockets, translate(err)
}

func (c *Conn) dump(states uint32, info bool) ([]socket.Socket, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	sent, err := c.conn.Send(request(states, info))
	if err != nil {
		return nil, err
	}
	var sockets []socket.Socket
	seen := make(map[uint64]struct{}) // where the kernel takes up its walk again it may show a socket twice
	for message, err := range c.conn.ReceiveIter() {
		switch {
		case err != nil:
			return nil, err
		case message.Header.Sequence != sent.Header.Sequence:
			return nil, errStray
		case message.Header.Flags&netlink.DumpInterrupted != 0:
			return nil, errTorn
		case len(sockets) == maxSockets:
			return sockets, ErrTooMany
		}
		row, cookie, err := decode(message.Data)
		if err != nil {
			return nil, err
		}
		if _, again := seen[cookie]; !again {
			seen[cookie] = struct{}{}
			sockets = append(sockets, row)
		}
	}
	return sockets, nil
}
