package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/PabloL007/outpost/internal/snapshot"
)

type collectorFunc func(context.Context) (collect.Result, error)

func (f collectorFunc) Collect(ctx context.Context) (collect.Result, error) { return f(ctx) }

func never(context.Context) error { return nil }

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

func TestRequestsShareACollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var collections atomic.Int32
		d := New(collectorFunc(func(ctx context.Context) (collect.Result, error) {
			collections.Add(1)
			select {
			case <-time.After(time.Second):
				return collect.Result{}, nil
			case <-ctx.Done():
				return collect.Result{}, ctx.Err()
			}
		}), never, nil, zerolog.Nop())

		first, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		for i := range 10 {
			ctx := t.Context()
			if i == 0 {
				ctx = first
			}
			go func() {
				_, err := d.Containers(ctx)
				errs <- err
			}()
			synctest.Wait() // the first one starts the collection
		}
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("who stopped waiting got %v", err)
		}
		for range 9 {
			if err := <-errs; err != nil {
				t.Errorf("the others must get their answer: %v", err)
			}
		}
		if n := collections.Load(); n != 1 {
			t.Errorf("%d collections", n)
		}
		if _, err := d.Containers(t.Context()); err != nil || collections.Load() != 2 {
			t.Errorf("a later request: %d collections, %v", collections.Load(), err)
		}
	})
}

func TestEngineIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	var down error
	d := New(collectorFunc(func(context.Context) (collect.Result, error) { return collect.Result{}, down }),
		func(context.Context) error { return down }, nil, zerolog.New(&log))
	for _, down = range []error{nil, container.ErrUnreachable, container.ErrUnreachable, nil, nil} {
		if _, err := d.Containers(t.Context()); !errors.Is(err, down) {
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
		d := New(nil, silent, nil, zerolog.New(&log))
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
	d := New(collectorFunc(func(context.Context) (collect.Result, error) { return result, nil }),
		never, []netip.Addr{netip.IPv4Unspecified()}, zerolog.New(&log).Level(zerolog.InfoLevel))
	reading := func(network collect.Namespace, problems ...collect.Problem) []collect.Reading {
		return []collect.Reading{{Container: container.Container{ID: "0a1b", Name: "/it"}, Namespace: &network, Problems: problems}}
	}
	paused, rows := collect.Problem{Reason: "paused"}, collect.Problem{Reason: "rows", Detail: "1 of 2"}
	moreRows := collect.Problem{Reason: "rows", Detail: "2 of 3"}
	incomplete := []string{"warn: The container could not be read completely"}
	for i, step := range []struct {
		readings []collect.Reading
		after    time.Duration
		want     []string
	}{
		{readings: reading(collect.Namespace{})},
		{readings: reading(collect.Namespace{}, paused), want: incomplete},
		{readings: reading(collect.Namespace{}, paused)},
		{readings: reading(collect.Namespace{}, rows), want: incomplete},
		{readings: reading(collect.Namespace{}, moreRows)},
		{readings: reading(collect.Namespace{}), want: []string{"info: The container is read completely again"}},
		{readings: reading(collect.Namespace{}, paused)},
		{readings: reading(collect.Namespace{})},
		{readings: reading(collect.Namespace{}, paused), after: 2 * repeatAfter, want: incomplete},
		{readings: nil},
		{readings: reading(collect.Namespace{}, paused), want: incomplete},
		{readings: nil},
		{
			readings: reading(collect.Namespace{Host: true, Shared: true}, paused),
			want:     []string{"warn: Unable to obtain inodes for the container's (0a1b) main process. Some connections will be omitted to preserve accuracy"},
		},
	} {
		time.Sleep(step.after)
		result.Readings = step.readings
		if _, err := d.Containers(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, messages(t, &log)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestDebugTellsOfEachContainer(t *testing.T) {
	var log bytes.Buffer
	newJournal(zerolog.New(&log)).containers([]snapshot.Container{{ID: "0a1b", Name: "/it", LeftOut: snapshot.LeftOut{Unpublished: 3}}}, []string{"/gone"}, time.Second)
	for _, part := range []string{`"container":"0a1b"`, `"left_out_unpublished":3`, `"message":"Read"`, `"left_out_gone":["/gone"]`, `"took_ms":1000`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in %s", part, log.String())
		}
	}
}
