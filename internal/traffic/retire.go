package traffic

import (
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
)

// retire drops the flows of owners that are gone, and those to or from an address that another container has by now. It forgets
// connections that were not seen for openTime.
func (t *Table) retire(now time.Time) {
	owners := map[owner]bool{hostProcesses: true, unknownOwner: true}
	for _, n := range t.places.netns {
		for _, member := range n.members {
			owners[member] = true
		}
	}
	isCrowded := len(t.flows) > t.max.flows/2
	for id, f := range t.flows {
		isIdle := isCrowded && now.Sub(f.lastAt) > idleTime
		if !owners[id.owner] || isIdle || !t.keepsHolder(id, f, now) || !t.isListed(f.netns, id.FlowKey) {
			f.dropped = true
			delete(t.flows, id)
		}
	}
	for id, c := range t.open {
		if now.Sub(c.seenAt) > openTime {
			delete(t.open, id)
		}
	}
	for nsid, key := range t.netnsByNSID {
		if t.places.netns[key] == nil {
			delete(t.netnsByNSID, nsid)
		}
	}
}

// revertShared takes back what was counted since the last snapshot in network namespaces that had one owner of sockets then and have several
// now: any of them may have owned the sockets.
func (t *Table) revertShared(before *places) {
	if before == nil {
		return
	}
	for id, f := range t.flows {
		old, now := before.netns[f.netns], t.places.netns[f.netns]
		if old == nil || now == nil || len(old.members) > 1 || len(now.members) == 1 {
			continue
		}
		t.unattributed += f.events() - f.published.events
		if f.published.events == 0 {
			f.dropped = true
			delete(t.flows, id)
			continue
		}
		f.Flow, f.ended, f.failed = f.published.Flow, f.published.ended, f.published.failed
	}
}

// keepsHolder reports whether the remote address of a flow belongs to the same container as before, or has lost it lately.
func (t *Table) keepsHolder(id flowID, f *flow, now time.Time) bool {
	switch holder, isHeld := t.places.holderOf[id.Remote]; {
	case isHeld && holder == f.holder:
		f.goneAt = time.Time{}
		return true
	case isHeld:
		n := t.places.netns[t.places.netnsOf[id.Remote]]
		if f.holder == "" && n != nil && !n.startedAt.After(f.firstAt) { // it is in a snapshot for the first time
			f.holder = holder
			return true
		}
		return false
	case f.holder == "":
		return true
	case f.goneAt.IsZero():
		f.goneAt = now
	}
	return now.Sub(f.goneAt) <= goneTime
}

// flowAt returns the flow of an owner, or nil if there are too many.
func (t *Table) flowAt(netns string, id flowID, at time.Time) *flow {
	f, ok := t.flows[id]
	if !ok {
		if len(t.flows) >= t.max.flows {
			return nil
		}
		f = &flow{netns: netns, Flow: snapshot.Flow{FlowKey: id.FlowKey}, holder: t.places.holderOf[id.Remote], firstAt: at}
		t.flows[id] = f
	}
	return f
}
