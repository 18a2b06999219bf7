package collect

import (
	"math"

	"golang.org/x/sys/unix"
)

// maxOpenFiles returns how many descriptors Outpost may have open (RLIMIT_NOFILE), or 0 if that is unknown.
func maxOpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
