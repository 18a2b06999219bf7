package socket

import "testing"

// take takes up to n sockets in a state, and returns how many there was room for.
func take(q *Quota, state State, n int) (taken int) {
	for range n {
		if q.Take(state) {
			taken++
		}
	}
	return taken
}

func TestBudgetHasNoBoundWithoutOne(t *testing.T) {
	var b *Budget
	q := b.Quota(3)
	if n := take(q, Established, 1000); n != 1000 || q.Exceeded() {
		t.Errorf("%d sockets, exceeded %v", n, q.Exceeded())
	}
	q.Release()
}

// A long table comes first. It leaves each of 80 short ones their share, and room for listeners in its own.
func TestLongTableLeavesSharesOfShortOnes(t *testing.T) {
	const maxSockets, tables = 32_400, 81 // 8,100 in shares of 100, each with 25 for listeners
	b := NewBudget(maxSockets, tables)
	long := b.Quota(1)
	if n := take(long, Established, 100_000); n != 24_300+75 || !long.Exceeded() {
		t.Errorf("the long table has %d connections, exceeded %v", n, long.Exceeded())
	}
	if n := take(long, Listen, 100); n != 25 {
		t.Errorf("the long table has %d listeners", n)
	}
	for range tables - 1 {
		short := b.Quota(1)
		if n := take(short, Established, 75) + take(short, Listen, 25); n != 100 || short.Exceeded() {
			t.Fatalf("a short table has %d sockets, exceeded %v", n, short.Exceeded())
		}
	}
}

func TestReleasedQuotaIsFree(t *testing.T) {
	b := NewBudget(400, 1) // a share of 100
	for range 3 {
		q := b.Quota(1)
		if n := take(q, Established, 1000); n != 375 {
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
	if n := take(b.Quota(3), Listen, 1000); n != 25+100 {
		t.Errorf("%d sockets", n)
	}
}
