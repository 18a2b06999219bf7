// Package sockdiag reads the TCP and UDP sockets of a network namespace through inet_diag netlink (net/ipv4/inet_diag.c).
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

// netlinkInetDiag is NETLINK_INET_DIAG of include/uapi/linux/netlink.h, an alias of NETLINK_SOCK_DIAG.
const netlinkInetDiag = 4

const (
	// maxSockets bounds the memory that one network namespace can take.
	maxSockets = 1 << 20
	// maxAttempts bounds how often an inconsistent or overrun dump is tried. The check for inconsistency is defensive:
	// the kernel sets NLM_F_DUMP_INTR only for dumps that maintain cb->seq, which inet_diag does not.
	maxAttempts = 3
)

// Errors on which callers branch.
var (
	// ErrTooMany means that the network namespace has more sockets than Conn reads.
	ErrTooMany = fmt.Errorf("more than %d sockets", maxSockets)
	// ErrUnsupported means that the kernel has no inet_diag for TCP, or cannot load it: modules inet_diag and tcp_diag.
	ErrUnsupported = errors.New("the kernel lacks inet_diag for TCP")

	// ErrNoUDP means that the kernel has no inet_diag for UDP, or cannot load it: module udp_diag. The connection stays usable.
	ErrNoUDP = errors.New("the kernel lacks inet_diag for UDP")

	// ErrQuota means that the network namespace has more sockets than the quota.
	ErrQuota = errors.New("more sockets than the quota")

	errDumpInterrupted = errors.New("the table changed during the dump") // NLM_F_DUMP_INTR
	errSequence        = errors.New("answer to another request")
)

// Conn is a netlink socket in a network namespace. It queries the sockets of that namespace. It must not be used
// concurrently.
type Conn struct {
	ctx   context.Context // a Conn lives for one reading, and ctx bounds that
	dial  func() (*netlink.Conn, error)
	quota *socket.Quota
	conn  *netlink.Conn // nil after Close, and after a failed dump until the next one
}

// Open returns a connection to the network namespace that a file such as /proc/<pid>/ns/net refers to. If netns is
// nil, it is Outpost's own. Another namespace requires CAP_SYS_ADMIN; Outpost's own requires no capability. ctx bounds
// all requests. The caller must close the connection.
func Open(ctx context.Context, netns *os.File) (*Conn, error) {
	c := &Conn{ctx: ctx, dial: func() (*netlink.Conn, error) { return dial(ctx, netns) }}
	return c, wrapError(c.connect())
}

// SetQuota bounds the sockets of each further answer. An answer of TCP replaces all before; an answer of UDP comes beside them.
func (c *Conn) SetQuota(quota *socket.Quota) { c.quota = quota }

// Close closes the connection.
func (c *Conn) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// Listeners returns the TCP listeners of both address families. The kernel walks only its table of listeners.
func (c *Conn) Listeners() ([]socket.Socket, error) {
	return c.dumpWithRetries(newRequest(1<<socket.Listen, false), socket.TCP)
}

// All returns the TCP sockets of both address families in LISTEN, ESTABLISHED, TIME_WAIT and SYN_SENT. The kernel walks the hash
// table of all namespaces once for both. With withTCPInfo it also requests the TCPInfo of each socket, listeners
// included. Together with ErrTooMany or ErrQuota it returns the sockets up to the limit. The kernel sends
// listeners first.
func (c *Conn) All(withTCPInfo bool) ([]socket.Socket, error) {
	return c.dumpWithRetries(newRequest(allStates, withTCPInfo), socket.TCP)
}

// UDP returns the UDP sockets of one address family that have a port. Sockets beyond the quota are dropped. Together with ErrTooMany it
// returns the sockets up to the limit. It returns ErrNoUDP if the kernel cannot dump them.
func (c *Conn) UDP(family Family) ([]socket.Socket, error) {
	sockets, err := c.dumpWithRetries(newUDPRequest(family), socket.UDP)
	return sockets, toUDPError(err)
}

// toUDPError returns ErrNoUDP for ErrUnsupported, which a dump of UDP sockets returns if the kernel has no handler for them.
func toUDPError(err error) error {
	if errors.Is(err, ErrUnsupported) {
		return ErrNoUDP
	}
	return err
}

// allStates are the states of All, one bit for each.
const allStates = 1<<socket.Listen | 1<<socket.Established | 1<<socket.TimeWait | 1<<socket.SynSent

// wrapError wraps an error. It hides the errno behind ErrUnsupported. ENOENT here means that the kernel has no handler for
// the protocol (net/ipv4/inet_diag.c, inet_diag_lock_handler). Callers would read it as a missing file.
func wrapError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %v", ErrUnsupported, err) //nolint:errorlint // errors.Is must not find the errno
	}
	return fmt.Errorf("inet_diag: %w", err)
}

// dial opens a netlink socket in a network namespace. The library enters the namespace on a separate thread, which it
// ends if it cannot return. The socket stays in the namespace that created it.
func dial(ctx context.Context, netns *os.File) (*netlink.Conn, error) {
	config := &netlink.Config{}
	if netns != nil {
		config.NetNS = int(netns.Fd())
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

func (c *Conn) connect() (err error) {
	if c.conn == nil {
		c.conn, err = c.dial()
	}
	return err
}

// dumpWithRetries repeats a dump that was interrupted or overran the socket's buffer. After a failed dump it opens another
// netlink socket. On the old one the kernel may still send the rest of the failed dump. It would be mistaken for the
// next dump.
func (c *Conn) dumpWithRetries(message netlink.Message, protocol socket.Protocol) (sockets []socket.Socket, err error) {
	var before socket.QuotaMark
	if protocol == socket.UDP {
		before = c.quota.Mark()
	}
	for range maxAttempts {
		c.quota.ReleaseTo(before)
		if sockets, err = c.dump(message, protocol); err == nil {
			return sockets, nil
		}
		_ = c.Close() // the dump's error matters more
		if !errors.Is(err, errDumpInterrupted) && !errors.Is(err, unix.ENOBUFS) || c.ctx.Err() != nil {
			break
		}
	}
	return sockets, wrapError(err)
}

func (c *Conn) dump(message netlink.Message, protocol socket.Protocol) ([]socket.Socket, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	request, err := c.conn.Send(message)
	if err != nil {
		return nil, err
	}
	var sockets []socket.Socket
	seen := make(map[uint64]struct{}) // by cookie: the kernel may repeat a socket when it resumes its walk
	for message, err := range c.conn.ReceiveIter() {
		switch {
		case err != nil:
			return nil, err
		case message.Header.Sequence != request.Header.Sequence:
			return nil, errSequence
		case message.Header.Flags&netlink.DumpInterrupted != 0:
			return nil, errDumpInterrupted
		case len(sockets) == maxSockets:
			return sockets, ErrTooMany
		}
		sock, cookie, err := decode(message.Data, protocol)
		if err != nil {
			return nil, err
		}
		if _, duplicate := seen[cookie]; duplicate {
			continue
		}
		if !c.quota.Take(sock.Listening()) {
			if protocol == socket.UDP { // its listeners are in no order
				continue
			}
			return sockets, ErrQuota
		}
		seen[cookie] = struct{}{}
		sockets = append(sockets, sock)
	}
	return sockets, nil
}
