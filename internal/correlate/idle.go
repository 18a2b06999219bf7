package correlate

import (
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// idleness is how long no data has passed over the open connections of a link.
type idleness struct {
	activeAt int64  // when data last passed over a connection, in nanoseconds since 1970
	seconds  uint32 // the shortest time of a connection when its host was read; 0 if it is unknown of one
	known    bool   // there are open connections
}

// add adds an open connection with the measurements of an end.
func (i *idleness) add(end *connEnd) {
	var idle uint32
	if end.tcpInfo != nil {
		idle = boundIdle(end.tcpInfo.IdleSeconds)
	}
	if !i.known || idle < i.seconds {
		i.seconds = idle
	}
	i.known, i.activeAt = true, max(i.activeAt, end.activeAt)
}

// at returns the idle time in seconds at a later time, in nanoseconds since 1970. A daemon sends a new answer when a connection becomes idle
// or busy. So an idle connection is still idle while answers are unchanged. Of a busy one the time at its reading is known.
func (i *idleness) at(now int64) int64 {
	if i.seconds < snapshotv1.MinIdleSeconds {
		return int64(i.seconds)
	}
	return max(int64(i.seconds), (now-i.activeAt)/int64(time.Second))
}

// boundIdle bounds an idle time in seconds: a document may have any number.
func boundIdle(seconds int64) uint32 {
	const century = 100 * 365 * 24 * 3600
	return uint32(min(max(0, seconds), century))
}
