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

type collectorOf func(context.Context, bool) (collect.Result, error)

func (f collectorOf) Collect(ctx context.Context, withTCPInfo bool) (collect.Result, error) {
	return f(ctx, withTCPInfo)
}

// stub is an engine.
type stub func(context.Context) error

func (s stub) Ready(ctx context.Context) error { return s(ctx) }

func (s stub) Host(context.Context) (container.Host, error) { return container.Host{Name: "host"}, nil }

func never(context.Context) error { return nil }

// counts is an observer.
type counts struct{ collected, failed, coalesced atomic.Int32 }

func (c *counts) Collected(snapshot.Snapshot) { c.collected.Add(1) }
func (c *counts) Failed()                     { c.failed.Add(1) }
func (c *counts) Coalesced()                  { c.coalesced.Add(1) }

// messages returns level and message of each line of a log.
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

// Who asks while a collection runs gets the next, which all of them share: the one that runs may have passed over what
// was started since it began.
func TestRequestsShareTheNextCollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var collections atomic.Int32
		observed := &counts{}
		var withTCPInfos []bool
		d := New(collectorOf(func(ctx context.Context, withTCPInfo bool) (collect.Result, error) {
			collections.Add(1)
			withTCPInfos = append(withTCPInfos, withTCPInfo)
			select {
			case <-time.After(time.Second):
				return collect.Result{}, nil
			case <-ctx.Done():
				return collect.Result{}, ctx.Err()
			}
		}), nil, stub(never), nil, observed, zerolog.Nop())

		type answer struct {
			at  time.Time
			err error
		}
		began := time.Now()
		ask := func(ctx context.Context, measured bool) <-chan answer {
			answered := make(chan answer, 1)
			go func() {
				taken, err := d.Snapshot(ctx, measured)
				answered <- answer{taken.TakenAt, err}
			}()
			synctest.Wait()
			return answered
		}
		first, leave := context.WithCancel(t.Context())
		left := ask(first, false)
		time.Sleep(time.Second / 2)
		var others []<-chan answer
		for i := range 9 {
			others = append(others, ask(t.Context(), i == 4))
		}
		leave()
		if a := <-left; !errors.Is(a.err, context.Canceled) {
			t.Errorf("who stopped waiting got %v", a.err)
		}
		for _, answered := range others {
			if a := <-answered; a.err != nil || a.at.Sub(began) != time.Second {
				t.Errorf("taken %v after the first was begun, %v", a.at.Sub(began), a.err)
			}
		}
		if n := observed.coalesced.Load(); n != 8 {
			t.Errorf("%d requests shared another's", n)
		}
		if n := collections.Load(); n != 2 || withTCPInfos[0] || !withTCPInfos[1] {
			t.Errorf("%d collections, %v", n, withTCPInfos)
		}
		if _, err := d.Snapshot(t.Context(), false); err != nil || collections.Load() != 3 {
			t.Errorf("a later request: %d collections, %v", collections.Load(), err)
		}
	})
}

// What the engine told last of itself stays in the answer when it does not tell.
func TestHostIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &forgetful{}
		d := New(collectorFunc(func(context.Context) (collect.Result, error) { return collect.Result{}, nil }), nil, engine, nil, &counts{}, zerolog.Nop())
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

// forgetful is an engine that tells of itself now and then.
type forgetful struct{ silent bool }

func (*forgetful) Ready(context.Context) error { return nil }

func (e *forgetful) Host(ctx context.Context) (container.Host, error) {
	if e.silent {
		<-ctx.Done()
		return container.Host{}, ctx.Err()
	}
	return container.Host{Name: "it"}, nil
}

func TestEngineIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	var down error
	d := New(collectorFunc(func(context.Context) (collect.Result, error) { return collect.Result{}, down }), nil,
		stub(func(context.Context) error { return down }), nil, &counts{}, zerolog.New(&log))
	for _, down = range []error{nil, container.ErrUnreachable, container.ErrUnreachable, nil, nil} {
		if _, err := d.Snapshot(t.Context(), false); !errors.Is(err, down) {
			t.Errorf("error %v, want %v", err, down)
		}
		if err := d.Ready(t.Context()); !errors.Is(err, down) {
			t.Errorf("Ready: %v, want %v", err, down)
		}
	}
	want := []string{"error: The container engine does not answer; trying again at each request", "info: The container engine answers again"}
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
		d := New(nil, nil, stub(silent), nil, &counts{}, zerolog.New(&log))
		leaving, leave := context.WithCancel(t.Context())
		leave()
		if err := d.Ready(leaving); err == nil || log.Len() > 0 {
			t.Errorf("who stopped waiting: %v, %s", err, log.String())
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
		stub(never), []netip.Addr{netip.IPv4Unspecified()}, &counts{}, zerolog.New(&log).Level(zerolog.InfoLevel))
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

func TestDebugTellsOfEachContainer(t *testing.T) {
	var log bytes.Buffer
	newJournal(zerolog.New(&log)).containers(snapshot.Snapshot{
		Duration: time.Second, Containers: []snapshot.Container{{ID: "0a1b", Name: "/it", LeftOut: snapshot.LeftOut{Unpublished: 3}}},
	}, []string{"/gone"})
	for _, part := range []string{`"container":"0a1b"`, `"left_out_unpublished":3`, `"message":"Read"`, `"left_out_gone":["/gone"]`, `"took_ms":1000`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in %s", part, log.String())
		}
	}
}

// Why a better method cannot be used is logged once for all containers, and when it does not matter any more.
func TestUnusedMethodsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	j := newJournal(zerolog.New(&log).Level(zerolog.InfoLevel))
	lacks := collect.Problem{Reason: "CAP_SYS_ADMIN is missing", Detail: "EPERM"}
	j.found(collect.ProbeResult{Methods: []collect.MethodStatus{
		{Method: collect.Sockdiag, Tried: 2, Problem: lacks}, {Method: collect.Procfs, Tried: 2, Works: 2},
	}})
	if line := log.String(); !strings.Contains(line, `"sockdiag":"does not work: CAP_SYS_ADMIN is missing","procfs":"works","owners_by_cgroup":"works"`) {
		t.Errorf("%s", line)
	}
	messages(t, &log)
	all := func(unused ...collect.Skipped) snapshot.Snapshot {
		return snapshot.Snapshot{Containers: []snapshot.Container{{ID: "a", Unused: unused}, {ID: "b", Unused: unused}}}
	}
	sockdiag, procfs := collect.Skipped{Method: collect.Sockdiag, Problem: lacks}, collect.Skipped{Method: collect.Procfs, Problem: collect.Problem{Reason: "hidden"}}
	for i, step := range []struct {
		taken snapshot.Snapshot
		want  []string
	}{
		{all(sockdiag), nil}, // as found
		{all(sockdiag, procfs), []string{"warn: A better way to read socket tables cannot be used"}},
		{all(sockdiag, procfs), nil},
		{all(), []string{"info: No container is kept from a better way any more for this reason", "info: No container is kept from a better way any more for this reason"}},
		{all(sockdiag), nil}, // within the hour
		{all(), nil},
	} {
		j.containers(step.taken, nil)
		if diff := cmp.Diff(step.want, messages(t, &log)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// Without OUTPOST_INTERFACES listeners on all addresses are listed at those of the host that are in sight.
func TestInterfacesAreFound(t *testing.T) {
	var log bytes.Buffer
	result := collect.Result{Readings: []collect.Reading{{
		Container: container.Container{Networks: []container.Network{{Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.1")}}}},
		NetNS:     &collect.NetNS{Host: true, Sockets: []socket.Socket{{Local: netip.MustParseAddrPort("[::]:80"), State: socket.Listen}}},
	}}}
	d := New(collectorFunc(func(context.Context) (collect.Result, error) { return result, nil }), nil, stub(never), nil, &counts{},
		zerolog.New(&log).Level(zerolog.InfoLevel))
	listening := func() string {
		t.Helper()
		taken, err := d.Snapshot(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(taken.Containers[0].Listening, taken.Host.Addresses)
	}
	if got := listening(); got != "[0.0.0.0:80] []" {
		t.Errorf("none in sight: %s", got)
	}
	for addr, name := range map[string]string{
		"192.0.2.1": "eth0", "172.17.0.1": "docker0", "172.18.0.1": "br-0123456789ab", "10.9.0.1": "chosen", "2001:db8::1": "",
	} {
		result.Addresses = append(result.Addresses, procnet.Address{Addr: netip.MustParseAddr(addr), Interface: name})
	}
	slices.SortFunc(result.Addresses, func(a, b procnet.Address) int { return a.Addr.Compare(b.Addr) })
	for range 2 {
		if got := listening(); got != "[192.0.2.1:80 [2001:db8::1]:80] [10.9.0.1 172.17.0.1 172.18.0.1 192.0.2.1 2001:db8::1]" {
			t.Errorf("in sight: %s", got)
		}
	}
	if lines := messages(t, &log); len(lines) != 1 {
		t.Errorf("%q", lines)
	}
}

// However it is asked, one collection runs at a time; and an engine that does not tell of itself is not asked each time.
func TestOneCollectionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, asked atomic.Int32
		engine := hostless{&asked}
		d := New(collectorFunc(func(context.Context) (collect.Result, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return collect.Result{}, nil
		}), nil, engine, nil, &counts{}, zerolog.Nop())
		for range 2 {
			done := make(chan error)
			for _, measured := range []bool{false, true} {
				go func() {
					_, err := d.Snapshot(t.Context(), measured)
					done <- err
				}()
			}
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		if most.Load() != 1 || asked.Load() != 1 {
			t.Errorf("%d collections at once; the engine was asked %d times", most.Load(), asked.Load())
		}
		time.Sleep(hostPause)
		if _, err := d.Snapshot(t.Context(), false); err != nil || asked.Load() != 2 {
			t.Errorf("%v; the engine was asked %d times", err, asked.Load())
		}
	})
}

// hostless is an engine that does not tell of itself.
type hostless struct{ asked *atomic.Int32 }

func (hostless) Ready(context.Context) error { return nil }

func (e hostless) Host(context.Context) (container.Host, error) {
	e.asked.Add(1)
	return container.Host{}, container.ErrForbidden
}
