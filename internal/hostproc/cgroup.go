package hostproc

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// containerID matches a container's ID as a component of a path in a cgroup file, whose lines are such as
//
//	0::/docker/4f5c…                             or, under systemd,
//	0::/system.slice/docker-4f5c….scope
//	4:memory:/../4f5c…                           seen from another cgroup namespace
//
// (cgroups(7), runc's cgroup drivers).
var containerID = regexp.MustCompile(`[/-]([0-9a-f]{64})(?:\.scope)?(?:/|\n|$)`)

// idsIn returns the IDs of the containers, one inside of the other, that a process of this cgroup file is in.
func idsIn(cgroups string) []string {
	var ids []string
	for rest := cgroups; ; {
		at := containerID.FindStringSubmatchIndex(rest)
		if at == nil {
			return ids
		}
		if id := rest[at[2]:at[3]]; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		rest = rest[at[3]:] // with the slash, which may belong to the next
	}
}

// cgroup2SuperMagic is CGROUP2_SUPER_MAGIC of include/uapi/linux/magic.h.
const cgroup2SuperMagic = 0x63677270

// CgroupFS is where cgroup v2 is usually mounted.
const CgroupFS = "/sys/fs/cgroup"

// maxCgroups bounds how many cgroups a container is believed to have made inside of its own.
const maxCgroups = 4096

// Errors for which the cgroup v2 of a container cannot be told.
var (
	ErrCgroupV1        = errors.New("the engine uses cgroup v1: it takes cgroup v2")
	ErrCgroupNamespace = errors.New("Outpost is in a cgroup namespace of its own: it takes --cgroupns host")
)

// CgroupIDs returns the IDs of the cgroup v2 that the process is in and of all below it, by which inet_diag names the
// maker of a socket. mount is where the hierarchy is mounted. Only from the host's cgroup namespace does a path lead
// there.
func (p *Process) CgroupIDs(mount, container string) (map[uint64]bool, error) {
	path, err := p.cgroupOf(container)
	if err != nil {
		return nil, err
	}
	path = filepath.Join(mount, path)
	var info unix.Statfs_t
	if err := unix.Statfs(path, &info); err != nil || int64(info.Type) != cgroup2SuperMagic { //nolint:unconvert // of other types elsewhere
		return nil, ErrCgroupNamespace
	}
	return cgroupIDsBelow(path)
}

// cgroupOf returns the path of the container's cgroup v2, which may be above that of the process.
func (p *Process) cgroupOf(container string) (path string, err error) {
	for line := range strings.Lines(p.cgroups) {
		if v2, found := strings.CutPrefix(line, "0::"); found { // cgroups(7): hierarchy 0 is v2
			path = v2
		}
	}
	before, after, found := strings.Cut(strings.TrimSuffix(path, "\n"), container)
	switch {
	case !found:
		return "", ErrCgroupV1
	case strings.Contains(before, "/.."):
		return "", ErrCgroupNamespace
	}
	suffix, _, _ := strings.Cut(after, "/")
	return before + container + suffix, nil
}

func cgroupIDsBelow(path string) (map[uint64]bool, error) {
	ids := make(map[uint64]bool)
	err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // one that vanished has no socket
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
