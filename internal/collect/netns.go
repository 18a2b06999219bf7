package collect

import (
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/socket"
)

// netnsRead is a network namespace, and what the pass has read of it.
type netnsRead struct {
	NetNS
	targets  []*target
	method   Method
	unused   []UnusedMethod
	problems []Problem     // of the tables, whichever target they were read through
	quota    *socket.Quota // of the tables
	err      error         // why the tables are incomplete
}

// groupByNetNS groups targets by network namespace: by the kernel's answer if their process is visible, else by the
// engine's.
func groupByNetNS(targets []*target) []*netnsRead {
	g := netnsGrouper{
		byKernel: make(map[hostproc.NetNSID]*netnsRead), byEngine: make(map[string]*netnsRead),
		byContainer: make(map[string]*netnsRead), ids: make(map[string]bool),
	}
	var invisible []*target
	allVisible := true
	for _, t := range targets {
		switch {
		case t.process.visible():
			g.addVisible(t)
		case t.process.err != nil:
			invisible = append(invisible, t)
			allVisible = allVisible && t.Container.Sandboxed
		case !t.exited && t.Container.State != container.Restarting: // It could not be inspected.
			allVisible = false
		}
	}
	for _, t := range invisible {
		g.addInvisible(t)
	}
	for _, n := range g.all {
		n.classify(g.byContainer, allVisible)
	}
	return g.all
}

// netnsGrouper holds the network namespaces found so far.
type netnsGrouper struct {
	all         []*netnsRead
	byKernel    map[hostproc.NetNSID]*netnsRead
	byEngine    map[string]*netnsRead // by key of a networkRef
	byContainer map[string]*netnsRead // by ID of a container with a visible process
	ids         map[string]bool
}

func (g *netnsGrouper) addVisible(t *target) {
	kernelID := t.process.process.NetNSID()
	n := g.byKernel[kernelID]
	if n == nil {
		n = g.newNetNS(t)
		g.byKernel[kernelID] = n
	}
	n.addTarget(t)
	g.byContainer[t.Container.ID] = n
	if key := t.network.key; g.byEngine[key] == nil || t.network.creator == t.Container.ID {
		g.byEngine[key] = n
	}
}

func (g *netnsGrouper) addInvisible(t *target) {
	n := g.byEngine[t.network.key]
	if n == nil {
		n = g.newNetNS(t)
		g.byEngine[t.network.key] = n
	}
	n.addTarget(t)
}

// newNetNS adds a network namespace with the ID that the engine's answer about its first target gives.
func (g *netnsGrouper) newNetNS(t *target) *netnsRead {
	n := &netnsRead{NetNS: NetNS{ID: t.network.key}, method: None}
	if g.ids[n.ID] { // The kernel contradicts the engine.
		n.ID += " of " + t.Container.ID
	}
	g.ids[n.ID] = true
	g.all = append(g.all, n)
	return n
}

func (n *netnsRead) addTarget(t *target) {
	t.netns = n
	n.targets = append(n.targets, t)
}

// classify sets Host, Shared and Published. The engine's answer about a target counts only if its creator is in this
// network namespace. The kernel shows that if the creator's process is visible. byContainer has the visible containers;
// allVisible means that it has all of them.
func (n *netnsRead) classify(byContainer map[string]*netnsRead, allVisible bool) {
	n.Shared = len(n.targets) > 1
	for _, t := range n.targets {
		creatorNetNS, creatorVisible := byContainer[t.network.creator]
		if creatorVisible && creatorNetNS != n || !creatorVisible && t.network.orphan != "" {
			continue
		}
		n.Host = n.Host || t.network.host
		n.Shared = n.Shared || t.network.shared && (t.network.host || !allVisible)
		if n.Published == nil {
			n.Published = t.network.published
		}
	}
}
