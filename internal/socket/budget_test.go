package socket

import "testing"

// The sockets that tests take.
var (
	connection  = Socket{State: Established}
	listener    = Socket{State: Listen}
	udpListener = Socket{Protocol: UDP, State: Close}
)

// take takes up to n sockets, and returns how many there was room for.
func take(q *Quota, s Socket, n int) (taken int) {
	for range n {
		if q.Take(s.Listening()) {
			taken++
		}
	}
	return taken
}

func TestBudgetHasNoBoundWithoutOne(t *testing.T) {
	var b *Budget
	q := b.Quota(3)
	if n := take(q, connection, 1000); n != 1000 || q.Exceeded() {
		t.Errorf("%d sockets, exceeded %v", n, q.Exceeded())
	}
	q.Release()
}

// A long table comes first. It leaves each of 80 short ones their share, and room for listeners in its own.
func TestLongTableLeavesSharesOfShortOnes(t *testing.T) {
	const maxSockets, tables = 32_400, 81 // 8,100 in shares of 100, each with 25 for listeners
	b := NewBudget(maxSockets, tables)
	long := b.Quota(1)
	if n := take(long, connection, 100_000); n != 24_300+75 || !long.Exceeded() {
		t.Errorf("the long table has %d connections, exceeded %v", n, long.Exceeded())
	}
	if n := take(long, listener, 10) + take(long, udpListener, 100); n != 25 {
		t.Errorf("the long table has %d listeners", n)
	}
	for range tables - 1 {
		short := b.Quota(1)
		if n := take(short, connection, 75) + take(short, listener, 25); n != 100 || short.Exceeded() {
			t.Fatalf("a short table has %d sockets, exceeded %v", n, short.Exceeded())
		}
	}
}

func TestReleasedQuotaIsFree(t *testing.T) {
	b := NewBudget(400, 1) // a share of 100
	for range 3 {
		q := b.Quota(1)
		if n := take(q, connection, 1000); n != 375 {
			t.Fatalf("%d sockets", n)
		}
		q.Release()
		if q.Exceeded() {
			t.Error("exceeded after the release")
		}
	}
}

func TestSocketOfSeveralContainersCountsForEach(t *testing.T) {
	b := NewBudget(400, 4) // shares of 25
	if n := take(b.Quota(3), listener, 1000); n != 25+100 {
		t.Errorf("%d sockets", n)
	}
}

func TestQuotaReturnsToMark(t *testing.T) {
	b := NewBudget(400, 1) // a share of 100, with 25 for listeners
	q := b.Quota(1)
	take(q, connection, 80)
	mark := q.Mark()
	for range 3 {
		if n := take(q, connection, 1000) + take(q, listener, 100); n != 295+25 || !q.Exceeded() {
			t.Fatalf("%d more sockets, exceeded %v", n, q.Exceeded())
		}
		if q.ReleaseTo(mark); q.Exceeded() {
			t.Error("exceeded after the release")
		}
	}
	q.Release()
	if n := take(b.Quota(1), connection, 1000); n != 375 {
		t.Errorf("%d sockets after all releases", n)
	}
	var none *Quota
	none.ReleaseTo(none.Mark())
}
