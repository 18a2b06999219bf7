package collect

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// mountedFile matches the files that the engine mounts into each container, in the fields root and mount point
// of /proc/self/mountinfo: …/containers/<ID>/hostname /etc/hostname (moby daemon/container_operations_unix.go).
var mountedFile = regexp.MustCompile(`/containers/([0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) `)

// SelfContainerID returns the ID of the container in which Outpost runs, as proc tells, usually /proc; empty if it runs in
// none.
func SelfContainerID(proc string) (id string, err error) {
	file, err := os.Open(filepath.Join(proc, "self", "mountinfo")) //nolint:gosec // the caller's own /proc
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // not Linux
	}
	if err != nil {
		return "", fmt.Errorf("own container: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if match := mountedFile.FindStringSubmatch(lines.Text()); match != nil {
			return match[1], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("own container: %w", err)
	}
	return "", nil
}
