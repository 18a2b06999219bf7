package conntrack

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// MaxSlowRows is the maximum length of a table that is read as text from a kernel before 6.16. Such a kernel walks the table from its
// beginning for each page: 10,000 rows take some 3 s.
const MaxSlowRows = 10_000

// Release is the version of a kernel. The zero value is older than any.
type Release struct{ Major, Minor int }

// KernelRelease returns the version of the running kernel, or the zero value if it is unknown.
func KernelRelease() Release {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return Release{}
	}
	return ParseRelease(unix.ByteSliceToString(name.Release[:]))
}

// ParseRelease parses the beginning of a text such as "6.1.0-28-amd64". It returns the zero value if the text has no version.
func ParseRelease(text string) (r Release) {
	if n, err := fmt.Sscanf(text, "%d.%d", &r.Major, &r.Minor); err != nil || n != 2 {
		return Release{}
	}
	return r
}

// ReadsFast reports whether the kernel continues a read of the table where the one before ended: since 6.16, by the commit
// "netfilter: nf_conntrack: speed up reads from nf_conntrack proc file".
func (r Release) ReadsFast() bool { return r.Major > 6 || r.Major == 6 && r.Minor >= 16 }

// String returns the version as in "6.1".
func (r Release) String() string {
	return fmt.Sprintf("%d.%d", r.Major, r.Minor)
}
