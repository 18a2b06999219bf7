package correlate

import (
	"cmp"
	"net/netip"
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// Host is the result of the local phase for one snapshot. It has the host's containers, their listeners and links, and the
// connection ends that the cross-host phase needs. It never changes, so it can be passed to Build many times.
type Host struct {
	signs      signs
	key        string // in the IDs of its nodes: its engine's ID or its name when it was polled first; may be empty
	readAt     time.Time
	containers []container
	live       int             // containers[:live] are in the snapshot; the rest are gone
	gone       []goneContainer // recently
	goneAt     []place         // of each of gone
	namespaces []netns         // the first is the host's own
	invalid    int             // containers, listeners and connections that were dropped

	addrs       map[netip.Addr]bool    // of the host, its bridges included
	allAddrs    bool                   // addrs is complete
	gateways    map[netip.Addr]bool    // of its networks, without those that are other machines by their driver
	bridges     map[netip.Addr]bool    // the gateways that the engine's networks say are the host's; empty if they are unknown
	netnsByAddr map[netip.Addr]int32   // of containers' addresses on their networks
	moreByAddr  map[netip.Addr][]int32 // others with the same address, on other networks
	goneByAddr  map[netip.Addr]int32   // of the latest gone container with the address
	ownAddrs    map[netip.Addr][]int32 // addresses that only the namespaces themselves report

	published    map[socket.Port]map[netip.Addr]destination // by host port and address
	hasPublished map[netnsPort]bool                         // whether any host port leads there
	exposed      map[netnsPort]bool                         // ports that a container's configuration names
	swarm        swarm

	candidateSets [][]ownerID        // of sockets with several possible owners
	setIndex      map[string]ownerID // by the set's printed form

	hostRead          bool      // all sockets of the host's network namespace are known
	hostOwnersUnknown bool      // a container on the host's network may own some of them
	uncertainOwner    ownerID   // of such sockets
	hostEnds          []connEnd // of no known container
	goneEnds          []connEnd // of gone containers
	dialled           []connEnd // open ones of live containers
	translations      translations

	localLinks        []link
	unmatchedOutbound []connEnd // without a known other half on this host
	unmatchedInbound  []connEnd
	unmatchedAttempts []attempt // to another host, as far as this one knows
	unmatchedFlows    []flow    // to or from another host
	countsAll         bool      // the flows of all its containers are known
}

// NewHost runs the local phase on a snapshot that was read at a time. previous is the result for the host's snapshot before
// it, or nil. polled is the address that was polled. It counts as the host's only address if the snapshot has none; it may
// be invalid.
func NewHost(document snapshotv1.Snapshot, polled netip.Addr, previous *Host, at time.Time) *Host {
	h := &Host{
		readAt:       at,
		signs:        newSigns(document.Host),
		allAddrs:     document.Host.AllAddresses,
		addrs:        make(map[netip.Addr]bool),
		gateways:     make(map[netip.Addr]bool),
		bridges:      make(map[netip.Addr]bool),
		netnsByAddr:  make(map[netip.Addr]int32),
		moreByAddr:   make(map[netip.Addr][]int32),
		goneByAddr:   make(map[netip.Addr]int32),
		ownAddrs:     make(map[netip.Addr][]int32),
		exposed:      make(map[netnsPort]bool),
		published:    make(map[socket.Port]map[netip.Addr]destination),
		hasPublished: make(map[netnsPort]bool),
		setIndex:     make(map[string]ownerID),
	}
	for _, addr := range document.Host.Addresses {
		h.addAddr(addr)
	}
	if len(h.addrs) == 0 {
		h.addAddr(polled)
	}
	for _, gateway := range document.Host.Gateways {
		h.gateways[gateway.Unmap()], h.bridges[gateway.Unmap()] = true, true
	}
	h.countsAll = document.Host.Counting != nil && document.Host.Counting.Scope == snapshotv1.CountAll
	h.swarm = newSwarm(document.Host.Overlays)
	containers := h.dedupe(document.Containers)
	namespaces := h.addContainers(containers)
	h.key = cmp.Or(h.signs.engine, h.signs.name)
	if h.IsSameHost(previous) {
		h.key = cmp.Or(previous.key, h.key)
		h.carryOver(previous)
	}
	h.indexListeners(containers, namespaces)
	h.addGonePorts()
	h.dropUnheardPorts()
	h.addHostSockets(document.Host.Sockets, containers)
	ends := h.parseEnds(containers, namespaces)
	h.translations = h.newTranslations(document.Host.Translations)
	h.translate(ends)
	ends = append(ends, h.translatedUDP(ends)...)
	h.correlateLocally(ends, h.parseAttempts(containers, namespaces), h.parseFlows(document.Host, containers, namespaces))
	h.remember(ends)
	return h
}

// addAddr adds an address of the host. Loopback, unspecified and multicast addresses identify no host.
func (h *Host) addAddr(addr netip.Addr) {
	addr = addr.Unmap()
	if addr.IsValid() && !addr.IsLoopback() && !addr.IsUnspecified() && !addr.IsMulticast() {
		h.addrs[addr] = true
	}
}

// dedupe drops containers without an ID, and those with the ID of an earlier one.
func (h *Host) dedupe(containers []snapshotv1.Container) []snapshotv1.Container {
	seen := make(map[string]bool)
	var unique []snapshotv1.Container
	for _, c := range containers {
		if c.ID == "" || seen[c.ID] {
			h.invalid++
			continue
		}
		seen[c.ID] = true
		unique = append(unique, c)
	}
	return unique
}

// toIndex returns i as an index. All answers together have fewer bytes than an int32 can count, so it fits.
func toIndex(i int) int32 { return int32(i) } //nolint:gosec // see above
