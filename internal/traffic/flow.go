package traffic

import (
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// flow is a flow with what its figures are computed from.
type flow struct {
	snapshot.Flow                  // without the figures of the last minute and the round-trip time
	netns                   string // of the owner
	holder                  string // ID of the container with the remote address; empty if none has it
	dropped                 bool
	firstAt, lastAt, goneAt time.Time // goneAt: since when the holder is gone; else zero
	ended, failed           window
	rtts                    [latestRTTs]uint32 // microseconds, of the latest connections, at their number modulo latestRTTs
	measured                int
	published               published
}

// published is what the last snapshot has of a flow.
type published struct {
	snapshot.Flow
	events        uint64
	ended, failed window
}

// events returns the number of counted connections and dials.
func (f *flow) events() uint64 { return f.Opened + f.Refused + f.Unanswered }

// latestRTTs is the number of connections that the median of the round-trip time is of.
const latestRTTs = 15

// add counts an end, but not what it received. wasOpen means that the connection was counted before, when it was established.
func (f *flow) add(e *socket.Ended, wasOpen bool) {
	f.lastAt = e.At
	switch e.Outcome {
	case socket.Refused:
		f.Refused++
		f.failed.add(e.At)
		return
	case socket.Unanswered:
		f.Unanswered++
		f.failed.add(e.At)
		return
	case socket.Connected:
	}
	if !wasOpen {
		f.Opened++
	}
	f.ended.add(e.At)
	f.Sent += e.Sent
	f.Retransmits += uint64(e.Retransmits)
	f.addRTT(e.RTT)
}

func (f *flow) addRTT(rtt time.Duration) {
	if rtt <= 0 {
		return
	}
	if f.MinRTT == 0 || rtt < f.MinRTT {
		f.MinRTT = rtt
	}
	f.rtts[f.measured%latestRTTs] = uint32(min(rtt.Microseconds(), 1<<32-1)) //nolint:gosec // bounded
	f.measured++
}

// publish returns the flow with its figures at a time, and remembers them.
func (f *flow) publish(now time.Time) snapshot.Flow {
	f.published = published{f.Flow, f.events(), f.ended, f.failed}
	counted := f.Flow
	counted.Recent, counted.RecentFailed = f.ended.sum(now), f.failed.sum(now)
	if latest := slices.Clone(f.rtts[:min(f.measured, latestRTTs)]); len(latest) > 0 {
		slices.Sort(latest)
		counted.RTT = time.Duration(latest[len(latest)/2]) * time.Microsecond
	}
	return counted
}

// window counts what happened within the last minute, in slots of ten seconds.
type window struct {
	counts [windowSlots]uint32
	last   int64 // the slot of the latest event, in slots since 1970
}

const (
	windowSlots = 6
	slotLength  = time.Minute / windowSlots
)

// slotOf returns the slot of a time. Times before 1970 are in the first one.
func slotOf(t time.Time) int64 { return max(0, t.UnixNano()/int64(slotLength)) }

// move makes slot the latest one. A slot shortly before the latest one changes nothing. After a clock was set back by more than the window,
// the window begins again.
func (w *window) move(slot int64) {
	if slot-w.last >= windowSlots || w.last-slot >= windowSlots {
		w.counts = [windowSlots]uint32{}
		w.last = slot
	}
	for ; w.last < slot; w.last++ {
		w.counts[(w.last+1)%windowSlots] = 0
	}
}

func (w *window) add(t time.Time) {
	w.move(slotOf(t))
	w.counts[w.last%windowSlots]++
}

// sum returns the number of events in the last minute, or up to ten seconds less.
func (w *window) sum(now time.Time) int {
	w.move(slotOf(now))
	sum := 0
	for _, n := range w.counts {
		sum += int(n)
	}
	return sum
}
