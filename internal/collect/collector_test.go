package collect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/engine"
	"github.com/PabloL007/outpost/internal/engine/enginetest"
	"github.com/PabloL007/outpost/internal/inventory"
)

const (
	header4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	header6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
)

// listener returns a row of a socket that listens on all addresses.
func listener(port, inode int) string {
	return fmt.Sprintf("   0: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 %d 1 0 100 0 0 10 0\n", port, inode)
}

// prints answers each command with a table of rows.
func prints(rows ...string) func([]string) enginetest.Exec {
	return func([]string) enginetest.Exec {
		return enginetest.Exec{Stdout: header4 + strings.Join(rows, "") + header6}
	}
}

// tablesAndOwners answers cat with a table, and sh with a list of processes.
func tablesAndOwners(table, listing string) func([]string) enginetest.Exec {
	return func(command []string) enginetest.Exec {
		if command[0] == "cat" {
			return enginetest.Exec{Stdout: header4 + table + header6}
		}
		return enginetest.Exec{Stdout: listing}
	}
}

// listing returns the output of procfd.Script for PID 1 and the script itself.
func listing(container string, inodes ...int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "self 9\n/proc/1 0::/docker/%[1]s\n/proc/9 0::/docker/%[1]s\n/proc/1/fd:\ntotal 0\nlrwx------ 1 0 0 64 Jan  1 00:00 0 -> /dev/null\n", enginetest.ID(container))
	for _, inode := range inodes {
		fmt.Fprintf(&text, "lrwx------ 1 0 0 64 Jan  1 00:00 3 -> socket:[%d]\n", inode)
	}
	return text.String()
}

const timeout = time.Second

func newCollector(t *testing.T) *collect.Collector { return newCollectorWithTimeout(t, timeout) }

func newCollectorWithTimeout(t *testing.T, timeout time.Duration) *collect.Collector {
	t.Helper()
	e, err := engine.New(4, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	c := collect.New(context.WithoutCancel(t.Context()), inventory.New(e), e, collect.Options{Workers: 4, Timeout: timeout})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		_ = e.Close()
	})
	return c
}

func collectByName(t *testing.T, c *collect.Collector) map[string]collect.Reading {
	t.Helper()
	result, err := c.Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	readings := make(map[string]collect.Reading)
	for _, r := range result.Readings {
		readings[r.Container.Name] = r
	}
	return readings
}

func ports(r collect.Reading) []uint16 {
	var ports []uint16
	if r.NetNS != nil {
		for _, s := range r.NetNS.Sockets {
			ports = append(ports, s.Local.Port())
		}
	}
	return ports
}

func reasons(r collect.Reading) string {
	var reasons []string
	for _, p := range r.Problems {
		reasons = append(reasons, p.Reason)
	}
	return strings.Join(reasons, "; ")
}

func TestFaultOfOneContainerDoesNotAffectAnother(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	answers := func(x enginetest.Exec) func([]string) enginetest.Exec {
		return func([]string) enginetest.Exec { return x }
	}
	const runc = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"cat\": executable file not found in $PATH: unknown\r\n"
	const crun = "OCI runtime exec failed: exec failed: executable file `cat` not found in $PATH: No such file or directory: unknown\r\n"
	tests := []struct {
		name      string
		container enginetest.Container
		reason    string        // a part of the reason; empty if the reading is complete
		ports     []uint16      // that are known nevertheless
		execs     int           // in two successive collections
		timeout   time.Duration // 0: the default
	}{
		{
			name:      "error text of runc in the stdout frame, 126",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: runc, Code: 126})},
			reason:    "the image has no cat", execs: 1,
		},
		{
			name:      "error text of runc, 127",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: runc, Code: 127})},
			reason:    "the image has no cat", execs: 1,
		},
		{
			name: "a shell that finds no command",
			container: enginetest.Container{NetworkMode: "host", Exec: func(command []string) enginetest.Exec {
				if command[0] == "cat" {
					return enginetest.Exec{Stdout: header4 + listener(81, 1) + header6}
				}
				return enginetest.Exec{Stderr: "sh: exec: line 1: ls: not found\n", Code: 127}
			}},
			reason: "the image has no sh or no ls", ports: []uint16{81}, execs: 3,
		},
		{
			name: "start failed for another reason, 128",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: "OCI runtime exec failed: exec failed: unable to start container process: read init-p: connection reset by peer\r\n", Code: 128,
			})},
			reason: "cat could not be started", execs: 1,
		},
		{
			name: "start failed for a reason that may pass, 127",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: "OCI runtime exec failed: open /run/x: no such file or directory\r\n", Code: 127,
			})},
			reason: "cat could not be started", execs: 1,
		},
		{
			name:      "error text of crun",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: crun, Code: 127})},
			reason:    "the image has no cat", execs: 1,
		},
		{
			name: "pids limit reached",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: "OCI runtime exec failed: exec failed: unable to start container process: can't get final child's PID from pipe: EOF: unknown\r\n", Code: 126,
			})},
			reason: "cat could not be started", execs: 1,
		},
		{
			name: "exec denied by a proxy",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				CreateStatus: http.StatusForbidden, Message: "<html><body><h1>403 Forbidden</h1></body></html>",
			})},
			reason: "exec not permitted", execs: 1,
		},
		{
			name:      "exec fails to start",
			container: enginetest.Container{Exec: answers(enginetest.Exec{StartStatus: http.StatusInternalServerError, Message: "boom"})},
			reason:    "exec failed", execs: 1,
		},
		{name: "exec hangs", container: enginetest.Container{Exec: answers(enginetest.Exec{Hangs: hang})}, reason: "exec: no answer in time", execs: 1},
		{name: "inspect hangs", container: enginetest.Container{InspectHangs: true}, reason: "inspect: no answer in time"},
		{name: "paused", container: enginetest.Container{State: "paused"}, reason: "paused"},
		{name: "restarting", container: enginetest.Container{State: "restarting"}, reason: "restarting"},
		{
			name: "invalid ports",
			container: enginetest.Container{Ports: map[string][]enginetest.Binding{
				"80/tcp": {{HostIP: "nowhere", HostPort: "80"}},
			}},
			reason: "parts of the engine's answer are invalid", execs: 2,
		},
		{
			name:      "garbage in place of frames",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Raw: []byte("\x01\x00\x00\x00\xff\xff\xff\xff")})},
			reason:    "exec failed", execs: 1,
		},
		{
			name:      "no table",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: "miaow\n"})},
			reason:    "cat returned an incomplete answer", execs: 2,
		},
		{
			name: "tcp6 missing",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: header4 + listener(81, 1), Stderr: "cat: can't open '/proc/net/tcp6': No such file or directory\n", Code: 1,
			})},
			ports: []uint16{81}, execs: 2,
		},
		{
			name:      "cat killed half-way",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: header4 + listener(81, 1), Code: 137})},
			reason:    "cat returned an incomplete answer", ports: []uint16{81}, execs: 2,
		},
		{
			name:      "a malformed row, and one cut short",
			container: enginetest.Container{Exec: prints(listener(81, 1), "nonsense\n", listener(82, 2)[:60])},
			reason:    "rows of the socket table cannot be decoded", ports: []uint16{81}, execs: 2,
		},
		{
			name: "more output than is decoded",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: header4 + listener(81, 1) + strings.Repeat(strings.Repeat(" ", 1023)+"\n", 17<<10) + "   1: 0",
			})},
			reason: "cat printed more than 16 MiB", ports: []uint16{81}, execs: 2, timeout: 30 * time.Second,
		},
		{
			name:      "endless errors",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stderr: strings.Repeat("no\n", 28<<20)})},
			reason:    "cat printed more than 16 MiB", execs: 1, timeout: 30 * time.Second,
		},
		{
			name:      "image tag moved",
			container: enginetest.Container{ListedImage: "sha256:0123", Exec: prints(listener(81, 1))},
			ports:     []uint16{81}, execs: 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			faulty := test.container
			faulty.Name, faulty.Image = "faulty", "shop/web:1.2"
			healthy := &enginetest.Container{Name: "healthy", Image: "shop/db:7", Exec: prints(listener(80, 1))}
			fake := enginetest.New(t, &faulty, healthy)
			c := newCollectorWithTimeout(t, max(timeout, test.timeout))
			for range 2 {
				readings := collectByName(t, c)
				if r, ok := readings["/healthy"]; !ok || len(r.Problems) > 0 || !slices.Equal(ports(r), []uint16{80}) {
					t.Errorf("the other container: %+v", r)
				}
				r, ok := readings["/faulty"]
				if !ok {
					t.Fatal("the container is not listed")
				}
				if got := reasons(r); !strings.Contains(got, test.reason) || (got == "") != (test.reason == "") {
					t.Errorf("reason %q, want %q", got, test.reason)
				}
				if r.Container.Image != "shop/web:1.2" {
					t.Errorf("image %q", r.Container.Image)
				}
				if got := ports(r); !slices.Equal(got, test.ports) {
					t.Errorf("ports %v, want %v", got, test.ports)
				}
			}
			if got := fake.Calls()["exec create"]; got != 2+test.execs {
				t.Errorf("%d execs, want %d besides the two in the other container", got-2, test.execs)
			}
			if n := fake.UnstartedExecs(); n != 0 {
				t.Errorf("%d execs were created and never started", n)
			}
		})
	}
}

func TestContainerThatExitsDuringCollectionIsLeftOut(t *testing.T) {
	healthy := &enginetest.Container{Name: "healthy", Exec: prints(listener(80, 1))}
	for name, die := range map[string]func(*enginetest.Engine, *enginetest.Container){
		"removed": func(e *enginetest.Engine, _ *enginetest.Container) { e.SetContainers(healthy) },
		"stopped": func(e *enginetest.Engine, c *enginetest.Container) {
			e.SetContainers(healthy, &enginetest.Container{ID: c.ID, Name: c.Name, State: "exited"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var fake *enginetest.Engine
			mortal := &enginetest.Container{Name: "mortal"}
			mortal.Exec = func([]string) enginetest.Exec {
				return enginetest.Exec{
					BeforeCreate: func() { die(fake, mortal) },
					CreateStatus: http.StatusConflict, Message: "is not running",
				}
			}
			fake = enginetest.New(t, mortal, healthy)
			readings := collectByName(t, newCollector(t))
			if _, ok := readings["/mortal"]; ok || len(readings) != 1 {
				t.Errorf("readings %v, want /healthy only", readings)
			}
		})
	}
}

func TestNoCommandStartsBesideAHungOneUntilItEnds(t *testing.T) {
	hang := make(chan struct{})
	first := true
	fake := enginetest.New(t, &enginetest.Container{Name: "it", Exec: func([]string) enginetest.Exec {
		x := enginetest.Exec{Stdout: header4 + listener(80, 1) + header6}
		if first {
			first, x.Hangs = false, hang
		}
		return x
	}})
	c := newCollector(t)
	for range 3 {
		if r := collectByName(t, c)["/it"]; reasons(r) != "exec: no answer in time" {
			t.Fatalf("reasons %q", reasons(r))
		}
	}
	if n := fake.Calls()["exec create"]; n != 1 {
		t.Fatalf("%d commands started while the first hangs", n)
	}
	close(hang)
	for deadline := time.Now().Add(10 * time.Second); ; {
		r := collectByName(t, c)["/it"]
		if len(r.Problems) == 0 && slices.Equal(ports(r), []uint16{80}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not read again: %v", r.Problems)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPermanentFailureIsForgottenWhenTheContainerRestarts(t *testing.T) {
	it := &enginetest.Container{Name: "it", Exec: func([]string) enginetest.Exec {
		return enginetest.Exec{Stdout: "not found", Code: 127}
	}}
	fake := enginetest.New(t, it)
	c := newCollector(t)
	if r := collectByName(t, c)["/it"]; reasons(r) != "the image has no cat" {
		t.Fatalf("reasons %q", reasons(r))
	}
	fake.SetContainers(&enginetest.Container{Name: "it", StartedAt: time.Now(), Exec: prints(listener(80, 1))})
	if r := collectByName(t, c)["/it"]; len(r.Problems) != 0 {
		t.Errorf("problems %v", r.Problems)
	}
}

func TestSharedNamespaceIsReadOnce(t *testing.T) {
	host := func(name string, inode int) *enginetest.Container {
		return &enginetest.Container{Name: name, NetworkMode: "host", Exec: tablesAndOwners(listener(80, 1)+listener(81, 2), listing(name, inode))}
	}
	scratch := &enginetest.Container{Name: "scratch", NetworkMode: "host", Exec: func([]string) enginetest.Exec {
		return enginetest.Exec{Stdout: "executable file not found", Code: 127}
	}}
	owner := &enginetest.Container{
		Name: "owner", Exec: tablesAndOwners(listener(90, 3), listing("owner", 3)),
		Ports: map[string][]enginetest.Binding{"90/tcp": {{HostIP: "0.0.0.0", HostPort: "9090"}}},
	}
	sidecar := &enginetest.Container{
		Name: "sidecar", NetworkMode: "container:" + enginetest.ID("owner"), StartedAt: time.Now(),
		Exec: tablesAndOwners(listener(90, 3), listing("sidecar")),
	}
	fake := enginetest.New(t, scratch, host("a", 1), host("b", 2), owner, sidecar)
	readings := collectByName(t, newCollector(t))

	a, b := readings["/a"], readings["/b"]
	if a.NetNS != b.NetNS || !a.NetNS.Host || !slices.Equal(ports(a), []uint16{80, 81}) {
		t.Errorf("namespaces %+v, %+v", a.NetNS, b.NetNS)
	}
	if a.Owners == nil || len(a.Owners.Inodes) != 1 || len(a.Problems) != 0 {
		t.Errorf("owners %+v, problems %v", a.Owners, a.Problems)
	}
	if r := readings["/scratch"]; r.NetNS != a.NetNS || r.Owners != nil || !strings.Contains(reasons(r), "no sh or no ls") {
		t.Errorf("scratch: owners %+v, reasons %q", r.Owners, reasons(r))
	}
	side := readings["/sidecar"]
	if side.NetNS != readings["/owner"].NetNS || len(side.NetNS.Published) != 1 {
		t.Errorf("sidecar's namespace %+v", side.NetNS)
	}
	for _, x := range fake.Execs() {
		allowed := slices.ContainsFunc(collect.Commands(), func(command []string) bool { return slices.Equal(command, x.Cmd) })
		if !allowed || !slices.Equal(x.Env, []string{"LC_ALL=C"}) || x.User != "" || x.Privileged || x.Tty || x.AttachStdin {
			t.Errorf("exec %+v", x)
		}
	}
	// Two commands print tables, after perhaps one failure in scratch, and five list owners.
	if n := fake.Calls()["exec create"]; n != 7 && n != 8 {
		t.Errorf("%d commands", n)
	}
}

// A runtime such as gVisor keeps sockets in its sandbox. Its container shares them with no other, even on the host's
// network.
func TestSandboxedContainerSharesNoSockets(t *testing.T) {
	host := &enginetest.Container{Name: "host", NetworkMode: "host", Exec: tablesAndOwners(listener(80, 1), listing("host", 1))}
	sandboxed := &enginetest.Container{Name: "sandboxed", NetworkMode: "host", Runtime: "runsc", Exec: prints(listener(81, 0))}
	enginetest.New(t, host, sandboxed)
	readings := collectByName(t, newCollector(t))
	if r := readings["/host"]; !slices.Equal(ports(r), []uint16{80}) || len(r.Problems) != 0 {
		t.Errorf("host: %v, %v", ports(r), r.Problems)
	}
	if r := readings["/sandboxed"]; !slices.Equal(ports(r), []uint16{81}) || len(r.Problems) != 0 || r.NetNS.Shared || !r.NetNS.Host {
		t.Errorf("sandboxed: %v, %v", ports(r), r.Problems)
	}
}

// Containers that wait for a hung one in their network namespace occupy no slot.
func TestWaitingForANamespaceTakesNoSlot(t *testing.T) {
	hang := make(chan struct{})
	var containers []*enginetest.Container
	for i := range 8 {
		containers = append(containers, &enginetest.Container{Name: fmt.Sprint("host", i), NetworkMode: "host", Exec: func([]string) enginetest.Exec {
			return enginetest.Exec{Hangs: hang}
		}})
	}
	bridged := &enginetest.Container{Name: "bridged", Exec: prints(listener(80, 1))}
	bridged.Exec = func([]string) enginetest.Exec {
		close(hang) // it is read while all others hang or wait
		return enginetest.Exec{Stdout: header4 + listener(80, 1) + header6}
	}
	enginetest.New(t, append(containers, bridged)...)
	if r := collectByName(t, newCollectorWithTimeout(t, time.Minute))["/bridged"]; !slices.Equal(ports(r), []uint16{80}) {
		t.Errorf("ports %v, problems %v", ports(r), r.Problems)
	}
}

func TestPartialTableIsReadThroughNextContainer(t *testing.T) {
	broken := &enginetest.Container{Name: "broken", NetworkMode: "host", Exec: func(command []string) enginetest.Exec {
		if command[0] == "cat" {
			return enginetest.Exec{Stdout: header4 + listener(80, 1), Code: 137}
		}
		return enginetest.Exec{Stdout: listing("broken", 1)}
	}}
	healthy := &enginetest.Container{Name: "healthy", NetworkMode: "host", Exec: tablesAndOwners(listener(80, 1)+listener(81, 2), listing("healthy", 2))}
	enginetest.New(t, broken)
	if r := collectByName(t, newCollector(t))["/broken"]; !slices.Equal(ports(r), []uint16{80}) || reasons(r) != "cat returned an incomplete answer" {
		t.Errorf("alone: ports %v, reasons %q", ports(r), reasons(r))
	}
	enginetest.New(t, broken, healthy)
	for name, r := range collectByName(t, newCollector(t)) {
		if !slices.Equal(ports(r), []uint16{80, 81}) || len(r.Problems) != 0 {
			t.Errorf("%s: ports %v, problems %v", name, ports(r), r.Problems)
		}
	}
}

// A network namespace outlives the container that it was made for. If that container restarts, it gets a new one.
func TestSidecarAfterOwnerStoppedOrRestarted(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	owner := enginetest.Container{
		Name: "owner", StartedAt: early, Exec: tablesAndOwners(listener(90, 3), listing("owner", 3)),
		Ports: map[string][]enginetest.Binding{"90/tcp": {{HostIP: "0.0.0.0", HostPort: "9090"}}},
	}
	sidecar := &enginetest.Container{
		Name: "sidecar", NetworkMode: "container:" + enginetest.ID("owner"), StartedAt: time.Unix(1500, 0),
		Exec: tablesAndOwners(listener(91, 4), listing("sidecar", 4)),
	}
	stopped := owner
	stopped.State, stopped.Ports = "exited", nil
	restarted := owner
	restarted.StartedAt = late

	t.Run("stopped", func(t *testing.T) {
		enginetest.New(t, &stopped, sidecar)
		side := collectByName(t, newCollector(t))["/sidecar"]
		if len(side.Problems) != 0 || !slices.Equal(ports(side), []uint16{91}) || len(side.NetNS.Published) != 0 {
			t.Errorf("%+v, %v", side.NetNS, side.Problems)
		}
	})
	t.Run("removed", func(t *testing.T) {
		enginetest.New(t, sidecar)
		side := collectByName(t, newCollector(t))["/sidecar"]
		if len(side.Problems) != 0 || !slices.Equal(ports(side), []uint16{91}) {
			t.Errorf("%+v, %v", side.NetNS, side.Problems)
		}
	})
	t.Run("restarted", func(t *testing.T) {
		enginetest.New(t, &restarted, sidecar)
		readings := collectByName(t, newCollector(t))
		side, own := readings["/sidecar"], readings["/owner"]
		if side.NetNS == own.NetNS || !slices.Equal(ports(side), []uint16{91}) || len(side.NetNS.Published) != 0 {
			t.Errorf("sidecar %+v", side.NetNS)
		}
		if !slices.Equal(ports(own), []uint16{90}) || len(own.NetNS.Published) != 1 {
			t.Errorf("owner %+v", own.NetNS)
		}
	})
	t.Run("inspect hangs", func(t *testing.T) {
		hanging := owner
		hanging.InspectHangs = true
		enginetest.New(t, &hanging, sidecar)
		side := collectByName(t, newCollector(t))["/sidecar"]
		if !strings.Contains(reasons(side), "cannot be inspected") || !slices.Equal(ports(side), []uint16{91}) {
			t.Errorf("%+v, %v", side.NetNS, side.Problems)
		}
	})
	t.Run("circle", func(t *testing.T) {
		a := &enginetest.Container{Name: "a", NetworkMode: "container:" + enginetest.ID("b"), Exec: prints(listener(1, 1))}
		b := &enginetest.Container{Name: "b", NetworkMode: "container:" + enginetest.ID("a"), Exec: prints(listener(1, 1))}
		enginetest.New(t, a, b)
		if readings := collectByName(t, newCollector(t)); len(readings) != 2 {
			t.Errorf("readings %v", readings)
		}
	})
}

func TestCallsAtOnceAreLimitedToWorkers(t *testing.T) {
	hang := make(chan struct{})
	var containers []*enginetest.Container
	for i := range 20 {
		containers = append(containers, &enginetest.Container{Name: fmt.Sprint("c", i), Exec: func([]string) enginetest.Exec {
			return enginetest.Exec{Stdout: header4, Hangs: hang}
		}})
	}
	fake := enginetest.New(t, containers...)
	go func() {
		for fake.MaxConcurrentExecs() < 4 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond) // in which a fifth would start
		close(hang)
	}()
	readings := collectByName(t, newCollectorWithTimeout(t, time.Minute))
	if len(readings) != 20 || fake.MaxConcurrentExecs() != 4 {
		t.Errorf("%d readings, %d at once; want 20, 4", len(readings), fake.MaxConcurrentExecs())
	}
}

func TestReadingsAreInTheEnginesOrder(t *testing.T) {
	var want []string
	var containers []*enginetest.Container
	for i := range 30 {
		name := fmt.Sprintf("c%02d", (i*7)%30)
		want = append(want, "/"+name)
		containers = append(containers, &enginetest.Container{Name: name, Exec: prints()})
	}
	enginetest.New(t, containers...)
	result, err := newCollector(t).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range result.Readings {
		got = append(got, r.Container.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPublishedPortsAreInTheReading(t *testing.T) {
	enginetest.New(t, &enginetest.Container{
		Name: "it", Exec: prints(),
		Ports: map[string][]enginetest.Binding{"90/tcp": {{HostIP: "127.0.0.1", HostPort: "9090"}}},
	})
	r := collectByName(t, newCollector(t))["/it"]
	if len(r.NetNS.Published) != 1 || r.NetNS.Published[0].Host != netip.MustParseAddrPort("127.0.0.1:9090") || r.NetNS.Shared {
		t.Errorf("%+v", r.NetNS)
	}
}

func TestCollectFailsOnlyWhileTheListFails(t *testing.T) {
	fake := enginetest.New(t)
	c := newCollector(t)
	fake.FailWith(http.StatusInternalServerError)
	if _, err := c.Collect(t.Context(), false); err == nil {
		t.Error("no error while the list fails")
	}
	fake.FailWith(0)
	if _, err := c.Collect(t.Context(), false); err != nil {
		t.Errorf("not recovered: %v", err)
	}
}
