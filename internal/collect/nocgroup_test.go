package collect

import (
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
)

// An engine without cgroups, as rootless on cgroup v1: the mounts of a process show its container.
func TestContainersWithoutCgroupsAreReadThroughProc(t *testing.T) {
	web := running("web", startProcessWithoutCgroup(t, "web", "127.0.0.1:80"), "bridge")
	other := running("other", startProcessWithoutCgroup(t, "other", "127.0.0.1:81"), "bridge")
	w := &world{containers: []container.Container{web, other}}
	expectRead(t, w.read(t, w.collector(t, Procfs)), map[string]string{"web": "procfs 80; ", "other": "procfs 81; "})

	// The PID of a container is that of another one: it is not read through that process.
	w.containers[0].PID = other.PID
	if got := w.read(t, w.collector(t, Procfs))["web"]; strings.Contains(got, "81") {
		t.Errorf("web: %s", got)
	}
}

// Without cgroups, the processes of a container beside its first one are unknown, and so are the owners of sockets.
func TestOwnersWithoutCgroupsAreUnknown(t *testing.T) {
	host := running("host", startProcessWithoutCgroup(t, "host", "127.0.0.1:80"), "host")
	w := &world{containers: []container.Container{host}}
	const want = "procfs 80; its sockets cannot be distinguished from others in the shared network namespace: no cgroup shows which processes are of the container"
	expectRead(t, w.read(t, w.collector(t, Procfs)), map[string]string{"host": want})
}

// The host's /proc is mounted, but its process of that PID is not the container's: a mount is not the advice.
func TestUnverifiableProcessIsNoMissingMount(t *testing.T) {
	pid, ready := startChild(t, "127.0.0.1:0", 0)
	ready()
	const absent = 1 << 22 // above the highest PID (PID_MAX_LIMIT)
	w := &world{containers: []container.Container{running("foreign", pid, "bridge"), running("absent", absent, "bridge")}}
	expectRead(t, w.read(t, w.collector(t, Procfs)), map[string]string{
		"foreign": "none ; neither the cgroup nor the mounts of its process in /proc name the container: that /proc may be of another machine or PID namespace than the engine",
		"absent":  "none ; its process is not in /proc, which is of another machine or PID namespace than the engine",
	})
	own := w.collector(t, Procfs)
	own.SelfContainer = id("outpost") // in a container, /proc is that of its own PID namespace
	const mount = "none ; its process is not visible: mount the host's /proc with -v /proc:/host/proc:ro or --pid host"
	expectRead(t, w.read(t, own), map[string]string{"foreign": mount, "absent": mount})
}

// A command that fails in a container adds how the host's /proc would help.
func TestFailedCommandNamesTheMissingMount(t *testing.T) {
	w := &world{containers: []container.Container{running("it", 1<<22, "bridge")}}
	c := w.collector(t)
	c.SelfContainer = id("outpost")
	w.containers[0].State = container.Paused
	const want = "none ; the container is paused: no command can run in it; its process is not visible: mount the host's /proc with -v /proc:/host/proc:ro or --pid host"
	expectRead(t, w.read(t, c), map[string]string{"it": want})
}
