package collect

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
)

// readOwnNetNS returns Outpost's network namespace, or the zero value if it cannot be read.
func (c *Collector) readOwnNetNS() hostproc.NetNSID {
	self, err := c.Proc.Self()
	if err != nil {
		return hostproc.NetNSID{}
	}
	defer func() { _ = self.Close() }()
	return self.NetNSID()
}

// hostAddresses returns the addresses of the host, read through a container on the host's network. Without one, it
// reads them through Outpost's own process if that runs in no container, else through PID 1. It returns none if no
// process of the engine's containers is visible: then Proc may not be the host's.
func (p *pass) hostAddresses(targets []*target) ([]procnet.Address, error) {
	verified := false
	for _, t := range targets {
		if !t.process.visible() {
			continue
		}
		verified = verified || !t.process.self
		if t.netns == nil || !t.netns.Host {
			continue
		}
		// An error means that the process has exited, or that a file could not be decoded: try the next one.
		if addresses, err := t.process.process.Addresses(); err == nil {
			return addresses, nil
		}
	}
	switch {
	case !verified:
		return nil, nil
	case p.SelfContainer == "":
		return readAddresses(p.Proc.Self())
	}
	return readAddresses(p.Proc.Init())
}

func readAddresses(process *hostproc.Process, err error) ([]procnet.Address, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = process.Close() }()
	return process.Addresses()
}

// mountedFile matches the files that the engine mounts into each container, in the fields root and mount point of
// /proc/self/mountinfo: …/containers/<ID>/hostname /etc/hostname (moby daemon/container_operations_unix.go).
var mountedFile = regexp.MustCompile(`/containers/([0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) `)

// SelfContainerID returns the ID of the container in which Outpost runs, from <proc>/self/mountinfo. It is empty if
// Outpost runs in none, or if there is no such file, as on other systems than Linux.
func SelfContainerID(proc string) (id string, err error) {
	file, err := os.Open(filepath.Join(proc, "self", "mountinfo")) //nolint:gosec // the caller names its own /proc
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find own container: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if match := mountedFile.FindStringSubmatch(lines.Text()); match != nil {
			return match[1], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("find own container: %w", err)
	}
	return "", nil
}
