package collect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/engine/enginetest"
)

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
	if a.Owned == nil || len(a.Owned.Inodes) != 1 || len(a.Problems) != 0 {
		t.Errorf("owners %+v, problems %v", a.Owned, a.Problems)
	}
	if r := readings["/scratch"]; r.NetNS != a.NetNS || r.Owned != nil || !strings.Contains(reasons(r), "no sh or no ls") {
		t.Errorf("scratch: owners %+v, reasons %q", r.Owned, reasons(r))
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
