package inventory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/PabloL007/outpost/internal/container"
)

func TestObserverHearsOfEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var heard []string
		hear := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, text)
		}
		f := newFake()
		i := New(f)
		i.Observe(Observer{
			Following: func(following bool) { hear(fmt.Sprint("following ", following)) },
			Changed:   func(id string) { hear("changed " + id) },
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { i.Run(ctx, func(error) {}) })
		synctest.Wait()
		collect(t, i) // compares the clocks
		f.stream <- container.Event{ID: "a"}
		f.stream <- container.Event{ID: "b", Health: true}
		f.stream <- container.Event{Network: true}
		synctest.Wait()
		f.change(container.Event{ID: "c"}) // not delivered by the stream yet
		collect(t, i)
		stop()
		running.Wait()
		if want := []string{"following true", "changed a", "changed c", "following false"}; !slices.Equal(heard, want) {
			t.Errorf("%q, want %q", heard, want)
		}
	})
}
