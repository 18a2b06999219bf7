package mapper

import (
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// Of 100 daemons 30 fail in three ways and recover. The others stay fresh, the failed ones stay in the map as stale, and no
// goroutine is left over.
func TestThirtyOfAHundredFail(t *testing.T) {
	const daemons, failing = 100, 30
	var down atomic.Bool
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	fails := []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		},
	}
	var urls []string
	for i := range daemons {
		name := fmt.Sprint("host", i)
		urls = append(urls, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if i < failing && down.Load() {
				fails[i%len(fails)](w, r)
				return
			}
			respond(t, w, snapshotFrom(name))
		}))
	}
	m := start(t, Options{Targets: parse(t, urls...)}, 2*time.Second)
	states := func(g graph.Graph) map[graph.State]int {
		counts := make(map[graph.State]int)
		for _, target := range g.Targets {
			counts[target.State]++
		}
		return counts
	}
	allOK := func(g graph.Graph) bool { return states(g)[graph.StateOK] == daemons }
	until(t, m, allOK)
	before := runtime.NumGoroutine()

	down.Store(true)
	g := until(t, m, func(g graph.Graph) bool { return states(g)[graph.StateStale] == failing })
	if states(g)[graph.StateOK] != daemons-failing || len(g.Links) < daemons {
		t.Errorf("%v, %d links", states(g), len(g.Links))
	}
	since := time.Now()
	until(t, m, func(g graph.Graph) bool {
		for i, url := range urls {
			if i >= failing && targetIn(g, url).LastAnswer.Before(since) {
				return false
			}
		}
		return true
	})
	down.Store(false)
	until(t, m, allOK)
	const maxMore = 8
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+maxMore; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}
