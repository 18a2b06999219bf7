//go:build !linux

package hostproc

import "errors"

// Placeholders: only Linux has these file systems.
const (
	procSuperMagic    = 1
	cgroup2SuperMagic = 2
)

// fileSystemMagic always fails: only Linux has /proc and cgroups.
func fileSystemMagic(string) (int64, error) { return 0, errors.ErrUnsupported }
