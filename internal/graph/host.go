package graph

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
)

// Host is what one host's snapshot says, as far as it can be told without the others: its containers, where they listen,
// the links among them, and the connections that lead elsewhere. It is not changed any more, so that it can be linked
// again and again as long as the host's snapshot is the same.
type Host struct {
	id, name   string
	at         time.Time
	containers []snapshot.ContainerDocument // without sockets
	present    int                          // so many of them; the others have ended
	ended      []ended                      // they, and what else has
	namespaces []namespace                  // the first is the host's own
	addresses  map[netip.Addr]bool          // the host's, those of its bridges too
	complete   bool                         // these are all of its addresses
	gateways   map[netip.Addr]bool          // of its containers' networks
	reached    map[netip.Addr]int32         // namespace that has a container's address
	published  map[uint16][]binding         // by the host's port
	publishes  map[service]bool             // whether any host port leads there
	sets       [][]party                    // of containers of which one, it is not known which, owns a socket
	setOf      map[string]party             // by its members
	within     []tally                      // links whose ends are both here
	outward    []half                       // client halves whose server is elsewhere
	inward     []half                       // server halves whose client is elsewhere
	// Invalid is how many containers and sockets make no sense.
	Invalid int
}

// party is who owns a socket: a container by its index, the host's own processes, or one of a set of containers, by
// the set's index after all containers.
type party int32

const hostItself party = -1

// hostNamespace is the index of the host's own network namespace.
const hostNamespace = 0

// namespace is a network namespace.
type namespace struct {
	members   []party
	primary   party // who has its addresses
	listeners map[uint16][]listener
	networks  []snapshot.NetworkDocument
	ids       []string // of networks
}

type listener struct {
	addr  netip.Addr
	owner party
}

// binding publishes a port of a namespace.
type binding struct {
	addr netip.Addr // of the host; unspecified: all
	service
	owner party
}

// longest is how many bytes of a foreign text are kept.
const longest = 256

func clip(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// ended is a container that is not there any more. For a while the sockets of others still have its addresses.
type ended struct {
	container snapshot.ContainerDocument
	networks  []snapshot.NetworkDocument
	seen      time.Time
}

// endedFor is how long that is: as long as TIME_WAIT (TCP_TIMEWAIT_LEN of include/net/tcp.h), and as long as it may take
// until somebody looks.
const endedFor = 2 * time.Minute

// NewHost digests the snapshot of a moment. before is the host as it was digested last, or nil. polled is the address at which it was asked for, which is the host's where the host does
// not know its own; it may be invalid.
func NewHost(document snapshot.Document, polled netip.Addr, before *Host, at time.Time) *Host {
	h := &Host{
		at: at,
		id: clip(document.Host.ID), name: clip(document.Host.Name), complete: document.Host.AllAddresses,
		addresses: make(map[netip.Addr]bool),
		gateways:  make(map[netip.Addr]bool),
		reached:   make(map[netip.Addr]int32),
		published: make(map[uint16][]binding),
		publishes: make(map[service]bool),
		setOf:     make(map[string]party),

		containers: make([]snapshot.ContainerDocument, 0, len(document.Containers)),
	}
	for _, addr := range document.Host.Addresses {
		h.addAddress(addr)
	}
	if len(h.addresses) == 0 {
		h.addAddress(polled)
	}
	containers := h.distinct(document.Containers)
	spaces := h.place(containers)
	h.present = len(h.containers)
	h.remember(before)
	h.hear(containers, spaces)
	newTracer(h).trace(containers, spaces)
	return h
}

// distinct drops containers that have no ID, or that of another one.
func (h *Host) distinct(containers []snapshot.ContainerDocument) []snapshot.ContainerDocument {
	seen := make(map[string]bool, len(containers))
	distinct := make([]snapshot.ContainerDocument, 0, len(containers))
	for _, c := range containers {
		if c.ID == "" || seen[c.ID] {
			h.Invalid++
			continue
		}
		seen[c.ID] = true
		distinct = append(distinct, c)
	}
	return distinct
}

// addAddress adds an address of the host; loopback and the like are everybody's.
func (h *Host) addAddress(addr netip.Addr) {
	addr = addr.Unmap()
	if addr.IsValid() && !addr.IsLoopback() && !addr.IsUnspecified() && !addr.IsMulticast() {
		h.addresses[addr] = true
	}
}

// place returns the namespace of each container.
func (h *Host) place(containers []snapshot.ContainerDocument) []int32 {
	h.namespaces = []namespace{{primary: hostItself, listeners: make(map[uint16][]listener)}}
	spaces := make([]int32, len(containers))
	places := newPlaces(containers)
	for i, c := range containers {
		space, ok := places.of(c)
		if !ok {
			space = number(len(h.namespaces))
			h.namespaces = append(h.namespaces, namespace{primary: party(i), listeners: make(map[uint16][]listener)})
			places.set(c, space)
		}
		spaces[i] = space
		n := &h.namespaces[space]
		n.members = append(n.members, party(i))
		h.describe(c)
		h.connect(space, party(i), c.Networks)
	}
	return spaces
}

// places finds the namespaces of containers: by what the daemon says of the kernel, or else by their network mode.
type places struct {
	byNamespace map[string]int32
	byContainer map[string]int32 // ID, or name with its slash
	idOf        map[string]string
}

func newPlaces(containers []snapshot.ContainerDocument) places {
	p := places{make(map[string]int32), make(map[string]int32), make(map[string]string)}
	for _, c := range containers {
		p.idOf[strings.TrimPrefix(c.Name, "/")] = c.ID
		if c.NetworkMode == "host" && c.Namespace != "" {
			p.byNamespace[c.Namespace] = hostNamespace
		}
	}
	return p
}

// of returns the namespace of a container if it is known already.
func (p places) of(c snapshot.ContainerDocument) (space int32, ok bool) {
	if c.NetworkMode == "host" {
		return hostNamespace, true
	}
	if c.Namespace != "" {
		if space, ok = p.byNamespace[c.Namespace]; ok {
			return space, true
		}
	}
	if joined, joins := strings.CutPrefix(c.NetworkMode, "container:"); joins && c.Namespace == "" {
		if space, ok = p.byContainer[joined]; !ok {
			space, ok = p.byContainer[p.idOf[joined]]
		}
		return space, ok
	}
	space, ok = p.byContainer[c.ID] // of one that joined it, and was listed before
	return space, ok && c.Namespace == ""
}

func (p places) set(c snapshot.ContainerDocument, space int32) {
	if c.Namespace != "" {
		p.byNamespace[c.Namespace] = space
	}
	p.byContainer[c.ID] = space
	if joined, joins := strings.CutPrefix(c.NetworkMode, "container:"); joins && c.Namespace == "" {
		p.byContainer[cmp.Or(p.idOf[joined], joined)] = space
	}
}

// describe keeps what is told of a container but for its sockets.
func (h *Host) describe(c snapshot.ContainerDocument) {
	h.containers = append(h.containers, snapshot.ContainerDocument{
		ID: clip(c.ID), Name: clip(strings.TrimPrefix(c.Name, "/")), Image: clip(c.Image),
		Project: clip(c.Project), Service: clip(cmp.Or(c.Service, swarmService(c.Name))), Reason: clip(c.Reason),
	})
}

// swarmTask matches the name that Docker Swarm gives to a task's container: the service, the slot or node, and the task
// (moby daemon/cluster/executor/container/container.go).
var swarmTask = regexp.MustCompile(`^/?(.+)\.([0-9]+|[a-z0-9]{25})\.[a-z0-9]{25}$`)

// swarmService returns the service of a Swarm's task; empty if it is none.
func swarmService(name string) string {
	if parts := swarmTask.FindStringSubmatch(name); parts != nil {
		return parts[1]
	}
	return ""
}

// connect takes note of the addresses that a container gives to its namespace.
func (h *Host) connect(space int32, owner party, networks []snapshot.NetworkDocument) {
	if space == hostNamespace {
		return
	}
	n := &h.namespaces[space]
	for _, network := range networks {
		if len(network.Addresses) == 0 {
			continue
		}
		n.primary = owner
		n.networks = append(n.networks, network)
		if network.ID != "" {
			n.ids = append(n.ids, network.ID)
		}
		for _, addr := range network.Addresses {
			h.reached[addr.Unmap()] = space
		}
		for _, gateway := range network.Gateways {
			h.gateways[gateway.Unmap()] = true
		}
	}
}

// remember takes over what ended since the host was digested before, and had addresses that nobody has now.
func (h *Host) remember(before *Host) {
	if before == nil {
		return
	}
	present := make(map[string]bool, h.present)
	for _, c := range h.containers {
		present[c.ID] = true
	}
	candidates := slices.Clone(before.ended)
	for _, n := range before.namespaces {
		if int(n.primary) < before.present && len(n.networks) > 0 {
			candidates = append(candidates, ended{before.containers[n.primary], n.networks, before.at})
		}
	}
	for _, e := range candidates {
		if present[e.container.ID] || h.at.Sub(e.seen) > endedFor {
			continue
		}
		h.ended = append(h.ended, e)
		h.namespaces = append(h.namespaces, namespace{primary: party(number(len(h.containers))), listeners: make(map[uint16][]listener)})
		h.containers = append(h.containers, e.container)
		h.reoccupy(number(len(h.namespaces)-1), e.networks)
	}
}

// reoccupy gives the addresses that nobody has now to the namespace of a container that ended.
func (h *Host) reoccupy(space int32, networks []snapshot.NetworkDocument) {
	n := &h.namespaces[space]
	n.members = []party{n.primary}
	for _, network := range networks {
		n.networks = append(n.networks, network)
		n.ids = append(n.ids, network.ID)
		for _, addr := range network.Addresses {
			if _, taken := h.reached[addr.Unmap()]; !taken {
				h.reached[addr.Unmap()] = space
			}
		}
	}
}

// hear takes note of who listens where.
func (h *Host) hear(containers []snapshot.ContainerDocument, spaces []int32) {
	for i, c := range containers {
		n := &h.namespaces[spaces[i]]
		for _, l := range c.Listening {
			addr, err := netip.ParseAddr(l.Address)
			if err != nil || l.Port == 0 {
				h.Invalid++
				continue
			}
			n.listeners[l.Port] = h.own(n.listeners[l.Port], listener{addr.Unmap(), party(i)})
			for _, host := range l.Published {
				h.publish(host, binding{service: service{spaces[i], l.Port}, owner: party(i)})
			}
		}
	}
}

// own adds a listener. Where another container has the same one, it is either's.
func (h *Host) own(listeners []listener, l listener) []listener {
	for i, other := range listeners {
		if other.addr == l.addr {
			listeners[i].owner = h.either(other.owner, l.owner)
			return listeners
		}
	}
	return append(listeners, l)
}

func (h *Host) publish(host snapshot.Endpoint, b binding) {
	addr, err := netip.ParseAddr(host.Address)
	if err != nil || host.Port == 0 {
		h.Invalid++
		return
	}
	b.addr = addr.Unmap()
	h.publishes[b.service] = true
	bindings := h.published[host.Port]
	for i, other := range bindings {
		if other.addr == b.addr {
			bindings[i].owner = h.either(other.owner, b.owner)
			return
		}
	}
	h.published[host.Port] = append(bindings, b)
}

// either returns the party of who may be a or b.
func (h *Host) either(a, b party) party {
	if a == b {
		return a
	}
	members := append(slices.Clone(h.membersOf(a)), h.membersOf(b)...)
	slices.Sort(members)
	return h.oneOf(slices.Compact(members))
}

// mostCandidates bounds how many containers one socket may belong to; of more, these stand for all.
const mostCandidates = 16

// oneOf returns the party of who may be any of members, which are ascending.
func (h *Host) oneOf(members []party) party {
	if len(members) == 1 {
		return members[0]
	}
	members = members[:min(len(members), mostCandidates)]
	key := fmt.Sprint(members)
	set, ok := h.setOf[key]
	if !ok {
		set = party(number(len(h.containers) + len(h.sets)))
		h.setOf[key] = set
		h.sets = append(h.sets, members)
	}
	return set
}

// membersOf returns the containers that a party may be.
func (h *Host) membersOf(p party) []party {
	if int(p) < len(h.containers) {
		return []party{p}
	}
	return h.sets[int(p)-len(h.containers)]
}

// listening returns who listens at an address of a namespace, as the kernel looks it up: at the very address, or else at
// all of its family, or else, for IPv4, at all of IPv6.
func (h *Host) listening(space int32, at netip.AddrPort) (owner party, ok bool) {
	candidates := h.namespaces[space].listeners[at.Port()]
	for _, addr := range boundFor(at.Addr()) {
		for _, l := range candidates {
			if l.addr == addr {
				return l.owner, true
			}
		}
	}
	return hostItself, false
}

// boundFor returns the addresses to which a listener may be bound that is reached at addr, the best first.
func boundFor(addr netip.Addr) [3]netip.Addr {
	if addr.Is4() {
		return [...]netip.Addr{addr, netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	return [...]netip.Addr{addr, netip.IPv6Unspecified(), netip.IPv6Unspecified()}
}

// bound returns the binding that publishes something at an address of the host.
func (h *Host) bound(at netip.AddrPort) (binding, bool) {
	candidates := h.published[at.Port()]
	for _, addr := range boundFor(at.Addr()) {
		for _, b := range candidates {
			if b.addr == addr {
				return b, true
			}
		}
	}
	return binding{}, false
}

// near reports whether an address of one namespace is reached from another as it is: on a network of both, or from the
// host itself.
func (h *Host) near(from, to int32) bool {
	if from == hostNamespace || from == to {
		return true
	}
	ids := h.namespaces[to].ids
	return len(ids) == 0 || len(h.namespaces[from].ids) == 0 ||
		slices.ContainsFunc(h.namespaces[from].ids, func(id string) bool { return slices.Contains(ids, id) })
}

// isHost reports whether an address means this host to its own containers and processes.
func (h *Host) isHost(addr netip.Addr) bool {
	return h.addresses[addr] || h.gateways[addr] && !h.isRouter(addr)
}

// isRouter reports whether a gateway is another machine, as on networks that are part of the one outside (macvlan).
func (h *Host) isRouter(gateway netip.Addr) bool { return h.complete && !h.addresses[gateway] }
