package correlate

import (
	"net/netip"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// addrIndex finds the holders of addresses that mean something outside of their host.
type addrIndex struct {
	hosts      map[netip.Addr]addrHolder // hosts' own addresses
	routable   map[netip.Addr]addrHolder // containers' addresses that mean something on all hosts
	unproven   map[netip.Addr]addrHolder // containers' addresses that may or may not mean something on other hosts
	networks   map[networkAddr]netnsRef  // containers' addresses on a network, on any host
	containers map[netip.Addr]bool       // all containers' addresses, in whatever scope
}

// addrHolder is the network namespace with an address. With others the address is ambiguous.
type addrHolder struct {
	netnsRef
	others []netnsRef
}

type networkAddr struct {
	network string // ID
	addr    netip.Addr
}

func newAddrIndex() addrIndex {
	return addrIndex{
		hosts:      make(map[netip.Addr]addrHolder),
		routable:   make(map[netip.Addr]addrHolder),
		unproven:   make(map[netip.Addr]addrHolder),
		networks:   make(map[networkAddr]netnsRef),
		containers: make(map[netip.Addr]bool),
	}
}

// addHost adds the addresses of a host and its containers. The gateway of a bridge network means the host to its own
// containers only: many hosts have the same.
func (x *addrIndex) addHost(host int32, h *Host, isProven func(addr netip.Addr, network string) bool) {
	for addr := range h.addrs {
		if !h.isPrivate(addr) {
			addAddrHolder(x.hosts, addr, netnsRef{host, hostNetns})
		}
	}
	for addr, holders := range h.ownAddrs {
		if !addr.IsLinkLocalUnicast() {
			for _, ns := range holders {
				x.addDirectAddr(addr, netnsRef{host, ns}, isProven(addr, ""))
			}
		}
	}
	for i, n := range h.namespaces {
		for _, network := range n.networks {
			for _, addr := range network.Addresses {
				addr = addr.Unmap()
				at := netnsRef{host, toIndex(i)}
				x.addContainerAddr(at, network, addr, n.gone)
				if !n.gone && !addr.IsLinkLocalUnicast() {
					x.addDirectAddr(addr, at, h.isRoutable(addr, network) || isProven(addr, network.ID))
				}
			}
		}
	}
}

// addContainerAddr adds an address of a container. A gone container has it only if no live one does.
func (x *addrIndex) addContainerAddr(at netnsRef, network snapshotv1.Network, addr netip.Addr, gone bool) {
	x.containers[addr] = true
	key := networkAddr{network.ID, addr}
	if _, taken := x.networks[key]; network.ID != "" && (!gone || !taken) {
		x.networks[key] = at
	}
}

// addDirectAddr adds an address of a container that other hosts may reach.
func (x *addrIndex) addDirectAddr(addr netip.Addr, at netnsRef, proven bool) {
	if proven {
		addAddrHolder(x.routable, addr, at)
		return
	}
	addAddrHolder(x.unproven, addr, at)
}

// addAddrHolder adds a holder of an address. All calls for one holder must follow each other. Of more than maxCandidates
// others the first ones stand for all, because each connection to the address may lead to each of them.
func addAddrHolder(holders map[netip.Addr]addrHolder, addr netip.Addr, at netnsRef) {
	o, taken := holders[addr]
	switch {
	case !taken:
		o.netnsRef = at
	case o.netnsRef == at || len(o.others) == maxCandidates || len(o.others) > 0 && o.others[len(o.others)-1] == at:
		return
	default:
		o.others = append(o.others, at)
	}
	holders[addr] = o
}

// takeAll adds the hosts' addresses to those of the containers, and returns them. The index must not be used afterwards:
// this saves a copy of a large map.
func (x *addrIndex) takeAll() map[netip.Addr]bool {
	for addr := range x.hosts {
		x.containers[addr] = true
	}
	return x.containers
}
