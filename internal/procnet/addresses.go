package procnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
)

// Address is one of a network namespace's own addresses.
type Address struct {
	Addr netip.Addr
	// Interface is empty if it is unknown: if no route says it, or if two interfaces answer to it.
	Interface string
}

const (
	// maxAddresses bounds the addresses of both families together, and the routes that are kept: a node of
	// a large Kubernetes cluster has each service's address on one interface.
	maxAddresses = 1 << 16
	// maxAddressRows bounds each file: fib_trie prints a router's full table of the Internet, and twice.
	maxAddressRows = 1 << 24
)

// DecodeAddresses returns the addresses of a network namespace at which others reach it: IPv4 before IPv6,
// each ascending, none twice. It reads three files of /proc/<pid>/net, and takes nil for one that does not
// exist: fib_trie for the IPv4 addresses, if_inet6 for the IPv6 addresses and their interfaces, and route for
// the interfaces of the IPv4 addresses. Left out are 127.0.0.0/8, ::1, IPv6 link-local addresses and those that
// the kernel has not, or not yet, found to be unique on their link.
//
// order is the byte order of the kernel that printed route. What could be decoded is returned beside the error.
func DecodeAddresses(fibTrie, route, ifInet6 io.Reader, order binary.ByteOrder) ([]Address, error) {
	found := interfaces[netip.Addr]{}
	routes := directRoutes{words: wordOrderOf(order), interfaces: interfaces[netip.Prefix]{}}
	trie := trieWalk{local: func(addr netip.Addr) error { return found.claim(addr, routes.interfaceOf(addr)) }}
	inet6 := inet6Rows{own: found.claim}
	err := errors.Join( // route first: trie asks for what it said
		decodeFile("route", route, routes.decode),
		decodeFile("fib_trie", fibTrie, trie.decode),
		decodeFile("if_inet6", ifInet6, inet6.decode),
	)
	return sortAddresses(found), err
}

func decodeFile(name string, r io.Reader, decode func(row []byte) error) error {
	if r == nil {
		return nil
	}
	if err := eachRow(r, maxAddressRows, decode); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func sortAddresses(found interfaces[netip.Addr]) []Address {
	addresses := make([]Address, 0, len(found))
	for _, addr := range slices.SortedFunc(maps.Keys(found), netip.Addr.Compare) {
		addresses = append(addresses, Address{Addr: addr, Interface: found[addr]})
	}
	return addresses
}

// interfaces tells the interface of an address or of a route: empty if none is known, or more than one.
type interfaces[K comparable] map[K]string

func (m interfaces[K]) claim(key K, name string) error {
	known, ok := m[key]
	if !ok && len(m) == maxAddresses {
		return fmt.Errorf("%w: more than %d", errTooMany, maxAddresses)
	}
	if ok && known != name {
		name = ""
	}
	m[key] = name
	return nil
}

// maxInterfaceName is IFNAMSIZ without its terminator (include/uapi/linux/if.h).
const maxInterfaceName = 15

var errInterface = fmt.Errorf("interface's name is longer than %d bytes", maxInterfaceName)
