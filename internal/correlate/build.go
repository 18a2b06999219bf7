package correlate

import (
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// Build returns the graph of all links of one set of answers. See Tracker.Build.
func Build(polled []PolledHost, names *graph.Names) graph.Graph {
	return new(Tracker).Build(polled, names)
}

// crossHostCorrelator is the cross-host phase. Hosts and nodes are known by their indexes.
type crossHostCorrelator struct {
	tracker      *Tracker
	seen         map[halfEnd]time.Time // as in tracker
	waiting      bool
	oldest       int32 // the host with the oldest answer
	isPending    bool  // a target was not polled yet
	links        linkTable
	outbound     []outboundEnd
	inbound      []inboundEnd
	hostSourced  map[fromHostKey]*hostSourcedEnds
	sourcedOrder []fromHostKey
	polled       []PolledHost   // with a host, each host once
	hostOf       map[string]int // the index in polled, by target
	nodes        nodeTable
	knownNodes   int // the number of nodes without attempts; further ones are shown with links only
	addrs        addrIndex
	duplicates   map[string]string // target by duplicate target
	unattributed []int             // by host: ends without a link, because neither side is known to be the client

	candidates   []candidate
	bySource     func() pending        // by the client's own address; built when first needed
	byHost       func() pending        // by the client's host, for masqueraded connections; built when first needed
	byNetwork    pending               // by a source on a network, for ends to a Swarm service
	networkIndex map[string]int32      // by ID, of the networks in byNetwork
	balancers    map[networkAddr]int32 // Swarm's load balancers: the host of each, or unknownHost
	swarmHosts   map[netip.Addr]int32  // a polled host of the Swarm, by the address of each host of the Swarm
	dialled      map[*connEnd]dialledService
	tasks        map[*overlayService]serviceTasks
}

func newCrossHostCorrelator(polled []PolledHost, names *graph.Names, tracker *Tracker) *crossHostCorrelator {
	c := &crossHostCorrelator{
		tracker: tracker, seen: make(map[halfEnd]time.Time), duplicates: duplicates(polled),
		balancers: make(map[networkAddr]int32), swarmHosts: make(map[netip.Addr]int32), dialled: make(map[*connEnd]dialledService), tasks: make(map[*overlayService]serviceTasks),
	}
	var serving []PolledHost
	for _, p := range polled {
		c.isPending = c.isPending || p.State == graph.StatePending
		if p.Host != nil && c.duplicates[p.Target] == "" {
			serving = append(serving, p)
		}
	}
	c.polled, c.hostOf = tracker.mergeMachines(serving)
	for i, p := range c.polled {
		if p.PolledAt.Before(c.polled[c.oldest].PolledAt) {
			c.oldest = toIndex(i)
		}
	}
	c.unattributed = make([]int, len(c.polled))
	c.prepare(names)
	for i := range c.polled {
		c.nodes.addContainers(toIndex(i))
	}
	return c
}

// prepare allocates tables in their final size: growing them bit by bit costs several times as much.
func (c *crossHostCorrelator) prepare(names *graph.Names) {
	containers, local, outbound, inbound := 0, 0, 0, 0
	for _, p := range c.polled {
		h := p.Host
		containers += len(h.containers)
		local += len(h.localLinks)
		outbound += len(h.unmatchedOutbound)
		inbound += len(h.unmatchedInbound)
	}
	c.nodes = newNodeTable(c.polled, names, containers+containers/8)
	c.addrs = newAddrIndex()
	c.links = linkTable{
		links: make([]link, 0, local+outbound+inbound),
		index: make(map[linkKey]int32, outbound+inbound/2), // most pairs share a link
	}
	c.outbound = make([]outboundEnd, 0, outbound)
	c.inbound = make([]inboundEnd, 0, inbound)
	c.hostSourced = make(map[fromHostKey]*hostSourcedEnds)
	c.preparePending(outbound)
}

// addLocalLinks adds the links of a host's local phase.
func (c *crossHostCorrelator) addLocalLinks(host int32) {
	p := c.polled[host]
	for _, l := range p.Host.localLinks {
		l.client = c.nodes.ownerNode(host, ownerID(l.client))
		l.server = c.nodes.ownerNode(host, ownerID(l.server))
		l.lastSeen = p.LastAnswer.UnixNano()
		c.links.links = append(c.links.links, l)
	}
}
