package collect

import (
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/callpool"
	"github.com/PabloL007/outpost/internal/container"
)

func TestDescriptorsThatTakeTooLongAreNotReadAgainAtOnce(t *testing.T) {
	shared := container.NetworkMode("container:" + id("gone"))
	busy := running("busy", startProcess(t, "busy", 0, "127.0.0.1:80"), shared)
	sidecar := running("sidecar", startProcess(t, "sidecar", busy.PID, "127.0.0.1:81"), shared)
	w := &world{containers: []container.Container{busy, sidecar}}
	c := w.collector(t, Procfs)
	c.Timeout = time.Nanosecond
	const reason = "its sockets cannot be distinguished from others in the shared network namespace: its processes hold too many descriptors to read"
	p := newPass(c, nil, false)
	it := &target{Reading: Reading{Container: busy}, process: p.openProcess(t.Context(), busy), netns: &netnsRead{}}
	for i := range 2 {
		_, err := p.ownersFromFDs(t.Context(), it)
		if err == nil || !strings.HasSuffix(reason, toProblem(err).Reason) || callpool.IsCached(err) != (i == 1) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
