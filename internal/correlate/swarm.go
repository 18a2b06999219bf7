package correlate

import (
	"net/netip"
	"slices"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// Docker Swarm balances the connections to a service. Its client dials a virtual address on a network, or a published port of any
// host. The load balancer of the dialled host replaces the addresses of both. It keeps the client's port, so the server sees
// that port at the load balancer's address. That is what both halves have in common.

// swarm is how a host reaches the services of Docker Swarm.
type swarm struct {
	balancers map[string][]netip.Addr         // the host's own, by network: one for each of its engines
	hosts     map[netip.Addr]networkAddr      // load balancers of all hosts on the ingress network, by the address of the host
	published map[socket.Port][]servicePort   // by the port that all hosts publish: up to maxPublishers
	virtual   map[networkAddr]*overlayService // by virtual address
	networks  map[string]bool                 // all, and whether the network is for published ports
}

type overlayService struct {
	name, network string
	tasks         []netip.Addr // of its containers, on all hosts
}

type servicePort struct {
	*overlayService
	target socket.Port
}

// maxPublishers is how many services may publish one number: one for TCP, and another one for UDP.
const maxPublishers = 2

func newSwarm(overlays []snapshotv1.Overlay) swarm {
	s := swarm{
		balancers: make(map[string][]netip.Addr), hosts: make(map[netip.Addr]networkAddr), published: make(map[socket.Port][]servicePort),
		virtual: make(map[networkAddr]*overlayService), networks: make(map[string]bool),
	}
	for _, o := range overlays {
		if _, known := s.networks[o.Network]; !known { // another engine of the machine may know that it is for published ports
			s.networks[o.Network] = false
		}
		if o.LoadBalancer.IsValid() {
			s.balancers[o.Network] = append(s.balancers[o.Network], o.LoadBalancer.Unmap())
		}
		for _, host := range o.Hosts {
			s.hosts[host.Address.Unmap()] = networkAddr{o.Network, host.LoadBalancer.Unmap()}
		}
		for _, service := range o.Services {
			s.addService(o.Network, service)
		}
	}
	return s
}

func (s *swarm) addService(network string, service snapshotv1.Service) {
	added := &overlayService{name: graph.Truncate(service.Name), network: network, tasks: service.Tasks}
	if service.VirtualAddress.IsValid() {
		s.virtual[networkAddr{network, service.VirtualAddress.Unmap()}] = added
	}
	for _, port := range service.Ports {
		s.networks[network] = true
		for _, protocol := range []socket.Protocol{socket.TCP, socket.UDP} { // the engine does not say which one
			published := socket.NewPort(port.Published, protocol)
			if len(s.published[published]) < maxPublishers {
				s.published[published] = append(s.published[published], servicePort{added, socket.NewPort(port.Target, protocol)})
			}
		}
	}
}

// dropUnheardPorts drops published ports at which no container of the service listens, if one is on this host. The engine does not
// report the protocol of a port.
func (h *Host) dropUnheardPorts() {
	for published, ports := range h.swarm.published {
		if h.swarm.published[published] = slices.DeleteFunc(ports, h.isUnheard); len(h.swarm.published[published]) == 0 {
			delete(h.swarm.published, published)
		}
	}
}

// isUnheard reports whether containers of a service are on this host, and none of them listens at a port of it.
func (h *Host) isUnheard(port servicePort) bool {
	isHere, listens := false, false
	for _, addr := range port.tasks {
		ns, ok := h.netnsByAddr[addr.Unmap()]
		if _, onNetwork := slices.BinarySearch(h.namespaces[ns].networkIDs, port.network); ok && onNetwork {
			isHere, listens = true, listens || h.listensAt(ns, port.target)
		}
	}
	return isHere && !listens
}

// listensAt reports whether a network namespace has a listener on a port.
func (h *Host) listensAt(netns int32, port socket.Port) bool {
	return len(h.namespaces[netns].listeners[port]) > 0
}

// dialsPublishedService reports whether an end was dialled to a port of this host that a service publishes.
func (h *Host) dialsPublishedService(end *connEnd) bool {
	remote := end.remote.addr
	_, ok := h.swarm.published[end.remote.port]
	return ok && !end.isServer() && (h.isLocalAddr(remote) || remote.IsLoopback() && end.netns == hostNetns)
}

// isInside reports whether the address of an end is on an overlay network without published ports.
func (h *Host) isInside(end *connEnd) bool {
	if len(h.swarm.networks) == 0 {
		return false
	}
	network, ok := h.networkOf(end.netns, end.local.addr)
	isIngress, isOverlay := h.swarm.networks[network]
	return ok && isOverlay && !isIngress
}

// virtualService returns the service at a virtual address on a network of a network namespace.
func (h *Host) virtualService(netns int32, addr netip.Addr) (*overlayService, bool) {
	for _, network := range h.namespaces[netns].networkIDs {
		if service, ok := h.swarm.virtual[networkAddr{network, addr}]; ok {
			return service, true
		}
	}
	return nil, false
}

// isOwn reports whether an end of no known container is of the engines of a Swarm: they connect to each other's ports for management and
// gossip (docs.docker.com/engine/swarm/swarm-tutorial).
func (s *swarm) isOwn(end *connEnd) bool {
	const management, gossip = 2377, 7946
	server := end.remote.port.Number()
	if end.isServer() {
		server = end.local.port.Number()
	}
	return len(s.networks) > 0 && (server == management || server == gossip)
}

// dialledService is the service that an outbound end dialled, and the load balancers through which it may have done so.
type dialledService struct {
	servicePort
	host      int32 // that knows the service
	balancers []netip.Addr
	via       graph.Via
}

// serviceOf returns the service that an outbound end dialled.
func (c *crossHostCorrelator) serviceOf(out *outboundEnd) (d dialledService, ok bool) {
	own, addr := c.polled[out.host].Host, out.remote.addr
	if service, ok := own.virtualService(out.netns, addr); ok {
		return dialledService{servicePort{service, out.remote.port}, out.host, own.swarm.balancers[service.network], graph.ViaDirect}, true
	}
	host := out.host
	if !own.dialsPublishedService(out.connEnd) {
		if host, ok = c.swarmHostAt(addr, out.host); !ok {
			return d, false
		}
	}
	swarm := &c.polled[host].Host.swarm
	ports := swarm.published[out.remote.port]
	at := slices.IndexFunc(ports, c.mayListen)
	if at < 0 {
		return d, false
	}
	port := ports[at]
	balancers := swarm.balancers[port.network]
	if balancer, known := swarm.hosts[addr]; known {
		balancers = []netip.Addr{balancer.addr}
	}
	return dialledService{port, host, balancers, graph.ViaPublished}, true
}

// swarmHostAt returns a polled host that knows the services at an address of a Swarm's host: that host itself, or another one
// of its Swarm. client is the client's host.
func (c *crossHostCorrelator) swarmHostAt(addr netip.Addr, client int32) (host int32, ok bool) {
	own := c.polled[client].Host
	if own.isLocalAddr(addr) {
		return 0, false
	}
	if _, ok := own.swarm.hosts[addr]; ok {
		return client, true
	}
	if holder, ok := c.addrs.hosts[addr]; ok {
		return holder.host, len(holder.others) == 0
	}
	host, ok = c.swarmHosts[addr]
	return host, ok
}

// resolveService resolves an outbound end to a service of Docker Swarm, and reports whether it is one.
func (c *crossHostCorrelator) resolveService(i int32) bool {
	out := &c.outbound[i]
	d, ok := c.serviceOf(out)
	if !ok {
		return false
	}
	c.dialled[out.connEnd] = d
	out.resolved, out.port, out.via = true, d.target, d.via // serviceServer finds the server if the end stays alone
	network := c.internNetwork(d.network)
	for _, balancer := range d.balancers {
		c.byNetwork.add(networkKey(endpoint{balancer, out.source().port}, network, d.target), i)
	}
	if d.via == graph.ViaDirect { // older engines keep the client's address
		c.byNetwork.add(networkKey(out.local, network, d.target), i)
	}
	return true
}

// serviceTasks are the containers of a service on polled hosts.
type serviceTasks struct {
	at    []serviceTask
	hosts []int32 // of them, each once
}

type serviceTask struct {
	netns netnsRef
	addr  netip.Addr
}

func (c *crossHostCorrelator) tasksOf(service *overlayService) serviceTasks {
	if tasks, ok := c.tasks[service]; ok {
		return tasks
	}
	var tasks serviceTasks
	for _, addr := range service.tasks {
		addr = addr.Unmap()
		if at, ok := c.addrs.networks[networkAddr{service.network, addr}]; ok {
			tasks.at = append(tasks.at, serviceTask{at, addr})
			if !slices.Contains(tasks.hosts, at.host) {
				tasks.hosts = append(tasks.hosts, at.host)
			}
		}
	}
	c.tasks[service] = tasks
	return tasks
}

// mayListen reports whether a published port may be of its protocol: the engine does not say. A container listens there, or none is known.
func (c *crossHostCorrelator) mayListen(port servicePort) bool {
	tasks := c.tasksOf(port.overlayService).at
	return len(tasks) == 0 || slices.ContainsFunc(tasks, func(t serviceTask) bool {
		return c.polled[t.netns.host].Host.listensAt(t.netns.netns, port.target)
	})
}

// serviceNode returns the node of a service: its container, or an ambiguous one if there are several. If none is on a polled
// host, it is unknown.
func (c *crossHostCorrelator) serviceNode(d dialledService) int32 {
	var nodes []int32
	tasks := c.tasksOf(d.overlayService).at
	for _, task := range tasks[:min(len(tasks), maxCandidates)] {
		server, _ := c.polled[task.netns.host].Host.resolveContainer(task.netns.netns, endpoint{task.addr, d.target})
		nodes = append(nodes, c.nodes.ownerNode(task.netns.host, server.owner))
	}
	switch {
	case len(nodes) == 0:
		return c.nodes.ownerNode(d.host, unknownOwner)
	case len(d.tasks) == 1:
		return nodes[0]
	}
	return c.nodes.serviceNode(d.name, nodes)
}

// serviceServer returns the node of the service that an outbound end without another half dialled. ok is false while the end waits
// for another answer of a host with a container of the service.
func (c *crossHostCorrelator) serviceServer(out *outboundEnd, d dialledService) (node int32, ok bool) {
	for _, host := range c.tasksOf(d.overlayService).hosts {
		if !c.isSettled(out.host, host, out.connEnd) {
			return 0, false
		}
	}
	return c.serviceNode(d), true
}

// addBalancers indexes the load balancers that a host knows.
func (c *crossHostCorrelator) addBalancers(host int32, s *swarm) {
	for network, addrs := range s.balancers {
		for _, addr := range addrs {
			c.balancers[networkAddr{network, addr}] = host
		}
	}
	for addr, at := range s.hosts {
		c.swarmHosts[addr] = host
		if _, known := c.balancers[at]; !known {
			c.balancers[at] = unknownHost
		}
	}
}

// balancerOf returns the load balancer at the remote address of an inbound end.
func (c *crossHostCorrelator) balancerOf(in *inboundEnd) (at networkAddr, ok bool) {
	if len(c.balancers) == 0 {
		return at, false
	}
	for _, network := range c.networksOf(in.netnsRef()) {
		at = networkAddr{network, in.remote.addr}
		if _, ok := c.balancers[at]; ok {
			return at, true
		}
	}
	return at, false
}

// addBalanced adds an inbound end from a load balancer, without another half. Its client is unknown: it dialled the host of the load
// balancer, perhaps from another host.
func (c *crossHostCorrelator) addBalanced(at networkAddr, in *inboundEnd) {
	host := c.balancers[at]
	if host == unknownHost {
		host = in.host
	}
	if c.isSettled(in.host, host, in.connEnd) && c.isSettled(in.host, c.oldest, in.connEnd) {
		c.addServerOnly(c.nodes.ownerNode(host, unknownOwner), in, c.polled[in.host].Host.inferVia(in.connEnd, false))
	}
}
