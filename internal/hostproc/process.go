package hostproc

import (
	"context"
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
	namespace NetNSID
	cgroups   string
}

// Namespace identifies a network namespace: two processes are in the same one exactly if these are equal. It is the
// device and inode of net/tcp, which everyone may see.
type NetNSID struct{ device, inode uint64 }

// Close gives the process's directory back.
func (p *Process) Close() error { return p.directory.Close() }

// Namespace returns the network namespace that the process is in.
func (p *Process) NetNSID() NetNSID { return p.namespace }

// findThread finds a thread that has a network namespace; a process whose leading thread has exited shows none of its
// own (fs/proc/proc_net.c, get_proc_task_net).
func (p *Process) findThread() error {
	err := p.useThread(".")
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	task, openErr := p.openOS("task")
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
	p.namespace = NetNSID{uint64(stat.Dev), stat.Ino}
	return nil
}

// NetNS opens the network namespace, to be entered. That takes CAP_SYS_PTRACE for the process of another user or with
// more capabilities.
func (p *Process) OpenNetNS() (*os.File, error) {
	return p.openOS(filepath.Join(p.thread, "ns", "net"))
}

// Tables writes the TCP tables of the network namespace to the decoder. A table in which there is nothing is not read:
// that would make the kernel walk through the hash table of all namespaces.
func (p *Process) CopyTables(decoder io.Writer) error {
	v4, err := p.sockstat("sockstat")
	counted := err == nil && v4.IPv4
	if !counted || v4.TCP > 0 || v4.TimeWait > 0 {
		if err := p.table("tcp", decoder); err != nil {
			return err
		}
	}
	if counted && v4.TimeWait == 0 && p.noTCP6() { // the former counts both tables
		return nil
	}
	err = p.table("tcp6", decoder)
	if errors.Is(err, fs.ErrNotExist) && p.noIPv6() {
		return nil
	}
	return err
}

// Count returns how many TCP sockets the network namespace has, if the kernel's counters tell: if there are none in
// TIME_WAIT, nor such of MPTCP that it may count elsewhere.
func (p *Process) CountSockets() (sockets int, known bool) {
	sockets, known = p.RecountSockets()
	return sockets, known && p.noMPTCP6()
}

// Recount is Count, a moment after it was known.
func (p *Process) RecountSockets() (sockets int, known bool) {
	v4, err := p.sockstat("sockstat")
	if err != nil || !v4.IPv4 || v4.TimeWait > 0 {
		return 0, false
	}
	v6, err := p.sockstat("sockstat6")
	return v4.TCP + v6.TCP6, err == nil && v6.IPv6
}

// noTCP6 reports whether there is no row in tcp6 but such as are in TIME_WAIT.
func (p *Process) noTCP6() bool {
	v6, err := p.sockstat("sockstat6")
	return err == nil && v6.IPv6 && v6.TCP6 == 0 && p.noMPTCP6()
}

func (p *Process) noMPTCP6() bool {
	sockets, err := decodeFile(p, "protocols", procnet.DecodeMPTCP6)
	return err == nil && sockets == 0
}

// noIPv6 reports whether the kernel lacks IPv6, and not the process.
func (p *Process) noIPv6() bool {
	_, err := p.sockstat("sockstat6")
	_, alive := p.sockstat("sockstat")
	return errors.Is(err, fs.ErrNotExist) && alive == nil
}

func (p *Process) sockstat(name string) (procnet.Sockstat, error) {
	return decodeFile(p, name, procnet.DecodeSockstat)
}

// decodeFile decodes a file of the network namespace.
func decodeFile[T any](p *Process, name string, decode func(io.Reader) (T, error)) (T, error) {
	file, err := p.open(filepath.Join(p.thread, "net", name))
	if err != nil {
		var none T
		return none, err
	}
	defer file.close()
	return decode(file)
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
var ErrTableTooLong = fmt.Errorf("the table is longer than %d MiB", maxTable>>20)

// table copies a table. It is opened anew each time: some kernels fail to seek in it.
func (p *Process) table(name string, to io.Writer) error {
	file, err := p.open(filepath.Join(p.thread, "net", name))
	if err != nil {
		return err
	}
	defer file.close()
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
	return ErrTableTooLong
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
	// Needed are the capabilities that looking at its descriptors takes, if that was not permitted; else none.
	RequiredCapabilities []Capability
}

// ErrTooManyDescriptors means that a process has more descriptors than are to be looked at.
var ErrTooManyDescriptors = errors.New("too many descriptors")

// Sockets looks at the descriptors of the process, at most so many, as long as ctx lasts. Beside an error comes what was
// found. Those of the living thread are looked at: a leading thread that has exited shows none (fs/proc/fd.c).
func (p *Process) Sockets(ctx context.Context, most int) (Sockets, error) {
	directory, err := p.openOS(filepath.Join(p.thread, "fd"))
	if errors.Is(err, fs.ErrPermission) { // it is for its user alone
		return Sockets{RequiredCapabilities: []Capability{DACReadSearch, SysPtrace}}, nil
	}
	if err != nil {
		return Sockets{}, err
	}
	defer func() { _ = directory.Close() }()
	name, err := p.read(filepath.Join(p.thread, "comm"))
	if err != nil {
		return Sockets{}, err
	}
	held := Sockets{Name: strings.TrimSuffix(name, "\n")}
	looked := 0
	err = eachName(ctx, directory, func(name string) error {
		if looked++; looked > most {
			return fmt.Errorf("%s: %w", directory.Name(), ErrTooManyDescriptors)
		}
		return held.add(directory, name)
	})
	if errors.Is(err, fs.ErrPermission) { // proc_fd_access_allowed of fs/proc/base.c
		held.RequiredCapabilities, err = []Capability{SysPtrace}, nil
	}
	return held, err
}

// add adds a descriptor if it is a socket's.
func (s *Sockets) add(directory *os.File, descriptor string) error {
	var target [64]byte
	n, err := unix.Readlinkat(int(directory.Fd()), descriptor, target[:])
	switch {
	case errors.Is(err, fs.ErrPermission):
		return err
	case err != nil:
		return nil //nolint:nilerr // closed meanwhile
	}
	if inode, ok := procfd.SocketInode(string(target[:n])); ok {
		s.Inodes = append(s.Inodes, inode)
	}
	return nil
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
		defer file.close()
		files = append(files, file)
	}
	return procnet.DecodeAddresses(files[0], files[1], files[2], binary.NativeEndian)
}

func (p *Process) open(name string) (*file, error) { return openAt(p.directory, name) }

func (p *Process) read(name string) (string, error) { return readAt(p.directory, name) }

// openOS opens what is not read as a file.
func (p *Process) openOS(name string) (*os.File, error) {
	f, err := p.open(name)
	if err != nil {
		return nil, err
	}
	return f.asOS(), nil
}
