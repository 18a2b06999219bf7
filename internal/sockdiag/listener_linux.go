package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// Multicast groups of sock_diag (include/uapi/linux/sock_diag.h, enum sknetlink_groups). Dual-stack sockets report
// themselves in the group of IPv6, and so do sockets of IPv4 over a dual-stack listener.
const (
	groupTCPDestroy  = 1 // SKNLGRP_INET_TCP_DESTROY
	groupUDPDestroy  = 2 // SKNLGRP_INET_UDP_DESTROY
	groupTCP6Destroy = 3 // SKNLGRP_INET6_TCP_DESTROY
	groupUDP6Destroy = 4 // SKNLGRP_INET6_UDP_DESTROY
)

const (
	// wantedBuffer is the receive buffer that the listener asks for, in bytes. The kernel doubles it, and caps it at
	// net.core.rmem_max without CAP_NET_ADMIN. An event takes about 1 KB of it.
	wantedBuffer = 4 << 20
	// maxEventSize is many times the size of an event.
	maxEventSize = 4 << 10
	// maxUnread bounds the events that Receive has not returned yet: some 9 MB.
	maxUnread = 1 << 16
)

// Listener receives an event of each TCP and UDP socket that ends, except of sockets that the kernel itself uses. It is safe for concurrent use.
type Listener struct {
	descriptor int
	wake       [2]int // a pipe that wakes the reader to end
	closing    atomic.Bool
	allNetNS   bool
	more       chan struct{} // has one element if there are unread events
	reader     sync.WaitGroup

	mu        sync.Mutex
	unread    []socket.Ended
	maxUnread int
	losses    uint64
	ended     map[int32]uint64 // events by nsid, connections or not
	overruns  uint64           // each may have been of any nsid
	isDeaf    bool             // after an overrun until the buffer is empty, and once the reader has ended
}

// Listen begins to listen in Outpost's own network namespace and, with CAP_NET_BROADCAST, in all namespaces that have an nsid there. Those
// of containers have one, unless they have only a loopback interface. The caller must close the listener.
func Listen() (*Listener, error) {
	l := &Listener{more: make(chan struct{}, 1), maxUnread: maxUnread, ended: make(map[int32]uint64)}
	var err error
	if l.descriptor, l.allNetNS, err = openGroups(); err != nil {
		return nil, fmt.Errorf("listen to destroy events: %w", err)
	}
	if err := unix.Pipe2(l.wake[:], unix.O_CLOEXEC); err != nil {
		_ = unix.Close(l.descriptor)
		return nil, fmt.Errorf("listen to destroy events: %w", os.NewSyscallError("pipe2", err))
	}
	l.reader.Go(l.read)
	return l, nil
}

// openGroups opens a netlink socket that is a member of the groups.
func openGroups() (descriptor int, allNetNS bool, err error) {
	descriptor, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, netlinkInetDiag)
	if err != nil {
		return 0, false, os.NewSyscallError("socket", err)
	}
	if unix.SetsockoptInt(descriptor, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, wantedBuffer) != nil {
		_ = unix.SetsockoptInt(descriptor, unix.SOL_SOCKET, unix.SO_RCVBUF, wantedBuffer) // the kernel caps it
	}
	allNetNS = unix.SetsockoptInt(descriptor, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1) == nil
	if err = unix.Bind(descriptor, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		err = os.NewSyscallError("bind", err)
	}
	for _, group := range []int{groupTCPDestroy, groupUDPDestroy, groupTCP6Destroy, groupUDP6Destroy} {
		if err == nil {
			err = os.NewSyscallError("setsockopt NETLINK_ADD_MEMBERSHIP", unix.SetsockoptInt(descriptor, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group))
		}
	}
	if err != nil {
		_ = unix.Close(descriptor)
		return 0, false, err
	}
	return descriptor, allNetNS, nil
}

// HearsAllNetNS reports whether the listener hears other network namespaces than Outpost's own.
func (l *Listener) HearsAllNetNS() bool { return l.allNetNS }

// LimitUnread bounds the events that Receive has not returned yet further.
func (l *Listener) LimitUnread(events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.maxUnread = min(l.maxUnread, events)
}

// Close ends the listener.
func (l *Listener) Close() error {
	l.closing.Store(true)
	_ = unix.Close(l.wake[1])
	l.reader.Wait()
	return errors.Join(unix.Close(l.descriptor), unix.Close(l.wake[0]))
}

// More has an element once Receive returns something new.
func (l *Listener) More() <-chan struct{} { return l.more }

// Receive appends the events since the last call to events, and returns how often events were lost since then. The kernel reports a
// loss, but not how many events it dropped.
func (l *Listener) Receive(events []socket.Ended) (all []socket.Ended, losses uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, losses = append(events, l.unread...), l.losses
	l.unread, l.losses = l.unread[:0], 0
	return all, losses
}

// EndsIn returns a number that is another one after each end of a socket in a network namespace, and after each loss of events. UDP sockets
// without a port do not count. ok is false if the listener does not hear that namespace.
func (l *Listener) EndsIn(nsid int32) (ends uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended[nsid] + l.overruns, !l.isDeaf && (l.allNetNS || nsid == socket.OwnNamespace)
}

// read reads events on a thread of its own until Close. It does nothing else, so that the socket's buffer does not overflow.
func (l *Listener) read() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.setDeaf(true)
	buffer, control := make([]byte, maxEventSize), make([]byte, unix.CmsgSpace(4)*4) //nolint:mnd // room for other control messages
	//nolint:gosec // descriptors are small
	polled := []unix.PollFd{{Fd: int32(l.descriptor), Events: unix.POLLIN}, {Fd: int32(l.wake[0]), Events: unix.POLLIN}}
	for !l.closing.Load() {
		n, controlSize, flags, from, err := unix.Recvmsg(l.descriptor, buffer, control, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			l.setDeaf(false)
			if _, err := unix.Poll(polled, -1); err != nil && !errors.Is(err, unix.EINTR) || polled[1].Revents != 0 {
				return
			}
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // the socket's buffer has overflowed
			l.addOverrun()
		case err != nil: // no other error ends by itself
			l.addOverrun()
			return
		case isFromKernel(from):
			namespace := namespaceOf(control[:controlSize])
			events, ended, lost := decodeEvents(buffer[:n], namespace, time.Now())
			if lost = lost || flags&unix.MSG_TRUNC != 0; ended || lost {
				l.add(namespace, events, lost)
			}
		}
	}
}

// isFromKernel reports whether the kernel sent a message. Processes with CAP_NET_ADMIN may send to a group too.
func isFromKernel(from unix.Sockaddr) bool {
	address, ok := from.(*unix.SockaddrNetlink)
	return ok && address.Pid == 0
}

// setDeaf sets isDeaf. The events after an overrun up to the empty buffer are lost too, and the kernel reports no second overrun.
func (l *Listener) setDeaf(isDeaf bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isDeaf && !isDeaf {
		l.overruns++
	}
	l.isDeaf = isDeaf
}

// addOverrun counts a loss of events of unknown namespaces.
func (l *Listener) addOverrun() {
	l.mu.Lock()
	l.losses++
	l.overruns++
	l.isDeaf = true
	l.mu.Unlock()
	l.signal()
}

// add adds the events of a datagram, which are of one network namespace. lost means that some could not be decoded.
func (l *Listener) add(namespace int32, events []socket.Ended, lost bool) {
	l.mu.Lock()
	l.ended[namespace]++
	room := max(0, min(len(events), l.maxUnread-len(l.unread)))
	l.unread = append(l.unread, events[:room]...)
	if lost || room < len(events) {
		l.losses++
	}
	l.mu.Unlock()
	l.signal()
}

func (l *Listener) signal() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// decodeEvents decodes the destroy events of a datagram. ended means that a socket ended that may have been in a table. lost means that the
// datagram is malformed.
func decodeEvents(data []byte, namespace int32, now time.Time) (events []socket.Ended, ended, lost bool) {
	for len(data) > 0 {
		message, rest, err := cutMessage(data)
		if err != nil {
			return events, ended, true
		}
		if typeOf(message) == sockDiagByFamily {
			event, err := decodeEnded(message[headerSize:])
			switch {
			case err == nil:
				event.Namespace, event.At = namespace, now
				events = append(events, event)
				ended = true
			case errors.Is(err, errNoConnection):
				ended = true
			case !errors.Is(err, errUnboundUDP):
				lost = true
			}
		}
		data = rest
	}
	return events, ended, lost
}

// namespaceOf returns the nsid in the control messages of an event: struct cmsghdr with level SOL_NETLINK, type
// NETLINK_LISTEN_ALL_NSID, and an int32. Without one the event is of the listener's own network namespace.
func namespaceOf(control []byte) int32 {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return socket.OwnNamespace
	}
	for _, message := range messages {
		const size = 4
		if message.Header.Level == unix.SOL_NETLINK && message.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(message.Data) >= size {
			return int32(binary.NativeEndian.Uint32(message.Data)) //nolint:gosec // the kernel's int
		}
	}
	return socket.OwnNamespace
}
