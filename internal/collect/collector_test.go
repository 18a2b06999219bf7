package collect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
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
	e, err := engine.New(engine.Options{MaxCalls: 4, Observe: func(string) {}})
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
