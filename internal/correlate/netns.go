package correlate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// hostNetns is the index of the host's own network namespace.
const hostNetns int32 = 0

// networkModeHost is the network mode of containers in the host's network namespace.
const networkModeHost = "host"

// joinedMode is the beginning of the network mode of a container that joined another one's network namespace.
const joinedMode = "container:"

// netns is a network namespace of a host.
type netns struct {
	members    []ownerID // containers
	primary    ownerID   // the container with the addresses
	listeners  listeners
	networks   []snapshotv1.Network
	networkIDs []string // ascending
	gone       bool     // of a container that is gone
}

// maxNetworks bounds how many networks of a namespace are searched for each connection.
const maxNetworks = 256

// addNetwork adds a network of the namespace. Its ID is truncated, because it is compared for each connection.
func (n *netns) addNetwork(network snapshotv1.Network) {
	network.ID = graph.Truncate(network.ID)
	n.networks = append(n.networks, network)
	if at, known := slices.BinarySearch(n.networkIDs, network.ID); network.ID != "" && !known && len(n.networkIDs) < maxNetworks {
		n.networkIDs = slices.Insert(n.networkIDs, at, network.ID)
	}
}

// netnsGrouper finds the network namespaces of containers: by the namespace ID if the daemon reports one, else by the
// engine's network mode.
type netnsGrouper struct {
	byReportedID map[string]int32 // by NetNS.ID, as the daemon reports it
	byEngine     map[string]int32 // by container ID, or by name
	ids          map[string]string
}

func newNetnsGrouper(containers []snapshotv1.Container) netnsGrouper {
	g := netnsGrouper{make(map[string]int32), make(map[string]int32), idsByName(containers)}
	for _, c := range containers {
		if c.NetworkMode == networkModeHost && c.Namespace != "" {
			g.byReportedID[c.Namespace] = hostNetns
		}
	}
	return g
}

// idsByName returns the IDs of the containers of one engine by their names.
func idsByName(containers []snapshotv1.Container) map[string]string {
	ids := make(map[string]string, len(containers))
	for _, c := range containers {
		ids[strings.TrimPrefix(c.Name, "/")] = c.ID
	}
	return ids
}

// find returns the network namespace of a container if an earlier container has it too.
func (g netnsGrouper) find(c snapshotv1.Container) (ns int32, ok bool) {
	if c.NetworkMode == networkModeHost {
		return hostNetns, true
	}
	if c.Namespace != "" {
		ns, ok = g.byReportedID[c.Namespace]
		return ns, ok
	}
	if joined, joins := joinedContainer(c); joins {
		if ns, ok = g.byEngine[joined]; !ok {
			ns, ok = g.byEngine[g.ids[joined]]
		}
		return ns, ok
	}
	ns, ok = g.byEngine[c.ID] // of an earlier container that joined this one
	return ns, ok
}

// add sets the network namespace of a container, and of the container that it joined.
func (g netnsGrouper) add(c snapshotv1.Container, ns int32) {
	if c.Namespace != "" {
		g.byReportedID[c.Namespace] = ns
	}
	g.byEngine[c.ID] = ns
	if joined, joins := joinedContainer(c); joins {
		g.byEngine[cmp.Or(g.ids[joined], joined)] = ns
	}
}

// joinedContainer returns the ID or name of the container with the network namespace that c joined, from its network mode. A
// reported namespace ID comes first.
func joinedContainer(c snapshotv1.Container) (idOrName string, joins bool) {
	if c.Namespace != "" {
		return "", false
	}
	return strings.CutPrefix(c.NetworkMode, joinedMode)
}
