package history

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// maxGone bounds the containers that are remembered because another one may replace them. They take about 6 MB.
const maxGone = 16_384

// maxPredecessors is the number of predecessors that a node lists.
const maxPredecessors = 10

// goneContainer is a container that no current snapshot has, and that none has replaced.
type goneContainer struct {
	node     graph.Node // without details
	lastSeen time.Time
}

// replace finds the containers of current that replaced others, and folds what is replaced into them: in current and in the
// latest graph. A container replaces a gone container if it appears with the same name on the same host, or else in the same
// service there.
func (h *History) replace(current graph.Graph, now time.Time) graph.Graph {
	h.forgetGone(now)
	appeared := h.compareNodes(current.Nodes, now)
	appeared = h.dropReturned(appeared, current.Nodes)
	replaced := h.matchByName(appeared)
	h.matchByService(appeared, replaced)
	for id, successor := range replaced {
		successor.Predecessors = addPredecessors(h.gone[id], successor.Predecessors)
		delete(h.gone, id)
	}
	h.limitGone()
	if len(replaced) > 0 {
		h.foldLatest(successorIDs(current.Nodes), current.Links)
	}
	if slices.ContainsFunc(current.Nodes, func(n graph.Node) bool { return n.Past }) {
		successors := successorIDs(current.Nodes)
		disconnect(current.Links, successors)
		return current.Fold(successors)
	}
	return current
}

// disconnect takes the connections from the links of replaced containers: an end that still names one is connected to nothing. Their
// counters are among those that the links of the successors carry.
func disconnect(links []graph.Link, successors map[string]string) {
	if len(successors) == 0 {
		return
	}
	for i := range links {
		if l := &links[i]; successors[l.Client] != "" || successors[l.Server] != "" {
			l.Connections, l.Live, l.Measured, l.Counters = 0, false, nil, nil
		}
	}
}

// compareNodes compares the sorted nodes with the latest graph. It remembers the containers that are gone, lets nodes inherit their
// predecessors, and returns the containers that appeared.
func (h *History) compareNodes(nodes []graph.Node, now time.Time) (appeared []*graph.Node) {
	seen, previous := h.confirmedAt(now), h.latest.Nodes
	for i := range nodes {
		n := &nodes[i]
		for len(previous) > 0 && previous[0].ID < n.ID {
			h.addGone(&previous[0], seen)
			previous = previous[1:]
		}
		wasLive := false
		if len(previous) > 0 && previous[0].ID == n.ID {
			n.Predecessors, wasLive = previous[0].Predecessors, !previous[0].Past
			if n.Past {
				h.addGone(&previous[0], seen)
			}
			previous = previous[1:]
		}
		if n.Kind == graph.KindContainer && !n.Past && !wasLive {
			appeared = append(appeared, n)
		}
	}
	for i := range previous {
		h.addGone(&previous[i], seen)
	}
	return appeared
}

// addGone remembers a container of the latest graph that is gone now.
func (h *History) addGone(n *graph.Node, lastSeen time.Time) {
	if n.Kind != graph.KindContainer || n.Past {
		return
	}
	gone := *n
	gone.Details = nil
	h.gone[n.ID] = goneContainer{gone, lastSeen.UTC()}
}

// forgetGone forgets the containers that have been gone for the window.
func (h *History) forgetGone(now time.Time) {
	for id, g := range h.gone {
		if now.Sub(g.lastSeen) > h.window {
			delete(h.gone, id)
		}
	}
}

// limitGone forgets the containers that went first, down to three quarters of the limit.
func (h *History) limitGone() {
	limit := min(maxGone, h.maxLinks)
	if len(h.gone) <= limit {
		return
	}
	ids := make([]string, 0, len(h.gone))
	for id := range h.gone {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return h.gone[a].lastSeen.Compare(h.gone[b].lastSeen) })
	for _, id := range ids[:len(ids)-limit*3/4] {
		delete(h.gone, id)
	}
}

// dropReturned returns appeared without the containers that were gone and are back under their old IDs: they replace none, and are
// no predecessors any more.
func (h *History) dropReturned(appeared []*graph.Node, nodes []graph.Node) []*graph.Node {
	if len(appeared) == 0 || h.latest.Nodes == nil {
		return nil
	}
	successors := make(map[string]string) // by the IDs of all predecessors
	for _, g := range h.gone {
		addSuccessor(successors, &g.node)
	}
	for i := range nodes {
		addSuccessor(successors, &nodes[i])
	}
	return slices.DeleteFunc(appeared, func(n *graph.Node) bool {
		gone, isBack := h.gone[n.ID]
		if isBack && n.Predecessors == nil {
			n.Predecessors = gone.node.Predecessors
		}
		delete(h.gone, n.ID)
		successor, wasReplaced := successors[n.ID]
		if i, ok := slices.BinarySearchFunc(nodes, successor, compareID); wasReplaced && ok {
			nodes[i].Predecessors = slices.DeleteFunc(slices.Clone(nodes[i].Predecessors), func(p graph.Predecessor) bool {
				return p.Container == n.Container
			})
		}
		return isBack || wasReplaced
	})
}

func compareID(n graph.Node, id string) int { return strings.Compare(n.ID, id) }

// matchByName returns the containers that appeared with the name of a gone one on the same host, by the ID of the gone one.
func (h *History) matchByName(appeared []*graph.Node) map[string]*graph.Node {
	replaced := make(map[string]*graph.Node)
	if len(appeared) == 0 || len(h.gone) == 0 {
		return replaced
	}
	type key struct{ host, name string }
	named := make(map[key]*graph.Node, len(appeared))
	for _, n := range appeared {
		named[key{n.HostPrefix(), n.Name}] = n
	}
	for id, g := range h.gone {
		if n, ok := named[key{g.node.HostPrefix(), g.node.Name}]; ok {
			replaced[id] = n
		}
	}
	return replaced
}

// serviceKey identifies a service on a host.
type serviceKey struct{ host, project, service string }

// serviceOf returns the service in which a container may replace another one. ok is false for a container without a service, and for a
// container of docker compose run.
func serviceOf(n *graph.Node) (key serviceKey, ok bool) {
	for _, separator := range []string{"-", "_"} {
		if strings.HasPrefix(n.Name, n.Project+separator+n.Service+separator+"run"+separator) {
			return key, false
		}
	}
	return serviceKey{n.HostPrefix(), n.Project, n.Service}, n.Service != ""
}

// matchByService adds to replaced the other containers that appeared in the service of a gone one. Each replaces one: of the gone
// containers those that went last, in the order of their names.
func (h *History) matchByService(appeared []*graph.Node, replaced map[string]*graph.Node) {
	if len(appeared) == 0 || len(h.gone) == len(replaced) {
		return
	}
	matched := make(map[*graph.Node]bool, len(replaced))
	for _, n := range replaced {
		matched[n] = true
	}
	successors := make(map[serviceKey][]*graph.Node)
	for _, n := range appeared {
		if key, ok := serviceOf(n); ok && !matched[n] {
			successors[key] = append(successors[key], n)
		}
	}
	gone := make(map[serviceKey][]goneContainer)
	for id, g := range h.gone {
		if key, ok := serviceOf(&g.node); ok && replaced[id] == nil && len(successors[key]) > 0 {
			gone[key] = append(gone[key], g)
		}
	}
	for key, candidates := range gone {
		next := successors[key]
		slices.SortFunc(candidates, func(a, b goneContainer) int {
			return cmp.Or(b.lastSeen.Compare(a.lastSeen), strings.Compare(a.node.Name, b.node.Name))
		})
		number := min(len(candidates), len(next))
		slices.SortFunc(candidates[:number], func(a, b goneContainer) int { return strings.Compare(a.node.Name, b.node.Name) })
		slices.SortFunc(next, func(a, b *graph.Node) int { return strings.Compare(a.Name, b.Name) })
		for i, g := range candidates[:number] {
			replaced[g.node.ID] = next[i]
		}
	}
}

// addPredecessors returns the latest predecessors of a container that replaced a gone one: that one, its predecessors, and others.
func addPredecessors(gone goneContainer, others []graph.Predecessor) []graph.Predecessor {
	n := gone.node
	all := []graph.Predecessor{{Container: n.Container, Name: n.Name, Image: n.Image, LastSeen: gone.lastSeen}}
	all = append(append(all, n.Predecessors...), others...)
	slices.SortFunc(all, func(a, b graph.Predecessor) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), strings.Compare(a.Container, b.Container))
	})
	return all[:min(len(all), maxPredecessors)]
}

// successorIDs returns the IDs of nodes by those of their predecessors, without the predecessors that are live.
func successorIDs(nodes []graph.Node) map[string]string {
	ids := make(map[string]string)
	for i := range nodes {
		addSuccessor(ids, &nodes[i])
	}
	for i := range nodes {
		if !nodes[i].Past {
			delete(ids, nodes[i].ID)
		}
	}
	for id := range ids { // a gone successor may have a successor itself
		for range maxPredecessors {
			next, ok := ids[ids[id]]
			if !ok {
				break
			}
			ids[id] = next
		}
		if ids[id] == id {
			delete(ids, id)
		}
	}
	return ids
}

func addSuccessor(ids map[string]string, n *graph.Node) {
	for _, p := range n.Predecessors {
		ids[n.PredecessorID(p)] = n.ID
	}
}
