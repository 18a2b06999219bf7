package collect

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"

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
// reads them through a process of the host. It returns none if no such process is known.
func (p *pass) hostAddresses(targets []*target) ([]procnet.Address, error) {
	for _, t := range targets {
		if !t.process.visible() || t.netns == nil || !t.netns.Host {
			continue
		}
		// An error means that the process has exited, or that a file could not be decoded: try the next one.
		if addresses, err := p.dialledAddresses(t.process.process); err == nil {
			return addresses, nil
		}
	}
	if !p.isHostProc(targets) {
		return nil, nil
	}
	if p.SelfContainer == "" {
		return withProcess(p.Proc.Self, p.dialledAddresses)
	}
	return withProcess(p.Proc.Init, (*hostproc.Process).Addresses)
}

// isHostProc reports whether Proc is the host's: it shows a process of another container than Outpost's own.
func (p *pass) isHostProc(targets []*target) bool {
	return slices.ContainsFunc(targets, func(t *target) bool { return t.process.visible() && !t.process.self })
}

// slirpAddr is what slirp4netns gives to the network namespace of a rootless engine, by default (slirp4netns.1). The host forwards
// ports into that namespace. No client can dial the address.
var slirpAddr = netip.AddrFrom4([4]byte{10, 0, 2, 100})

// dialledAddresses returns the addresses of a process on the engine's host network. A rootless engine's host network is a network
// namespace of its own: the addresses that clients dial are then those of PID 1.
func (p *pass) dialledAddresses(process *hostproc.Process) ([]procnet.Address, error) {
	addresses, err := process.Addresses()
	if err != nil || !slices.ContainsFunc(addresses, func(a procnet.Address) bool { return a.Addr == slirpAddr }) {
		return addresses, err
	}
	return withProcess(p.Proc.Init, func(first *hostproc.Process) ([]procnet.Address, error) {
		if first.NetNSID() == process.NetNSID() {
			return addresses, nil // a host with that address
		}
		return first.Addresses()
	})
}

// withProcess calls do with an opened process, and closes it.
func withProcess(open func() (*hostproc.Process, error), do func(*hostproc.Process) ([]procnet.Address, error)) ([]procnet.Address, error) {
	process, err := open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = process.Close() }()
	return do(process)
}

// bootID matches the text of the file boot_id (drivers/char/random.c).
var bootID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$`)

// BootID returns the random ID that the kernel made at its start, from <proc>/sys/kernel/random/boot_id. Every container sees
// it. It is empty if it cannot be read, as on other systems than Linux.
func BootID(proc string) string {
	text, err := os.ReadFile(filepath.Join(proc, "sys", "kernel", "random", "boot_id")) //nolint:gosec // the caller names its own /proc
	if err != nil || !bootID.Match(text) {
		return ""
	}
	return string(text[:len(text)-1])
}

// SelfContainerID returns the ID of the container in which Outpost runs, from <proc>/self/mountinfo. It is empty if
// Outpost runs in none, or if there is no such file, as on other systems than Linux.
func SelfContainerID(proc string) (id string, err error) {
	mountinfo, err := os.ReadFile(filepath.Join(proc, "self", "mountinfo")) //nolint:gosec // the caller names its own /proc
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find own container: %w", err)
	}
	return hostproc.ContainerOfMounts(string(mountinfo)), nil
}
