package traffic

import (
	"context"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// Source receives the ends of sockets. A sockdiag.Listener is one.
type Source interface {
	// More has an element once Receive returns something new.
	More() <-chan struct{}
	// Receive appends the events since the last call to events, and returns how often events were lost since then.
	Receive(events []socket.Ended) (all []socket.Ended, losses uint64)
}

// batchTime is how long Follow collects events. The two ends of a connection are then mostly in one batch.
const batchTime = 100 * time.Millisecond

// Follow counts the events of source until ctx ends. It calls resample when a snapshot would show where an event belongs, and after a loss.
func (t *Table) Follow(ctx context.Context, source Source, resample func()) {
	var events []socket.Ended
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-source.More():
		}
		pause.Reset(batchTime)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		var losses uint64
		events, losses = source.Receive(events[:0])
		if t.Add(events, losses, time.Now()) || losses > 0 {
			resample()
		}
	}
}
