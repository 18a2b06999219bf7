package correlate

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// signs identify a host and the daemon that serves it. An unknown sign is empty.
type signs struct {
	instance string // of the daemon, random
	engine   string // the engine's ID; machines cloned from one image have the same
	name     string
	boot     string // of the kernel; several engines may run on one kernel
}

func newSigns(host snapshotv1.Host) signs {
	return signs{
		instance: graph.Truncate(host.InstanceID), engine: graph.Truncate(host.ID), name: graph.Truncate(host.Name), boot: graph.Truncate(host.BootID),
	}
}

// comparison is what one sign says about two hosts.
type comparison int

const (
	unknown comparison = iota
	equal
	different
)

func compareText(a, b string) comparison {
	switch {
	case a == "" || b == "":
		return unknown
	case a == b:
		return equal
	}
	return different
}

// compareAddrs compares the addresses at which other machines reach two hosts. They are equal if the two have more than half of
// them in common: an address may come or go between two polls, and cloned hosts may have some in common. Only complete
// addresses can differ.
func (h *Host) compareAddrs(other *Host) comparison {
	a, b := h.machineAddrs(other), other.machineAddrs(h)
	if len(a) == 0 || len(b) == 0 {
		return unknown
	}
	common := 0
	for _, addr := range a {
		if other.addrs[addr] {
			common++
		}
	}
	switch {
	case 2*common > min(len(a), len(b)):
		return equal
	case h.allAddrs && other.allAddrs:
		return different
	}
	return unknown
}

// machineAddrs returns the addresses of a host that are no private bridge of either host.
func (h *Host) machineAddrs(other *Host) []netip.Addr {
	var own []netip.Addr
	for addr := range h.addrs {
		if !h.isPrivate(addr) && !other.isPrivate(addr) {
			own = append(own, addr)
		}
	}
	return own
}

// IsSameHost reports whether other, an earlier answer of the same target, is of the same host. The host may have been restarted
// since. Without an equal instance ID, the name and complete addresses may not differ. Then a known engine ID decides, unless
// the engine reports another one at each call, as Podman does.
func (h *Host) IsSameHost(other *Host) bool {
	if other == nil {
		return false
	}
	if compareText(h.signs.instance, other.signs.instance) == equal {
		return true
	}
	if compareText(h.signs.name, other.signs.name) == different || h.compareAddrs(other) == different {
		return false
	}
	if compareText(h.signs.engine, other.signs.engine) != different {
		return true
	}
	boot := compareText(h.signs.boot, other.signs.boot)
	sameMachine := boot == equal || boot == unknown && h.compareAddrs(other) == equal
	return sameMachine && h.sharesContainers(other) > 0
}

// servesSameHost reports whether the answers of two targets are of the same host. No sign may differ. Clones have the same
// engine ID and containers, so two daemons need the same machine too. Daemons without an instance ID are believed to be one.
func (h *Host) servesSameHost(other *Host) bool {
	instance, engine := compareText(h.signs.instance, other.signs.instance), compareText(h.signs.engine, other.signs.engine)
	boot, addrs := compareText(h.signs.boot, other.signs.boot), h.compareAddrs(other)
	if boot == different || addrs == different || compareText(h.signs.name, other.signs.name) == different {
		return false
	}
	switch shared := h.sharesContainers(other); {
	case instance == equal:
		return true
	case boot != equal && engine == different: // Podman reports another ID at each call, on the same kernel.
		return false
	case addrs == equal:
		return shared > 0
	case boot == equal, instance == unknown && engine == equal:
		return 2*shared > max(h.live, other.live) // several engines may run on one kernel, and may have been cloned
	}
	return false
}

// sharesContainers returns how many live containers two hosts have in common.
func (h *Host) sharesContainers(other *Host) int {
	live := make(map[string]bool, h.live)
	for _, c := range h.containers[:h.live] {
		live[h.containerKey(c)] = true
	}
	shared := 0
	for _, c := range other.containers[:other.live] {
		if key := other.containerKey(c); key != "" && live[key] {
			shared++
		}
	}
	return shared
}

// containerKey returns a text that no container of another host has. Daemons without /v1/snapshot report names in place of IDs.
// Without the engine's ID, these are no key.
func (h *Host) containerKey(c container) string {
	const fullIDLength = 64
	switch {
	case len(c.ID) == fullIDLength:
		return c.ID
	case h.signs.engine == "":
		return ""
	}
	return h.signs.engine + "/" + c.ID
}

// duplicates maps each duplicate target to the target that Build uses in its place, which is no duplicate itself.
//
// Targets that answer come before stale ones. Then comes the target with the earliest first answer, then the one with the
// latest answer. A target that answers keeps its place. A stale target loses its place to any target that answers.
func duplicates(polled []PolledHost) map[string]string {
	ranked := make([]int, 0, len(polled)) // the best first
	for i, p := range polled {
		if p.Host != nil {
			ranked = append(ranked, i)
		}
	}
	slices.SortStableFunc(ranked, func(a, b int) int {
		x, y := polled[a], polled[b]
		return cmp.Or(stateRank(x.State)-stateRank(y.State), x.FirstAnswer.Compare(y.FirstAnswer), y.LastAnswer.Compare(x.LastAnswer))
	})
	found := make(map[string]string)
	serving := make(map[string][]int) // by what only answers of one host or of its clones have in common
	for _, i := range ranked {
		keys := polled[i].Host.identityKeys()
		if j := findSameHost(polled, i, keys, serving); j >= 0 {
			found[polled[i].Target] = polled[j].Target
			continue
		}
		for _, key := range keys {
			serving[key] = append(serving[key], i)
		}
	}
	return found
}

// findSameHost returns the serving target that serves the host of target i, or -1.
func findSameHost(polled []PolledHost, i int, keys []string, serving map[string][]int) int {
	compared := make(map[int]bool)
	for _, key := range keys {
		for _, j := range serving[key] {
			if compared[j] || polled[j].Target == polled[i].Target {
				continue
			}
			compared[j] = true
			if polled[i].Host.servesSameHost(polled[j].Host) {
				return j
			}
		}
	}
	return -1
}

// identityKeys returns the daemon and the live containers. Two answers without a common key are of different hosts.
func (h *Host) identityKeys() []string {
	keys := make([]string, 0, 1+h.live)
	if h.signs.instance != "" {
		keys = append(keys, "daemon "+h.signs.instance)
	}
	for _, c := range h.containers[:h.live] {
		if key := h.containerKey(c); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// stateRank orders targets that answer before those that do not.
func stateRank(state graph.State) int {
	if state == graph.StateOK {
		return 0
	}
	return 1
}

// hostNames are the names of one host in a graph.
type hostNames struct {
	display string // for people; two hosts of one name differ by their targets
	id      string // in the IDs of its nodes; unique
}

// newHostNames returns the names of the polled hosts. A name that several hosts have is followed by the target.
//
// IDs come from the engine, so that they stay the same when other hosts are added. Of several hosts with one engine ID, the
// first one to answer keeps it. That of each other one is followed by its boot ID, which does not depend on the target.
func newHostNames(polled []PolledHost) []hostNames {
	named := make(map[string]int)
	order := make([]int, len(polled)) // by first answer
	for i, p := range polled {
		named[p.Host.signs.name]++
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(polled[a].FirstAnswer.Compare(polled[b].FirstAnswer), strings.Compare(polled[a].Target, polled[b].Target))
	})
	names, taken := make([]hostNames, len(polled)), make(map[string]bool)
	for _, i := range order {
		p := polled[i]
		names[i] = hostNames{display: p.Host.signs.name, id: cmp.Or(p.Host.key, p.Target)}
		switch {
		case names[i].display == "":
			names[i].display = cmp.Or(p.Target, "localhost")
		case named[names[i].display] > 1:
			names[i].display += "@" + p.Target
		}
		if boot := p.Host.signs.boot; taken[names[i].id] && boot != "" && !taken[names[i].id+"@"+boot] {
			names[i].id += "@" + boot
		} else if taken[names[i].id] {
			names[i].id += "@" + p.Target
		}
		taken[names[i].id] = true
	}
	return names
}
