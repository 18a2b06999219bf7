package hostproc

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const containerIDLength = 64

// containerIDs returns the IDs of the containers that contain a process, outermost first. cgroups is the text of its
// /proc/<pid>/cgroup. An ID is a component of a path in lines such as
//
//	0::/docker/4f5c…                             or, under systemd,
//	0::/system.slice/docker-4f5c….scope
//	0::/machine.slice/libpod-4f5c….scope/container
//	4:memory:/../4f5c…                           seen from another cgroup namespace
//
// (cgroups(7), runc's cgroup drivers). The component of Podman's monitor ends with the ID too, but it is not in the container:
//
//	0::/machine.slice/libpod-conmon-4f5c….scope
func containerIDs(cgroups string) []string {
	var ids []string
	for start, end := 0, 0; start < len(cgroups); start = end + 1 {
		for end = start; end < len(cgroups) && isHexDigit(cgroups[end]); end++ {
		}
		if end-start != containerIDLength || !beginsID(cgroups[:start]) || !endsComponent(cgroups[end:]) {
			continue
		}
		if id := cgroups[start:end]; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// HasCgroupOf reports whether the process's cgroup names a container.
func (p *Process) HasCgroupOf(containerID string) bool {
	return slices.Contains(containerIDs(p.cgroups), containerID)
}

func isHexDigit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

// beginsID reports whether a container's ID may follow: at the start of a path component or after a hyphen.
func beginsID(before string) bool {
	if strings.HasSuffix(before, "conmon-") {
		return false
	}
	return strings.HasSuffix(before, "/") || strings.HasSuffix(before, "-")
}

// endsComponent reports whether a path component ends at the start of rest or after the suffix of a systemd scope.
func endsComponent(rest string) bool {
	rest = strings.TrimPrefix(rest, ".scope")
	return rest == "" || rest[0] == '/' || rest[0] == '\n'
}

// DefaultCgroupMount is the usual mount point of cgroup v2.
const DefaultCgroupMount = "/sys/fs/cgroup"

// maxCgroups bounds how many nested cgroups of one container are read.
const maxCgroups = 4096

// Errors that explain why a container's cgroup v2 cannot be found.
var (
	ErrCgroupV1        = errors.New("the engine uses cgroup v1, but cgroup v2 is required")
	ErrCgroupNamespace = errors.New("other cgroups are invisible: start Outpost with --cgroupns host")
)

// CgroupIDs returns the IDs of the container's cgroup v2 and of all cgroups below it. inet_diag reports the ID of the
// cgroup that created a socket. mount is the mount point of the hierarchy. The paths are complete only in the host's
// cgroup namespace.
func (p *Process) CgroupIDs(mount, containerID string) (map[uint64]bool, error) {
	path, err := p.cgroupPath(containerID)
	if err != nil {
		return nil, err
	}
	if !IsCgroupV2(mount) { // in hybrid mode (v1 and v2), sockets may carry no usable v2 ID
		return nil, ErrCgroupV1
	}
	path = filepath.Join(mount, path)
	if !IsCgroupV2(path) {
		return nil, ErrCgroupNamespace
	}
	return cgroupIDsBelow(path)
}

// IsCgroupV2 reports whether a directory is in the hierarchy of cgroup v2.
func IsCgroupV2(path string) bool {
	magic, err := fileSystemMagic(path)
	return err == nil && magic == cgroup2SuperMagic
}

// cgroupPath returns the path of the container's cgroup v2, which is the process's cgroup or an ancestor of it.
func (p *Process) cgroupPath(containerID string) (path string, err error) {
	hasV1 := false
	for line := range strings.Lines(p.cgroups) {
		if v2, found := strings.CutPrefix(line, "0::"); found { // cgroups(7): hierarchy 0 is v2
			path = v2
		} else {
			hasV1 = true
		}
	}
	before, after, found := strings.Cut(strings.TrimSuffix(path, "\n"), containerID)
	switch {
	case !found && (hasV1 || path == ""):
		return "", ErrCgroupV1
	case !found, strings.Contains(before, "/.."):
		return "", ErrCgroupNamespace
	}
	suffix, _, _ := strings.Cut(after, "/")
	return before + containerID + suffix, nil
}

// maxAllCgroups bounds how many cgroups of a machine are read.
const maxAllCgroups = 65_536

// ContainersByCgroup returns the innermost container of each cgroup v2 of a container, of the first maxAllCgroups cgroups. mount is the mount
// point of the hierarchy. A cgroup's ID is its directory's inode number.
func ContainersByCgroup(mount string) map[uint64]string {
	containers := make(map[uint64]string)
	read := 0
	_ = filepath.WalkDir(mount, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // a removed cgroup has no sockets
		}
		if read++; read > maxAllCgroups {
			return fs.SkipAll
		}
		var stat unix.Stat_t
		if ids := containerIDs(path); len(ids) > 0 && unix.Stat(path, &stat) == nil {
			containers[stat.Ino] = ids[len(ids)-1]
		}
		return nil
	})
	return containers
}

// cgroupIDsBelow returns the IDs of the cgroup at path and of its descendants. A cgroup's ID is its directory's
// inode number.
func cgroupIDsBelow(path string) (map[uint64]bool, error) {
	ids := make(map[uint64]bool)
	err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // a removed cgroup has no sockets
		}
		if len(ids) == maxCgroups {
			return fmt.Errorf("more than %d cgroups below %s", maxCgroups, path)
		}
		var stat unix.Stat_t
		if unix.Stat(path, &stat) == nil {
			ids[stat.Ino] = true
		}
		return nil
	})
	return ids, err
}
