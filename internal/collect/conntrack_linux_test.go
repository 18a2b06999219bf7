package collect

import (
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/conntrack/conntracktest"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

var fastKernel, slowKernel = conntrack.Release{Major: 6, Minor: 18}, conntrack.Release{Major: 6, Minor: 1}

// trackedProcess starts a process in a network namespace that tracks published connections.
func trackedProcess(t testing.TB, connections int) *hostproc.Process {
	t.Helper()
	if _, err := os.Stat("/proc/self/net/nf_conntrack"); err != nil {
		t.Skipf("the kernel shows no tracked connections as text: %v", err)
	}
	pid := startProcess(t, "tracked", 0, "127.0.0.1:80")
	dialled, server := netip.MustParseAddrPort("10.77.0.11:18090"), netip.MustParseAddrPort("172.17.0.2:8080")
	flows := make([]conntrack.Flow, connections)
	for i := range flows {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i >> 14)}), uint16(i&0x3fff+1))
		flows[i] = conntrack.Flow{Original: conntrack.Tuple{Source: client, Destination: dialled}, Reply: conntrack.Tuple{Source: server, Destination: client}, Replied: true}
	}
	conntracktest.Fill(t, pid, flows...)
	proc, err := hostproc.OpenAt("/proc")
	if err != nil {
		t.Fatal(err)
	}
	process, err := proc.Process(pid, id("tracked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Close() })
	return process
}

func TestTrackedConnectionsAreReadAsText(t *testing.T) {
	process := trackedProcess(t, conntrack.MaxSlowRows+1)
	table, err := readConntrack(process, fastKernel)
	if err != nil || len(table.Flows) != conntrack.MaxSlowRows+1 || table.Rows != len(table.Flows) || table.Malformed != 0 {
		t.Errorf("%d flows of %d rows, %d malformed, %v", len(table.Flows), table.Rows, table.Malformed, err)
	}
	_, err = readConntrack(process, slowKernel)
	if err == nil || toProblem(err).Reason != "kernels before 6.16 take seconds to read more than 10000 tracked connections" || !strings.Contains(err.Error(), "6.1") {
		t.Errorf("%v", err)
	}
}

// The table of the host is read once a collection has shown that Proc is the host's.
func TestTrackedConnectionsOfTheHost(t *testing.T) {
	if _, err := os.Stat("/proc/self/net/nf_conntrack"); err != nil {
		t.Skip(err)
	}
	w := &world{containers: []container.Container{running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")}}
	c := w.collector(t, Sockdiag, Procfs)
	if _, err := c.Conntrack(t.Context()); err == nil || toProblem(err).Reason != noHostReason {
		t.Errorf("before the first collection: %v", err)
	}
	if _, err := c.Collect(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Conntrack(t.Context()); err != nil {
		t.Error(err)
	}
}

// The reason has the flag that helps.
func TestMissingRightForTrackedConnections(t *testing.T) {
	c := &Collector{} // without /proc no capability is known
	if err := c.explainConntrack(fs.ErrPermission); err == nil || err.Error() != noGroupReason {
		t.Errorf("%v", err)
	}
	if err := c.explainConntrack(fs.ErrNotExist); err == nil || !strings.Contains(err.Error(), "--cap-add NET_ADMIN") {
		t.Errorf("%v", err)
	}
}

func BenchmarkTrackedConnections(b *testing.B) {
	for name, rows := range map[string]int{"10 rows": 10, "1000 rows": 1000, "10000 rows": 10_000} {
		b.Run(name, func(b *testing.B) {
			process := trackedProcess(b, rows)
			b.ReportAllocs()
			for b.Loop() {
				if table, err := readConntrack(process, fastKernel); err != nil || len(table.Flows) != rows {
					b.Fatal(len(table.Flows), err)
				}
			}
		})
	}
}
