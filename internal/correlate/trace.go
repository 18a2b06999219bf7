package correlate

import (
	"net/netip"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// dialled is a client half whose server is on the same host.
type dialled struct {
	half
	server party
	at     service // where it is reached
	via    graph.Via
	found  bool // the other half was seen
}

// source is where a connection comes from, in a form that maps hash fast.
type source struct {
	addr [16]byte
	port uint16
}

func sourceOf(at netip.AddrPort) source { return source{at.Addr().As16(), at.Port()} }

// meeting is what both halves of a connection say of it.
type meeting struct {
	source
	port   uint16 // the server's
	server int32  // its namespace
	client int32  // the client's namespace where the source means something in that alone, else anyNamespace
}

const anyNamespace int32 = -1

// tracer follows the connections of one host.
type tracer struct {
	*Host
	owners  map[ends]party // of sockets in namespaces that several share
	dialled []dialled
	waiting map[meeting]int32     // index in dialled
	left    map[meeting]int       // index in outward
	passed  map[service]*passedOn // server halves that come from the host
	links   map[linkOnHost]int    // index in within
}

// ends are a socket's, in its namespace.
type ends struct {
	namespace     int32
	local, remote netip.AddrPort
}

type linkOnHost struct {
	client, server party
	port           uint16
	via            graph.Via
}

// passedOn are server halves that come from an address of a host: from its own processes, or from containers of it whose
// halves they do not match, because the engine's proxy passed them on or masquerading changed the port.
type passedOn struct {
	halves  []half
	clients int // client halves of containers that came by the same way
}

func newTracer(h *Host) *tracer {
	return &tracer{
		Host: h, owners: make(map[ends]party), waiting: make(map[meeting]int32), left: make(map[meeting]int),
		passed: make(map[service]*passedOn), links: make(map[linkOnHost]int),
	}
}

// trace follows all connections: first what was dialled, then what was accepted, which confirms it.
func (t *tracer) trace(containers []snapshotv1.Container, spaces []int32) {
	halves := t.decode(containers, spaces)
	t.dialled = make([]dialled, 0, len(halves))
	for _, h := range halves {
		if !h.inbound {
			t.dial(h.half)
		}
	}
	for _, h := range halves {
		if h.inbound {
			t.accept(h.half)
		}
	}
	t.settle()
}

// dial finds the server of a client half, if it is on this host.
func (t *tracer) dial(h half) {
	d := dialled{half: h, at: service{port: h.remote.Port()}}
	remote := h.remote.Addr()
	switch space, isContainer := t.reached[remote]; {
	case h.undirected:
		if !t.isHost(remote) || !t.dialHost(&d) || d.server == hostItself {
			t.outward = append(t.outward, h)
			return
		}
	case remote.IsLoopback():
		t.dialLoopback(&d)
	case isContainer && t.near(h.namespace, space):
		d.via, d.at.namespace, d.server = graph.ViaDirect, space, t.ownerOf(space, h.remote)
	case t.isHost(remote):
		t.dialHost(&d)
	default:
		t.leave(h)
		return
	}
	t.await(d)
}

// leave keeps a client half that leads elsewhere, or to an address of nobody, such as a service's virtual one, behind which
// is a container of this host all the same.
func (t *tracer) leave(h half) {
	t.left[meeting{source: sourceOf(h.local), port: h.remote.Port(), client: h.namespace}] = len(t.outward)
	t.outward = append(t.outward, h)
}

// ownerOf returns who listens, or else whose address it is.
func (h *Host) ownerOf(space int32, at netip.AddrPort) party {
	if owner, ok := h.listening(space, at); ok {
		return owner
	}
	return h.namespaces[space].primary
}

// dialLoopback finds who listens on loopback of the client's own namespace.
func (t *tracer) dialLoopback(d *dialled) {
	d.via, d.at.namespace = graph.ViaLoopback, d.namespace
	owner, ok := t.listening(d.namespace, d.remote)
	switch {
	case d.remote.Addr() == resolver:
		d.server, d.via, d.at.namespace = hostItself, graph.ViaHost, hostNamespace
	case ok:
		d.server = owner
	case d.namespace == hostNamespace:
		t.dialHost(d)
		if d.server == hostItself {
			d.via = graph.ViaLoopback
		}
	default: // it listens no more: one of those who are there did
		d.server = t.oneOf(t.namespaces[d.namespace].members)
	}
}

// dialHost finds who is reached at an address of this host, and reports whether somebody is known to listen there.
func (h *Host) dialHost(d *dialled) bool {
	if b, ok := h.bound(d.remote); ok {
		d.via, d.at, d.server = graph.ViaPublished, b.service, b.owner
		return true
	}
	var ok bool
	d.via, d.at.namespace = graph.ViaHost, hostNamespace
	d.server, ok = h.listening(hostNamespace, d.remote)
	return ok
}

// await keeps a client half until its other half is found.
func (t *tracer) await(d dialled) {
	index := number(len(t.dialled))
	t.dialled = append(t.dialled, d)
	if d.server == hostItself { // of the host's processes no half is told
		return
	}
	key := meeting{source: sourceOf(d.local), client: anyNamespace, server: d.at.namespace, port: d.at.port}
	if d.local.Addr().IsLoopback() {
		key.client = d.namespace
	}
	if other, taken := t.waiting[key]; taken && t.dialled[other].via == graph.ViaDirect { // the same port to two addresses of one server
		return
	}
	t.waiting[key] = index
}

// accept finds the client of a server half, if it is on this host.
func (t *tracer) accept(h half) {
	source := h.remote.Addr()
	key := meeting{source: sourceOf(h.remote), client: anyNamespace, server: h.namespace, port: h.local.Port()}
	if source.IsLoopback() {
		key.client = h.namespace
	}
	if index, ok := t.waiting[key]; ok && !t.dialled[index].found {
		t.confirm(&t.dialled[index], h)
		return
	}
	space, isContainer := t.reached[source]
	isContainer = isContainer && t.near(h.namespace, space)
	if isContainer && t.meetLeft(h, space) {
		return
	}
	switch {
	case source.IsLoopback() && h.namespace == hostNamespace:
		t.count(hostItself, h.owner, h.local.Port(), graph.ViaLoopback, h)
	case source.IsLoopback():
		t.count(t.oneOf(t.namespaces[h.namespace].members), h.owner, h.local.Port(), graph.ViaLoopback, h)
	case isContainer:
		t.count(t.clientOf(space), h.owner, h.local.Port(), t.wayFrom(h, true), h)
	case t.isHost(source):
		p := t.passedTo(h.service())
		p.halves = append(p.halves, h)
	default:
		t.inward = append(t.inward, h)
	}
}

// meetLeft confirms a client half that leads to nobody, and left the namespace space for the same port.
func (t *tracer) meetLeft(h half, space int32) bool {
	i, ok := t.left[meeting{source: sourceOf(h.remote), port: h.local.Port(), client: space}]
	if !ok || t.outward[i].met {
		return false
	}
	t.outward[i].met = true
	t.confirm(&dialled{half: t.outward[i], server: h.owner, at: h.service(), via: graph.ViaDirect}, h)
	return true
}

// clientOf returns who may have dialled from a namespace's address.
func (h *Host) clientOf(space int32) party { return h.oneOf(h.namespaces[space].members) }

// wayFrom returns how a server half came whose client half was not seen: to the server's own address if the client is a
// container of the same host or the port is not published, and else through the published port.
func (h *Host) wayFrom(accepted half, container bool) graph.Via {
	switch {
	case accepted.namespace == hostNamespace:
		return graph.ViaHost
	case !container && h.publishes[accepted.service()]:
		return graph.ViaPublished
	}
	return graph.ViaDirect
}

func (t *tracer) passedTo(s service) *passedOn {
	p, ok := t.passed[s]
	if !ok {
		p = &passedOn{}
		t.passed[s] = p
	}
	return p
}

// confirm counts a connection both halves of which were seen.
func (t *tracer) confirm(d *dialled, accepted half) {
	d.found = true
	t.link(d.owner, accepted.owner, d.at.port, d.via).addBoth(d.half, accepted)
}

// count counts a connection of which the server's half alone was seen.
func (t *tracer) count(client, server party, port uint16, via graph.Via, accepted half) {
	link := t.link(client, server, port, via)
	link.serverSeen = true
	link.add(accepted.closed, accepted.measured, true)
}

func (t *tracer) link(client, server party, port uint16, via graph.Via) *count {
	key := linkOnHost{client, server, port, via}
	i, ok := t.links[key]
	if !ok {
		i = len(t.within)
		t.links[key] = i
		t.within = append(t.within, tally{client: client, server: server, port: port, via: via})
	}
	return &t.within[i].count
}

// settle counts the halves that stayed alone. What came from the host is the engine's proxy's as far as containers of this
// host sent something to it; the rest is the host's own processes'.
func (t *tracer) settle() {
	for i := range t.dialled {
		d := &t.dialled[i]
		if d.found {
			continue
		}
		link := t.link(d.owner, d.server, d.at.port, d.via)
		link.clientSeen = true
		link.add(d.closed, d.measured, false)
		if d.via == graph.ViaPublished {
			if p, ok := t.passed[d.at]; ok {
				p.clients++
			}
		}
	}
	for s, p := range t.passed {
		for _, h := range beyond(p.halves, p.clients) {
			t.count(hostItself, h.owner, s.port, t.wayFrom(h, false), h)
		}
	}
}

// beyond returns the server halves that none of so many clients can explain. A past one may be any client's whose own
// half is gone.
func beyond(halves []half, clients int) []half {
	if clients == 0 {
		return halves
	}
	var left []half
	for _, h := range halves {
		if h.closed {
			continue
		}
		if clients > 0 {
			clients--
			continue
		}
		left = append(left, h)
	}
	return left
}
