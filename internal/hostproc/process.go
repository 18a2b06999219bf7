package hostproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procnet"
)

// Process is one process, identified by its open directory in /proc. The caller must close it.
type Process struct {
	directory *os.File
	// thread is the path, relative to directory, of a thread that has a network namespace: "." or, if the
	// thread-group leader has exited, "task/<tid>".
	thread  string
	netnsID NetNSID
	cgroups string // the text of /proc/<pid>/cgroup
}

// NetNSID identifies a network namespace: two processes share one if and only if their IDs are equal. It is the
// device and inode of net/tcp, which stat(2) shows without any capability.
type NetNSID struct{ device, inode uint64 }

// Close closes the process's directory.
func (p *Process) Close() error { return p.directory.Close() }

// NetNSID returns the identity of the process's network namespace.
func (p *Process) NetNSID() NetNSID { return p.netnsID }

// findThread chooses a thread that has a network namespace. A thread-group leader that has exited shows no net directory
// (fs/proc/proc_net.c, get_proc_task_net).
func (p *Process) findThread() error {
	err := p.useThread(".")
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	task, openErr := p.openOSFile("task")
	if openErr != nil {
		return openErr
	}
	defer func() { _ = task.Close() }()
	threads, readErr := task.Readdirnames(-1)
	if readErr != nil {
		return readErr
	}
	for _, thread := range threads {
		if p.useThread(filepath.Join("task", thread)) == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", p.directory.Name(), ErrNoProcess)
}

func (p *Process) useThread(thread string) error {
	id, err := p.statNetNS(filepath.Join(thread, "net", "tcp"))
	if err != nil {
		return err
	}
	p.thread, p.netnsID = thread, id
	return nil
}

// statNetNS returns the network namespace of a thread, from its file net/tcp.
func (p *Process) statNetNS(name string) (NetNSID, error) {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(p.directory.Fd()), name, &stat, 0); err != nil {
		return NetNSID{}, &fs.PathError{Op: "stat", Path: filepath.Join(p.directory.Name(), name), Err: err}
	}
	return NetNSID{uint64(stat.Dev), stat.Ino}, nil
}

// OpenNetNS opens the network namespace for setns(2). It requires CAP_SYS_PTRACE if the process belongs to another
// user or has more capabilities than Outpost.
func (p *Process) OpenNetNS() (*os.File, error) {
	return p.openOSFile(filepath.Join(p.thread, "ns", "net"))
}

// Addresses returns the addresses of the network namespace: all except loopback and IPv6 link-local ones.
func (p *Process) Addresses() ([]procnet.Address, error) {
	files, err := p.openNet("fib_trie", "route", "if_inet6")
	defer files.close()
	if err != nil {
		return nil, err
	}
	return procnet.DecodeAddresses(files.reader(0), files.reader(1), files.reader(2), binary.NativeEndian)
}

// LocalAddresses returns the addresses of the network namespace except loopback ones, up to 1,000. Together with an error it
// returns those that it could decode.
func (p *Process) LocalAddresses() ([]netip.Addr, error) {
	files, err := p.openNet("fib_trie", "if_inet6")
	defer files.close()
	if err != nil {
		return nil, err
	}
	return procnet.DecodeLocalAddresses(files.reader(0), files.reader(1))
}

// netFiles are files of the process's net directory. A file that does not exist is nil: the kernel lacks one of the address
// families.
type netFiles []*file

// openNet opens files. The caller must close them, also those beside an error.
func (p *Process) openNet(names ...string) (files netFiles, err error) {
	for _, name := range names {
		opened, err := p.open(filepath.Join(p.thread, "net", name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return files, err
		}
		files = append(files, opened)
	}
	return files, nil
}

func (f netFiles) close() {
	for _, opened := range f {
		if opened != nil {
			opened.close()
		}
	}
}

// reader returns a nil interface for a file that does not exist.
func (f netFiles) reader(i int) io.Reader {
	if f[i] == nil {
		return nil
	}
	return f[i]
}

func (p *Process) open(name string) (*file, error) { return openAt(p.directory, name) }

func (p *Process) read(name string) (string, error) { return readAt(p.directory, name) }

// openOSFile opens a directory or a namespace, which read(2) cannot read.
func (p *Process) openOSFile(name string) (*os.File, error) {
	f, err := p.open(name)
	if err != nil {
		return nil, err
	}
	return f.toOSFile(), nil
}
