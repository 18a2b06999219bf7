package correlate

import (
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// PolledHost is a host that is polled, and its state.
type PolledHost struct {
	// Target is the daemon address that is polled. It is empty for a daemon's own host.
	Target string
	// Host is the last answer; nil if there was none, or if it is too old.
	Host  *Host
	State graph.State
	// Reason and Format are as in graph.Target.
	Reason, Format string
	// LastAnswer is the time of the last answer, and FirstAnswer that of the first one as the present host.
	LastAnswer, FirstAnswer time.Time
}
