package collect

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
)

const tcpHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
	"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func table(port int) string {
	return tcpHeader + fmt.Sprintf("   0: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1 0 100 0 0 10 0\n", port)
}

// printTable returns a command that prints a table with one listener on port.
func printTable(port int) func(context.Context, string, io.Writer) error {
	return func(_ context.Context, _ string, stdout io.Writer) error {
		_, err := stdout.Write([]byte(table(port)))
		return err
	}
}

func TestEachMethodAloneReadsAVisibleProcess(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80 127.0.0.1:81"), "bridge")
	for _, method := range []Method{Sockdiag, Procfs} {
		w := &world{containers: []container.Container{web}}
		expectRead(t, w.read(t, w.collector(t, method)), map[string]string{"web": string(method) + " 80,81; "})
	}
	w := &world{containers: []container.Container{web}}
	expectRead(t, w.read(t, w.collector(t)), map[string]string{"web": "sockdiag 80,81; "})
}

// The engine's PID may name a process in the cgroup of another container. Outpost does not read it. Without any visible
// process of the engine, /proc may be another host's, and a command runs. Otherwise, the process has exited.
func TestForeignProcessIsNotRead(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	liar := running("liar", os.Getpid(), "bridge")

	invisible := &world{containers: []container.Container{liar}, exec: printTable(90)}
	expectRead(t, invisible.read(t, invisible.collector(t)), map[string]string{"liar": "exec 90; "})

	visible := &world{containers: []container.Container{web, liar}}
	c := visible.collector(t)
	for range 2 {
		expectRead(t, visible.read(t, c), map[string]string{"web": "sockdiag 80; ", "liar": "none ; its process has exited"})
	}
	if len(visible.commands) != 0 || visible.refreshed != maxPasses {
		t.Errorf("%d commands; %d refreshes, want %d, all in the first collection", len(visible.commands), visible.refreshed, maxPasses)
	}
}

func TestNamespaceIsReadByBestMethodOfAnyContainer(t *testing.T) {
	owner := running("owner", 0, "bridge") // its process is not visible
	sidecar := running("sidecar", startProcess(t, "sidecar", 0, "127.0.0.1:80"), container.NetworkMode("container:"+owner.ID))
	w := &world{containers: []container.Container{owner, sidecar}, exec: func(context.Context, string, io.Writer) error { return nil }}
	got := w.read(t, w.collector(t))
	if got["sidecar"] != "sockdiag 80; " || !strings.HasPrefix(got["owner"], "sockdiag 80; ") {
		t.Errorf("%v", got)
	}
	if slices.Contains(w.commands, sidecar.ID) { // a command in the owner lists its descriptors
		t.Errorf("commands in %v", w.commands)
	}
}
