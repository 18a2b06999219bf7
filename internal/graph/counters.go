package graph

import "strconv"

const refused = "refused"

// With returns the counters of two links together; nil if both are nil. It never returns c or other itself. The median is that of the
// link with more opened connections.
func (c *Counters) With(other *Counters) *Counters {
	if c == nil {
		c, other = other, nil
	}
	if c == nil {
		return nil
	}
	sum := *c
	if other == nil {
		return &sum
	}
	if c.RTTMicroseconds == 0 || other.RTTMicroseconds > 0 && other.Opened > c.Opened {
		sum.RTTMicroseconds = other.RTTMicroseconds
	}
	sum.MinRTTMicroseconds = leastMeasured(c.MinRTTMicroseconds, other.MinRTTMicroseconds)
	sum.Opened += other.Opened
	sum.Failed += other.Failed
	sum.Refused += other.Refused
	sum.BytesSent += other.BytesSent
	sum.BytesReceived += other.BytesReceived
	sum.Retransmits += other.Retransmits
	return &sum
}

// leastMeasured returns the lesser of two times. 0 is an unknown time.
func leastMeasured(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Unanswered returns the number of failed dials that got no answer.
func (c *Counters) Unanswered() uint64 { return c.Failed - min(c.Refused, c.Failed) }

// isRefused reports whether no connection was opened, and the other side refused each failed dial.
func (c *Counters) isRefused() bool {
	return c != nil && c.Opened == 0 && c.Refused > 0 && c.Refused == c.Failed
}

// IsRefused reports whether the link has failed because the server refuses all dials.
func (l Link) IsRefused() bool { return l.isFailed() && l.Counters.isRefused() }

// counterColumns are the names of the columns of counters in CSV.
var counterColumns = []string{
	"opened", "failed", "refused", "bytes_sent", "bytes_received", "retransmits", "rtt_microseconds", "min_rtt_microseconds",
}

// columns returns the cells of counterColumns. They are empty if nothing is counted.
func (c *Counters) columns() []string {
	cells := make([]string, len(counterColumns))
	if c == nil {
		return cells
	}
	for i, n := range []uint64{c.Opened, c.Failed, c.Refused, c.BytesSent, c.BytesReceived, c.Retransmits} {
		cells[i] = strconv.FormatUint(n, 10)
	}
	cells[6], cells[7] = strconv.FormatInt(c.RTTMicroseconds, 10), strconv.FormatInt(c.MinRTTMicroseconds, 10)
	return cells
}
