package snapshot

import (
	"net/netip"
	"slices"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// Attempt is an endpoint that a container dials from one of its addresses without an answer.
type Attempt struct {
	Local  netip.Addr
	Remote netip.AddrPort
	Count  int // of its sockets in SYN_SENT
}

// attempts counts the unanswered sockets of a container by their endpoints. A port scanner may have very many.
type attempts map[Attempt]int // by the attempt without a count

func (a attempts) add(s socket.Socket) { a[Attempt{Local: s.Local.Addr(), Remote: s.Remote}]++ }

// list returns the first snapshotv1.MaxAttempts attempts, ascending by their endpoints.
func (a attempts) list() []Attempt {
	list := make([]Attempt, 0, len(a))
	for attempt, count := range a {
		attempt.Count = count
		list = append(list, attempt)
	}
	slices.SortFunc(list, func(a, b Attempt) int {
		if order := a.Remote.Compare(b.Remote); order != 0 {
			return order
		}
		return a.Local.Compare(b.Local)
	})
	return slices.Clip(list[:min(len(list), snapshotv1.MaxAttempts)])
}
