package correlate

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// Host is what one host's snapshot says, as far as it can be told without the others: its containers, where they listen,
// the links among them, and the connections that lead elsewhere. It is not changed any more, so that it can be linked
// again and again as long as the host's snapshot is the same.
type Host struct {
	id, name   string
	at         time.Time
	containers []member
	present    int                               // so many of them; the others have ended
	ended      []ended                           // they, and what else has
	namespaces []namespace                       // the first is the host's own
	addresses  map[netip.Addr]bool               // the host's, those of its bridges too
	complete   bool                              // these are all of its addresses
	gateways   map[netip.Addr]bool               // of its containers' networks
	reached    map[netip.Addr]int32              // namespace that has a container's address
	published  map[uint16]map[netip.Addr]binding // by the host's port and address; unspecified: all
	publishes  map[service]bool                  // whether any host port leads there
	sets       [][]party                         // of containers of which one, it is not known which, owns a socket
	setOf      map[string]party                  // by its members
	within     []tally                           // links whose ends are both here
	outward    []half                            // client halves whose server is elsewhere
	inward     []half                            // server halves whose client is elsewhere
	// Invalid is how many containers and sockets make no sense.
	Invalid int
}

// member is a container of a host.
type member struct {
	ID, Name, Image, Project, Service, Reason string

	details *graph.Details
}

// namespace is a network namespace.
type namespace struct {
	members   []party
	primary   party // who has its addresses
	listeners listeners
	networks  []snapshotv1.Network
	ids       []string // of networks, ascending
}

// mostNetworks bounds how many networks of a namespace are told apart.
const mostNetworks = 256

func (n *namespace) join(network snapshotv1.Network) {
	network.ID = graph.Truncate(network.ID) // which is looked up for each connection
	n.networks = append(n.networks, network)
	if at, joined := slices.BinarySearch(n.ids, network.ID); network.ID != "" && !joined && len(n.ids) < mostNetworks {
		n.ids = slices.Insert(n.ids, at, network.ID)
	}
}

// ended is a container that is not there any more. For a while the sockets of others still have its addresses.
type ended struct {
	container member
	networks  []snapshotv1.Network
	seen      time.Time
}

// endedFor is how long that is: as long as TIME_WAIT (TCP_TIMEWAIT_LEN of include/net/tcp.h), and as long as it may take
// until somebody looks.
const endedFor = 2 * time.Minute

// IsSameHost reports whether it is the host that another one is, by what their engines are called.
func (h *Host) IsSameHost(other *Host) bool {
	return other != nil && h.id == other.id && h.name == other.name
}

// NewHost digests the snapshot of a moment. before is the host as it was digested last, or nil. polled is the address at
// which it was asked for, which is the host's where the host does not know its own; it may be invalid.
func NewHost(document snapshotv1.Snapshot, polled netip.Addr, before *Host, at time.Time) *Host {
	h := &Host{
		at: at,
		id: graph.Truncate(document.Host.ID), name: graph.Truncate(document.Host.Name), complete: document.Host.AllAddresses,
		addresses: make(map[netip.Addr]bool),
		gateways:  make(map[netip.Addr]bool),
		reached:   make(map[netip.Addr]int32),
		published: make(map[uint16]map[netip.Addr]binding),
		publishes: make(map[service]bool),
		setOf:     make(map[string]party),
	}
	for _, addr := range document.Host.Addresses {
		h.addAddress(addr)
	}
	if len(h.addresses) == 0 {
		h.addAddress(polled)
	}
	containers := h.distinct(document.Containers)
	h.containers = make([]member, 0, len(containers))
	spaces := h.place(containers)
	h.present = len(h.containers)
	h.remember(before)
	h.hear(containers, spaces)
	newTracer(h).trace(containers, spaces)
	return h
}

// distinct drops containers that have no ID, or that of another one.
func (h *Host) distinct(containers []snapshotv1.Container) []snapshotv1.Container {
	seen := make(map[string]bool)
	var distinct []snapshotv1.Container
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
func (h *Host) place(containers []snapshotv1.Container) []int32 {
	h.namespaces = []namespace{{primary: hostItself, listeners: make(listeners)}}
	spaces := make([]int32, len(containers))
	places := newPlaces(containers)
	for i, c := range containers {
		space, ok := places.of(c)
		if !ok {
			space = number(len(h.namespaces))
			h.namespaces = append(h.namespaces, namespace{primary: party(i), listeners: make(listeners)})
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

func newPlaces(containers []snapshotv1.Container) places {
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
func (p places) of(c snapshotv1.Container) (space int32, ok bool) {
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

func (p places) set(c snapshotv1.Container, space int32) {
	if c.Namespace != "" {
		p.byNamespace[c.Namespace] = space
	}
	p.byContainer[c.ID] = space
	if joined, joins := strings.CutPrefix(c.NetworkMode, "container:"); joins && c.Namespace == "" {
		p.byContainer[cmp.Or(p.idOf[joined], joined)] = space
	}
}

// describe keeps what is told of a container but for its sockets.
func (h *Host) describe(c snapshotv1.Container) {
	h.containers = append(h.containers, member{
		details: graph.NewDetails(c), ID: graph.Truncate(c.ID), Name: graph.Truncate(strings.TrimPrefix(c.Name, "/")), Image: graph.Truncate(c.Image),
		Project: graph.Truncate(c.Project), Service: graph.Truncate(cmp.Or(c.Service, swarmService(c.Name))), Reason: graph.Truncate(c.Reason),
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
func (h *Host) connect(space int32, owner party, networks []snapshotv1.Network) {
	if space == hostNamespace {
		return
	}
	n := &h.namespaces[space]
	for _, network := range networks {
		if len(network.Addresses) == 0 {
			continue
		}
		n.primary = owner
		n.join(network)
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
		h.namespaces = append(h.namespaces, namespace{primary: party(number(len(h.containers))), listeners: make(listeners)})
		h.containers = append(h.containers, e.container)
		h.reoccupy(number(len(h.namespaces)-1), e.networks)
	}
}

// reoccupy gives the addresses that nobody has now to the namespace of a container that ended.
func (h *Host) reoccupy(space int32, networks []snapshotv1.Network) {
	n := &h.namespaces[space]
	n.members = []party{n.primary}
	for _, network := range networks {
		n.join(network)
		for _, addr := range network.Addresses {
			if _, taken := h.reached[addr.Unmap()]; !taken {
				h.reached[addr.Unmap()] = space
			}
		}
	}
}
