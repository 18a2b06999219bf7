// Package hostproc reads what a mounted /proc of the Docker host shows of a container's processes: the tables of its
// network namespace, the sockets that they hold and their cgroups.
package hostproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Errors on which callers branch.
var (
	// ErrNoProcess means that there is no such process, or that it is hidden.
	ErrNoProcess = errors.New("no such process in sight")
	// ErrAnother means that the number belongs to a process of something else.
	ErrForeignProcess = errors.New("the process is another's")
)

// Mounted is where the host's /proc is looked for first.
const DefaultMount = "/host/proc"

// procSuperMagic is PROC_SUPER_MAGIC of include/uapi/linux/magic.h.
const procSuperMagic = 0x9fa0

// Root is a mounted proc file system. In the zero value there is nothing.
type FS struct{ path string }

// Find returns the host's /proc: the configured one, else Mounted if it is there, else /proc, which is the host's
// only where Outpost shares the engine's PID namespace. Whether it is shows with each process.
func Open(configured string) (FS, error) {
	if configured != "" {
		return OpenAt(configured)
	}
	if root, err := OpenAt(DefaultMount); err == nil {
		return root, nil
	}
	return OpenAt("/proc")
}

// At returns the proc file system that is mounted at path.
func OpenAt(path string) (FS, error) {
	var info unix.Statfs_t
	if err := unix.Statfs(path, &info); err != nil {
		return FS{}, fmt.Errorf("%s: %w", path, err)
	}
	if int64(info.Type) != procSuperMagic { //nolint:unconvert // of other types elsewhere
		return FS{}, fmt.Errorf("%s is not a proc file system", path)
	}
	return FS{path}, nil
}

// Path is where the file system is mounted.
func (r FS) Path() string { return r.path }

// Process returns the process with the number pid if it is one of the container's: if a path in its cgroup file has
// the container's 64-digit ID in it, as the name of a cgroup or in docker-<ID>.scope. What is read through it later
// is of this process, or fails, whoever gets its number.
func (r FS) Process(pid int, container string) (*Process, error) {
	p, err := r.unverified(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(idsIn(p.cgroups), container) {
		_ = p.Close()
		return nil, fmt.Errorf("process %d: %w", pid, ErrForeignProcess)
	}
	return p, nil
}

// Companion returns the process with the number pid if it is in Outpost's own container, whose name Outpost cannot see:
// in a cgroup namespace of its own every path of the container is "/", and that of any other process begins with
// "/.." (cgroup_namespaces(7)). It must be known that Outpost is in a container.
func (r FS) SelfContainerProcess(pid int) (*Process, error) {
	self, err := r.Self()
	if err != nil {
		return nil, err
	}
	defer func() { _ = self.Close() }()
	p, err := r.unverified(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	if len(idsIn(self.cgroups)) > 0 || p.cgroups != self.cgroups {
		_ = p.Close()
		return nil, fmt.Errorf("process %d: %w", pid, ErrForeignProcess)
	}
	return p, nil
}

// Capabilities returns Outpost's own.
func (r FS) SelfCapabilities() Capabilities {
	self, err := r.Self()
	if err != nil {
		return 0
	}
	defer func() { _ = self.Close() }()
	status, err := self.read("status")
	if err != nil {
		return 0
	}
	capabilities, _ := decodeCapabilities(status) // what is not known is not counted on
	return capabilities
}

func (r FS) open(name string) (*Process, error) {
	if r.path == "" {
		return nil, fmt.Errorf("without /proc: %w", ErrNoProcess)
	}
	path := filepath.Join(r.path, name)
	fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH), errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w", path, ErrNoProcess)
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Process{directory: os.NewFile(uintptr(fd), path)}, nil
}

// Init returns process 1.
func (r FS) Init() (*Process, error) { return r.unverified("1") }

// Self returns Outpost's own process.
func (r FS) Self() (*Process, error) { return r.unverified("self") }

func (r FS) unverified(name string) (*Process, error) {
	p, err := r.open(name)
	if err != nil {
		return nil, err
	}
	if p.cgroups, err = p.read("cgroup"); err == nil {
		err = p.findThread()
	}
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// PIDs are the processes of each container by its ID, those of Outpost's own container under "" too if Outpost cannot
// see that one's ID.
type PIDs map[string][]int

// PIDs finds them. One pass over all processes is the only way to find those that a container's first process did not
// start, such as an exec's.
func (r FS) PIDs(ctx context.Context) (PIDs, error) {
	self, err := r.Self()
	if err != nil {
		return nil, err
	}
	defer func() { _ = self.Close() }()
	directory, err := os.Open(r.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = directory.Close() }()
	found := make(PIDs)
	err = eachName(ctx, directory, func(name string) error {
		pid, err := strconv.Atoi(name)
		if err != nil {
			return nil //nolint:nilerr // not a process
		}
		cgroups, err := readAt(directory, filepath.Join(name, "cgroup"))
		if err != nil {
			return nil //nolint:nilerr // it ended, or is hidden
		}
		ids := idsIn(cgroups)
		for _, id := range ids {
			found[id] = append(found[id], pid)
		}
		if len(ids) == 0 && cgroups == self.cgroups {
			found[""] = append(found[""], pid)
		}
		return nil
	})
	return found, err
}

// eachName calls do with each name in a directory, as long as ctx lasts.
func eachName(ctx context.Context, directory *os.File, do func(name string) error) error {
	const atOnce = 1024
	for {
		names, err := directory.Readdirnames(atOnce)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", directory.Name(), ctx.Err())
		}
	}
}
