package traffic

import (
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// hostNetNS is the key of the host's own network namespace.
const hostNetNS = "host"

// owner is the ID of the container that owns a socket, or one of the values below.
type owner string

const (
	hostProcesses owner = ""  // the host's own processes
	unknownOwner  owner = "?" // no container's ID
)

// places is what a snapshot says of network namespaces.
type places struct {
	netns map[string]*netns
	// netnsOf is the network namespace with an address of containers; empty if several have it.
	netnsOf map[netip.Addr]string
	// holderOf is the container with an address on a network of the engine; empty if several have it.
	holderOf  map[netip.Addr]string
	local     map[netip.Addr]bool  // addresses that mean the host: its own and its bridges'
	published map[socket.Port]bool // ports of the host that lead to containers
	at        time.Time            // when the snapshot was begun
}

// netns is a network namespace.
type netns struct {
	members   []owner
	startedAt time.Time // of its latest container; zero if unknown
	listeners map[socket.Port][]boundListener
}

// boundListener is a listening socket and its owner.
type boundListener struct {
	addr  netip.Addr
	owner owner
}

func newPlaces(taken *snapshot.Snapshot) *places {
	p := &places{
		netns:   map[string]*netns{hostNetNS: {members: []owner{hostProcesses}, listeners: make(map[socket.Port][]boundListener)}},
		netnsOf: make(map[netip.Addr]string), holderOf: make(map[netip.Addr]string), local: make(map[netip.Addr]bool),
		published: make(map[socket.Port]bool), at: taken.TakenAt,
	}
	for i := range taken.Containers {
		p.addContainer(&taken.Containers[i])
	}
	for _, addr := range taken.Host.Addresses {
		p.local[addr] = true
	}
	for _, addr := range taken.Host.Gateways {
		p.local[addr] = true
	}
	if taken.Host.Sockets != nil {
		for _, l := range taken.Host.Sockets.Listeners {
			who := hostProcesses
			if l.OwnerUnknown {
				who = unknownOwner
			}
			p.netns[hostNetNS].addListener(l.Local, l.Protocol, who)
		}
	}
	return p
}

// keyOf returns the key of a container's network namespace.
func keyOf(c *snapshot.Container) string {
	if c.HostNetwork {
		return hostNetNS
	}
	return "netns/" + c.Namespace
}

func (p *places) addContainer(c *snapshot.Container) {
	if !c.HostNetwork && c.Namespace == "" {
		return
	}
	for _, binding := range c.Bindings {
		if !binding.Direct {
			p.published[binding.HostPort()] = true
		}
	}
	key := keyOf(c)
	n, ok := p.netns[key]
	if !ok {
		n = &netns{listeners: make(map[socket.Port][]boundListener)}
		p.netns[key] = n
	}
	n.members = append(n.members, owner(c.ID))
	if key != hostNetNS && c.StartedAt.After(n.startedAt) && !joinsOther(c) {
		n.startedAt = c.StartedAt
	}
	for _, l := range c.Listeners {
		n.addListener(l.Local, l.Protocol, owner(c.ID))
	}
	if key == hostNetNS {
		return
	}
	for _, network := range c.Networks {
		for _, addr := range network.Addresses {
			setUnique(p.netnsOf, addr.Unmap(), key)
			setUnique(p.holderOf, addr.Unmap(), c.ID)
		}
	}
	for _, addr := range c.Addresses {
		setUnique(p.netnsOf, addr.Unmap(), key)
	}
}

// joinsOther reports whether a container joined the network namespace of another one, which may be older.
func joinsOther(c *snapshot.Container) bool {
	_, joined := c.NetworkMode.JoinedContainer()
	return joined
}

// setUnique sets the value of a key, or to empty if it has another one.
func setUnique(values map[netip.Addr]string, key netip.Addr, value string) {
	if other, taken := values[key]; taken && other != value {
		value = ""
	}
	values[key] = value
}

func (n *netns) addListener(at netip.AddrPort, protocol socket.Protocol, who owner) {
	port := socket.NewPort(at.Port(), protocol)
	n.listeners[port] = append(n.listeners[port], boundListener{at.Addr(), who})
}

// listenerAt returns the owner of the listener that accepts connections at an endpoint. Of several owners none is known.
func (n *netns) listenerAt(addr netip.Addr, port socket.Port) (who owner, ok bool) {
	for _, l := range n.listeners[port] {
		if !snapshot.Accepts(l.addr, addr) {
			continue
		}
		if ok && who != l.owner {
			return unknownOwner, true
		}
		who, ok = l.owner, true
	}
	return who, ok
}
