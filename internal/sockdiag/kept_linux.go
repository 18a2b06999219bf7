package sockdiag

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernelWire is a netlink socket in blocking mode.
type kernelWire struct{ descriptor int }

// dialWire opens a netlink socket in a network namespace. The library enters the namespace; the descriptor is duplicated, because
// the library's own is registered with the runtime's poller.
func dialWire(netns *os.File) (wire, error) {
	conn, err := dial(context.Background(), netns)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	duplicate := -1
	var duplicateErr error
	if err := raw.Control(func(fd uintptr) {
		duplicate, duplicateErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if duplicateErr != nil {
		return nil, duplicateErr
	}
	if err := unix.SetNonblock(duplicate, false); err != nil {
		return nil, errors.Join(err, unix.Close(duplicate))
	}
	return &kernelWire{duplicate}, nil
}

func (w *kernelWire) send(message []byte) error {
	for {
		err := unix.Sendto(w.descriptor, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

var errForeignSender = errors.New("message of another sender than the kernel")

func (w *kernelWire) receive(buffer []byte) (int, error) {
	for {
		n, from, err := unix.Recvfrom(w.descriptor, buffer, unix.MSG_TRUNC)
		sender, isNetlink := from.(*unix.SockaddrNetlink)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, os.ErrDeadlineExceeded
		case err != nil:
			return 0, err
		case !isNetlink || sender.Pid != 0:
			return 0, errForeignSender
		case n > len(buffer): // MSG_TRUNC returns the length of the whole datagram
			return 0, errTruncated
		default:
			return n, nil
		}
	}
}

func (w *kernelWire) setTimeout(timeout time.Duration) error {
	limit := unix.NsecToTimeval(timeout.Nanoseconds())
	return unix.SetsockoptTimeval(w.descriptor, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
}

// close forgets the descriptor: another file may get the same number.
func (w *kernelWire) close() error {
	descriptor := w.descriptor
	w.descriptor = -1
	return unix.Close(descriptor)
}
