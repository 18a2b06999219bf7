package correlate

import (
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// PolledHost is the state of a target, and the host that it serves.
type PolledHost struct {
	// Target is the name of the daemon's address, or of an entry that cannot be resolved. A daemon's own host has none.
	Target string
	// Host is the last answer; nil if there was none, or if it is too old.
	Host  *Host
	State graph.State
	// Reason and Format are as in graph.Target.
	Reason, Format string
	// LastAnswer is the time of the last answer, and FirstAnswer that of the first one as the present host.
	LastAnswer, FirstAnswer time.Time
	// PolledAt is when the poll of the last answer began: all that existed then is in the answer.
	PolledAt time.Time
}
