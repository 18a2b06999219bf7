package collect

import (
	"testing"

	"github.com/PabloL007/outpost/internal/container"
)

const notRead = "some of its processes are in another network namespace, which is not read"

// A process of a container made a network namespace of its own and listens there. The container is incomplete.
func TestProcessesInOtherNetNSAreReported(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:10250"), "bridge")
	startAnother(t, "web", 0, "127.0.0.1:6443")
	plain := running("plain", startProcess(t, "plain", 0, "127.0.0.1:80"), "bridge")
	startAnother(t, "plain", plain.PID, "127.0.0.1:81") // in the same network namespace
	w := &world{containers: []container.Container{web, plain}}
	c := w.collector(t, Procfs)
	want := map[string]string{"web": "procfs 10250; " + notRead, "plain": "procfs 80,81; "}
	for range 2 { // the second collection uses the result of the first scan
		expectRead(t, w.read(t, c), want)
	}
	restricted := c.WithMethods(Procfs)
	expectRead(t, w.read(t, restricted), want)
	expectRead(t, w.read(t, w.collector(t)), map[string]string{"web": "sockdiag 10250; " + notRead, "plain": "sockdiag 80,81; "})
}

// A network namespace without sockets, as that of a browser's sandbox, hides nothing.
func TestNetNSWithoutSocketsIsNoProblem(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	startAnother(t, "web", 0, " ")
	w := &world{containers: []container.Container{web}}
	expectRead(t, w.read(t, w.collector(t, Procfs)), map[string]string{"web": "procfs 80; "})
}

// The network namespace of another container is read there.
func TestProcessInNetNSOfAnotherContainerIsNoProblem(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	other := running("other", startProcess(t, "other", 0, "127.0.0.1:81"), "bridge")
	startAnother(t, "web", other.PID, "127.0.0.1:82")
	w := &world{containers: []container.Container{web, other}}
	expectRead(t, w.read(t, w.collector(t, Procfs)), map[string]string{"web": "procfs 80; ", "other": "procfs 81,82; "})
}
