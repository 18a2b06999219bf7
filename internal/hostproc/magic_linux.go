package hostproc

import "golang.org/x/sys/unix"

// File system types of include/uapi/linux/magic.h.
const (
	procSuperMagic    = unix.PROC_SUPER_MAGIC
	cgroup2SuperMagic = unix.CGROUP2_SUPER_MAGIC
)

// fileSystemMagic returns the type of the file system at path, as statfs(2) reports it.
func fileSystemMagic(path string) (int64, error) {
	var info unix.Statfs_t
	if err := unix.Statfs(path, &info); err != nil {
		return 0, err
	}
	return int64(info.Type), nil //nolint:unconvert // the field has 32 bits on some architectures
}
