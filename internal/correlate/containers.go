package correlate

import (
	"cmp"
	"net/netip"
	"regexp"
	"strings"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// container is what a node shows of a container.
type container struct {
	ID, Name, Image, Project, Service, Reason string

	details *graph.Details
}

func newContainer(c snapshotv1.Container) container {
	return container{
		details: graph.NewDetails(c), ID: graph.Truncate(c.ID), Name: graph.Truncate(strings.TrimPrefix(c.Name, "/")), Image: graph.Truncate(c.Image),
		Project: graph.Truncate(c.Project), Service: graph.Truncate(cmp.Or(c.Service, swarmService(c.Name))), Reason: graph.Truncate(c.Reason),
	}
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
	}
	h.live = len(h.containers)
	return namespaces
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
			h.netnsByAddr[addr.Unmap()] = ns
		}
		for _, gateway := range network.Gateways {
			h.gateways[gateway.Unmap()] = true
		}
	}
}

// netnsOf returns the network namespace of a container's address, if it is reached from the namespace from.
func (h *Host) netnsOf(addr netip.Addr, from int32) (netns int32, ok bool) {
	netns, ok = h.netnsByAddr[addr]
	return netns, ok && h.sameNetwork(from, netns)
}
