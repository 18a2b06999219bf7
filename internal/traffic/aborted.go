package traffic

import (
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

const (
	// maxFits bounds the halves that fit one aborted end. Beyond it, the end is in no count.
	maxFits = 8
	// strangeTime is how long the event of another client would come later than that of its server.
	strangeTime = 2 * batchTime
)

// remains is what the event of an aborted end says.
type remains struct {
	remote netip.Addr
	port   uint16 // the local one
}

// joinAborted counts the aborted ends with a half that fits. The others may have been no connection, so they are not reported.
func (t *Table) joinAborted(now time.Time) {
	if len(t.aborted) == 0 {
		return
	}
	fitting := t.halvesByRemains()
	t.aborted = slices.DeleteFunc(t.aborted, func(e socket.Ended) bool {
		key, whole, ok := t.complete(&e, fitting, now)
		switch {
		case !ok:
			return now.Sub(e.At) > maxWait || !t.isHeard(e.Remote.Addr()) && !e.Remote.Addr().IsPrivate()
		case t.counts(key) && t.countIn(key, whole, nil) == unattributable:
			t.unattributed++
		}
		return true
	})
}

// halvesByRemains returns the halves that the other end may have aborted.
func (t *Table) halvesByRemains() map[remains][]connID {
	fitting := make(map[remains][]connID)
	for at, h := range t.halves {
		isCounted := !h.inbound || h.flow != nil && !h.flow.dropped
		if of := (remains{at.local.Addr(), at.remote.Port()}); !isCounted && len(fitting[of]) <= maxFits {
			fitting[of] = append(fitting[of], at)
		}
	}
	return fitting
}

// complete returns the event of an aborted end with what its other end reported, and its network namespace. If the event's number does not
// show the namespace, only one half may fit, and the client's own event would have come by now. ok is false if no half fits.
func (t *Table) complete(e *socket.Ended, fitting map[remains][]connID, now time.Time) (netns string, whole *socket.Ended, ok bool) {
	key, known := t.netnsOf(e)
	halves := fitting[remains{e.Remote.Addr(), e.Local.Port()}]
	if len(halves) > maxFits {
		return "", nil, false
	}
	var other connID
	for _, at := range halves {
		h, waits := t.halves[at]
		client := t.clientOf(at)
		if !waits || client == "" || known && client != key || !known && now.Sub(h.at) < strangeTime {
			continue
		}
		if ok {
			return "", nil, false // either of them
		}
		netns, other, ok = client, at, true
	}
	if !ok {
		return "", nil, false
	}
	completed := *e
	completed.Local, completed.Remote, completed.DialledBy, completed.Outcome = other.remote, other.local, socket.LocalEnd, socket.Connected
	completed.Sent = t.halves[other].received
	return netns, &completed, true
}

// clientOf returns the network namespace of the end that dialled; empty if several may be, or if it is gone.
func (t *Table) clientOf(server connID) string {
	addr := server.remote.Addr()
	switch {
	case addr.IsLoopback() && t.places.netns[server.netns] != nil:
		return server.netns
	case addr.IsLoopback():
		return ""
	case t.places.local[addr]:
		return hostNetNS
	}
	return t.places.netnsOf[addr]
}
