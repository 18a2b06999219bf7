package api

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// largestAtOnce is how many answers with the largest number of sockets are in memory at once. Of smaller answers there may be
	// more.
	largestAtOnce = 3
	// gateTimeout bounds how long a request waits for others: a slow client holds its answer for up to writeTimeout.
	gateTimeout = 30 * time.Second
)

// gate bounds the sockets or links of all answers in memory. A nil gate has no bound.
type gate struct {
	sem  *semaphore.Weighted // of sockets and links
	max  int64               // of one answer
	size atomic.Int64        // sockets or links of the last answer
}

// gates are the gates of large answers. They share a bound.
type gates struct{ connections, snapshots, graphs *gate }

func newGates(maxSockets int) gates {
	if maxSockets == 0 {
		return gates{}
	}
	sem := semaphore.NewWeighted(int64(largestAtOnce * maxSockets))
	newGate := func() *gate {
		g := &gate{sem: sem, max: int64(maxSockets)}
		g.setSize(maxSockets) // while it is not known
		return g
	}
	return gates{newGate(), newGate(), newGate()}
}

// setSize sets the expected size of the next answer.
func (g *gate) setSize(size int) {
	if g != nil {
		g.size.Store(min(max(1, int64(size)), g.max))
	}
}

// limit returns next behind the gate. A request waits without a snapshot.
func (g *gate) limit(h *handler, next http.HandlerFunc) http.HandlerFunc {
	if g == nil {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		size, acquired := g.size.Load(), false
		ok := h.withoutDeadlines(w, r, func() error {
			ctx, cancel := context.WithTimeout(r.Context(), gateTimeout)
			defer cancel()
			if g.sem.Acquire(ctx, size) != nil {
				return errBusy
			}
			acquired = true
			return nil
		})
		if acquired { // also if the client has left meanwhile
			defer g.sem.Release(size)
		}
		if ok {
			next(w, r)
		}
	}
}
