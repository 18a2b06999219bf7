package correlate

import (
	"cmp"
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
)

// duplicates maps each duplicate target to the target that Build uses in its place.
//
// Two targets serve the same host if their engine IDs are equal and they have a live container in common. Cloned hosts have
// the same engine ID, but not the same containers. Without an engine ID only full container IDs count.
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
	served := make(map[string]string) // target by container
	for _, i := range ranked {
		p := polled[i]
		for _, c := range p.Host.containers[:p.Host.live] {
			if !isFullID(c.ID) && p.Host.id == "" { // other hosts may have a container with this name
				continue
			}
			key := p.Host.id + "/" + c.ID
			if target, ok := served[key]; ok && target != p.Target {
				found[p.Target] = target
				break
			}
			served[key] = p.Target
		}
	}
	return found
}

// stateRank orders targets that answer before those that do not.
func stateRank(state graph.State) int {
	if state == graph.StateOK {
		return 0
	}
	return 1
}

// isFullID reports whether a text has the length of a full container ID. These are unique among all hosts. Daemons without
// /v1/snapshot report names.
func isFullID(id string) bool { return len(id) == 64 }

// hostNames are the names of one host in a graph.
type hostNames struct {
	display string // for people; two hosts of one name differ by their targets
	engine  string // in the IDs of its containers' nodes; clones have the same
	node    string // in the ID of its own node; unique
}

// newHostNames returns the names of the polled hosts. IDs come from the engine, so that they stay the same when other hosts
// are added or removed. A name or an engine ID that several hosts have is followed by the target.
func newHostNames(polled []PolledHost) []hostNames {
	named, identified := make(map[string]int), make(map[string]int)
	for _, p := range polled {
		named[p.Host.name]++
		identified[engineName(p)]++
	}
	names := make([]hostNames, len(polled))
	for i, p := range polled {
		name, engine := p.Host.name, engineName(p)
		names[i] = hostNames{display: name, engine: engine, node: engine}
		switch {
		case name == "":
			names[i].display = cmp.Or(p.Target, "localhost")
		case named[name] > 1:
			names[i].display = name + "@" + p.Target
		}
		if identified[engine] > 1 {
			names[i].node = engine + "@" + p.Target
		}
	}
	return names
}

// engineName returns the best identity of a host: its engine's ID, else its name, else its target.
func engineName(p PolledHost) string {
	return cmp.Or(p.Host.id, p.Host.name, p.Target)
}
