package collect

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
)

// pinningFiles returns how many descriptors of this process keep a network namespace alive.
func pinningFiles(t testing.TB) (n int) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		target, _ := os.Readlink(filepath.Join("/proc/self/fd", file.Name()))
		if strings.HasPrefix(target, "/proc/") && strings.Contains(target, "/net/") || strings.HasPrefix(target, "net:") {
			n++
		}
	}
	return n
}

func openFiles(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// newKeepingWorld returns a collector that follows events, beside one container that listens on port 81.
func newKeepingWorld(t *testing.T, methods ...Method) (*world, *Collector) {
	t.Helper()
	w := &world{caches: true, containers: []container.Container{running("kept", startProcess(t, "kept", 0, "0.0.0.0:81"), "bridge")}}
	c := w.collector(t, methods...)
	c.Following(true)
	return w, c
}

var wantKept = map[string]string{"kept": "sockdiag 81; "}

func TestSecondCollectionOpensNothing(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	opened, files := c.kept.opened.Load(), openFiles(t)
	if opened != 2 {
		t.Errorf("%d openings, want those of the counters and of the netlink socket", opened)
	}
	expectRead(t, w.read(t, c), wantKept)
	if now := c.kept.opened.Load(); now != opened || openFiles(t) != files {
		t.Errorf("the second collection made %d openings; %d files, %d before", now-opened, openFiles(t), files)
	}
}

func TestEndedContainerPinsNoNamespace(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	before := pinningFiles(t)
	expectRead(t, w.read(t, c), wantKept)
	if pinningFiles(t) != before+hostproc.FilesPerCounters {
		t.Fatalf("%d files, want %d more than %d", pinningFiles(t), hostproc.FilesPerCounters, before)
	}
	c.Changed(id("kept"))
	if n := pinningFiles(t); n != before {
		t.Errorf("%d files after the event, %d before", n, before)
	}
	expectRead(t, w.read(t, c), wantKept)
}

// The event arrives while a reading uses what is kept.
func TestEventDuringAReadingReleasesAfterIt(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	before := pinningFiles(t)
	process := w.keep(t, c)
	if ok := c.kept.withKept(process, func(k *keptProcess) bool {
		c.Changed(id("kept"))
		return k.counters.CountSockets().TCPKnown
	}); !ok {
		t.Error("the reading failed")
	}
	if n := pinningFiles(t); n != before {
		t.Errorf("%d files after the reading, %d before", n, before)
	}
	if c.kept.withKept(process, func(*keptProcess) bool { return true }) {
		t.Error("kept after the event")
	}
	_ = c.kept.giveBack(process)
}

func TestNothingPinsANamespaceWithoutEvents(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	opened := c.kept.opened.Load()
	c.Following(false)
	expectRead(t, w.read(t, c), wantKept)
	if n := c.kept.opened.Load(); n != opened {
		t.Errorf("%d openings without events", n-opened)
	}
	for _, k := range c.kept.byID {
		if k.counters != nil || k.conn != nil {
			t.Error("the namespace is pinned")
		}
	}
}

func TestRestartedContainerIsReadAgain(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	if err := unix.Kill(w.containers[0].PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.containers[0].PID = startAnother(t, "kept", 0, "0.0.0.0:82")
	expectRead(t, w.read(t, c), map[string]string{"kept": "sockdiag 82; "})
}

// The earlier process still lives, so only its PID shows that it is not the container's first process.
func TestProcessWithAnotherPIDIsReadAgain(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	w.containers[0].PID = startAnother(t, "kept", 0, "0.0.0.0:82")
	if got := w.read(t, c)["kept"]; !strings.HasPrefix(got, "sockdiag 82;") {
		t.Errorf("%q, want the listener of the new process", got)
	}
}

// The same PID with another start is another process. The kept process must not answer.
func TestReusedPIDIsVerifiedAgain(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	kept := c.kept.byID[id("kept")]
	w.containers[0].StartedAt = w.containers[0].StartedAt.Add(1)
	expectRead(t, w.read(t, c), wantKept)
	if c.kept.byID[id("kept")] == kept {
		t.Error("the process of the earlier start is still kept")
	}
}

func TestKeptProcessOfAnotherContainerIsNotRead(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	w.containers[0] = running("other", w.containers[0].PID, "bridge")
	if got := w.read(t, c)["other"]; strings.Contains(got, "81") {
		t.Errorf("read through another container's process: %q", got)
	}
	if len(c.kept.byID) != 0 {
		t.Errorf("%d processes are kept", len(c.kept.byID))
	}
}

func TestLimitOfDescriptors(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	c.kept.limit = 0
	files := openFiles(t)
	expectRead(t, w.read(t, c), wantKept)
	if c.kept.opened.Load() != 0 || openFiles(t) != files {
		t.Errorf("%d openings, %d files, %d before", c.kept.opened.Load(), openFiles(t), files)
	}
}

// Without descriptors nothing can be kept. That passes.
func TestKeepsAgainAfterAShortageOfDescriptors(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	kept := c.kept.byID[id("kept")]
	kept.counters.Close()
	kept.counters = nil
	kept.closeConn()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: limit.Max}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &none, nil); err != nil {
		t.Fatal(err)
	}
	opened := kept.openCounters() || kept.openConn(false)
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	if opened {
		t.Fatal("something was opened, so the test shows nothing")
	}
	expectRead(t, w.read(t, c), wantKept)
	if kept.counters == nil || kept.conn == nil {
		t.Error("nothing is kept after the shortage")
	}
}

func TestFailedSocketIsReplaced(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	expectRead(t, w.read(t, c), wantKept)
	if err := c.kept.byID[id("kept")].conn.Close(); err != nil {
		t.Fatal(err)
	}
	opened := c.kept.opened.Load()
	expectRead(t, w.read(t, c), wantKept) // through a socket of its own
	expectRead(t, w.read(t, c), wantKept)
	if n := c.kept.opened.Load() - opened; n != 1 {
		t.Errorf("%d openings, want one of a socket", n)
	}
}

func TestCloseLeavesNoDescriptors(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	files := openFiles(t)
	expectRead(t, w.read(t, c), wantKept)
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := openFiles(t); n != files {
		t.Errorf("%d files after Close, %d before", n, files)
	}
}

// keep collects once, and takes the process that is kept.
func (w *world) keep(t *testing.T, c *Collector) *hostproc.Process {
	t.Helper()
	expectRead(t, w.read(t, c), wantKept)
	process := c.kept.take(w.containers[0])
	if process == nil {
		t.Fatal("no process is kept")
	}
	return process
}

// The other end of a veth disappears with the namespace of an ended container, at once after the event.
func TestNamespaceOfAnEndedContainerDisappears(t *testing.T) {
	w, c := newKeepingWorld(t, Sockdiag)
	outside := sockdiagtest.OpenNetNS(t, startProcess(t, "outside", 0, "0.0.0.0:80"))
	pid := w.containers[0].PID
	sockdiagtest.In(t, outside, func() {
		command := exec.CommandContext(t.Context(), "ip", "link", "add", "outer", "type", "veth", "peer", "name", "inner", "netns", fmt.Sprint(pid))
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	exists := func() (exists bool) {
		sockdiagtest.In(t, outside, func() { _, err := net.InterfaceByName("outer"); exists = err == nil })
		return exists
	}
	expectRead(t, w.read(t, c), wantKept)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the process", func() bool { return c.kept.byID[id("kept")].process.Revalidate() != nil })
	if !exists() {
		t.Fatal("the namespace is not kept, so the test shows nothing")
	}
	c.Changed(id("kept"))
	waitFor(t, "the end of the namespace", func() bool { return !exists() })
}

// waitFor polls, because the kernel ends processes and namespaces in the background.
func waitFor(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no sign of %s", what)
		}
	}
}
