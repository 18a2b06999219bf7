package engine

import (
	"testing"

	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

func TestMountsSocket(t *testing.T) {
	const own = "/srv/engine/docker.sock"
	bind := func(source, destination string) dockercontainer.MountPoint {
		return dockercontainer.MountPoint{Type: mount.TypeBind, Source: source, Destination: destination}
	}
	for name, test := range map[string]struct {
		mount dockercontainer.MountPoint
		want  bool
	}{
		"the socket":                      {bind("/var/run/docker.sock", "/var/run/docker.sock"), true},
		"without the link":                {bind("/run/docker.sock", "/engine.sock"), true},
		"not clean":                       {bind("//var/run/../run/docker.sock/", "/engine.sock"), true},
		"Podman's":                        {bind("/run/podman/podman.sock", "/var/run/docker.sock"), true},
		"of a rootless engine":            {bind("/run/user/1000/docker.sock", "/engine.sock"), true},
		"of a rootless Podman":            {bind("/run/user/1000/podman/podman.sock", "/engine.sock"), true},
		"at another path of the host":     {bind("/home/me/.colima/docker.sock", "/var/run/docker.sock"), true},
		"Outpost's own":                   {bind(own, "/engine.sock"), true},
		"the directory of Outpost's own":  {bind("/srv/engine", "/srv"), true},
		"its directory":                   {bind("/run", "/host/run"), true},
		"its directory by the link":       {bind("/var/run", "/var/run"), true},
		"the directory of Podman's":       {bind("/run/podman", "/podman"), true},
		"the whole host":                  {bind("/", "/rootfs"), true},
		"another file":                    {bind("/run/docker.sock.backup", "/backup"), false},
		"another directory of the host":   {bind("/run/dock", "/dock"), false},
		"a directory below":               {bind("/run/user/1000", "/user"), false},
		"the directory of the link":       {bind("/var", "/host/var"), false},
		"the link's name elsewhere":       {bind("/srv/var/run", "/data"), false},
		"the socket's name elsewhere":     {bind("/srv/docker.sock", "/data"), false},
		"a volume":                        {dockercontainer.MountPoint{Type: mount.TypeVolume, Source: "/var/lib/docker/volumes/v/_data", Destination: "/run"}, false},
		"a volume at the socket":          {dockercontainer.MountPoint{Type: mount.TypeVolume, Source: "/var/lib/docker/volumes/v/_data", Destination: "/run/docker.sock"}, false},
		"memory":                          {dockercontainer.MountPoint{Type: mount.TypeTmpfs, Destination: "/run"}, false},
		"nothing that can be interpreted": {bind("", ""), false},
	} {
		for _, mounts := range [][]dockercontainer.MountPoint{{test.mount}, {bind("/data", "/data"), test.mount}} {
			if got := mountsSocket(mounts, own); got != test.want {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
	if mountsSocket(nil, own) || mountsSocket([]dockercontainer.MountPoint{bind("", "")}, "") || mountsSocket([]dockercontainer.MountPoint{bind("/srv", "/srv")}, "") {
		t.Error("a container without the socket seems to have it")
	}
}
