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

// Address is an address of a network namespace's own interfaces.
type Address struct {
	Addr netip.Addr
	// Interface is empty if it is unknown: no route names it, or two interfaces have the address.
	Interface string
	// DefaultRoute means that a default route leads out of the interface.
	DefaultRoute bool
}

const (
	// maxAddresses bounds the addresses of both families together, and the routes that are kept: a node of
	// a large Kubernetes cluster has each service's address on one interface.
	maxAddresses = 1 << 16
	// maxAddressRows bounds each file: fib_trie prints a router's full BGP table, and twice.
	maxAddressRows = 1 << 24
)

// DecodeAddresses returns the addresses at which others reach a network namespace: IPv4 before IPv6, ascending and
// without duplicates. It reads three files of /proc/<pid>/net; a reader is nil if the file does not exist:
//
//   - fib_trie for the IPv4 addresses
//   - route for the interfaces of the IPv4 addresses, and for the interfaces of default routes
//   - if_inet6 for the IPv6 addresses and their interfaces
//
// It omits 127.0.0.0/8, ::1 and IPv6 link-local addresses. It also omits IPv6 addresses that duplicate address
// detection has rejected or not yet accepted.
//
// order is the byte order of the kernel that printed route. Together with an error it returns what it could decode.
func DecodeAddresses(fibTrie, route, ifInet6 io.Reader, order binary.ByteOrder) ([]Address, error) {
	found := interfaceNames[netip.Addr]{}
	routes := onLinkRoutes{words: newWordOrder(order), interfaces: interfaceNames[netip.Prefix]{}, defaults: make(map[string]bool)}
	trie := fibTrieDecoder{addLocal: func(addr netip.Addr) error { return found.add(addr, routes.interfaceFor(addr)) }}
	inet6 := inet6Decoder{add: found.add}
	err := errors.Join( // route first: the trie decoder looks up interfaces in it
		decodeRows("route", route, maxAddressRows, routes.decode),
		decodeRows("fib_trie", fibTrie, maxAddressRows, trie.decode),
		decodeRows("if_inet6", ifInet6, maxAddressRows, inet6.decode),
	)
	return sortAddresses(found, routes.defaults), err
}

func decodeRows(name string, r io.Reader, maxRows int, decode func(row []byte) error) error {
	if r == nil {
		return nil
	}
	if err := eachRow(r, maxRows, decode); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func sortAddresses(found interfaceNames[netip.Addr], defaults map[string]bool) []Address {
	addresses := make([]Address, 0, len(found))
	for _, addr := range slices.SortedFunc(maps.Keys(found), netip.Addr.Compare) {
		addresses = append(addresses, Address{Addr: addr, Interface: found[addr], DefaultRoute: defaults[found[addr]]})
	}
	return addresses
}

// interfaceNames maps an address or a route to its interface. The name is empty if it is unknown or ambiguous.
type interfaceNames[K comparable] map[K]string

// add stores the interface of key. A second, different interface makes the name ambiguous.
func (m interfaceNames[K]) add(key K, name string) error {
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

var errInterface = fmt.Errorf("interface name is longer than %d bytes", maxInterfaceName)
