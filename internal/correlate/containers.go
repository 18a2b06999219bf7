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
	"github.com/PabloL007/outpost/internal/socket"
)

// container is what a node shows of a container.
type container struct {
	ID, Name, Image, Project, Service, Reason string

	details   *graph.Details
	startedAt time.Time // zero if unknown
	complete  bool      // all its connections are known
}

func newContainer(c snapshotv1.Container) container {
	return container{
		details: graph.NewDetails(c), ID: graph.Truncate(c.ID), Name: graph.Truncate(strings.TrimPrefix(c.Name, "/")), Image: graph.Truncate(c.Image),
		Project: graph.Truncate(c.Project), Service: graph.Truncate(cmp.Or(c.Service, swarmService(c.Name))), Reason: graph.Truncate(c.Reason),
		startedAt: startOf(c), complete: !isIncomplete(c),
	}
}

// startOf returns when a container started; zero if unknown.
func startOf(c snapshotv1.Container) time.Time {
	if c.StartedAt == nil {
		return time.Time{}
	}
	return *c.StartedAt
}

// swarmTask matches the name that Docker Swarm gives to a task's container: the service, the slot or node, and the task
// (moby daemon/cluster/executor/container/container.go).
var swarmTask = regexp.MustCompile(`^/?(.+)\.([0-9]+|[a-z0-9]{25})\.[a-z0-9]{25}$`)

// swarmService returns the service of a Swarm task's container by its name; empty for other containers.
func swarmService(name string) string {
	if parts := swarmTask.FindStringSubmatch(name); parts != nil {
		return parts[1]
	}
	return ""
}

// addContainers adds containers and their addresses, and returns the network namespace of each.
func (h *Host) addContainers(containers []snapshotv1.Container) []int32 {
	h.containers = make([]container, 0, len(containers))
	h.namespaces = []netns{{primary: hostProcesses, listeners: make(listeners)}}
	namespaces := make([]int32, len(containers))
	grouper := newNetnsGrouper(containers)
	for i, c := range containers {
		ns, ok := grouper.find(c)
		if !ok {
			ns = toIndex(len(h.namespaces))
			h.namespaces = append(h.namespaces, netns{primary: ownerID(i), listeners: make(listeners)})
			grouper.add(c, ns)
		}
		namespaces[i] = ns
		n := &h.namespaces[ns]
		n.members = append(n.members, ownerID(i))
		h.containers = append(h.containers, newContainer(c))
		h.addNetworks(ns, ownerID(i), c.Networks)
		h.addOwnAddrs(c.Addresses, ns)
		h.addExposed(ns, c.Exposed, socket.TCP)
		h.addExposed(ns, c.ExposedUDP, socket.UDP)
	}
	h.live = len(h.containers)
	return namespaces
}

func (h *Host) addExposed(netns int32, ports []uint16, protocol socket.Protocol) {
	for _, port := range ports {
		h.exposed[netnsPort{netns, socket.NewPort(port, protocol)}] = true
	}
}

// addNetworks adds the addresses that a container gives to its network namespace. On the host's network the addresses are the
// host's.
func (h *Host) addNetworks(ns int32, owner ownerID, networks []snapshotv1.Network) {
	if ns == hostNetns {
		return
	}
	n := &h.namespaces[ns]
	for _, network := range networks {
		if len(network.Addresses) == 0 {
			continue
		}
		n.primary = owner
		n.addNetwork(network)
		for _, addr := range network.Addresses {
			h.addNetnsAddr(addr.Unmap(), ns)
		}
		for _, gateway := range network.Gateways {
			if isOnLAN(network.Driver) {
				continue
			}
			h.gateways[gateway.Unmap()] = true
		}
	}
}

// addNetnsAddr adds an address that the engine gave to a network namespace.
func (h *Host) addNetnsAddr(addr netip.Addr, ns int32) {
	first, taken := h.netnsByAddr[addr]
	switch more := h.moreByAddr[addr]; {
	case !taken:
		h.netnsByAddr[addr] = ns
	case first != ns && len(more) < maxCandidates && !slices.Contains(more, ns):
		h.moreByAddr[addr] = append(more, ns)
	}
}

// addOwnAddrs adds addresses that a network namespace has itself: of tunnels, or of interfaces that the engine did not make.
func (h *Host) addOwnAddrs(addrs []netip.Addr, ns int32) {
	for _, addr := range addrs {
		addr = addr.Unmap()
		if at, ok := h.netnsByAddr[addr]; ok && at == ns || !addr.IsValid() || addr.IsLoopback() || ns == hostNetns {
			continue
		}
		if holders := h.ownAddrs[addr]; len(holders) < maxCandidates && !slices.Contains(holders, ns) {
			h.ownAddrs[addr] = append(holders, ns)
		}
	}
}

// netnsOf is holderOf for an address that is reached from the namespace of the end.
func (h *Host) netnsOf(addr netip.Addr, end *connEnd) (netns int32, ok bool) {
	netns, ok = h.holderOf(addr, end)
	return netns, ok && h.sameNetwork(end.netns, netns)
}

// holderOf returns the network namespace of the container that had an address while an end of the host was open.
func (h *Host) holderOf(addr netip.Addr, end *connEnd) (netns int32, ok bool) {
	netns, ok = h.netnsByAddr[addr]
	if !ok {
		return netns, false
	}
	for _, other := range h.moreByAddr[addr] { // equal addresses need separate networks
		if !h.sameNetwork(end.netns, netns) {
			netns = other
		}
	}
	if gone, had := h.goneByAddr[addr]; had && h.startedAfter(netns, end) {
		netns = gone
	}
	return netns, true
}

// ownerBehind returns the owner of the other half of a closed or open end, dialled from the network namespace that has the address
// now.
func (h *Host) ownerBehind(netns int32, end *connEnd) ownerID {
	if h.startedAfter(netns, end) {
		return unknownOwner
	}
	return h.clientIn(netns)
}

// startedAfter reports whether the container with a namespace's addresses started after an end had closed. Closing times are
// truncated to the second.
func (h *Host) startedAfter(netns int32, end *connEnd) bool {
	primary := h.namespaces[netns].primary
	if primary < 0 || h.namespaces[netns].gone || end.closedAt == 0 {
		return false
	}
	started := h.containers[primary].startedAt
	return !started.IsZero() && started.UnixNano() >= end.closedAt+int64(time.Second)
}
