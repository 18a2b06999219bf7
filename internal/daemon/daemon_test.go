package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

type collectorFunc func(context.Context) (collect.Result, error)

func (f collectorFunc) Collect(ctx context.Context, _ bool) (collect.Result, error) {
	return f(ctx)
}

type collectorWithDetail func(context.Context, bool) (collect.Result, error)

func (f collectorWithDetail) Collect(ctx context.Context, withTCPInfo bool) (collect.Result, error) {
	return f(ctx, withTCPInfo)
}

// engineFunc is an engine with a Ready function.
type engineFunc func(context.Context) error

func (f engineFunc) Ready(ctx context.Context) error { return f(ctx) }

func (f engineFunc) Host(context.Context) (container.Host, error) {
	return container.Host{Name: "host"}, nil
}

func (f engineFunc) Networks(context.Context) ([]container.NetworkConfig, error) { return nil, nil }

func ready(context.Context) error { return nil }

// counts is an observer that counts.
type counts struct{ collected, failed, coalesced atomic.Int32 }

func (c *counts) Collected(snapshot.Snapshot) { c.collected.Add(1) }
func (c *counts) Failed()                     { c.failed.Add(1) }
func (c *counts) Coalesced()                  { c.coalesced.Add(1) }

// messages returns the level and message of each log line, and empties the log.
func messages(t *testing.T, log *bytes.Buffer) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(log.String()) {
		var entry struct{ Level, Message string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, entry.Level+": "+entry.Message)
	}
	log.Reset()
	return lines
}

// Requests during a collection share the next one: the running one may have missed containers that started meanwhile.
func TestRequestsShareTheNextCollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var collections atomic.Int32
		observed := &counts{}
		var withTCPInfos []bool
		d := New(collectorWithDetail(func(ctx context.Context, withTCPInfo bool) (collect.Result, error) {
			collections.Add(1)
			withTCPInfos = append(withTCPInfos, withTCPInfo)
			select {
			case <-time.After(time.Second):
				return collect.Result{}, nil
			case <-ctx.Done():
				return collect.Result{}, ctx.Err()
			}
		}), nil, engineFunc(ready), nil, Kernel{}, observed, NewChangeLog(zerolog.Nop()))

		type response struct {
			at  time.Time
			err error
		}
		began := time.Now()
		request := func(ctx context.Context, withTCPInfo bool) <-chan response {
			responses := make(chan response, 1)
			go func() {
				taken, err := d.Snapshot(ctx, withTCPInfo)
				responses <- response{taken.TakenAt, err}
			}()
			synctest.Wait()
			return responses
		}
		cancelled, cancel := context.WithCancel(t.Context())
		first := request(cancelled, false)
		time.Sleep(time.Second / 2)
		var others []<-chan response
		for i := range 9 {
			others = append(others, request(t.Context(), i == 4))
		}
		cancel()
		if a := <-first; !errors.Is(a.err, context.Canceled) {
			t.Errorf("the cancelled request got %v", a.err)
		}
		for _, responses := range others {
			if a := <-responses; a.err != nil || a.at.Sub(began) != time.Second {
				t.Errorf("taken %v after the first began, %v", a.at.Sub(began), a.err)
			}
		}
		if n := observed.coalesced.Load(); n != 8 {
			t.Errorf("%d requests were coalesced", n)
		}
		if n := collections.Load(); n != 2 || withTCPInfos[0] || !withTCPInfos[1] {
			t.Errorf("%d collections, %v", n, withTCPInfos)
		}
		if _, err := d.Snapshot(t.Context(), false); err != nil || collections.Load() != 3 {
			t.Errorf("a later request: %d collections, %v", collections.Load(), err)
		}
	})
}

// A snapshot has the last known description of the engine while the engine does not respond.
func TestLastHostIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &flakyEngine{}
		d := New(collectorFunc(func(context.Context) (collect.Result, error) { return collect.Result{}, nil }), nil, engine, nil, Kernel{}, &counts{}, NewChangeLog(zerolog.Nop()))
		for i, want := range []string{"", "it", "it", "it"} {
			engine.silent = i%2 == 0
			time.Sleep(hostPause)
			taken, err := d.Snapshot(t.Context(), false)
			if err != nil || taken.Host.Name != want {
				t.Errorf("%d: %q, %v; want %q", i, taken.Host.Name, err, want)
			}
		}
	})
}

// The boot ID is Outpost's own. It is the host's if the engine is known to run on the same kernel.
func TestBootIDIsThatOfTheEngine(t *testing.T) {
	var result collect.Result
	instances := make(map[string]bool)
	for _, test := range []struct {
		kernel    Kernel
		addresses []procnet.Address
		want      string
	}{
		{Kernel{BootID: "b", RunsEngine: true}, nil, "b"},
		{Kernel{BootID: "b"}, nil, ""},
		{Kernel{BootID: "b"}, []procnet.Address{{Addr: netip.MustParseAddr("192.0.2.1")}}, "b"},
		{Kernel{RunsEngine: true}, nil, ""},
	} {
		result.Addresses = test.addresses
		d := New(collectorFunc(func(context.Context) (collect.Result, error) { return result, nil }), nil, engineFunc(ready), nil, test.kernel, &counts{}, NewChangeLog(zerolog.Nop()))
		for range 2 {
			taken, err := d.Snapshot(t.Context(), false)
			if err != nil || taken.ToV1().Host.BootID != test.want {
				t.Errorf("%+v, addresses %v: boot ID %q, %v; want %q", test.kernel, test.addresses, taken.Host.BootID, err, test.want)
			}
			instances[taken.ToV1().Host.InstanceID] = true
		}
	}
	if len(instances) != 4 || instances[""] {
		t.Errorf("four daemons have the IDs %v", instances)
	}
}

// flakyEngine describes itself unless silent.
type flakyEngine struct{ silent bool }

func (*flakyEngine) Ready(context.Context) error { return nil }

func (*flakyEngine) Networks(context.Context) ([]container.NetworkConfig, error) { return nil, nil }

func (e *flakyEngine) Host(ctx context.Context) (container.Host, error) {
	if e.silent {
		<-ctx.Done()
		return container.Host{}, ctx.Err()
	}
	return container.Host{Name: "it"}, nil
}

// A listener is listed at addresses that lead to other machines. The engine's networks tell which ones do not.
func TestEngineBridgesAreNotInterfaces(t *testing.T) {
	var log bytes.Buffer
	address := func(addr, name string, defaultRoute bool) procnet.Address {
		return procnet.Address{Addr: netip.MustParseAddr(addr), Interface: name, DefaultRoute: defaultRoute}
	}
	network := func(driver, bridge string, gateways ...string) container.NetworkConfig {
		n := container.NetworkConfig{ID: "id of " + bridge, Driver: driver, Bridge: bridge}
		for _, gateway := range gateways {
			n.Gateways = append(n.Gateways, netip.MustParseAddr(gateway))
		}
		return n
	}
	bridged := collect.Reading{
		Container: container.Container{Networks: []container.Network{{ID: "id of lan0", Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, {ID: "unknown"}, {Name: "named"}}},
		NetNS:     &collect.NetNS{ID: "it", Published: []container.Binding{{ContainerPort: 80, Host: netip.MustParseAddrPort("0.0.0.0:8080")}}, Sockets: []socket.Socket{{Local: netip.MustParseAddrPort("0.0.0.0:80"), State: socket.Listen}}},
	}
	result := collect.Result{
		Readings: []collect.Reading{bridged},
		Addresses: []procnet.Address{
			address("10.99.7.1", "proxy0", false), address("10.99.8.9", "proxy1", false), address("172.18.0.1", "docker_gwbridge", false),
			address("192.0.2.1", "lan0", true), address("192.0.2.2", "lan0", true),
		},
	}
	engine := &networkEngine{networks: []container.NetworkConfig{
		network("bridge", "proxy0", "10.99.7.1"), network("bridge", "proxy1"), network("bridge", "docker0", "172.17.0.1"),
		network("bridge", "docker_gwbridge", "172.18.0.1"), network("bridge", "lan0", "192.0.2.1"), network("macvlan", ""),
		{ID: "another", Name: "named", Driver: "ipvlan"}, // Podman's containers report the name alone
	}}
	newDaemon := func(interfaces ...netip.Addr) *Daemon {
		return New(collectorFunc(func(context.Context) (collect.Result, error) { return result, nil }), nil, engine, interfaces, Kernel{}, &counts{},
			NewChangeLog(zerolog.New(&log).Level(zerolog.InfoLevel)))
	}
	d := newDaemon()
	expect := func(d *Daemon, want string) {
		t.Helper()
		taken, err := d.Snapshot(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		v1 := taken.ToV1()
		var drivers []string
		for _, n := range v1.Containers[0].Networks {
			drivers = append(drivers, n.Driver)
		}
		if got := fmt.Sprint(taken.Containers[0].Listening, v1.Host.Gateways, drivers); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	const known = "[192.0.2.1:8080 192.0.2.2:8080] [10.99.7.1 10.99.8.9 172.17.0.1 172.18.0.1] [bridge  ipvlan]"
	expect(d, known)
	engine.err = container.ErrForbidden
	expect(d, known) // the last known networks
	messages(t, &log)

	const unknown = "[10.99.7.1:8080 10.99.8.9:8080 192.0.2.1:8080 192.0.2.2:8080] [] [  ]"
	d = newDaemon()
	before := engine.calls
	expect(d, unknown)
	expect(d, unknown)
	if calls := engine.calls - before; calls != 1 {
		t.Errorf("%d calls of an engine that forbids them, want 1", calls)
	}
	want := []string{"info: Cannot list the engine's networks; recognising its bridges by their names and containers", "info: Detected the host's addresses; OUTPOST_INTERFACES overrides them"}
	if diff := cmp.Diff(want, messages(t, &log)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	engine.err, result.Addresses = nil, nil
	expect(newDaemon(), "[0.0.0.0:8080] [10.99.7.1 172.17.0.1 172.18.0.1 192.0.2.1] [bridge  ipvlan]")
	expect(newDaemon(netip.MustParseAddr("192.0.2.1")), "[192.0.2.1:8080] [10.99.7.1 172.17.0.1 172.18.0.1] [bridge  ipvlan]")
}

// networkEngine lists networks unless err is set.
type networkEngine struct {
	engineFunc
	networks []container.NetworkConfig
	err      error
	calls    int
}

func (e *networkEngine) Networks(context.Context) ([]container.NetworkConfig, error) {
	e.calls++
	return e.networks, e.err
}

func TestEngineChangesAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	var down error
	d := New(collectorFunc(func(context.Context) (collect.Result, error) { return collect.Result{}, down }), nil,
		engineFunc(func(context.Context) error { return down }), nil, Kernel{}, &counts{}, NewChangeLog(zerolog.New(&log)))
	for _, down = range []error{nil, container.ErrUnreachable, container.ErrUnreachable, nil, nil} {
		if _, err := d.Snapshot(t.Context(), false); !errors.Is(err, down) {
			t.Errorf("error %v, want %v", err, down)
		}
		if err := d.Ready(t.Context()); !errors.Is(err, down) {
			t.Errorf("Ready: %v, want %v", err, down)
		}
	}
	want := []string{"error: The container engine does not respond; retrying at each request", "info: The container engine responds again"}
	got := slices.DeleteFunc(messages(t, &log), func(line string) bool { return strings.HasPrefix(line, "debug") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSilentEngineIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		silent := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		d := New(nil, nil, engineFunc(silent), nil, Kernel{}, &counts{}, NewChangeLog(zerolog.New(&log)))
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Ready(cancelled); err == nil || log.Len() > 0 {
			t.Errorf("cancelled request: %v, %s", err, log.String())
		}
		if err := d.Ready(t.Context()); !errors.Is(err, context.DeadlineExceeded) || len(messages(t, &log)) != 1 {
			t.Errorf("error %v", err)
		}
	})
}

func TestReasonsAreLoggedOnce(t *testing.T) { synctest.Test(t, testReasonsAreLoggedOnce) }

func testReasonsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	var result collect.Result
	d := New(collectorFunc(func(context.Context) (collect.Result, error) { return result, nil }), nil,
		engineFunc(ready), []netip.Addr{netip.IPv4Unspecified()}, Kernel{}, &counts{}, NewChangeLog(zerolog.New(&log).Level(zerolog.InfoLevel)))
	reading := func(network collect.NetNS, problems ...collect.Problem) []collect.Reading {
		return []collect.Reading{{Container: container.Container{ID: "0a1b", Name: "/it"}, NetNS: &network, Problems: problems}}
	}
	paused, rows := collect.Problem{Reason: "paused"}, collect.Problem{Reason: "rows", Detail: "1 of 2"}
	moreRows := collect.Problem{Reason: "rows", Detail: "2 of 3"}
	incomplete := []string{"warn: The container could not be read completely"}
	for i, step := range []struct {
		readings []collect.Reading
		after    time.Duration
		want     []string
	}{
		{readings: reading(collect.NetNS{})},
		{readings: reading(collect.NetNS{}, paused), want: incomplete},
		{readings: reading(collect.NetNS{}, paused)},
		{readings: reading(collect.NetNS{}, rows), want: incomplete},
		{readings: reading(collect.NetNS{}, moreRows)},
		{readings: reading(collect.NetNS{}), want: []string{"info: The container is read completely again"}},
		{readings: reading(collect.NetNS{}, paused)},
		{readings: reading(collect.NetNS{})},
		{readings: reading(collect.NetNS{}, paused), after: 2 * repeatAfter, want: incomplete},
		{readings: nil},
		{readings: reading(collect.NetNS{}, paused), want: incomplete},
		{readings: nil},
		{
			readings: reading(collect.NetNS{Host: true, Shared: true}, paused),
			want:     []string{"warn: Unable to obtain inodes for the container's (0a1b) main process. Some connections will be omitted to preserve accuracy"},
		},
	} {
		time.Sleep(step.after)
		result.Readings = step.readings
		if _, err := d.Snapshot(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, messages(t, &log)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestDebugLogHasEachContainer(t *testing.T) {
	var log bytes.Buffer
	NewChangeLog(zerolog.New(&log)).collected(snapshot.Snapshot{
		Duration: time.Second, Containers: []snapshot.Container{{ID: "0a1b", Name: "/it", LeftOut: snapshot.LeftOut{Unpublished: 3}}},
	}, []string{"/gone"})
	for _, part := range []string{`"container":"0a1b"`, `"left_out_unpublished":3`, `"message":"Read"`, `"left_out_gone":["/gone"]`, `"took_ms":1000`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in %s", part, log.String())
		}
	}
}

// The reason for not using a better method is logged once for all containers, and again when it is gone.
func TestUnusedMethodsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	changes := NewChangeLog(zerolog.New(&log).Level(zerolog.InfoLevel))
	missing := collect.Problem{Reason: "CAP_SYS_ADMIN is missing", Detail: "EPERM"}
	changes.Probed(collect.ProbeResult{Methods: []collect.MethodStatus{
		{Method: collect.Sockdiag, Tried: 2, Problem: missing, HostWide: true}, {Method: collect.Procfs, Tried: 2, Works: 2},
	}})
	if line := log.String(); !strings.Contains(line, `"sockdiag":"does not work: CAP_SYS_ADMIN is missing","procfs":"works","owners_by_cgroup":"works"`) {
		t.Errorf("%s", line)
	}
	messages(t, &log)
	all := func(unused ...collect.UnusedMethod) snapshot.Snapshot {
		return snapshot.Snapshot{Containers: []snapshot.Container{{ID: "a", Unused: unused}, {ID: "b", Unused: unused}}}
	}
	sockdiag, procfs := collect.UnusedMethod{Method: collect.Sockdiag, Problem: missing}, collect.UnusedMethod{Method: collect.Procfs, Problem: collect.Problem{Reason: "hidden"}}
	for i, step := range []struct {
		taken snapshot.Snapshot
		want  []string
	}{
		{all(sockdiag), nil}, // Probed logged it
		{all(sockdiag, procfs), []string{"warn: Cannot use a better method of reading socket tables"}},
		{all(sockdiag, procfs), nil},
		{all(), []string{"info: This reason no longer prevents a better method for any container", "info: This reason no longer prevents a better method for any container"}},
		{all(sockdiag), nil}, // within repeatAfter
		{all(), nil},
	} {
		changes.collected(step.taken, nil)
		if diff := cmp.Diff(step.want, messages(t, &log)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// Without configured interfaces, a listener on the unspecified address is listed at the visible addresses of the host.
func TestInterfacesAreDetected(t *testing.T) {
	var log bytes.Buffer
	result := collect.Result{Readings: []collect.Reading{{
		Container: container.Container{Networks: []container.Network{{Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.1")}}}},
		NetNS:     &collect.NetNS{Host: true, Sockets: []socket.Socket{{Local: netip.MustParseAddrPort("[::]:80"), State: socket.Listen}}},
	}}}
	d := New(collectorFunc(func(context.Context) (collect.Result, error) { return result, nil }), nil, engineFunc(ready), nil, Kernel{}, &counts{},
		NewChangeLog(zerolog.New(&log).Level(zerolog.InfoLevel)))
	listening := func() string {
		t.Helper()
		taken, err := d.Snapshot(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(taken.Containers[0].Listening, taken.Host.Addresses)
	}
	if got := listening(); got != "[0.0.0.0:80] []" {
		t.Errorf("no visible address: %s", got)
	}
	for addr, name := range map[string]string{
		"192.0.2.1": "eth0", "172.17.0.1": "docker0", "172.18.0.1": "br-0123456789ab", "10.88.0.1": "podman0", "10.89.0.1": "cni-podman1", "10.9.0.1": "chosen", "2001:db8::1": "",
	} {
		result.Addresses = append(result.Addresses, procnet.Address{Addr: netip.MustParseAddr(addr), Interface: name})
	}
	slices.SortFunc(result.Addresses, func(a, b procnet.Address) int { return a.Addr.Compare(b.Addr) })
	for range 2 {
		if got := listening(); got != "[192.0.2.1:80 [2001:db8::1]:80] [10.9.0.1 10.88.0.1 10.89.0.1 172.17.0.1 172.18.0.1 192.0.2.1 2001:db8::1]" {
			t.Errorf("visible addresses: %s", got)
		}
	}
	if lines := messages(t, &log); len(lines) != 1 {
		t.Errorf("%q", lines)
	}
}

// One collection runs at a time. An engine that fails to describe itself is not called again at once.
func TestOneCollectionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, peak, calls atomic.Int32
		engine := hostlessEngine{&calls}
		d := New(collectorFunc(func(context.Context) (collect.Result, error) {
			peak.Store(max(peak.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return collect.Result{}, nil
		}), nil, engine, nil, Kernel{}, &counts{}, NewChangeLog(zerolog.Nop()))
		for range 2 {
			done := make(chan error)
			for _, withTCPInfo := range []bool{false, true} {
				go func() {
					_, err := d.Snapshot(t.Context(), withTCPInfo)
					done <- err
				}()
			}
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		if peak.Load() != 1 || calls.Load() != 1 {
			t.Errorf("%d concurrent collections; %d calls of the engine", peak.Load(), calls.Load())
		}
		time.Sleep(hostPause)
		if _, err := d.Snapshot(t.Context(), false); err != nil || calls.Load() != 2 {
			t.Errorf("%v; %d calls of the engine", err, calls.Load())
		}
	})
}

// hostlessEngine does not describe itself.
type hostlessEngine struct{ calls *atomic.Int32 }

func (hostlessEngine) Ready(context.Context) error { return nil }

func (hostlessEngine) Networks(context.Context) ([]container.NetworkConfig, error) { return nil, nil }

func (e hostlessEngine) Host(context.Context) (container.Host, error) {
	e.calls.Add(1)
	return container.Host{}, container.ErrForbidden
}

// counterFunc is a counter.
type counterFunc func(taken *snapshot.Snapshot)

func (f counterFunc) Update(taken *snapshot.Snapshot, _ time.Time) { f(taken) }

// Each snapshot and sample has the counts, and the counter sees what is remembered of earlier ones.
func TestCountedSnapshots(t *testing.T) {
	open := []socket.Socket{{Local: netip.MustParseAddrPort("172.17.0.2:1"), Remote: netip.MustParseAddrPort("192.0.2.1:443"), State: socket.Established}}
	collector := collectorFunc(func(context.Context) (collect.Result, error) {
		return collect.Result{Readings: []collect.Reading{{Container: container.Container{ID: "a"}, Method: collect.Procfs, NetNS: &collect.NetNS{ID: "a", Sockets: open}}}}, nil
	})
	observed := make(chan snapshot.Counting, 1)
	d := New(collector, collector, engineFunc(ready), nil, Kernel{}, collectedFunc(func(s snapshot.Snapshot) { observed <- s.Host.Counting }), NewChangeLog(zerolog.Nop()))
	seen := 0
	d.CountWith(counterFunc(func(taken *snapshot.Snapshot) {
		seen = len(taken.Containers[0].Connections)
		taken.Host.Counting.Losses = 3
	}))
	taken, err := d.Snapshot(t.Context(), false)
	if err != nil || taken.Host.Counting.Losses != 3 || (<-observed).Losses != 3 || seen != 1 {
		t.Errorf("%v: %+v, %d connections", err, taken.Host.Counting, seen)
	}
	open = nil
	taken, err = d.Sample(t.Context())
	if err != nil || taken.Host.Counting.Losses != 3 || seen != 1 {
		t.Errorf("%v: %+v, %d connections", err, taken.Host.Counting, seen)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// collectedFunc is an observer of collections.
type collectedFunc func(snapshot.Snapshot)

func (f collectedFunc) Collected(s snapshot.Snapshot) { f(s) }
func (collectedFunc) Failed()                         {}
func (collectedFunc) Coalesced()                      {}
