package correlate

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// A world is a random topology of hosts, and random connections. It writes the ends of each connection into the socket tables as
// the kernel does, and keeps the truth, so that each link of the graph can be checked.
type world struct {
	*rand.Rand
	hosts []*worldHost
	begun int // connections
	truth map[truth]*known
	story []string                   // the connections, for failures
	peers map[[2]netip.AddrPort]bool // connections from listening ports
}

// truth is a true link. Nodes are "host/container", "host" for the host's processes, or the address of an external node.
type truth struct {
	client, server string
	port           uint16
	via            graph.Via
}

// known is what there is to know of a true link.
type known struct {
	connections int
	decided     bool // whether the socket tables decide at least one of them
}

type worldHost struct {
	name           string
	lan, lan6      netip.Addr
	proxied        bool // all connections to published ports go through docker-proxy; else only those of the host and its containers
	noProxy        bool // there is no docker-proxy
	read           bool // the host's own sockets are read
	blind          bool // nobody knows who owns them
	netns          *worldNetns
	members        []*worldParty // containers
	document       snapshotv1.Snapshot
	begins         map[int][]int // when each connection in the document began, by container; -1 for the host's processes
	blindListeners []snapshotv1.HostListener
	natted         map[netip.AddrPort]bool // sources that masquerading uses
}

// worldParty is a container, or the processes of a host.
type worldParty struct {
	host      *worldHost
	name      string
	netns     *worldNetns
	index     int               // in the document; -1 for the host's processes
	listeners map[uint16]uint16 // the published port, or 0, by port
}

type worldNetns struct {
	addrs    map[string]netip.Addr // by network
	gateways map[string]netip.Addr
	ports    map[uint16]bool // in use
	listens  map[uint16]bool
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), truth: make(map[truth]*known), peers: make(map[[2]netip.AddrPort]bool)}
	for i := range 1 + w.IntN(3) {
		w.addHost(i)
	}
	for range 3 + w.IntN(25) {
		w.connect()
	}
	return w
}

func (w *world) chance(percent int) bool { return w.IntN(100) < percent }

func addrf(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

// addHost adds a host. All hosts have equal bridges with equal addresses, in IPv4 and IPv6.
func (w *world) addHost(i int) {
	h := &worldHost{
		name: string(rune('a' + i)), lan: addrf("10.77.0.%d", 11+i), lan6: addrf("fd00:77::%d", 11+i), read: w.chance(70), natted: make(map[netip.AddrPort]bool), begins: make(map[int][]int),
		netns: newWorldNetns(),
	}
	h.blind = h.read && w.chance(20)
	switch w.IntN(3) {
	case 0:
		h.noProxy = true
	case 1:
		h.proxied = true
	}
	h.document.Host = snapshotv1.Host{ID: "engine " + h.name, Name: h.name, AllAddresses: true, Addresses: []netip.Addr{
		h.lan, h.lan6, addrf("172.17.0.1"), addrf("172.18.0.1"), addrf("fd00:17::1"), addrf("fd00:18::1"), addrf("10.71.%d.1", i), addrf("fd71:%d::1", i),
	}}
	w.hosts = append(w.hosts, h)
	for n := range 2 + w.IntN(5) {
		w.addContainer(h, i, n)
	}
	if h.read {
		h.document.Host.Sockets = &snapshotv1.HostSockets{Listening: append(h.blindListeners, h.proxyListeners()...)}
	}
}

// proxyListeners returns the listeners of docker-proxy.
func (h *worldHost) proxyListeners() (all []snapshotv1.HostListener) {
	for _, c := range h.members {
		for _, published := range c.listeners {
			if published != 0 && !h.noProxy {
				all = append(all, snapshotv1.HostListener{Endpoint: snapshotv1.Endpoint{Address: "0.0.0.0", Port: published}, OwnerUnknown: h.blind})
				all = append(all, snapshotv1.HostListener{Endpoint: snapshotv1.Endpoint{Address: "::", Port: published}, OwnerUnknown: h.blind})
			}
		}
	}
	return all
}

func newWorldNetns() *worldNetns {
	return &worldNetns{addrs: make(map[string]netip.Addr), gateways: make(map[string]netip.Addr), ports: make(map[uint16]bool), listens: make(map[uint16]bool)}
}

// addContainer adds container n of host number i.
func (w *world) addContainer(h *worldHost, i, n int) {
	c := &worldParty{host: h, name: fmt.Sprint("c", n), index: n, listeners: make(map[uint16]uint16), netns: newWorldNetns()}
	d := snapshotv1.Container{ID: fmt.Sprintf("%s-%d", h.name, n), Name: "/" + c.name, Image: "it", Status: snapshotv1.StatusOK, NetworkMode: "default"}
	var own *worldParty // with a namespace of its own
	for _, m := range h.members {
		if h.document.Containers[m.index].NetworkMode == "default" {
			own = m
		}
	}
	switch k := w.IntN(10); {
	case k == 0 && h.read:
		c.netns, d.NetworkMode = h.netns, "host"
	case k == 1 && own != nil:
		c.netns, d.NetworkMode = own.netns, "container:"+h.document.Containers[own.index].ID
	default:
		w.attach(c.netns, h, i, n, &d)
	}
	for range w.IntN(3) {
		port := uint16(8080 + w.IntN(3))
		if c.netns == h.netns {
			port += uint16(10 * n)
		}
		if c.netns.listens[port] {
			continue
		}
		c.netns.listens[port] = true
		c.listeners[port] = 0
		l := snapshotv1.Listener{Endpoint: snapshotv1.Endpoint{Address: "::", Port: port}}
		if c.netns != h.netns && w.chance(50) {
			c.listeners[port] = uint16(18000 + 10*n + int(port-8080))
			h.netns.listens[c.listeners[port]] = !h.noProxy
			l.Published = []snapshotv1.Endpoint{{Address: "0.0.0.0", Port: c.listeners[port]}, {Address: "::", Port: c.listeners[port]}}
		}
		if c.netns == h.netns && h.blind {
			h.blindListeners = append(h.blindListeners, snapshotv1.HostListener{Endpoint: l.Endpoint, OwnerUnknown: true})
			continue
		}
		d.Listening = append(d.Listening, l)
	}
	if c.netns == h.netns && h.blind {
		d.Status = snapshotv1.StatusPartial
	}
	h.members = append(h.members, c)
	h.document.Containers = append(h.document.Containers, d)
}

// attach connects a container to random networks.
func (w *world) attach(ns *worldNetns, h *worldHost, i, n int, d *snapshotv1.Container) {
	add := func(network string, gateway, gateway6 netip.Addr, addrs ...netip.Addr) {
		v1 := snapshotv1.Network{ID: network + " of " + h.name, Addresses: addrs}
		if network == "overlay" {
			v1.ID = network
		}
		if gateway.IsValid() {
			v1.Gateways = []netip.Addr{gateway, gateway6}
			ns.gateways[network], ns.gateways[network+"6"] = gateway, gateway6
		}
		ns.addrs[network], ns.addrs[network+"6"] = addrs[0], addrs[1]
		d.Networks = append(d.Networks, v1)
	}
	switch w.IntN(3) {
	case 0:
		add("bridge", addrf("172.17.0.1"), addrf("fd00:17::1"), addrf("172.17.0.%d", 2+n), addrf("fd00:17::%d", 2+n))
	case 1:
		add("other", addrf("172.18.0.1"), addrf("fd00:18::1"), addrf("172.18.0.%d", 2+n), addrf("fd00:18::%d", 2+n))
	case 2:
		add("routed", addrf("10.71.%d.1", i), addrf("fd71:%d::1", i), addrf("10.71.%d.%d", i, 2+n), addrf("fd71:%d::%d", i, 2+n))
	}
	if w.chance(30) {
		add("overlay", netip.Addr{}, netip.Addr{}, addrf("10.0.1.%d", 2+10*i+n), addrf("fd00:1::%d", 2+10*i+n))
	}
	if w.chance(20) {
		add("macvlan", addrf("10.77.0.254"), addrf("fd00:77::fe"), addrf("10.77.0.%d", 100+10*i+n), addrf("fd00:77::%d", 100+10*i+n))
	}
	if w.chance(20) { // a tunnel that the engine does not know
		ns.addrs["tunnel"], ns.addrs["tunnel6"] = addrf("10.8.0.%d", 2+10*i+n), addrf("fd00:8::%d", 2+10*i+n)
		d.Addresses = []netip.Addr{ns.addrs["tunnel"], ns.addrs["tunnel6"]}
	}
}

// ephemeral returns a free local port. All namespaces begin with the same one, so that equal tuples are common.
func (ns *worldNetns) ephemeral() uint16 {
	for port := uint16(40000); ; port++ {
		if !ns.ports[port] {
			ns.ports[port] = true
			return port
		}
	}
}

// masquerade returns the source of a connection from a host's address. The port is kept if it is free.
func (h *worldHost) masquerade(addr netip.Addr, port uint16) netip.AddrPort {
	for at := netip.AddrPortFrom(addr, port); ; at = netip.AddrPortFrom(addr, at.Port()+997) {
		if !h.natted[at] && !h.netns.ports[at.Port()] {
			h.natted[at], h.netns.ports[at.Port()] = true, true
			return at
		}
	}
}

// closing is which side closes a connection first, if any.
type closing int

const (
	neither closing = iota
	byClient
	byServer
)

// row is one end of a connection in the table of a party's namespace.
type row struct {
	of            *worldParty // nil: nobody reads it
	local, remote netip.AddrPort
	client        bool
}

// write adds a connection's ends to the tables. The side that closes first keeps its end. withInfo adds which end dialled.
func (w *world) write(closes closing, withInfo bool, client, server row) {
	for _, r := range []row{client, server} {
		if r.of == nil || closes == byClient && !r.client || closes == byServer && r.client {
			continue
		}
		c := snapshotv1.Connection{Local: toEndpoint(r.local), Remote: toEndpoint(r.remote), State: "ESTABLISHED", Direction: "out"}
		if r.of.netns.listens[r.local.Port()] {
			c.Direction = "in"
		}
		if closes != neither {
			c.State = "TIME_WAIT"
		} else if withInfo {
			c.Dialled = &r.client
		}
		h := r.of.host
		switch {
		case r.of.index >= 0 && (r.of.netns != h.netns || !h.blind && (closes == neither || !r.client)):
			d := &h.document.Containers[r.of.index]
			d.Connections = append(d.Connections, c)
			h.begins[r.of.index] = append(h.begins[r.of.index], w.begun)
		case h.read:
			unknown := (closes != neither || h.blind) && slices.ContainsFunc(h.members, func(m *worldParty) bool { return m.netns == h.netns })
			h.document.Host.Sockets.Connections = append(h.document.Host.Sockets.Connections, snapshotv1.HostConnection{Connection: c, OwnerUnknown: unknown})
			h.begins[-1] = append(h.begins[-1], w.begun)
		}
	}
}

func toEndpoint(at netip.AddrPort) snapshotv1.Endpoint {
	return snapshotv1.Endpoint{Address: at.Addr().String(), Port: at.Port()}
}

func (h *worldHost) processes() *worldParty {
	return &worldParty{host: h, name: "", netns: h.netns, index: -1}
}

// hidden reports whether nobody knows which sockets are the party's.
func (p *worldParty) hidden() bool { return p.host != nil && p.host.blind && p.netns == p.host.netns }

func (p *worldParty) String() string {
	if p.host == nil {
		return p.name
	}
	if p.index < 0 {
		return p.host.name
	}
	return p.host.name + "/" + p.name
}

// connect adds a random connection.
func (w *world) connect() {
	w.begun++
	sh, ch := w.hosts[w.IntN(len(w.hosts))], w.hosts[w.IntN(len(w.hosts))]
	server := sh.members[w.IntN(len(sh.members))]
	client := ch.members[w.IntN(len(ch.members))]
	if w.chance(15) {
		client = ch.processes()
	}
	if w.chance(10) {
		w.connectOutside(client)
		return
	}
	ports := slices.Sorted(maps.Keys(server.listeners))
	if len(ports) == 0 {
		return
	}
	port := ports[w.IntN(len(ports))]
	closes := neither
	if w.chance(30) {
		closes = closing(1 + w.IntN(2))
	}
	if published := server.listeners[port]; published != 0 && w.chance(5) {
		w.connectFromOutside(server, port, published, closes)
		return
	}
	ways := w.ways(client, server, port)
	if len(ways) == 0 {
		return
	}
	ways[w.IntN(len(ways))](closes)
}

// connectOutside adds a connection to an external address.
func (w *world) connectOutside(client *worldParty) {
	if client.index < 0 {
		return
	}
	remote := netip.AddrPortFrom(addrf("192.0.2.%d", 1+w.IntN(5)), 443)
	local := netip.AddrPortFrom(client.source(""), client.netns.ephemeral())
	w.write(neither, false, row{client, local, remote, true}, row{})
	w.is(client, &worldParty{name: remote.Addr().String()}, 443, graph.ViaDirect, true, "outside %s > %s", local, remote)
}

// connectFromOutside adds a connection of an external client to a published port.
func (w *world) connectFromOutside(server *worldParty, port, published uint16, closes closing) {
	host := server.host
	source := netip.AddrPortFrom(addrf("192.0.2.%d", 1+w.IntN(5)), uint16(40000+w.IntN(20000)))
	inner := netip.AddrPortFrom(server.source(""), port)
	if !inner.Addr().IsValid() {
		return
	}
	seen := source
	if host.proxied {
		dialled, back := netip.AddrPortFrom(host.lan, published), netip.AddrPortFrom(host.bridgeOf(server, inner.Addr()), host.netns.ephemeral())
		w.write(closes, false, row{}, row{host.processes(), dialled, source, false})
		w.write(closes, false, row{host.processes(), back, inner, true}, row{})
		seen = back
	}
	w.write(closes, false, row{}, row{server, inner, seen, false})
	decided := closes != byClient && (closes == neither || server.alone()) && (!host.proxied || host.read)
	w.is(&worldParty{name: source.Addr().String()}, server, port, graph.ViaPublished, decided, "outside %s > %s closes %d", source, inner, closes)
}

// source returns an address of a party: of IPv6 if family is "6", else of IPv4.
func (p *worldParty) source(family string) netip.Addr {
	if p.netns == p.host.netns {
		return p.host.address(family)
	}
	for _, network := range []string{"bridge", "other", "routed"} {
		if addr, ok := p.netns.addrs[network+family]; ok {
			return addr
		}
	}
	return netip.Addr{}
}

func (h *worldHost) address(family string) netip.Addr {
	if family == "6" {
		return h.lan6
	}
	return h.lan
}

func (w *world) family() string { return []string{"", "6"}[w.IntN(2)] }

func (w *world) is(client, server *worldParty, port uint16, via graph.Via, decided bool, format string, args ...any) {
	t := truth{client.String(), server.String(), port, via}
	decided = decided && !client.hidden() && !server.hidden()
	if w.truth[t] == nil {
		w.truth[t] = new(known)
	}
	w.truth[t].connections++
	w.truth[t].decided = w.truth[t].decided || decided
	w.story = append(w.story, fmt.Sprintf("%s > %s:%d %s decided=%t: ", client, server, port, via, decided)+fmt.Sprintf(format, args...))
}

// ways returns the ways in which a client can reach a server.
func (w *world) ways(client, server *worldParty, port uint16) (ways []func(closes closing)) {
	same := client.host == server.host
	hostClient, hostServer := client.netns == client.host.netns, server.netns == server.host.netns
	if client.netns == server.netns && client.index >= 0 {
		ways = append(ways, func(closes closing) {
			w.direct(client, server, port, closes, addrf("127.0.0.1"), addrf("127.0.0.1"), graph.ViaLoopback, closes == neither)
		})
	}
	for _, network := range slices.Sorted(maps.Keys(server.netns.addrs)) {
		to := server.netns.addrs[network]
		base := strings.TrimSuffix(network, "6")
		from, joined := client.netns.addrs[network]
		reaches := base == "overlay" || base == "macvlan" || base == "tunnel" || base == "routed" || same
		if joined && reaches && client.netns != server.netns {
			decided := closes0(base, same)
			ways = append(ways, func(closes closing) {
				w.direct(client, server, port, closes, from, to, graph.ViaDirect, closes == neither || decided)
			})
		}
	}
	family := w.family()
	gateway, onBridge := server.netns.gateways["bridge"+family]
	if same && hostClient && onBridge {
		ways = append(ways, func(closes closing) {
			w.direct(client, server, port, closes, gateway, server.netns.addrs["bridge"+family], graph.ViaDirect, closes == neither && client.host.read)
		})
	}
	if hostServer && (client.index >= 0 || !same) {
		ways = append(ways, func(closes closing) { w.toHostNetwork(client, server, port, closes) })
	}
	if published := server.listeners[port]; published != 0 {
		ways = append(ways, func(closes closing) { w.toPublished(client, server, port, published, closes) })
	}
	return ways
}

// closes0 reports whether a connection that one side has closed is still decided by the address of the other side.
func closes0(network string, same bool) bool {
	return network == "overlay" || same && network != "tunnel"
}

// direct adds a connection without any translation. Sometimes the client dials from a port at which it listens.
func (w *world) direct(client, server *worldParty, port uint16, closes closing, from, to netip.Addr, via graph.Via, decided bool) {
	source := netip.AddrPortFrom(from, client.netns.ephemeral())
	withInfo := w.chance(50)
	for _, p := range slices.Sorted(maps.Keys(client.listeners)) {
		pair := [2]netip.AddrPort{netip.AddrPortFrom(from, p), netip.AddrPortFrom(to, port)}
		if via == graph.ViaDirect && closes == neither && !w.peers[pair] && w.chance(50) {
			w.peers[pair], w.peers[[2]netip.AddrPort{pair[1], pair[0]}] = true, true
			source = netip.AddrPortFrom(from, p)
		}
	}
	target := netip.AddrPortFrom(to, port)
	w.write(closes, withInfo, row{client, source, target, true}, row{server, target, source, false})
	decided = decided && (withInfo || !client.netns.listens[source.Port()])
	w.is(client, server, port, via, decided && (client.alone() || closes == neither) && (server.alone() || closes == neither), "%s > %s closes %d", source, target, closes)
}

// alone reports whether nobody shares the party's network namespace.
func (p *worldParty) alone() bool {
	for _, m := range p.host.members {
		if m != p && m.netns == p.netns {
			return false
		}
	}
	return p.netns != p.host.netns
}

// toHostNetwork adds a connection to a container on the host's network.
func (w *world) toHostNetwork(client, server *worldParty, port uint16, closes closing) {
	family := w.family()
	target := netip.AddrPortFrom(server.host.address(family), port)
	source := netip.AddrPortFrom(client.source(family), client.netns.ephemeral())
	if !source.Addr().IsValid() {
		return
	}
	seen := source
	if client.host != server.host && client.netns != client.host.netns {
		seen = client.host.masquerade(client.host.address(family), source.Port())
	}
	decided := closes == neither && (client.index >= 0 || client.host.read)
	w.write(closes, false, row{client, source, target, true}, row{server, target, seen, false})
	w.is(client, server, port, graph.ViaHost, decided, "%s as %s > %s closes %d", source, seen, target, closes)
}

// toPublished adds a connection to a published port.
func (w *world) toPublished(client, server *worldParty, port, published uint16, closes closing) {
	host, family := server.host, w.family()
	dialled := netip.AddrPortFrom(host.address(family), published)
	source := netip.AddrPortFrom(client.source(family), client.netns.ephemeral())
	if family == "" && client.netns == host.netns && !host.noProxy && w.chance(50) {
		source, dialled = netip.AddrPortFrom(addrf("127.0.0.1"), source.Port()), netip.AddrPortFrom(addrf("127.0.0.1"), published)
	}
	byProxy := host.proxied
	inner := netip.AddrPortFrom(server.source(family), port)
	if family == "6" && !host.noProxy && w.chance(30) { // the server has no IPv6
		byProxy, inner = true, netip.AddrPortFrom(server.source(""), port)
	}
	if !source.Addr().IsValid() || !inner.Addr().IsValid() {
		return
	}
	seen := source
	local := client.host == host
	if !local && client.netns != client.host.netns {
		seen = client.host.masquerade(client.host.address(family), source.Port())
	}
	decided := closes == neither && (client.index >= 0 || client.host.read)
	w.is(client, server, port, graph.ViaPublished, decided, "%s as %s > %s > %s closes %d", source, seen, dialled, inner, closes)
	proxy := host.processes()
	if byProxy || local && !host.noProxy {
		back := netip.AddrPortFrom(host.bridgeOf(server, inner.Addr()), proxy.netns.ephemeral())
		piece := closing([]closing{neither, byClient, byServer}[closes])
		w.write(piece, false, row{client, source, dialled, true}, row{proxy, dialled, seen, false})
		w.write(piece, false, row{proxy, back, inner, true}, row{server, inner, back, false})
		return
	}
	if local && client.sharesNetwork(server) { // hairpin
		seen = host.masquerade(host.bridgeOf(server, inner.Addr()), source.Port())
	}
	w.write(closes, false, row{client, source, dialled, true}, row{server, inner, seen, false})
}

func (p *worldParty) sharesNetwork(other *worldParty) bool {
	for network := range p.netns.gateways {
		if _, ok := other.netns.gateways[network]; ok {
			return true
		}
	}
	return false
}

// bridgeOf returns the host's address on the network of a container, in the family of one of the container's addresses.
func (h *worldHost) bridgeOf(p *worldParty, addr netip.Addr) netip.Addr {
	for network, gateway := range p.netns.gateways {
		if p.netns.addrs[network] == addr {
			return gateway
		}
	}
	return netip.Addr{}
}

// faults returns what is wrong with a graph.
func (w *world) faults(g graph.Graph) (wrong []string) {
	nodes := make(map[string]graph.Node)
	for _, n := range g.Nodes {
		nodes[n.ID] = n
	}
	seen := make(map[truth]bool)
	for _, l := range g.Links {
		fits := false
		for t := range w.truth {
			kind := nodes[l.Client].Kind
			certain := (kind == graph.KindContainer || kind == graph.KindHost) && !w.hidesWay(l, nodes)
			if t.port != l.Port && !l.DirectionUnknown || t.via != l.Via && certain && !l.DirectionUnknown {
				continue
			}
			forward := w.may(nodes, l.Client, t.client) && w.may(nodes, l.Server, t.server)
			if forward || l.DirectionUnknown && w.may(nodes, l.Client, t.server) && w.may(nodes, l.Server, t.client) {
				fits = true
			}
		}
		seen[truth{name(nodes[l.Client]), name(nodes[l.Server]), l.Port, l.Via}] = true
		if !fits {
			wrong = append(wrong, fmt.Sprintf("not true: %s > %s:%d %s %d+%d", name(nodes[l.Client]), name(nodes[l.Server]), l.Port, l.Via, l.Connections, l.Closed))
		}
	}
	wrong = append(wrong, w.countWrong(g, nodes)...)
	for t, known := range w.truth {
		if known.decided && !seen[t] {
			wrong = append(wrong, fmt.Sprintf("missing: %s > %s:%d %s", t.client, t.server, t.port, t.via))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// countWrong returns the links with more connections than are true.
func (w *world) countWrong(g graph.Graph, nodes map[string]graph.Node) (wrong []string) {
	total, most := 0, 0
	for _, known := range w.truth {
		most += known.connections
	}
	for _, l := range g.Links {
		total += l.Connections + l.Closed
		limit := 0
		for t, known := range w.truth {
			forward := w.may(nodes, l.Client, t.client) && w.may(nodes, l.Server, t.server) && t.port == l.Port
			if forward || l.DirectionUnknown && w.may(nodes, l.Client, t.server) && w.may(nodes, l.Server, t.client) {
				limit += known.connections
			}
		}
		if l.Connections+l.Closed > limit {
			wrong = append(wrong, fmt.Sprintf("%d of %d: %s > %s:%d %s", l.Connections+l.Closed, limit, name(nodes[l.Client]), name(nodes[l.Server]), l.Port, l.Via))
		}
	}
	if total > most {
		wrong = append(wrong, fmt.Sprintf("%d connections of %d", total, most))
	}
	return wrong
}

// may reports whether a node is a party, or does not rule it out.
func (w *world) may(nodes map[string]graph.Node, id, party string) bool {
	n := nodes[id]
	switch n.Kind {
	case graph.KindUnknown:
		return party == n.Host || strings.HasPrefix(party, n.Host+"/") || w.proxies(n.Host)
	case graph.KindAmbiguous:
		return slices.ContainsFunc(n.Candidates, func(c string) bool {
			candidate, isNode := nodes[c]
			return isNode && name(candidate) == party || !isNode && (c == party || strings.HasPrefix(party, c+"/")) || c == "host/"+"engine "+party
		})
	}
	return name(n) == party
}

// hidesWay reports whether the socket tables do not tell how a client of another host reached a server: only the server had the
// connection, and it is closed.
func (w *world) hidesWay(l graph.Link, nodes map[string]graph.Node) bool {
	return l.Evidence == graph.EvidenceServer && l.Connections == 0 && nodes[l.Client].Host != nodes[l.Server].Host
}

// proxies reports whether docker-proxy of a host hides the clients of other hosts too.
func (w *world) proxies(host string) bool {
	return slices.ContainsFunc(w.hosts, func(h *worldHost) bool { return h.name == host && !h.noProxy })
}

func name(n graph.Node) string {
	if n.Kind == graph.KindContainer {
		return n.Host + "/" + n.Name
	}
	return n.Name
}

// documentAt returns the document when only some connections had begun.
func (h *worldHost) documentAt(begun int) snapshotv1.Snapshot {
	d := h.document
	d.Containers = slices.Clone(d.Containers)
	for i := range d.Containers {
		d.Containers[i].Connections = begunBy(begun, d.Containers[i].Connections, h.begins[i])
	}
	if d.Host.Sockets != nil {
		sockets := *d.Host.Sockets
		sockets.Connections = begunBy(begun, sockets.Connections, h.begins[-1])
		d.Host.Sockets = &sockets
	}
	return d
}

func begunBy[T any](begun int, all []T, begins []int) (some []T) {
	for i, began := range begins {
		if began <= begun {
			some = append(some, all[i])
		}
	}
	return some
}

// split returns the answers of two daemons, each of an engine with some of the host's containers. Those that share a namespace are on one
// engine. Each daemon takes the sockets of the other engine's containers on the host's network for the host's.
func (h *worldHost) split(r *rand.Rand, document snapshotv1.Snapshot) (parts [2]snapshotv1.Snapshot) {
	engines := make(map[string]int) // by container
	for i := range parts {
		parts[i] = document
		parts[i].Containers = nil
		parts[i].Host.ID = fmt.Sprint("engine ", i, " of ", h.name)
		parts[i].Host.BootID = "boot " + h.name
	}
	for _, c := range document.Containers {
		engine := r.IntN(len(parts))
		if joined, joins := strings.CutPrefix(c.NetworkMode, joinedMode); joins {
			engine = engines[joined]
		}
		engines[c.ID] = engine
		parts[engine].Containers = append(parts[engine].Containers, c)
	}
	for i := range parts {
		parts[i].Host.Sockets = seenBy(document.Host.Sockets, &parts[i], &parts[1-i])
	}
	return parts
}

// seenBy returns the host's sockets as the daemon of one engine reports them. other is the other engine.
func seenBy(all *snapshotv1.HostSockets, own, other *snapshotv1.Snapshot) *snapshotv1.HostSockets {
	if all == nil {
		return nil
	}
	sockets := new(snapshotv1.HostSockets)
	onHost := slices.ContainsFunc(own.Containers, func(c snapshotv1.Container) bool { return c.NetworkMode == networkModeHost })
	published := make(map[uint16]bool)
	for _, c := range own.Containers {
		for _, l := range c.Listening {
			for _, at := range l.Published {
				published[at.Port] = true
			}
		}
	}
	add := func(x snapshotv1.HostConnection) {
		isAccepted, isLoopback := x.Direction == directionIn, strings.HasPrefix(x.Local.Address, "127.")
		if !onHost && (isAccepted && !published[x.Local.Port] || !isAccepted && isLoopback && !published[x.Remote.Port]) {
			return // as AttributeHost
		}
		x.OwnerUnknown = x.OwnerUnknown && onHost
		sockets.Connections = append(sockets.Connections, x)
	}
	for _, l := range all.Listening {
		l.OwnerUnknown = onHost
		sockets.Listening = append(sockets.Listening, l)
	}
	for _, x := range all.Connections {
		add(x)
	}
	for _, c := range other.Containers {
		if c.NetworkMode != networkModeHost {
			continue
		}
		for _, l := range c.Listening {
			sockets.Listening = append(sockets.Listening, snapshotv1.HostListener{Endpoint: l.Endpoint})
		}
		for _, x := range c.Connections {
			add(snapshotv1.HostConnection{Connection: x})
		}
	}
	return sockets
}

// In random worlds each link is true or says that it is not certain, and each connection is found that the socket tables decide. Two
// engines on each host change nothing.
func TestRandomWorlds(t *testing.T) {
	const worlds, minDecided = 5000, 0.6
	failures, links, decided := 0, 0, 0
	for seed := range uint64(worlds) {
		w := newWorld(seed)
		for _, known := range w.truth {
			links++
			if known.decided {
				decided++
			}
		}
		var polled, split []PolledHost
		for _, h := range w.hosts {
			polled = append(polled, PolledHost{Target: h.name, Host: NewHost(h.document, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon})
			for i, part := range h.split(w.Rand, h.document) {
				split = append(split, PolledHost{
					Target: fmt.Sprint(h.name, i), Host: NewHost(part, netip.Addr{}, nil, noon), Document: &part, State: graph.StateOK, LastAnswer: noon, PolledAt: noon,
				})
			}
		}
		for engines, polled := range map[string][]PolledHost{"one": polled, "two": split} {
			if wrong := w.faults(Build(polled, nil)); len(wrong) > 0 {
				t.Errorf("world %d, engines of each host: %s\n%s\n\n%s", seed, engines, strings.Join(wrong, "\n"), strings.Join(w.story, "\n"))
				if failures++; failures == 5 {
					t.FailNow()
				}
			}
		}
	}
	if share := float64(decided) / float64(links); share < minDecided {
		t.Errorf("%d links, %.2f of them are decided", links, share)
	} else {
		t.Logf("%d links, %.2f of them are decided", links, share)
	}
}

// The daemons are polled at random moments while connections begin. No map has a link that is not true, and the last one has all.
func TestRandomPollsOfRandomWorlds(t *testing.T) {
	const worlds = 500
	failures := 0
	for seed := range uint64(worlds) {
		w := newWorld(seed)
		for _, engines := range []int{1, 2} {
			if wrong := w.play(engines, rand.New(rand.NewPCG(seed, 2))); len(wrong) > 0 {
				t.Errorf("world %d, engines of each host: %d: %s\n%s", seed, engines, strings.Join(wrong, "\n"), strings.Join(w.story, "\n"))
				if failures++; failures == 5 {
					t.FailNow()
				}
			}
		}
	}
}

// play returns what is wrong with the maps while the daemons of the hosts' engines are polled at random moments. A connection begins each
// 100 ms.
func (w *world) play(engines int, r *rand.Rand) []string {
	const rounds = 6
	var polled []PolledHost
	for _, h := range w.hosts {
		for i := range engines {
			polled = append(polled, PolledHost{Target: fmt.Sprint(h.name, i), State: graph.StatePending})
		}
	}
	tracker, order := new(Tracker), uint64(r.Int64())
	begun, n := 0, len(polled)-1
	for round := range rounds {
		for _, i := range r.Perm(len(polled)) {
			if begun += r.IntN(4); round >= rounds-2 {
				begun = max(begun, w.begun) + 1 // all have begun
			}
			polled[i] = w.poll(polled[i], w.hosts[i/engines], i%engines, engines, begun, rand.New(rand.NewPCG(order, uint64(i/engines))))
			g := tracker.Build(polled, nil)
			if slices.ContainsFunc(polled, func(p PolledHost) bool { return p.State == graph.StatePending }) {
				continue // the mapper keeps no link of such a map
			}
			wrong := w.faults(g)
			if n++; n < rounds*len(polled) {
				wrong = slices.DeleteFunc(wrong, func(fault string) bool { return strings.HasPrefix(fault, "missing") })
			}
			if len(wrong) > 0 {
				return append(wrong, fmt.Sprintf("in round %d, after %s, %d connections", round, polled[i].Target, begun))
			}
		}
	}
	return nil
}

// poll returns the next answer of the daemon of one engine. split decides which containers the engines have.
func (w *world) poll(p PolledHost, h *worldHost, engine, engines, begun int, split *rand.Rand) PolledHost {
	document := h.documentAt(begun)
	if engines == 2 {
		document = h.split(split, document)[engine]
	}
	p.LastAnswer = noon.Add(time.Duration(begun) * 100 * time.Millisecond)
	if p.PolledAt = p.LastAnswer; p.Host == nil {
		p.FirstAnswer = p.LastAnswer
	}
	p.Host, p.Document, p.State = NewHost(document, netip.Addr{}, p.Host, p.LastAnswer), &document, graph.StateOK
	return p
}
