package collect

import (
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

// The kernel decides which containers share a network namespace, even if the engine's start times contradict it.
func TestVisibleContainersAreGroupedByKernel(t *testing.T) {
	first := startProcess(t, "first", 0, "127.0.0.1:80")
	owner := running("owner", startProcess(t, "owner", 0, "127.0.0.1:90"), "bridge")
	owner.Published = []container.Binding{{ContainerPort: 80}}
	joined := container.NetworkMode("container:" + owner.ID)
	orphan, secondOrphan := running("first", first, joined), running("second", startProcess(t, "second", first, "127.0.0.1:81"), joined)
	sidecar := running("sidecar", startProcess(t, "sidecar", owner.PID, "127.0.0.1:91"), joined)
	sidecar.StartedAt = time.Unix(1, 0) // before its owner
	w := &world{containers: []container.Container{orphan, secondOrphan, owner, sidecar}}
	result, err := w.collector(t).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	r := result.Readings
	if r[0].NetNS != r[1].NetNS || r[2].NetNS != r[3].NetNS || r[0].NetNS == r[2].NetNS || r[0].NetNS.ID == r[2].NetNS.ID {
		t.Fatalf("%v %v %v %v", r[0].NetNS, r[1].NetNS, r[2].NetNS, r[3].NetNS)
	}
	for i, want := range []string{"sockdiag 80,81; ", "sockdiag 80,81; ", "sockdiag 90,91; ", "sockdiag 90,91; "} {
		if got := summarize(r[i]); got != want {
			t.Errorf("%s: %s, want %s", r[i].Container.Name, got, want)
		}
		if len(r[i].Owned.Inodes) != 1 || !r[i].NetNS.Shared {
			t.Errorf("%s: %+v, %+v", r[i].Container.Name, r[i].Owned, r[i].NetNS)
		}
	}
	if len(r[0].NetNS.Published) != 0 || len(r[2].NetNS.Published) != 1 {
		t.Errorf("published %v, %v", r[0].NetNS.Published, r[2].NetNS.Published)
	}
}

// A container that joined one on the host's network is in the host's network namespace, even after the other restarted:
// the host's network namespace is never replaced.
func TestJoinedContainerIsOnHostNetworkAfterRestart(t *testing.T) {
	owner := running("owner", 0, "host")
	owner.StartedAt = time.Unix(2000, 0)
	w := &world{containers: []container.Container{owner, running("sidecar", 0, container.NetworkMode("container:"+owner.ID))}, exec: printTable(80)}
	result, err := w.collector(t, Exec).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if r := result.Readings; r[0].NetNS != r[1].NetNS || !r[0].NetNS.Host {
		t.Errorf("%+v, %+v", r[0].NetNS, r[1].NetNS)
	}
}
