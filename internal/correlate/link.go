// Package correlate matches the sockets of many hosts' snapshots into the links of a graph. It knows neither engines nor HTTP:
// equal input gives equal output, in the same order.
package correlate

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// Build links the hosts that were asked. A host that is among them twice counts once, as the first. Addresses that are
// nobody's get the names that names has for them; it may be nil.
func Build(sources []Source, names *graph.Names) graph.Graph {
	l := newLinker(sources, names)
	for i := range l.sources {
		l.addWithin(number(i))
	}
	l.dialAll()
	l.acceptAll()
	l.settle()
	g := l.graph()
	g.Targets = l.targets(sources)
	return g
}

// number is an index as nodes and hosts are known by; there are fewer than the bytes of all answers.
func number(i int) int32 { return int32(i) } //nolint:gosec // see above

// linker links hosts. Nodes and hosts are known by their numbers.
type linker struct {
	sources      []Source // with a host, each host once
	keys         []string // what hosts are called
	ids, hostIDs []string // of hosts, in the IDs of their containers' nodes and of their own
	duplicates   map[string]string
	unattributed []int // by host
	names        *graph.Names

	nodes    []graph.Node
	base     []int32          // number of each host's first container
	special  map[string]int32 // other nodes by ID
	external map[netip.Addr]int32
	links    []link
	between  map[linkKey]int32 // index in links of those whose ends are on different hosts

	hosts    map[netip.Addr]owner
	routable map[netip.Addr]owner
	overlay  map[networkAddr]place

	reaching []reaching
	leads    []lead
	unplaced map[overlayArrival]int32 // index in reaching
	// addresses are all containers', in whatever scope: no connection comes from another one as it was dialled.
	addresses map[netip.Addr]bool
	dialled   func() arrivals // from such an address
	masked    func() arrivals // from its host's address
	passed    map[origin]*passedOn
}

// place is a namespace of a host.
type place struct{ host, namespace int32 }

// owner is who has an address: one place, or several, and then it is ambiguous.
type owner struct {
	place
	others []place
}

type networkAddr struct {
	network string // ID
	addr    netip.Addr
}

type linkKey struct {
	client, server int32
	port           uint16
	via            graph.Via
}

type link struct {
	linkKey
	count
	seen int64 // nanoseconds since 1970
}

func newLinker(sources []Source, names *graph.Names) *linker {
	l := &linker{
		duplicates: duplicates(sources),
		names:      names,
		special:    make(map[string]int32),
		external:   make(map[netip.Addr]int32),
		hosts:      make(map[netip.Addr]owner),
		routable:   make(map[netip.Addr]owner),
		overlay:    make(map[networkAddr]place),
		unplaced:   make(map[overlayArrival]int32),
		addresses:  make(map[netip.Addr]bool),
		passed:     make(map[origin]*passedOn),
	}
	for _, source := range sources {
		if source.Host != nil && l.duplicates[source.Target] == "" {
			l.sources = append(l.sources, source)
		}
	}
	l.grow()
	l.dialled = sync.OnceValue(func() arrivals { return l.arrivals(false) })
	l.masked = sync.OnceValue(func() arrivals { return l.arrivals(true) })
	l.keys = keysOf(l.sources)
	l.ids, l.hostIDs = idsOf(l.sources)
	l.unattributed = make([]int, len(l.sources))
	for i := range l.sources {
		l.addHost(number(i))
	}
	return l
}

// grow makes room: what grows bit by bit costs several times as much.
func (l *linker) grow() {
	nodes, within, outward, inward := 0, 0, 0, 0
	for _, source := range l.sources {
		h := source.Host
		nodes += len(h.containers)
		within += len(h.within)
		outward += len(h.outward)
		inward += len(h.inward)
	}
	l.nodes = make([]graph.Node, 0, nodes+nodes/8)
	l.links = make([]link, 0, within+outward+inward)
	l.reaching = make([]reaching, 0, outward)
	l.leads = make([]lead, 0, outward)
	l.between = make(map[linkKey]int32, outward+inward/2)
}

// addHost adds a host's containers, and its addresses to those that mean something elsewhere.
func (l *linker) addHost(i int32) {
	source := l.sources[i]
	h := source.Host
	l.base = append(l.base, number(len(l.nodes)))
	for j, c := range h.containers {
		l.nodes = append(l.nodes, graph.Node{
			ID: graph.NodeID(graph.KindContainer, l.ids[i], c.ID), Kind: graph.KindContainer, Host: l.keys[i], Name: cmp.Or(c.Name, c.ID), Container: c.ID,
			Image: c.Image, Project: c.Project, Service: c.Service, Reason: c.Reason, Details: c.details, Stale: source.State == graph.StateStale, Past: j >= h.present,
		})
	}
	for addr := range h.addresses {
		if !h.gateways[addr] { // which means this host to its own containers alone
			claim(l.hosts, addr, place{i, hostNamespace})
		}
	}
	for n, namespace := range h.namespaces {
		for _, network := range namespace.networks {
			for _, addr := range network.Addresses {
				l.addAddress(place{i, number(n)}, network, addr.Unmap(), int(namespace.primary) < h.present)
			}
		}
	}
}

// addAddress adds a container's address. One that has ended has it only if no other one does.
func (l *linker) addAddress(at place, network snapshotv1.Network, addr netip.Addr, present bool) {
	l.addresses[addr] = true
	key := networkAddr{network.ID, addr}
	if _, taken := l.overlay[key]; network.ID != "" && (present || !taken) {
		l.overlay[key] = at
	}
	if present && l.sources[at.host].Host.routes(network.Gateways, addr) {
		claim(l.routable, addr, at)
	}
}

// routes reports whether a container's address means something outside of its host: a global one of IPv6, or any on a
// network whose gateway is another machine.
func (h *Host) routes(gateways []netip.Addr, addr netip.Addr) bool {
	if addr.Is6() && addr.IsGlobalUnicast() && !addr.IsPrivate() {
		return true
	}
	for _, gateway := range gateways {
		if gateway = gateway.Unmap(); gateway.Is4() == addr.Is4() && h.isRouter(gateway) {
			return true
		}
	}
	return false
}

// claim takes note that an address is a place's, all of whose claims come together. Of too many places some stand for all:
// each connection to the address may be to each of them.
func claim(owners map[netip.Addr]owner, addr netip.Addr, by place) {
	o, taken := owners[addr]
	switch {
	case !taken:
		o.place = by
	case o.place == by || len(o.others) == mostCandidates || len(o.others) > 0 && o.others[len(o.others)-1] == by:
		return
	default:
		o.others = append(o.others, by)
	}
	owners[addr] = o
}

// node returns the number of a host's party.
func (l *linker) node(host int32, p party) int32 {
	h := l.sources[host].Host
	switch {
	case p == hostItself:
		return l.once(graph.Node{ID: graph.NodeID(graph.KindHost, l.hostIDs[host]), Kind: graph.KindHost, Host: l.keys[host], Name: l.keys[host], Stale: l.sources[host].State == graph.StateStale})
	case int(p) < len(h.containers):
		return l.base[host] + int32(p)
	}
	var names, ids []string
	for _, member := range h.membersOf(p) {
		n := l.nodes[l.base[host]+int32(member)]
		names, ids = append(names, n.Name), append(ids, n.ID)
	}
	slices.Sort(ids)
	slices.Sort(names)
	return l.once(graph.Node{
		ID: graph.NodeID(graph.KindAmbiguous, ids...), Kind: graph.KindAmbiguous, Host: l.keys[host], Name: strings.Join(names, " or "), Candidates: ids,
	})
}

// once returns the number of a node that is no container's.
func (l *linker) once(n graph.Node) int32 {
	node, ok := l.special[n.ID]
	if !ok {
		node = number(len(l.nodes))
		l.special[n.ID] = node
		l.nodes = append(l.nodes, n)
	}
	return node
}

// outside returns the number of the node for an address that is nobody's.
func (l *linker) outside(addr netip.Addr) int32 {
	if number, ok := l.external[addr]; ok {
		return number
	}
	name := cmp.Or(l.names.NameOf(addr), addr.String())
	node := l.once(graph.Node{ID: graph.NodeID(graph.KindExternal, name), Kind: graph.KindExternal, Name: name})
	l.external[addr] = node
	return node
}

// ambiguous returns the number of the node for an address that several hosts have.
func (l *linker) ambiguous(addr netip.Addr, o owner) int32 {
	candidates := []string{l.keys[o.host]}
	for _, other := range o.others {
		candidates = append(candidates, l.keys[other.host])
	}
	slices.Sort(candidates)
	return l.once(graph.Node{
		ID: graph.NodeID(graph.KindAmbiguous, addr.String()), Kind: graph.KindAmbiguous, Name: addr.String(), Candidates: slices.Compact(candidates),
	})
}

func (l *linker) addWithin(host int32) {
	source := l.sources[host]
	for _, t := range source.Host.within {
		l.links = append(l.links, link{
			linkKey{l.node(host, t.client), l.node(host, t.server), t.port, t.via}, t.count, source.LastAnswer.UnixNano(),
		})
	}
}

// count returns what is counted of a link between hosts, one half of which was seen at a time.
func (l *linker) count(key linkKey, seen time.Time) *count {
	i, ok := l.between[key]
	if !ok {
		i = number(len(l.links))
		l.between[key] = i
		l.links = append(l.links, link{linkKey: key})
	}
	l.links[i].seen = max(l.links[i].seen, seen.UnixNano())
	return &l.links[i].count
}
