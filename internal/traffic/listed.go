package traffic

import (
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

func newFlowKey(inbound bool, protocol socket.Protocol, local, remote netip.AddrPort) snapshot.FlowKey {
	port := remote.Port()
	if inbound {
		port = local.Port()
	}
	return snapshot.FlowKey{Inbound: inbound, Local: local.Addr(), Remote: remote.Addr(), Port: socket.NewPort(port, protocol)}
}

// isListed reports whether a flow says something that no other flow does. The flow of the client counts a connection inside the host. Of the
// host's own connections only those with containers count, and those to other addresses.
func (t *Table) isListed(netns string, key snapshot.FlowKey) bool {
	if !key.Inbound {
		return netns != hostNetNS || !key.Remote.IsLoopback() || t.places.published[key.Port] || t.isContainers(key.Remote, key.Port)
	}
	if t.isHeard(key.Remote) {
		return false
	}
	return netns != hostNetNS || t.scope == snapshotv1.CountAll && (t.places.published[key.Port] || t.isContainers(key.Local, key.Port))
}

// isHeard reports whether the socket at an address sends events too: it is inside the host.
func (t *Table) isHeard(addr netip.Addr) bool {
	_, ofContainer := t.places.netnsOf[addr]
	return addr.IsLoopback() || t.places.local[addr] || ofContainer && t.scope == snapshotv1.CountAll
}

// isContainers reports whether a container listens at an endpoint of the host's network namespace.
func (t *Table) isContainers(addr netip.Addr, port socket.Port) bool {
	who, ok := t.places.netns[hostNetNS].listenerAt(addr, port)
	return ok && who != hostProcesses && who != unknownOwner
}

// fill adds the flows to a snapshot.
func (t *Table) fill(taken *snapshot.Snapshot, now time.Time) {
	byOwner := make(map[owner][]snapshot.Flow)
	for id, f := range t.flows {
		byOwner[id.owner] = append(byOwner[id.owner], f.publish(now))
	}
	for _, flows := range byOwner {
		slices.SortFunc(flows, func(a, b snapshot.Flow) int { return a.Compare(b.FlowKey) })
	}
	for i := range taken.Containers {
		taken.Containers[i].Flows = byOwner[owner(taken.Containers[i].ID)]
	}
	taken.Host.Flows = slices.Concat(hostFlows(byOwner[hostProcesses], false), hostFlows(byOwner[unknownOwner], true))
	taken.Host.Counting = snapshot.Counting{Scope: t.scope, Since: t.since, Losses: t.losses, Unattributed: t.unattributed}
}

func hostFlows(flows []snapshot.Flow, ownerUnknown bool) []snapshot.HostFlow {
	converted := make([]snapshot.HostFlow, len(flows))
	for i, f := range flows {
		converted[i] = snapshot.HostFlow{Flow: f, OwnerUnknown: ownerUnknown}
	}
	return converted
}
