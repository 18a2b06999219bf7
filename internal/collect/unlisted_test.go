package collect

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// newCgroupTree makes a directory that stands for the mount point of cgroup v2, and returns the ID of each cgroup by its path there.
func newCgroupTree(t *testing.T, paths ...string) (mount string, ids map[string]uint64) {
	t.Helper()
	mount, ids = t.TempDir(), make(map[string]uint64)
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Join(mount, path), 0o755); err != nil {
			t.Fatal(err)
		}
		var stat unix.Stat_t
		if err := unix.Stat(filepath.Join(mount, path), &stat); err != nil {
			t.Fatal(err)
		}
		ids[path] = stat.Ino
	}
	return mount, ids
}

// Sockets in the host's network namespace of a container that is not listed yet do not pass for those of the host. Those of another engine's
// container do.
func TestSocketsOfUnlistedContainersAreDropped(t *testing.T) {
	listed, starting := running("listed", 0, "host"), running("starting", 0, "host")
	starting.State = container.Stopped
	w := &world{containers: []container.Container{listed, starting}}
	c := w.collector(t)
	paths := []string{"init.scope", "docker/" + id("listed"), "system.slice/libpod-" + id("starting") + ".scope/container", "docker/" + id("foreign"), "docker/" + id("listed") + "/docker/" + id("inner")}
	var cgroups map[string]uint64
	c.CgroupFS, cgroups = newCgroupTree(t, paths...)
	summaries, err := w.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		host := &HostNetNS{NetNS: &NetNS{}}
		for i, path := range append(paths, "removed") {
			host.Sockets = append(host.Sockets, socket.Socket{Inode: uint64(i), CgroupID: cgroups[path]})
		}
		host.Sockets = append(host.Sockets, socket.Socket{Inode: 6, CgroupID: 1 << 40}) // of a removed cgroup
		dropped := newPass(c, summaries, false).dropUnlisted(t.Context(), host, summaries)
		var kept []uint64
		for _, s := range host.Sockets {
			kept = append(kept, s.Inode)
		}
		if want := []uint64{0, 1, 3, 4, 5, 6}; !dropped || !slices.Equal(kept, want) {
			t.Errorf("round %d: dropped %t, sockets %v, want %v", round, dropped, kept, want)
		}
	}
	if w.refreshed != 4 { // the starting one twice
		t.Errorf("%d questions", w.refreshed)
	}
}
