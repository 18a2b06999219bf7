// Package hostproc reads what a mounted /proc of the Docker host shows of a container's processes: the tables of its
// network namespace, the sockets that they hold and their cgroups.
package hostproc

import (
	"errors"
	"fmt"
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
	ErrAnother = errors.New("the process is another's")
)

// Mounted is where the host's /proc is looked for first.
const Mounted = "/host/proc"

// procSuperMagic is PROC_SUPER_MAGIC of include/uapi/linux/magic.h.
const procSuperMagic = 0x9fa0

// Root is a mounted proc file system. In the zero value there is nothing.
type Root struct{ path string }

// Find returns the host's /proc: the configured one, else Mounted if it is there, else /proc, which is the host's
// only where Outpost shares the engine's PID namespace. Whether it is shows with each process.
func Find(configured string) (Root, error) {
	if configured != "" {
		return At(configured)
	}
	if root, err := At(Mounted); err == nil {
		return root, nil
	}
	return At("/proc")
}

// At returns the proc file system that is mounted at path.
func At(path string) (Root, error) {
	var info unix.Statfs_t
	if err := unix.Statfs(path, &info); err != nil {
		return Root{}, fmt.Errorf("%s: %w", path, err)
	}
	if int64(info.Type) != procSuperMagic { //nolint:unconvert // of other types elsewhere
		return Root{}, fmt.Errorf("%s is not a proc file system", path)
	}
	return Root{path}, nil
}

// Path is where the file system is mounted.
func (r Root) Path() string { return r.path }

// Hidden reports whether the processes of others are hidden from Outpost (mount option hidepid): process 1, which
// every PID namespace has, tells nothing.
func (r Root) Hidden() bool {
	if r.path == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(r.path, "1", "net"))
	return err != nil
}

// Process returns the process with the number pid if it is one of the container's: if a path in its cgroup file has
// the container's 64-digit ID in it, as the name of a cgroup or in docker-<ID>.scope. What is read through it later
// is of this process, or fails, whoever gets its number.
func (r Root) Process(pid int, container string) (*Process, error) {
	p, err := r.unverified(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(idsIn(p.cgroups), container) {
		_ = p.Close()
		return nil, fmt.Errorf("process %d: %w", pid, ErrAnother)
	}
	return p, nil
}

func (r Root) open(name string) (*Process, error) {
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
func (r Root) Init() (*Process, error) { return r.unverified("1") }

// Self returns Outpost's own process.
func (r Root) Self() (*Process, error) { return r.unverified("self") }

func (r Root) unverified(name string) (*Process, error) {
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

// PIDs returns the processes of each container. One pass over all processes is the only way to find those that a
// container's first process did not start, such as an exec's.
func (r Root) PIDs() (map[string][]int, error) {
	directory, err := os.Open(r.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = directory.Close() }()
	entries, err := directory.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]int)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry)
		if err != nil {
			continue // not a process
		}
		cgroups, err := readAt(directory, filepath.Join(entry, "cgroup"))
		if err != nil {
			continue // it ended, or is hidden
		}
		for _, id := range idsIn(cgroups) {
			found[id] = append(found[id], pid)
		}
	}
	return found, nil
}
