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

const idLength = 64

// idsIn returns the IDs of the containers, one inside of the other, that a process of this cgroup file is in: what
// stands as a component of a path in lines such as
//
//	0::/docker/4f5c…                             or, under systemd,
//	0::/system.slice/docker-4f5c….scope
//	4:memory:/../4f5c…                           seen from another cgroup namespace
//
// (cgroups(7), runc's cgroup drivers).
func idsIn(cgroups string) []string {
	var ids []string
	for start, end := 0, 0; start < len(cgroups); start = end + 1 {
		for end = start; end < len(cgroups) && isHexDigit(cgroups[end]); end++ {
		}
		if end-start != idLength || start == 0 || !strings.ContainsRune("/-", rune(cgroups[start-1])) || !endsComponent(cgroups[end:]) {
			continue
		}
		if id := cgroups[start:end]; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func isHexDigit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

// endsComponent reports whether a component ends where rest begins, or after the name of a unit of systemd.
func endsComponent(rest string) bool {
	rest = strings.TrimPrefix(rest, ".scope")
	return rest == "" || rest[0] == '/' || rest[0] == '\n'
}

// cgroup2SuperMagic is CGROUP2_SUPER_MAGIC of include/uapi/linux/magic.h.
const cgroup2SuperMagic = 0x63677270

// CgroupFS is where cgroup v2 is usually mounted.
const DefaultCgroupMount = "/sys/fs/cgroup"

// maxCgroups bounds how many cgroups a container is believed to have made inside of its own.
const maxCgroups = 4096

// Errors for which the cgroup v2 of a container cannot be told.
var (
	ErrCgroupV1        = errors.New("the engine uses cgroup v1: it takes cgroup v2")
	ErrCgroupNamespace = errors.New("other cgroups are out of sight: it takes --cgroupns host")
)

// CgroupIDs returns the IDs of the cgroup v2 that the process is in and of all below it, by which inet_diag names the
// maker of a socket. mount is where the hierarchy is mounted. Only from the host's cgroup namespace does a path lead
// there.
func (p *Process) CgroupIDs(mount, container string) (map[uint64]bool, error) {
	path, err := p.cgroupOf(container)
	if err != nil {
		return nil, err
	}
	if !isCgroupV2(mount) { // where both versions are in use, only some sockets name their cgroup v2
		return nil, ErrCgroupV1
	}
	path = filepath.Join(mount, path)
	if !isCgroupV2(path) {
		return nil, ErrCgroupNamespace
	}
	return cgroupIDsBelow(path)
}

func isCgroupV2(path string) bool {
	var info unix.Statfs_t
	err := unix.Statfs(path, &info)
	return err == nil && int64(info.Type) == cgroup2SuperMagic //nolint:unconvert // of other types elsewhere
}

// cgroupOf returns the path of the container's cgroup v2, which may be above that of the process.
func (p *Process) cgroupOf(container string) (path string, err error) {
	v1 := false
	for line := range strings.Lines(p.cgroups) {
		if v2, found := strings.CutPrefix(line, "0::"); found { // cgroups(7): hierarchy 0 is v2
			path = v2
		} else {
			v1 = true
		}
	}
	before, after, found := strings.Cut(strings.TrimSuffix(path, "\n"), container)
	switch {
	case !found && (v1 || path == ""):
		return "", ErrCgroupV1
	case !found, strings.Contains(before, "/.."):
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
