package engine

import (
	"path"
	"slices"
	"strings"

	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// engineSockets are the default paths of the sockets of Docker and Podman.
var engineSockets = []string{"/run/docker.sock", "/run/podman/podman.sock"}

// rootlessSockets are the patterns of the same paths for rootless engines.
var rootlessSockets = []string{"/run/user/*/docker.sock", "/run/user/*/podman/podman.sock"}

// mountsSocket reports whether mounts contain the socket of an engine, or a directory with it. own is the socket that Outpost itself
// uses, if any. A socket at another path of the host is recognised by its path in the container.
func mountsSocket(mounts []dockercontainer.MountPoint, own string) bool {
	sockets := engineSockets
	if own != "" {
		sockets = append(slices.Clone(sockets), cleanPath(own))
	}
	return slices.ContainsFunc(mounts, func(m dockercontainer.MountPoint) bool {
		source, destination := cleanPath(m.Source), cleanPath(m.Destination)
		return m.Type == mount.TypeBind && (isRootlessSocket(source) || slices.ContainsFunc(sockets, func(socket string) bool {
			return socket == destination || contains(source, socket)
		}))
	})
}

func isRootlessSocket(file string) bool {
	return slices.ContainsFunc(rootlessSockets, func(pattern string) bool {
		matches, _ := path.Match(pattern, file) // the patterns are valid
		return matches
	})
}

// cleanPath returns a path without the symbolic link /var/run, which means /run.
func cleanPath(file string) string {
	file = path.Clean(file)
	if contains("/var/run", file) {
		return strings.TrimPrefix(file, "/var")
	}
	return file
}

// contains reports whether a clean path is file or a directory above it.
func contains(directory, file string) bool {
	return file == directory || strings.HasPrefix(file, strings.TrimSuffix(directory, "/")+"/")
}
