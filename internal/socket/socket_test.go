package socket

import (
	"testing"
	"time"
)

func TestClosedAt(t *testing.T) {
	readAt := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for name, test := range map[string]struct {
		state     State
		remaining time.Duration
		readAt    time.Time
		want      time.Time
	}{
		"just closed":          {TimeWait, time.Minute, readAt, readAt.Truncate(time.Second)},
		"truncated":            {TimeWait, 57990 * time.Millisecond, readAt, readAt.Add(-2678 * time.Millisecond)},
		"about to end":         {TimeWait, 10 * time.Millisecond, readAt, readAt.Add(-60678 * time.Millisecond)},
		"unknown":              {TimeWait, 0, readAt, time.Time{}},
		"longer than a minute": {TimeWait, time.Minute + 1, readAt, time.Time{}},
		"another state":        {Established, time.Second, readAt, time.Time{}},
		"not read":             {TimeWait, time.Second, time.Time{}, time.Time{}},
	} {
		if got := (Socket{State: test.state, Remaining: test.remaining}).ClosedAt(test.readAt); !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
