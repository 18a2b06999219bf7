package correlate

import (
	"cmp"
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
)

// duplicates returns, for each target that answers for the same host as another one, that other one: the one that has done
// so for longest, as long as it answers, so that nobody takes a host's place by saying to be it. That they have a container
// in common tells: hosts that were cloned have the same ID, but not that.
func duplicates(sources []Source) map[string]string {
	best := make([]int, 0, len(sources)) // the best first
	for i, source := range sources {
		if source.Host != nil {
			best = append(best, i)
		}
	}
	slices.SortStableFunc(best, func(a, b int) int {
		x, y := sources[a], sources[b]
		return cmp.Or(rankOf(x.State)-rankOf(y.State), x.FirstAnswer.Compare(y.FirstAnswer), y.LastAnswer.Compare(x.LastAnswer))
	})
	found := make(map[string]string)
	taken := make(map[string]string) // target by container
	for _, i := range best {
		source := sources[i]
		for _, c := range source.Host.containers[:source.Host.present] {
			if !wholeID(c.ID) && source.Host.id == "" { // it is no more than a name
				continue
			}
			key := source.Host.id + "/" + c.ID
			if target, ok := taken[key]; ok && target != source.Target {
				found[source.Target] = target
				break
			}
			taken[key] = source.Target
		}
	}
	return found
}

// rankOf orders states: who answers goes before who does not.
func rankOf(state graph.State) int {
	if state == graph.StateOK {
		return 0
	}
	return 1
}

// wholeID reports whether a text is as long as a container's ID, which no two containers share.
func wholeID(id string) bool { return len(id) == 64 }

// keysOf returns the names by which hosts are told apart.
func keysOf(sources []Source) []string {
	named := make(map[string]int)
	for _, source := range sources {
		named[source.Host.name]++
	}
	keys := make([]string, len(sources))
	for i, source := range sources {
		switch name := source.Host.name; {
		case name == "":
			keys[i] = cmp.Or(source.Target, "localhost")
		case named[name] > 1:
			keys[i] = name + "@" + source.Target
		default:
			keys[i] = name
		}
	}
	return keys
}

// idsOf returns what hosts are called in the IDs of their containers, and of their own nodes: what stays the same when
// other hosts come and go. Clones have the same, but not their containers.
func idsOf(sources []Source) (ids, own []string) {
	count := make(map[string]int)
	for _, source := range sources {
		id := cmp.Or(source.Host.id, source.Host.name, source.Target)
		ids = append(ids, id)
		count[id]++
	}
	for i, id := range ids {
		if count[id] > 1 {
			id += "@" + sources[i].Target
		}
		own = append(own, id)
	}
	return ids, own
}
