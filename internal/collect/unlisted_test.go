package collect

import (
	"context"
	"errors"
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

// readHostOf returns the inodes of the sockets that stay the host's, of one socket in each cgroup, and whether the pass is outdated.
func readHostOf(t *testing.T, c *Collector, summaries []container.Summary, cgroups ...uint64) (kept []uint64, outdated bool) {
	t.Helper()
	host := &HostNetNS{NetNS: &NetNS{}}
	for i, cgroup := range cgroups {
		host.Sockets = append(host.Sockets, socket.Socket{Inode: uint64(i), CgroupID: cgroup})
	}
	p := newPass(c, summaries, false)
	outdated = p.dropUnlisted(t.Context(), host, p.inspectAll(t.Context(), summaries))
	for _, s := range host.Sockets {
		kept = append(kept, s.Inode)
	}
	return kept, outdated
}

// Sockets in the host's network namespace of a container that is not listed yet do not pass for those of the host. Those of another engine's
// container do.
func TestSocketsOfUnlistedContainersAreDropped(t *testing.T) {
	listed, starting := running("listed", 0, "host"), running("starting", 0, "host")
	starting.State = container.Stopped
	w := &world{containers: []container.Container{listed, starting}}
	c := w.collector(t)
	c.cgroups.isV2 = true
	paths := []string{"init.scope", "docker/" + id("listed"), "system.slice/libpod-" + id("starting") + ".scope/container", "docker/" + id("foreign"), "docker/" + id("listed") + "/docker/" + id("inner")}
	var ids map[string]uint64
	c.CgroupFS, ids = newCgroupTree(t, paths...)
	var cgroups []uint64
	for _, path := range paths {
		cgroups = append(cgroups, ids[path])
	}
	cgroups = append(cgroups, 0, 1<<40) // without a cgroup, and of a removed one
	summaries, err := w.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for poll := range 2 {
		kept, outdated := readHostOf(t, c, summaries, cgroups...)
		if want := []uint64{0, 1, 3, 4, 5, 6}; outdated != (poll == 0) || !slices.Equal(kept, want) {
			t.Errorf("poll %d: outdated %t, sockets %v, want %v", poll, outdated, kept, want)
		}
	}
	if w.refreshed != 3 {
		t.Errorf("%d questions", w.refreshed)
	}
}

// failing is an engine that cannot answer for one container.
type failing struct{ *world }

func (failing) Refresh(context.Context, string) (container.Container, error) {
	return container.Container{}, errors.New("engine error 500")
}

// The sockets of another engine's container stay the host's if the engine cannot answer.
func TestEngineErrorDropsNoSockets(t *testing.T) {
	w := failing{&world{}}
	c := w.collector(t)
	c.inventory, c.cgroups.isV2 = w, true
	var ids map[string]uint64
	c.CgroupFS, ids = newCgroupTree(t, "kubepods/"+id("foreign"))
	if kept, outdated := readHostOf(t, c, nil, ids["kubepods/"+id("foreign")]); outdated || len(kept) != 1 {
		t.Errorf("outdated %t, %d sockets", outdated, len(kept))
	}
}

// The sockets of a container that ended while it was read are not the host's.
func TestSocketsOfAnEndedContainerAreDropped(t *testing.T) {
	w := &world{containers: []container.Container{running("ended", 0, "host")}}
	c := w.collector(t)
	c.cgroups.isV2 = true
	summaries, err := w.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.containers[0].State = container.Stopped
	var ids map[string]uint64
	c.CgroupFS, ids = newCgroupTree(t, "docker/"+id("ended"))
	if kept, outdated := readHostOf(t, c, summaries, ids["docker/"+id("ended")]); outdated || len(kept) != 0 {
		t.Errorf("outdated %t, %d sockets", outdated, len(kept))
	}
}
