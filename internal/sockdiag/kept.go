package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// Kept is a netlink socket that stays open between readings. It keeps its network namespace alive. After any error except ErrNoUDP it is
// unusable: the kernel may still send the rest of the failed dump. A Kept must not be used concurrently.
//
// It makes the system calls itself. The netlink library peeks at each message, and waits in the runtime's poller, which costs
// more than a dump of listeners.
type Kept struct {
	wire     wire
	sequence uint32
	timeout  time.Duration // of each receive
	nsid     int32
	hasNSID  bool
}

// wire is a netlink socket. A test has one without a kernel.
type wire interface {
	send(message []byte) error
	// receive returns the length of the next datagram of the kernel. It fails if that is longer than buffer.
	receive(buffer []byte) (int, error)
	setTimeout(timeout time.Duration) error
	close() error
}

// Keep opens a socket in the network namespace that a file such as /proc/<pid>/ns/net refers to, like Open. The caller must
// close it.
func Keep(netns *os.File) (*Kept, error) {
	w, err := dialWire(netns)
	if err != nil {
		return nil, wrapError(err)
	}
	nsid, err := nsidOf(netns)
	return &Kept{wire: w, nsid: nsid, hasNSID: err == nil}, nil
}

// NSID returns the Namespace of the socket's ends that a Listener in Outpost's own network namespace receives. ok is false if it receives
// none: the namespace has no number there.
func (k *Kept) NSID() (nsid int32, ok bool) { return k.nsid, k.hasNSID }

// Close closes the socket.
func (k *Kept) Close() error { return k.wire.close() }

// Listeners is like that of Conn. It does not repeat a failed dump.
func (k *Kept) Listeners(ctx context.Context, quota *socket.Quota) ([]socket.Socket, error) {
	quota.Release()
	return k.dump(ctx, newRequest(1<<socket.Listen, false), socket.TCP, quota)
}

// All is like that of Conn. It does not repeat a failed dump.
func (k *Kept) All(ctx context.Context, withTCPInfo bool, quota *socket.Quota) ([]socket.Socket, error) {
	quota.Release()
	return k.dump(ctx, newRequest(allStates, withTCPInfo), socket.TCP, quota)
}

// UDP is like that of Conn. It does not repeat a failed dump.
func (k *Kept) UDP(ctx context.Context, family Family, quota *socket.Quota) ([]socket.Socket, error) {
	sockets, err := k.dump(ctx, newUDPRequest(family), socket.UDP, quota)
	return sockets, toUDPError(err)
}

// keptBufferSize is the longest datagram of a dump: the kernel makes none above 32 KiB (net/netlink/af_netlink.c, netlink_recvmsg).
const keptBufferSize = 32 << 10

var keptBuffers = sync.Pool{New: func() any { return new([keptBufferSize]byte) }}

func (k *Kept) dump(ctx context.Context, message netlink.Message, protocol socket.Protocol, quota *socket.Quota) ([]socket.Socket, error) {
	if err := k.request(ctx, message); err != nil {
		return nil, err
	}
	buffer := keptBuffers.Get().(*[keptBufferSize]byte) //nolint:errcheck // the pool holds no other type
	defer keptBuffers.Put(buffer)
	answer := dumpAnswer{sequence: k.sequence, protocol: protocol, quota: quota, seen: make(map[uint64]struct{})}
	for !answer.done {
		if err := k.bound(ctx); err != nil {
			return nil, err
		}
		n, err := k.wire.receive(buffer[:])
		if err != nil {
			return nil, wrapError(err)
		}
		if err := answer.add(buffer[:n]); err != nil {
			return answer.sockets, err
		}
	}
	return answer.sockets, nil
}

func (k *Kept) request(ctx context.Context, message netlink.Message) error {
	if err := k.bound(ctx); err != nil {
		return err
	}
	k.sequence++
	message.Header.Sequence = k.sequence
	message.Header.Length = uint32(headerSize + len(message.Data)) //nolint:gosec // of a request, 76
	encoded, err := message.MarshalBinary()
	if err != nil {
		return err
	}
	return wrapError(k.wire.send(encoded))
}

// timeoutSteps: a receive may outlast the deadline of its context by this part of the timeout. That saves a system call per dump.
const timeoutSteps = 8

// bound bounds the next call by the deadline of ctx.
func (k *Kept) bound(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	remaining := time.Until(deadline)
	if k.timeout > 0 && k.timeout <= remaining+k.timeout/timeoutSteps && k.timeout >= remaining/timeoutSteps {
		return nil
	}
	k.timeout = max(remaining, time.Millisecond)
	return k.wire.setTimeout(k.timeout)
}

// struct nlmsghdr of include/uapi/linux/netlink.h: offsets in bytes, numbers in the machine's byte order.
const (
	headerLength   = 0 // u32, with the header
	headerType     = 4 // u16
	headerFlags    = 6 // u16
	headerSequence = 8 // u32
	headerSize     = 16
)

var errTruncated = errors.New("truncated netlink message")

// dumpAnswer is what the kernel has answered so far.
type dumpAnswer struct {
	sequence uint32
	protocol socket.Protocol
	quota    *socket.Quota
	seen     map[uint64]struct{} // by cookie: the kernel may repeat a socket when it resumes its walk
	sockets  []socket.Socket
	done     bool
}

// add adds the messages of a datagram.
func (a *dumpAnswer) add(datagram []byte) error {
	for len(datagram) > 0 && !a.done {
		message, rest, err := cutMessage(datagram)
		if err != nil {
			return err
		}
		if err := a.addMessage(message); err != nil {
			return err
		}
		datagram = rest
	}
	return nil
}

// cutMessage returns the first message of a datagram, with its header, and the others. Messages begin at multiples of 4 bytes.
func cutMessage(datagram []byte) (message, rest []byte, err error) {
	if len(datagram) < headerSize {
		return nil, nil, errTruncated
	}
	length := int(binary.NativeEndian.Uint32(datagram[headerLength:]))
	if length < headerSize || length > len(datagram) {
		return nil, nil, errTruncated
	}
	const alignment = 4
	return datagram[:length], datagram[min(len(datagram), (length+alignment-1)&^(alignment-1)):], nil
}

func typeOf(message []byte) netlink.HeaderType {
	return netlink.HeaderType(binary.NativeEndian.Uint16(message[headerType:]))
}

func (a *dumpAnswer) addMessage(message []byte) error {
	data := message[headerSize:]
	switch {
	case binary.NativeEndian.Uint32(message[headerSequence:]) != a.sequence:
		return errSequence
	case netlink.HeaderFlags(binary.NativeEndian.Uint16(message[headerFlags:]))&netlink.DumpInterrupted != 0:
		return errDumpInterrupted
	}
	switch typeOf(message) {
	case netlink.Noop:
		return nil
	case netlink.Error, netlink.Done:
		a.done = true
		return decodeErrno(data)
	}
	return a.addSocket(data)
}

// decodeErrno decodes the negative errno of a struct nlmsgerr, or of the end of a dump. The latter may lack it.
func decodeErrno(data []byte) error {
	const errnoSize = 4
	if len(data) < errnoSize {
		return nil
	}
	if errno := int32(binary.NativeEndian.Uint32(data)); errno < 0 { //nolint:gosec // the kernel's int
		return wrapError(unix.Errno(-errno))
	}
	return nil
}

func (a *dumpAnswer) addSocket(data []byte) error {
	if len(a.sockets) == maxSockets {
		return ErrTooMany
	}
	sock, cookie, err := decode(data, a.protocol)
	if err != nil {
		return fmt.Errorf("inet_diag: %w", err)
	}
	if _, duplicate := a.seen[cookie]; duplicate {
		return nil
	}
	if !a.quota.Take(sock.Listening()) {
		if a.protocol == socket.UDP { // its listeners are in no order
			return nil
		}
		return ErrQuota
	}
	a.seen[cookie] = struct{}{}
	a.sockets = append(a.sockets, sock)
	return nil
}
