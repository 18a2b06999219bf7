package hostproc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Errors that explain why processes are invisible.
var (
	ErrHidden = errors.New("/proc hides processes from Outpost: it is mounted with hidepid")
	errNoProc = errors.New("no /proc available")
)

// CheckVisibility returns an error if existing processes may be invisible to Outpost.
func (f FS) CheckVisibility() error {
	if f.path == "" {
		return errNoProc
	}
	if _, err := OpenAt(f.path); err != nil {
		return err // it was unmounted
	}
	if f.hidesProcesses() {
		return ErrHidden
	}
	return nil
}

// hidesProcesses reports whether other users' processes are hidden from Outpost (proc(5), mount option hidepid).
// Usually process 1, which exists in every PID namespace, is hidden too. If it is visible, others may still be hidden.
func (f FS) hidesProcesses() bool {
	if _, err := os.Stat(filepath.Join(f.path, "1", "net")); err != nil {
		return true
	}
	if f.SelfCapabilities().Has(SysPtrace) { // has_pid_permissions of fs/proc/base.c
		return false
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	options := mountOptions(string(mounts), f.path)
	return optionsHide(options, os.Getegid(), supplementaryGroups())
}

func supplementaryGroups() []int {
	groups, _ := os.Getgroups() // without groups, processes count as hidden
	return groups
}

// mountOptions returns the superblock options of the file system mounted at path, of the last one if several are.
// mountinfo is the text of /proc/<pid>/mountinfo (proc(5)). It escapes a blank in a path as \040:
//
//	21 26 0:20 / /host/proc ro,relatime - proc proc rw,gid=5,hidepid=invisible
func mountOptions(mountinfo, path string) []string {
	const mountPoint, optionsAfterDash = 4, 3
	var options []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		dash := slices.Index(fields, "-")
		if dash < 0 || len(fields) <= dash+optionsAfterDash || dash <= mountPoint {
			continue
		}
		if unescape(fields[mountPoint]) == filepath.Clean(path) {
			options = strings.Split(fields[dash+optionsAfterDash], ",")
		}
	}
	return options
}

func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// optionsHide reports whether mount options hide processes from a user with these groups (fs/proc/root.c).
func optionsHide(options []string, group int, groups []int) bool {
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
