package correlate

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/graph"
)

// nodeTable holds the nodes of a graph.
type nodeTable struct {
	polled []PolledHost // with a host, each host once
	names  *graph.Names
	hosts  []hostNames // by host

	nodes          []graph.Node
	firstContainer []int32          // by host
	interned       map[string]int32 // nodes other than containers, by ID
	external       map[netip.Addr]int32
}

func newNodeTable(polled []PolledHost, names *graph.Names, size int) nodeTable {
	return nodeTable{
		polled:   polled,
		names:    names,
		hosts:    newHostNames(polled),
		nodes:    make([]graph.Node, 0, size),
		interned: make(map[string]int32),
		external: make(map[netip.Addr]int32),
	}
}

// addContainers adds the nodes of a host's containers. Hosts must be added in order.
func (t *nodeTable) addContainers(host int32) {
	p, names := t.polled[host], t.hosts[host]
	t.firstContainer = append(t.firstContainer, toIndex(len(t.nodes)))
	for i, c := range p.Host.containers {
		t.nodes = append(t.nodes, graph.Node{
			ID: graph.NodeID(graph.KindContainer, names.id, c.ID), Kind: graph.KindContainer,
			Host: names.display, Name: cmp.Or(c.Name, c.ID), Container: c.ID, Image: c.Image, Project: c.Project, Service: c.Service,
			Reason: c.Reason, Details: c.details, Stale: p.State == graph.StateStale || p.stale[c.ID], Past: i >= p.Host.live,
		})
	}
}

// ownerNode returns the node of an owner on a host.
func (t *nodeTable) ownerNode(host int32, owner ownerID) int32 {
	h := t.polled[host].Host
	switch {
	case owner == hostProcesses:
		return t.hostNode(host)
	case owner == unknownOwner:
		return t.unknownNode(host)
	case int(owner) < len(h.containers):
		return t.firstContainer[host] + int32(owner)
	}
	var names, ids []string
	for _, candidate := range h.candidates(owner) {
		n := t.nodes[t.ownerNode(host, candidate)]
		names, ids = append(names, n.Name), append(ids, n.ID)
	}
	slices.Sort(ids)
	slices.Sort(names)
	return t.intern(graph.Node{
		ID: graph.NodeID(graph.KindAmbiguous, ids...), Kind: graph.KindAmbiguous, Host: t.hosts[host].display,
		Name: strings.Join(names, " or "), Candidates: ids,
	})
}

// serviceNode returns the node of a Swarm service with several containers, on any hosts.
func (t *nodeTable) serviceNode(name string, tasks []int32) int32 {
	ids := make([]string, len(tasks))
	for i, task := range tasks {
		ids[i] = t.nodes[task].ID
	}
	slices.Sort(ids)
	return t.intern(graph.Node{
		ID: graph.NodeID(graph.KindAmbiguous, ids...), Kind: graph.KindAmbiguous, Name: "a container of service " + name, Candidates: ids,
	})
}

// hostNode returns the node of a host's processes.
func (t *nodeTable) hostNode(host int32) int32 {
	names := t.hosts[host]
	return t.intern(graph.Node{
		ID: graph.NodeID(graph.KindHost, names.id), Kind: graph.KindHost, Host: names.display, Name: names.display,
		Stale: t.polled[host].State == graph.StateStale,
	})
}

// unknownNode returns the node of whatever is behind a host and cannot be identified: its containers or its processes.
func (t *nodeTable) unknownNode(host int32) int32 {
	names := t.hosts[host]
	return t.intern(graph.Node{
		ID: graph.NodeID(graph.KindUnknown, names.id), Kind: graph.KindUnknown, Host: names.display, Name: "unknown behind " + names.display,
		Stale: t.polled[host].State == graph.StateStale,
	})
}

// clientNode returns the node of a connection's client by the network namespace that it was dialled from.
func (t *nodeTable) clientNode(at netnsRef) int32 {
	return t.ownerNode(at.host, t.polled[at.host].Host.clientIn(at.netns))
}

// externalNode returns the node of an address outside all hosts. Addresses with the same name share a node.
func (t *nodeTable) externalNode(addr netip.Addr) int32 {
	if node, ok := t.external[addr]; ok {
		return node
	}
	name := cmp.Or(t.names.NameOf(addr), addr.String())
	node := t.intern(graph.Node{ID: graph.NodeID(graph.KindExternal, name), Kind: graph.KindExternal, Name: name})
	t.external[addr] = node
	return node
}

// ambiguousNode returns the node of an address that several hosts or routable containers have. Its candidates are hosts.
func (t *nodeTable) ambiguousNode(addr netip.Addr, holder addrHolder) int32 {
	candidates := []string{t.hosts[holder.host].display}
	for _, other := range holder.others {
		candidates = append(candidates, t.hosts[other.host].display)
	}
	slices.Sort(candidates)
	return t.intern(graph.Node{
		ID: graph.NodeID(graph.KindAmbiguous, addr.String()), Kind: graph.KindAmbiguous, Name: addr.String(), Candidates: slices.Compact(candidates),
	})
}

// intern returns the index of a node other than a container's. The first node with an ID stays.
func (t *nodeTable) intern(n graph.Node) int32 {
	i, ok := t.interned[n.ID]
	if !ok {
		i = toIndex(len(t.nodes))
		t.interned[n.ID] = i
		t.nodes = append(t.nodes, n)
	}
	return i
}
