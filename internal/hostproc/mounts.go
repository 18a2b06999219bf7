package hostproc

import "regexp"

// mountedFile matches the files that the engine mounts into each container, in the fields root and mount point of
// /proc/<pid>/mountinfo (moby daemon/container_operations_unix.go; Podman libpod/container_internal_linux.go):
//
//	62 59 8:1 /var/lib/docker/containers/4f5c…/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw
//	62 59 0:42 /containers/storage/overlay-containers/4f5c…/userdata/hostname /etc/hostname rw,relatime - tmpfs tmpfs rw
var mountedFile = regexp.MustCompile(`/(?:[a-z]+-)?containers/([0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) `)

// containerEnv is mountedFile for a file that Podman mounts for each container alone.
var containerEnv = regexp.MustCompile(`/(?:[a-z]+-)?containers/([0-9a-f]{64})/userdata/\.containerenv /run/\.containerenv `)

// ContainerOfMounts returns the ID of the container with the files that a process has mounted, or "". Under Docker, a container on another
// one's network has the files of that one.
func ContainerOfMounts(mountinfo string) string {
	match := containerEnv.FindStringSubmatch(mountinfo)
	if match == nil {
		match = mountedFile.FindStringSubmatch(mountinfo)
	}
	if match == nil {
		return ""
	}
	return match[1]
}

// isIn reports whether the process belongs to a container, by its cgroup. If that names no container at all, as in an engine without
// cgroups, it goes by the mounts.
func (p *Process) isIn(containerID string) bool {
	if len(containerIDs(p.cgroups)) > 0 {
		return p.HasCgroupOf(containerID)
	}
	mounts, err := p.read("mountinfo")
	return err == nil && ContainerOfMounts(mounts) == containerID
}

// hasMountsOf reports whether two processes see the same mounts, as those of one container do.
func (p *Process) hasMountsOf(other *Process) bool {
	mounts, err := p.read("mountinfo")
	if err != nil {
		return false
	}
	others, err := other.read("mountinfo")
	return err == nil && mounts == others
}
