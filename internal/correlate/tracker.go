package correlate

import (
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// maxWait is how long an end waits for the next answer of the host that may have its other half.
const maxWait = time.Minute

// Tracker builds the graphs of successive answers. It remembers the ends without another half. The zero value
// is ready to use. It is not safe for concurrent use.
type Tracker struct {
	seen    map[halfEnd]time.Time // ends without another half, and since when they are seen
	waiting bool                  // some of them are not explained yet
	primed  bool                  // all targets of an earlier graph had been polled
	first   map[string]time.Time  // when each target of the last graph answered first
	proven  map[provenAddrs]bool  // other hosts have reached containers there

	machines map[string]machine // with several engines, by the first target
}

// provenAddrs are the addresses of a network of a target. Without a network it is one address.
type provenAddrs struct {
	target, network string
	addr            netip.Addr
}

// maxProven bounds what is remembered of them: some 10 MB.
const maxProven = 65_536

// prove remembers that other hosts reach the address of an end, and all others on its network.
func (c *crossHostCorrelator) prove(end *connEnd, host int32) {
	addr := end.local.addr
	if end.netns == hostNetns || end.dialledAt().isValid() || len(c.tracker.proven) >= maxProven {
		return
	}
	key := provenAddrs{target: c.polled[host].Target, addr: addr}
	if network, ok := c.polled[host].Host.networkOf(end.netns, addr); ok {
		key = provenAddrs{target: key.target, network: network}
	}
	c.tracker.proven[key] = true
}

// networkOf returns the ID of the network on which a network namespace has an address.
func (h *Host) networkOf(netns int32, addr netip.Addr) (id string, ok bool) {
	for _, network := range h.namespaces[netns].networks {
		if network.ID != "" && slices.ContainsFunc(network.Addresses, func(a netip.Addr) bool { return a.Unmap() == addr }) {
			return network.ID, true
		}
	}
	return "", false
}

// indexAddrs indexes the addresses of all hosts.
func (c *crossHostCorrelator) indexAddrs() {
	for i, p := range c.polled {
		c.addrs.addHost(toIndex(i), p.Host, func(addr netip.Addr, network string) bool {
			key := provenAddrs{target: p.Target, network: network}
			if network == "" {
				key.addr = addr
			}
			return c.tracker.proven[key]
		})
		c.addBalancers(toIndex(i), &p.Host.swarm)
	}
}

// halfEnd identifies an end in successive answers.
type halfEnd struct {
	target, container string
	local, remote     endpoint
}

// Build runs the cross-host phase on polled hosts and returns the graph of all links. If several targets serve the same
// host, one counts, and the others are reported as duplicates. names names external addresses; it may be nil.
//
// Hosts are not polled at the same moment. An end without another half is not explained before the host that may have that half
// has answered again, or maxWait has passed. Until then the end is in no link.
func (t *Tracker) Build(polled []PolledHost, names *graph.Names) graph.Graph {
	if t.proven == nil {
		t.proven = make(map[provenAddrs]bool)
	}
	c := newCrossHostCorrelator(polled, names, t)
	for i := range c.polled {
		c.addLocalLinks(toIndex(i))
	}
	c.pairEnds()
	c.indexAddrs()
	c.addOutboundEnds()
	c.addInboundEnds()
	c.flushUnmatched()
	c.addAttempts()
	c.addFlows()
	t.update(c)
	g := c.graph()
	g.Targets = c.targets(polled)
	return g
}

// Waiting reports whether some ends of the last graph wait for another answer.
func (t *Tracker) Waiting() bool { return t.waiting }

func (t *Tracker) update(c *crossHostCorrelator) {
	t.seen, t.waiting, t.primed = c.seen, c.waiting, t.primed || !c.isPending
	for _, m := range t.machines {
		t.waiting = t.waiting || m.sockets.waiting
	}
	first := make(map[string]time.Time, len(c.polled))
	for _, p := range c.polled {
		first[p.Target] = t.firstAnswer(&p)
	}
	t.first = first
}

// firstAnswer returns when a target answered first, as far as the graphs since then have it.
func (t *Tracker) firstAnswer(p *PolledHost) time.Time {
	if at, ok := t.first[p.Target]; ok {
		return at
	}
	return p.LastAnswer
}

// isSettled reports whether the host other has been read since an end of host was first seen, so that it would show the other half
// of the end. The first answer of a host settles its own ends.
func (c *crossHostCorrelator) isSettled(host, other int32, end *connEnd) bool {
	p, q := &c.polled[host], &c.polled[other]
	since := c.seenSince(p, end)
	isFirst := host == other && !since.After(c.tracker.firstAnswer(p))
	settled := q.PolledAt.IsZero() || isFirst || q.PolledAt.After(since) || p.LastAnswer.Sub(since) > maxWait
	c.waiting = c.waiting || !settled
	return settled
}

// waitsForFirstAnswers reports whether the other half of an end of host may be on a host that was not polled yet. A target that is added
// later hides no links that are known without it.
func (c *crossHostCorrelator) waitsForFirstAnswers(host int32, end *connEnd) bool {
	p := &c.polled[host]
	waits := c.isPending && !c.tracker.primed && p.LastAnswer.Sub(c.seenSince(p, end)) <= maxWait
	c.waiting = c.waiting || waits
	return waits
}

// seenSince returns when an end of a host without another half was first seen; the zero time if that cannot be remembered.
func (c *crossHostCorrelator) seenSince(p *PolledHost, end *connEnd) time.Time {
	key := halfEnd{p.Target, p.Host.primaryID(end.netns), end.local, end.remote}
	since, seen := c.tracker.seen[key]
	if !seen {
		since = p.LastAnswer
	}
	if _, known := c.seen[key]; !known && len(c.seen) == maxSeen {
		return time.Time{}
	}
	c.seen[key] = since
	return since
}

// maxSeen bounds the ends that are remembered: some 10 MB. More of them do not wait.
const maxSeen = 65_536

// primaryID returns the ID of the container with the addresses of a network namespace; empty for the host's.
func (h *Host) primaryID(netns int32) string {
	if primary := h.namespaces[netns].primary; primary >= 0 {
		return h.containers[primary].ID
	}
	return ""
}
