package hostproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/procnet"
)

// Process is one process, held by its directory. It must be closed.
type Process struct {
	directory *os.File
	// thread is the directory, below the process's own, of a thread that has a network namespace: "." or, where the
	// leading thread has exited, "task/<tid>".
	thread    string
	namespace Namespace
	cgroups   string
}

// Namespace identifies a network namespace: two processes are in the same one exactly if these are equal. It is the
// device and inode of net/tcp, which everyone may see.
type Namespace struct{ device, inode uint64 }

// Close gives the process's directory back.
func (p *Process) Close() error { return p.directory.Close() }

// Namespace returns the network namespace that the process is in.
func (p *Process) Namespace() Namespace { return p.namespace }

// findThread finds a thread that has a network namespace; a process whose leading thread has exited shows none of its
// own (fs/proc/proc_net.c, get_proc_task_net).
func (p *Process) findThread() error {
	err := p.useThread(".")
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	task, openErr := p.open("task")
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
	var stat unix.Stat_t
	name := filepath.Join(thread, "net", "tcp")
	if err := unix.Fstatat(int(p.directory.Fd()), name, &stat, 0); err != nil {
		return &fs.PathError{Op: "stat", Path: filepath.Join(p.directory.Name(), name), Err: err}
	}
	p.thread = thread
	p.namespace = Namespace{uint64(stat.Dev), stat.Ino}
	return nil
}

// NetNS opens the network namespace, to be entered. That takes CAP_SYS_PTRACE for the process of another user or with
// more capabilities.
func (p *Process) NetNS() (*os.File, error) { return p.open(filepath.Join(p.thread, "ns", "net")) }

// Tables writes the TCP tables of the network namespace to the decoder. A table in which there can be nothing is not
// read: that would make the kernel walk through the hash table of all namespaces.
func (p *Process) Tables(decoder io.Writer) error {
	v4, err := p.sockstat("sockstat")
	noTCP := err == nil && v4.IPv4 && v4.TCP == 0 && v4.TimeWait == 0
	if noTCP && v4.Any && v4.Used == 0 && p.noTCP6() {
		return nil
	}
	if !noTCP {
		if err := p.table("tcp", decoder); err != nil {
			return err
		}
	}
	err = p.table("tcp6", decoder)
	if errors.Is(err, fs.ErrNotExist) && p.noIPv6() {
		return nil
	}
	return err
}

// noTCP6 reports whether no socket of tcp6 is counted. Where there are sockets of any kind, that does not mean that
// there is none: see procnet.Sockstat.
func (p *Process) noTCP6() bool {
	v6, err := p.sockstat("sockstat6")
	return err == nil && v6.IPv6 && v6.TCP6 == 0
}

// noIPv6 reports whether the kernel lacks IPv6, and not the process.
func (p *Process) noIPv6() bool {
	_, err := p.sockstat("sockstat6")
	_, alive := p.sockstat("sockstat")
	return errors.Is(err, fs.ErrNotExist) && alive == nil
}

func (p *Process) sockstat(name string) (procnet.Sockstat, error) {
	file, err := p.open(filepath.Join(p.thread, "net", name))
	if err != nil {
		return procnet.Sockstat{}, err
	}
	defer func() { _ = file.Close() }()
	return procnet.DecodeSockstat(file)
}

const (
	bufferSize = 64 << 10
	// lastChunk: a read() returns as many whole rows as a page holds, and a row is shorter than 512 bytes. A chunk
	// shorter than this is the last: the read that returns nothing would walk through the whole hash table again.
	lastChunk = 4096 - 512
	// maxTable bounds what is read of one table: some 400,000 rows.
	maxTable = 64 << 20
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// ErrTooLong means that a table is longer than what is read of it.
var ErrTooLong = fmt.Errorf("the table is longer than %d MiB", maxTable>>20)

// table copies a table. It is opened anew each time: some kernels fail to seek in it.
func (p *Process) table(name string, to io.Writer) error {
	file, err := p.open(filepath.Join(p.thread, "net", name))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	buffer := buffers.Get().(*[bufferSize]byte)[:] //nolint:errcheck // it holds nothing else
	defer buffers.Put((*[bufferSize]byte)(buffer))
	for total := 0; total < maxTable; {
		n, err := file.Read(buffer)
		if _, err := to.Write(buffer[:n]); err != nil {
			return err
		}
		if n < lastChunk || err != nil {
			return ended(err)
		}
		total += n
	}
	return ErrTooLong
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Sockets are those that a process holds.
type Sockets struct {
	Name   string // of the process, as the kernel has it (comm)
	Inodes []uint64
	// Missing is the capability for lack of which its descriptors could not be looked at; empty if they were.
	Missing string
}

// Sockets looks at all descriptors of the process.
func (p *Process) Sockets() (Sockets, error) {
	directory, err := p.open("fd")
	if errors.Is(err, fs.ErrPermission) {
		return Sockets{Missing: "CAP_DAC_READ_SEARCH"}, nil // the directory is for its user alone
	}
	if err != nil {
		return Sockets{}, err
	}
	defer func() { _ = directory.Close() }()
	entries, err := directory.Readdirnames(-1)
	if err != nil {
		return Sockets{}, err
	}
	name, err := p.read("comm")
	if err != nil {
		return Sockets{}, err
	}
	held := Sockets{Name: strings.TrimSuffix(name, "\n")}
	target := make([]byte, 64)
	for _, entry := range entries {
		n, err := unix.Readlinkat(int(directory.Fd()), entry, target)
		if errors.Is(err, fs.ErrPermission) {
			held.Missing = "CAP_SYS_PTRACE" // proc_fd_access_allowed of fs/proc/base.c
			break
		}
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := procfd.SocketInode(string(target[:n])); ok {
			held.Inodes = append(held.Inodes, inode)
		}
	}
	return held, nil
}

// Addresses returns the addresses of the network namespace, but for loopback and link-local ones.
func (p *Process) Addresses() ([]procnet.Address, error) {
	var files []io.Reader
	for _, name := range []string{"fib_trie", "route", "if_inet6"} {
		file, err := p.open(filepath.Join(p.thread, "net", name))
		if errors.Is(err, fs.ErrNotExist) { // a kernel without the one or the other family
			files = append(files, nil)
			continue
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		files = append(files, file)
	}
	return procnet.DecodeAddresses(files[0], files[1], files[2], binary.NativeEndian)
}

func (p *Process) open(name string) (*os.File, error) { return openAt(p.directory, name) }

func (p *Process) read(name string) (string, error) { return readAt(p.directory, name) }

func openAt(directory *os.File, name string) (*os.File, error) {
	path := filepath.Join(directory.Name(), name)
	for {
		fd, err := unix.Openat(int(directory.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		default:
			return os.NewFile(uintptr(fd), path), nil
		}
	}
}

// readAt reads a file that is not long.
func readAt(directory *os.File, name string) (string, error) {
	file, err := openAt(directory, name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	const longest = 64 << 10
	text, err := io.ReadAll(io.LimitReader(file, longest))
	return string(text), err
}
