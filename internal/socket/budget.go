package socket

import "sync/atomic"

// Budget bounds how many sockets of many tables are kept in memory at once. Each table may always take its share of a quarter of
// it. The rest is common, so that one long table cannot take the room of short ones. A nil Budget has no bound. A Budget is safe
// for concurrent use.
type Budget struct {
	share  int          // of each table
	common atomic.Int64 // what is left
}

// NewBudget returns a budget of maxSockets for a number of tables.
func NewBudget(maxSockets, tables int) *Budget {
	const shared = 4
	shares := maxSockets / shared
	b := &Budget{share: shares / max(1, tables)}
	b.common.Store(int64(maxSockets - shares))
	return b
}

// Quota returns the quota of one table. copies is how often each of its sockets is kept: several containers may list it.
func (b *Budget) Quota(copies int) *Quota {
	if b == nil {
		return nil
	}
	const listenersPart = 4 // a quarter of the share
	reserved := b.share / listenersPart
	return &Quota{budget: b, copies: int64(max(1, copies)), share: b.share - reserved, reserved: reserved}
}

// Quota is what one table may take of a Budget. A part of the table's share is reserved for listeners: those of tcp6 come after the
// connections of tcp. A nil Quota has no bound. A Quota must not be used concurrently.
type Quota struct {
	budget           *Budget
	copies           int64
	share, reserved  int   // for all sockets, and for listeners alone
	taken, listeners int   // of share, and of reserved
	common           int64 // taken of what is common
	exceeded         bool
}

// Take takes room for one socket. If it returns false, the socket must be dropped.
func (q *Quota) Take(state State) bool {
	switch {
	case q == nil:
		return true
	case q.taken < q.share:
		q.taken++
		return true
	case q.takeCommon():
		return true
	case state == Listen && q.listeners < q.reserved:
		q.listeners++
		return true
	}
	q.exceeded = true
	return false
}

func (q *Quota) takeCommon() bool {
	if q.budget.common.Add(-q.copies) < 0 {
		q.budget.common.Add(q.copies)
		return false
	}
	q.common += q.copies
	return true
}

// Exceeded reports whether a socket was dropped.
func (q *Quota) Exceeded() bool { return q != nil && q.exceeded }

// Release returns what was taken, because the sockets are not kept.
func (q *Quota) Release() {
	if q == nil {
		return
	}
	q.budget.common.Add(q.common)
	q.taken, q.listeners, q.common, q.exceeded = 0, 0, 0, false
}
