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

// Quota is what the tables of one network namespace may take of a Budget. A part of the share is reserved for listeners: those of tcp6 and
// of UDP come after the connections of tcp. A nil Quota has no bound. A Quota must not be used concurrently.
type Quota struct {
	budget          *Budget
	copies          int64
	share, reserved int // for all sockets, and for listeners alone
	used            QuotaMark
}

// QuotaMark is how much of a Quota is taken.
type QuotaMark struct {
	taken, listeners int   // of share, and of reserved
	common           int64 // of what is common
	exceeded         bool
}

// Take takes room for one socket. If it returns false, the socket must be dropped. isListener is the socket's Listening.
func (q *Quota) Take(isListener bool) bool {
	switch {
	case q == nil:
		return true
	case q.used.taken < q.share:
		q.used.taken++
		return true
	case q.takeCommon():
		return true
	case isListener && q.used.listeners < q.reserved:
		q.used.listeners++
		return true
	}
	q.used.exceeded = true
	return false
}

func (q *Quota) takeCommon() bool {
	if q.budget.common.Add(-q.copies) < 0 {
		q.budget.common.Add(q.copies)
		return false
	}
	q.used.common += q.copies
	return true
}

// Exceeded reports whether a socket was dropped.
func (q *Quota) Exceeded() bool { return q != nil && q.used.exceeded }

// Mark returns what is taken, for a later ReleaseTo.
func (q *Quota) Mark() QuotaMark {
	if q == nil {
		return QuotaMark{}
	}
	return q.used
}

// ReleaseTo returns what was taken since a mark, because those sockets are not kept.
func (q *Quota) ReleaseTo(mark QuotaMark) {
	if q == nil {
		return
	}
	q.budget.common.Add(q.used.common - mark.common)
	q.used = mark
}

// Release returns everything that was taken.
func (q *Quota) Release() { q.ReleaseTo(QuotaMark{}) }
