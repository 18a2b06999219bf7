// Package hostproc reads the Docker host's mounted /proc. It reads the socket tables of a container's network
// namespace, the sockets that its processes hold, and their cgroups.
package hostproc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Errors on which callers branch.
var (
	// ErrNoProcess means that the process does not exist or is hidden.
	ErrNoProcess = errors.New("no visible process")
	// ErrForeignProcess means that the PID belongs to a process outside the container.
	ErrForeignProcess = errors.New("process belongs to another container or to the host")
)

// DefaultMount is the path at which Open looks for the host's /proc first.
const DefaultMount = "/host/proc"

// FS is a mounted proc file system. The zero value contains no processes.
type FS struct{ path string }

// Open returns the host's /proc. It uses the configured path or, if that is empty, DefaultMount and then /proc.
// /proc is the host's only if Outpost shares the engine's PID namespace; Process verifies each process instead.
func Open(configured string) (FS, error) {
	if configured != "" {
		return OpenAt(configured)
	}
	if proc, err := OpenAt(DefaultMount); err == nil {
		return proc, nil
	}
	return OpenAt("/proc")
}

// OpenAt returns the proc file system mounted at path.
func OpenAt(path string) (FS, error) {
	magic, err := fileSystemMagic(path)
	if err != nil {
		return FS{}, fmt.Errorf("%s: %w", path, err)
	}
	if magic != procSuperMagic {
		return FS{}, fmt.Errorf("%s is not a proc file system", path)
	}
	return FS{path}, nil
}

// Path returns the mount point.
func (f FS) Path() string { return f.path }

// Process returns the container's process with the given PID. It verifies that the process's cgroup file contains the
// container's 64-digit ID. The ID must be a path component, or end one after a hyphen. The suffix .scope may follow. If the file
// contains no container's ID, the process's mounts must have it. The returned Process never reads from another process: if the kernel reuses the PID, reads fail.
func (f FS) Process(pid int, containerID string) (*Process, error) {
	p, err := f.unverified(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	if !p.isIn(containerID) {
		_ = p.Close()
		return nil, fmt.Errorf("process %d: %w", pid, ErrForeignProcess)
	}
	return p, nil
}

// SelfContainerProcess returns the process with the given PID if it runs in Outpost's own container.
// It is for a cgroup namespace that hides the container's ID. There every path of the container is "/".
// Every path of another process begins with "/.." (cgroup_namespaces(7)). Without cgroups, other containers have equal paths, but
// other mounts.
// The caller must know that Outpost runs in a container.
func (f FS) SelfContainerProcess(pid int) (*Process, error) {
	self, err := f.Self()
	if err != nil {
		return nil, err
	}
	defer func() { _ = self.Close() }()
	p, err := f.unverified(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	if len(containerIDs(self.cgroups)) > 0 || p.cgroups != self.cgroups || !p.hasMountsOf(self) {
		_ = p.Close()
		return nil, fmt.Errorf("process %d: %w", pid, ErrForeignProcess)
	}
	return p, nil
}

// SelfCapabilities returns the effective capabilities of Outpost's own process, or none if they cannot be read.
func (f FS) SelfCapabilities() Capabilities {
	self, err := f.Self()
	if err != nil {
		return 0
	}
	defer func() { _ = self.Close() }()
	status, err := self.read("status")
	if err != nil {
		return 0
	}
	capabilities, _ := parseCapabilities(status) // never assume an unknown capability
	return capabilities
}

// Init returns process 1.
func (f FS) Init() (*Process, error) { return f.unverified("1") }

// Self returns Outpost's own process.
func (f FS) Self() (*Process, error) { return f.unverified("self") }

// unverified opens a process by the name of its directory. It does not check which container the process is in.
func (f FS) unverified(name string) (*Process, error) {
	p, err := f.open(name)
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

func (f FS) open(name string) (*Process, error) {
	if f.path == "" {
		return nil, fmt.Errorf("no /proc available: %w", ErrNoProcess)
	}
	path := filepath.Join(f.path, name)
	fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH), errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w", path, ErrNoProcess)
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Process{directory: os.NewFile(uintptr(fd), path)}, nil
}
