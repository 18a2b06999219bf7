package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
)

// reaching is a client half that leads out of its host.
type reaching struct {
	*half        // of a host, which is not changed
	host   int32 // the client's
	to     place // where it leads; its host is nowhere if that is not known
	port   uint16
	via    graph.Via
	server int32 // node, as far as the client's half tells
	found  bool  // there is such a server
	taken  bool  // the other half was seen
}

const nowhere int32 = -1

// lead is a place to which a client half may lead.
type lead struct {
	reaching int32
	port     uint16
	to       place
}

// arrivals finds client halves, by their indexes in reaching.
type arrivals struct {
	first map[arrival]int32
	more  map[arrival][]int32
}

// arrival is what both halves of a connection between hosts say of it. Where the client's host put its own address in
// the place of the client's, which keeps the port if it is free, that host stands for all of its addresses.
type arrival struct {
	source        // without address if masqueraded
	port   uint16 // the server's
	client int32  // host, if masqueraded, else nowhere
	server place
}

// overlayArrival is what both halves say of a connection on an overlay network to an address that is no container's,
// such as a service's virtual one.
type overlayArrival struct {
	network string
	source
	port uint16
}

// origin is one host's connections to one port elsewhere.
type origin struct {
	client int32 // host
	server place
	port   uint16
}

// dialAll finds the servers of client halves.
func (l *linker) dialAll() {
	for i, source := range l.sources {
		for j := range source.Host.outward {
			h := &source.Host.outward[j]
			if h.met {
				continue
			}
			l.reaching = append(l.reaching, reaching{half: h, host: number(i), port: h.remote.Port(), via: graph.ViaDirect, to: place{host: nowhere}})
			l.dial(number(len(l.reaching) - 1))
		}
	}
}

func (l *linker) dial(index int32) {
	r := &l.reaching[index]
	addr := r.remote.Addr()
	if at, ok := l.overlayAt(place{r.host, r.namespace}, addr); ok {
		l.reach(index, at)
		return
	}
	if space, ok := l.sources[r.host].Host.reached[addr]; ok { // on a network that the client is not on
		l.reach(index, place{r.host, space})
		return
	}
	if o, ok := l.hosts[addr]; ok {
		l.reachAny(index, o, graph.ViaHost, l.reachHost)
		return
	}
	if o, ok := l.routable[addr]; ok {
		l.reachAny(index, o, graph.ViaDirect, l.reach)
		return
	}
	if r.undirected {
		return
	}
	r.server = l.outside(addr)
	if network, ok := l.networkOf(place{r.host, r.namespace}, r.local.Addr()); ok {
		l.unplaced[overlayArrival{network, sourceOf(r.local), r.port}] = index
	}
}

// networkOf returns the network on which a namespace has an address.
func (l *linker) networkOf(at place, addr netip.Addr) (network string, ok bool) {
	for _, network := range l.networksOf(at) {
		if owner, ok := l.overlay[networkAddr{network, addr}]; ok && owner == at {
			return network, true
		}
	}
	return "", false
}

// overlayAt returns whose an address is on the networks of a namespace, on whichever host.
func (l *linker) overlayAt(from place, addr netip.Addr) (place, bool) {
	for _, network := range l.networksOf(from) {
		if at, ok := l.overlay[networkAddr{network, addr}]; ok {
			return at, true
		}
	}
	return place{}, false
}

// networksOf returns the IDs of a namespace's networks.
func (l *linker) networksOf(at place) []string {
	return l.sources[at.host].Host.namespaces[at.namespace].ids
}

// reachAny lets a client half lead to whoever has the address. Where several have it, the other half may tell which.
func (l *linker) reachAny(index int32, o owner, via graph.Via, reach func(int32, place)) {
	reach(index, o.place)
	if len(o.others) == 0 {
		return
	}
	for _, other := range o.others {
		reach(index, other)
	}
	r := &l.reaching[index]
	r.server, r.to, r.port, r.via = l.ambiguous(r.remote.Addr(), o), place{host: nowhere}, r.remote.Port(), via
}

// reach lets a client half lead to a container's own address.
func (l *linker) reach(index int32, at place) {
	r, h := &l.reaching[index], l.sources[at.host].Host
	r.via = graph.ViaDirect
	_, listens := h.listening(at.namespace, r.remote)
	l.lead(index, at.host, service{at.namespace, r.remote.Port()}, h.ownerOf(at.namespace, r.remote), listens)
}

// reachHost lets a client half lead to what is reached at an address of a host.
func (l *linker) reachHost(index int32, at place) {
	r := &l.reaching[index]
	d := dialled{half: *r.half, at: service{port: r.remote.Port()}}
	listens := l.sources[at.host].Host.dialHost(&d)
	r.via = d.via
	l.lead(index, at.host, d.at, d.server, listens)
}

func (l *linker) lead(index, host int32, at service, owner party, listens bool) {
	r := &l.reaching[index]
	if r.undirected && !listens {
		return
	}
	r.found = true
	r.to, r.port, r.server = place{host, at.namespace}, at.port, l.node(host, owner)
	l.leads = append(l.leads, lead{index, r.port, r.to})
}

// arrivals returns how client halves arrive at where they may lead.
func (l *linker) arrivals(masked bool) arrivals {
	a := arrivals{make(map[arrival]int32, len(l.leads)), make(map[arrival][]int32)}
	for _, lead := range l.leads {
		r := &l.reaching[lead.reaching]
		key := arrival{source: sourceOf(r.local), client: nowhere, server: lead.to, port: lead.port}
		if masked {
			key.source, key.client = source{port: r.local.Port()}, r.host
		}
		if _, taken := a.first[key]; taken {
			a.more[key] = append(a.more[key], lead.reaching)
		} else {
			a.first[key] = lead.reaching
		}
	}
	return a
}

// acceptAll finds the clients of server halves.
func (l *linker) acceptAll() {
	for i, source := range l.sources {
		for _, h := range source.Host.inward {
			l.accept(number(i), h)
		}
	}
}

func (l *linker) accept(host int32, h half) {
	at := place{host, h.namespace}
	source := h.remote.Addr()
	if l.addresses[source] {
		key := arrival{source: sourceOf(h.remote), client: nowhere, server: at, port: h.local.Port()}
		if l.meet(l.dialled(), key, h) || l.meetOnOverlay(at, h) {
			return
		}
	}
	here := l.sources[host].Host
	if from, ok := l.overlayAt(at, source); ok {
		l.accepted(l.node(from.host, l.sources[from.host].Host.clientOf(from.namespace)), host, h, here.wayFrom(h, true))
		return
	}
	if space, ok := here.reached[source]; ok {
		l.accepted(l.node(host, here.clientOf(space)), host, h, here.wayFrom(h, true))
		return
	}
	if o, ok := l.hosts[source]; ok {
		l.acceptFromHost(at, o, h)
		return
	}
	if o, ok := l.routable[source]; ok {
		client := l.ambiguous(source, o)
		if len(o.others) == 0 {
			client = l.node(o.host, l.sources[o.host].Host.clientOf(o.namespace))
		}
		l.accepted(client, host, h, here.wayFrom(h, false))
		return
	}
	l.accepted(l.outside(source), host, h, here.wayFrom(h, false))
}

// meet confirms a client half that waits for this server half. Those that are taken wait no more.
func (l *linker) meet(a arrivals, key arrival, h half) bool {
	index, ok := a.first[key]
	if !ok {
		return false
	}
	for more := a.more[key]; l.reaching[index].taken; more = a.more[key] {
		if len(more) == 0 {
			return false
		}
		index = more[0]
		a.first[key], a.more[key] = index, more[1:]
	}
	l.confirm(&l.reaching[index], key.server.host, h)
	return true
}

func (l *linker) meetOnOverlay(at place, h half) bool {
	for _, network := range l.networksOf(at) {
		index, ok := l.unplaced[overlayArrival{network, sourceOf(h.remote), h.local.Port()}]
		if ok && !l.reaching[index].taken {
			l.confirm(&l.reaching[index], at.host, h)
			return true
		}
	}
	return false
}

// acceptFromHost finds the client of a server half that comes from the address of a host. Where several hosts have the
// address, the other half may tell which.
func (l *linker) acceptFromHost(at place, o owner, h half) {
	port := h.local.Port()
	for _, from := range append([]place{o.place}, o.others...) {
		if l.meet(l.masked(), arrival{source: source{port: h.remote.Port()}, client: from.host, server: at, port: port}, h) {
			return
		}
	}
	if len(o.others) > 0 {
		l.accepted(l.ambiguous(h.remote.Addr(), o), at.host, h, l.sources[at.host].Host.wayFrom(h, false))
		return
	}
	key := origin{o.host, at, port}
	p, ok := l.passed[key]
	if !ok {
		p = &passedOn{}
		l.passed[key] = p
	}
	p.halves = append(p.halves, h)
}

// confirm counts a connection both halves of which were seen.
func (l *linker) confirm(r *reaching, host int32, accepted half) {
	r.taken = true
	if r.to.host == nowhere { // now it is known
		r.via = l.sources[host].Host.wayFrom(accepted, r.via == graph.ViaDirect)
	}
	key := linkKey{l.node(r.host, r.owner), l.node(host, accepted.owner), accepted.local.Port(), r.via}
	l.count(key, l.sources[r.host].LastAnswer)
	l.count(key, l.sources[host].LastAnswer).addBoth(*r.half, accepted)
}

// accepted counts a connection of which the server's half alone was seen.
func (l *linker) accepted(client, host int32, h half, via graph.Via) {
	c := l.count(linkKey{client, l.node(host, h.owner), h.local.Port(), via}, l.sources[host].LastAnswer)
	c.serverSeen = true
	c.add(h.closed, h.measured, true)
}

// settle counts the halves that stayed alone.
func (l *linker) settle() {
	for i := range l.reaching {
		r := &l.reaching[i]
		switch {
		case r.taken:
		case r.undirected && !r.found:
			l.unattributed[r.host]++
		default:
			c := l.count(linkKey{l.node(r.host, r.owner), r.server, r.port, r.via}, l.sources[r.host].LastAnswer)
			c.clientSeen = true
			c.add(r.closed, r.measured, false)
			if p, ok := l.passed[origin{r.host, r.to, r.port}]; ok {
				p.clients++
			}
		}
	}
	for key, p := range l.passed {
		server := l.sources[key.server.host].Host
		for _, h := range beyond(p.halves, p.clients) {
			l.accepted(l.node(key.client, hostItself), key.server.host, h, server.wayFrom(h, false))
		}
	}
}
