package hostproc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Errors that say why processes are out of sight.
var (
	ErrHidden = errors.New("processes are hidden from Outpost: it is mounted with hidepid")
	errNoProc = errors.New("there is no /proc")
)

// Obstacle returns why processes that are there may be out of Outpost's sight; nil if none is.
func (r FS) CheckVisibility() error {
	if r.path == "" {
		return errNoProc
	}
	if _, err := OpenAt(r.path); err != nil {
		return err // it was unmounted
	}
	if r.hidden() {
		return ErrHidden
	}
	return nil
}

// hidden reports whether the processes of others are hidden from Outpost (proc(5), mount option hidepid). Process 1,
// which every PID namespace has, shows it in most cases; where that one is in sight, others may not be.
func (r FS) hidden() bool {
	if _, err := os.Stat(filepath.Join(r.path, "1", "net")); err != nil {
		return true
	}
	if r.SelfCapabilities().Has(SysPtrace) { // has_pid_permissions of fs/proc/base.c
		return false
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	options := mountOptions(string(mounts), r.path)
	return hides(options, os.Getegid(), groups())
}

func groups() []int {
	all, _ := os.Getgroups() // without them, more is taken to be hidden
	return all
}

// mountOptions returns the options of the file system mounted at path, the last one if there are several, in a text
// such as (proc(5), /proc/<pid>/mountinfo; blanks in a path are written \040)
//
//	21 26 0:20 / /host/proc ro,relatime - proc proc rw,gid=5,hidepid=invisible
func mountOptions(mountinfo, path string) []string {
	const mountPoint, afterDash = 4, 3
	var options []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		dash := slices.Index(fields, "-")
		if dash < 0 || len(fields) <= dash+afterDash || dash <= mountPoint {
			continue
		}
		if unescaped(fields[mountPoint]) == filepath.Clean(path) {
			options = strings.Split(fields[dash+afterDash], ",")
		}
	}
	return options
}

func unescaped(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// hides reports whether the options hide processes from a user of these groups (fs/proc/root.c).
func hides(options []string, group int, groups []int) bool {
	hide := false
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "hidepid":
			hide = value != "0" && value != "off"
		case "gid":
			gid, err := strconv.Atoi(value)
			if err == nil && (gid == group || slices.Contains(groups, gid)) {
				return false
			}
		}
	}
	return hide
}
