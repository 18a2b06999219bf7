package traffic

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/socket"
)

// abortable are the halves that the other end may have aborted, by what is left of that end. It is nil if no such end waits.
type abortable map[remains][]connID

// remains is what the event of an aborted end says.
type remains struct {
	remote netip.Addr
	port   uint16 // the local one
}

func (t *Table) newAbortable() abortable {
	var byRemains abortable
	for i := range t.pending {
		if t.pending[i].Outcome == socket.Aborted {
			byRemains = make(abortable)
			break
		}
	}
	if byRemains == nil {
		return nil
	}
	for at, h := range t.halves {
		if h.inbound && (h.flow == nil || h.flow.dropped) { // else the connection is counted already
			key := remains{at.local.Addr(), at.remote.Port()}
			byRemains[key] = append(byRemains[key], at)
		}
	}
	return byRemains
}

// completeAborted returns the event of an aborted end with what its other end reported, and its network namespace. key is that namespace
// if the event's number shows it. Without a number, it must be the only possible one. ok is false if no other end fits.
func (t *Table) completeAborted(key string, e *socket.Ended, byRemains abortable) (netns string, whole *socket.Ended, ok bool) {
	var other connID
	for _, at := range byRemains[remains{e.Remote.Addr(), e.Local.Port()}] {
		client := t.clientOf(at)
		if _, waits := t.halves[at]; !waits || client == "" || key != "" && client != key {
			continue
		}
		if ok {
			return "", e, false // either of them
		}
		netns, other, ok = client, at, true
	}
	if !ok {
		return "", e, false
	}
	completed := *e
	completed.Local, completed.Remote, completed.DialledBy, completed.Outcome = other.remote, other.local, socket.LocalEnd, socket.Connected
	completed.Sent = t.halves[other].received
	return netns, &completed, true
}

// clientOf returns the network namespace of the end that dialled; empty if several may be.
func (t *Table) clientOf(server connID) string {
	addr := server.remote.Addr()
	switch {
	case addr.IsLoopback():
		return server.netns
	case t.places.local[addr]:
		return hostNetNS
	}
	return t.places.netnsOf[addr]
}
