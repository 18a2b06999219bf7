package graph

import (
	"strconv"
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// liveIntervals is the number of intervals for which a link stays live after it was last seen.
const liveIntervals = 3

// LivePeriod returns how long a link stays live after it was last seen, if the map is renewed at an interval.
func LivePeriod(interval time.Duration) time.Duration { return liveIntervals * interval }

// livePeriod is LivePeriod for the interval of the map.
func (g Graph) livePeriod() time.Duration {
	return LivePeriod(time.Duration(g.IntervalSeconds * float64(time.Second)))
}

// isOnlyClosing reports whether the link has no established connection, but some that ended within the last minute. Its client may
// dial a new connection for each request.
func (l Link) isOnlyClosing() bool { return l.Connections == 0 && l.Closed > 0 }

// perMinute returns the number of connections that ended within the last minute as a rate.
func (l Link) perMinute() string { return strconv.Itoa(l.Closed) + "/min" }

const noAnswer = "no answer"

// stat returns the number of connections, or the rate of those that ended if there are none.
func (l Link) stat() string {
	switch {
	case l.IsRefused():
		return refused
	case l.isFailed():
		return noAnswer
	case l.isOnlyClosing():
		return l.perMinute()
	}
	return strconv.Itoa(l.Connections)
}

// idleWith returns the idle time of the connections of two links in seconds; 0 if it is unknown of one of them.
func (l Link) idleWith(other Link) int64 {
	switch {
	case l.Connections == 0:
		return other.idleSeconds()
	case other.Connections == 0:
		return l.idleSeconds()
	}
	return min(l.idleSeconds(), other.idleSeconds())
}

func (l Link) idleSeconds() int64 {
	if l.Measured == nil {
		return 0
	}
	return l.Measured.IdleSeconds
}

// isFailed reports whether the client gets no connection: it dials without an answer and has none, or never had one, or all dials are
// refused.
func (l Link) isFailed() bool {
	return l.Live && (l.Unanswered || l.Connections+l.Closed == 0 && (l.Attempts > 0 || l.Counters.isRefused()))
}

// isIdle reports whether no data has passed over the connections for a minute. A connection that ended since may have had data.
func (l Link) isIdle() bool {
	return l.Live && l.Connections > 0 && l.Closed == 0 && l.idleSeconds() >= snapshotv1.MinIdleSeconds
}

// isInState reports whether the link is in a state of the field "state". An idle or failed link is live.
func (l Link) isInState(state string) bool {
	switch state {
	case "live":
		return l.Live
	case "past":
		return !l.Live
	case "idle":
		return l.isIdle()
	case "failed":
		return l.isFailed()
	}
	return false
}
