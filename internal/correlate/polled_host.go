package correlate

import (
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// PolledHost is the state of a target, and the host that it serves.
type PolledHost struct {
	// Target is the name of the daemon's address, or of an entry that cannot be resolved. A daemon's own host has none.
	Target string
	// Host is the last answer; nil if there was none, or if it is too old.
	Host *Host
	// Document is the last answer itself. It is needed of targets that share a machine; see SharesMachine. Else it may be nil.
	Document *snapshotv1.Snapshot
	State    graph.State
	// Reason and Format are as in graph.Target.
	Reason, Format string
	// LastAnswer is the time of the last answer, and FirstAnswer that of the first one as the present host.
	LastAnswer, FirstAnswer time.Time
	// PolledAt is when the poll of the last answer began: all that existed then is in the answer.
	PolledAt time.Time

	stale map[string]bool // of a merged host: the IDs of the containers that are not current
}

// isLongStale reports whether the target has not answered for maxWait. One failed poll is no reason to go on without it.
func (p *PolledHost) isLongStale(now time.Time) bool {
	return p.State == graph.StateStale && now.Sub(p.LastAnswer) > maxWait
}
