package correlate

import (
	"cmp"
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
)

// duplicates returns, by target, the other target that serves the same host. Two targets serve the same host if they have a
// container in common: cloned hosts have the same engine ID, but not the same containers. Targets that answer come before
// stale ones, then the target with the earliest first answer. So no other machine can take over a host's place by claiming to
// be that host.
func duplicates(sources []Source) map[string]string {
	ranked := make([]int, 0, len(sources)) // the best first
	for i, source := range sources {
		if source.Host != nil {
			ranked = append(ranked, i)
		}
	}
	slices.SortStableFunc(ranked, func(a, b int) int {
		x, y := sources[a], sources[b]
		return cmp.Or(stateRank(x.State)-stateRank(y.State), x.FirstAnswer.Compare(y.FirstAnswer), y.LastAnswer.Compare(x.LastAnswer))
	})
	found := make(map[string]string)
	served := make(map[string]string) // target by container
	for _, i := range ranked {
		source := sources[i]
		for _, c := range source.Host.containers[:source.Host.live] {
			if !isFullID(c.ID) && source.Host.id == "" { // other hosts may have a container with this name
				continue
			}
			key := source.Host.id + "/" + c.ID
			if target, ok := served[key]; ok && target != source.Target {
				found[source.Target] = target
				break
			}
			served[key] = source.Target
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
	display string // for people; unique
	engine  string // in the IDs of its containers' nodes; clones have the same
	node    string // in the ID of its own node; unique
}

// newHostNames returns the names of sources. IDs come from the engine, so that they stay the same when other hosts are added
// or removed. A name that several hosts have is followed by the target.
func newHostNames(sources []Source) []hostNames {
	named, identified := make(map[string]int), make(map[string]int)
	for _, source := range sources {
		named[source.Host.name]++
		identified[engineName(source)]++
	}
	names := make([]hostNames, len(sources))
	for i, source := range sources {
		name, engine := source.Host.name, engineName(source)
		names[i] = hostNames{display: name, engine: engine, node: engine}
		switch {
		case name == "":
			names[i].display = cmp.Or(source.Target, "localhost")
		case named[name] > 1:
			names[i].display = name + "@" + source.Target
		}
		if identified[engine] > 1 {
			names[i].node = engine + "@" + source.Target
		}
	}
	return names
}

// engineName returns the best identity of a host: its engine's ID, else its name, else its target.
func engineName(source Source) string {
	return cmp.Or(source.Host.id, source.Host.name, source.Target)
}
