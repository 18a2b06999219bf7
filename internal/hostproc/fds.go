package hostproc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procfd"
)

// Sockets are the sockets that a process holds.
type Sockets struct {
	Name   string // the process's name, as in /proc/<pid>/comm
	Inodes []uint64
	// RequiredCapabilities lists what reading the file descriptors requires, if the kernel denied it; otherwise it
	// is empty.
	RequiredCapabilities []Capability
}

// ErrTooManyDescriptors means that a process has more file descriptors than the caller's limit.
var ErrTooManyDescriptors = errors.New("too many descriptors")

// Sockets returns the sockets among the process's file descriptors. It reads at most maxDescriptors of them, until
// ctx ends. Together with an error it returns the sockets found so far. It reads the thread that is alive, because a
// thread-group leader that has exited shows no descriptors (fs/proc/fd.c).
func (p *Process) Sockets(ctx context.Context, maxDescriptors int) (Sockets, error) {
	directory, err := p.openOSFile(filepath.Join(p.thread, "fd"))
	if errors.Is(err, fs.ErrPermission) { // only the process's user may open it
		return Sockets{RequiredCapabilities: []Capability{DACReadSearch, SysPtrace}}, nil
	}
	if err != nil {
		return Sockets{}, err
	}
	defer func() { _ = directory.Close() }()
	comm, err := p.read(filepath.Join(p.thread, "comm"))
	if err != nil {
		return Sockets{}, err
	}
	sockets := Sockets{Name: strings.TrimSuffix(comm, "\n")}
	descriptors := 0
	err = eachName(ctx, directory, func(name string) error {
		if descriptors++; descriptors > maxDescriptors {
			return fmt.Errorf("%s: %w", directory.Name(), ErrTooManyDescriptors)
		}
		return sockets.addDescriptor(directory, name)
	})
	if errors.Is(err, fs.ErrPermission) { // proc_fd_access_allowed of fs/proc/base.c
		sockets.RequiredCapabilities, err = []Capability{SysPtrace}, nil
	}
	return sockets, err
}

// addDescriptor adds the inode of a descriptor if it refers to a socket.
func (s *Sockets) addDescriptor(directory *os.File, descriptor string) error {
	var target [64]byte
	n, err := unix.Readlinkat(int(directory.Fd()), descriptor, target[:])
	switch {
	case errors.Is(err, fs.ErrPermission):
		return err
	case err != nil:
		return nil //nolint:nilerr // the process closed it meanwhile
	}
	if inode, ok := procfd.ParseSocketInode(string(target[:n])); ok {
		s.Inodes = append(s.Inodes, inode)
	}
	return nil
}
