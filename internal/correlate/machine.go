package correlate

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// machine is a machine with several engines. It counts as one host.
type machine struct {
	parts   []*Host // the answers of its daemons
	host    *Host   // of the merged answers
	sockets hostSocketMerge
}

// SharesMachine reports whether the answers of two targets are of one machine, and use one network namespace of it. Each may be of another
// engine there. Machines cloned from one image, and containers that stand for machines, differ by kernel or by address.
func (h *Host) SharesMachine(other *Host) bool {
	return compareText(h.signs.boot, other.signs.boot) == equal && compareText(h.signs.name, other.signs.name) != different &&
		h.compareAddrs(other) == equal
}

// mergeMachines merges the targets of one machine into one. It returns the hosts in the order of their first targets by name, and the index of
// the host of each target.
func (t *Tracker) mergeMachines(polled []PolledHost) (hosts []PolledHost, index map[string]int) {
	groups, index := groupByMachine(polled)
	merged := make(map[string]machine)
	for _, group := range groups {
		slices.SortStableFunc(group, func(a, b PolledHost) int { return a.FirstAnswer.Compare(b.FirstAnswer) })
		p := group[0]
		if len(group) > 1 {
			var m machine
			p, m = t.mergeMachine(group)
			merged[p.Target] = m
		}
		hosts = append(hosts, p)
	}
	t.machines = merged
	return hosts, index
}

// groupByMachine groups targets, and returns the index of the group of each. A target without a document is alone.
func groupByMachine(polled []PolledHost) (groups [][]PolledHost, index map[string]int) {
	index = make(map[string]int, len(polled))
	byBoot := make(map[string][]int) // the groups with documents
	for _, p := range polled {
		i, boot := len(groups), p.Host.signs.boot
		if p.Document != nil {
			at := slices.IndexFunc(byBoot[boot], func(i int) bool { return groups[i][0].Host.SharesMachine(p.Host) })
			if at >= 0 {
				i = byBoot[boot][at]
			} else {
				byBoot[boot] = append(byBoot[boot], i)
			}
		}
		if i == len(groups) {
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
		index[p.Target] = i
	}
	return groups, index
}

// mergeMachine merges the targets of a machine. The first one gives the name and the IDs.
func (t *Tracker) mergeMachine(group []PolledHost) (PolledHost, machine) {
	merged, parts := group[0], make([]*Host, len(group))
	merged.stale = make(map[string]bool)
	for i, p := range group {
		parts[i] = p.Host
		merged.LastAnswer = latest(merged.LastAnswer, p.LastAnswer)
		if p.State != graph.StateStale {
			merged.State = p.State
			continue
		}
		for _, c := range p.Document.Containers {
			merged.stale[c.ID] = true
		}
	}
	// What existed when the oldest answer was read is in all answers. A daemon that does not answer any more holds up no other one.
	current := slices.DeleteFunc(slices.Clone(group), func(p PolledHost) bool { return p.isLongStale(merged.LastAnswer) })
	merged.PolledAt = slices.MinFunc(current, func(a, b PolledHost) int { return a.PolledAt.Compare(b.PolledAt) }).PolledAt
	m := t.machines[merged.Target]
	if !slices.Equal(m.parts, parts) || m.sockets.waiting {
		document := mergeSnapshots(group)
		document.Host.Sockets = m.sockets.merge(group, merged.LastAnswer)
		previous := m.host
		if previous == nil {
			previous = group[0].Host
		}
		m.parts, m.host = parts, NewHost(document, netip.Addr{}, previous, merged.LastAnswer)
	}
	merged.Host = m.host
	return merged, m
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// mergeSnapshots returns what the daemons of one machine say of it but the host's sockets, as one daemon that knows all engines would. It
// modifies none of them.
func mergeSnapshots(group []PolledHost) snapshotv1.Snapshot {
	merged := *group[0].Document
	merged.Containers, merged.Host.Addresses, merged.Host.Overlays, merged.Host.Gateways = nil, nil, nil, nil
	merged.Host.Translations = nil
	merged.Host.Flows = nil // each daemon knows only the containers of its engine, so it does not know the owners
	gatewaysKnown := slices.ContainsFunc(group, func(p PolledHost) bool { return len(p.Document.Host.Gateways) > 0 })
	for _, p := range group {
		host := p.Document.Host
		merged.Containers = append(merged.Containers, resolveJoined(p.Document.Containers)...)
		merged.Host.Overlays = append(merged.Host.Overlays, host.Overlays...)
		merged.Host.Translations = append(merged.Host.Translations, host.Translations...)
		merged.Host.AllAddresses = merged.Host.AllAddresses || host.AllAddresses
		for addr := range p.Host.addrs {
			merged.Host.Addresses = append(merged.Host.Addresses, addr)
		}
		if gatewaysKnown { // else the gateways of the containers' networks count
			merged.Host.Gateways = slices.AppendSeq(merged.Host.Gateways, maps.Keys(p.Host.gateways))
		}
	}
	return merged
}

// resolveJoined returns containers with the IDs of those that they joined instead of names. Names are unique on one engine only.
func resolveJoined(containers []snapshotv1.Container) []snapshotv1.Container {
	ids, resolved := idsByName(containers), slices.Clone(containers)
	for i, c := range resolved {
		if name, joins := strings.CutPrefix(c.NetworkMode, joinedMode); joins && ids[name] != "" {
			resolved[i].NetworkMode = joinedMode + ids[name]
		}
	}
	return resolved
}
