package procnet

import (
	"bytes"
	"errors"
	"net/netip"
)

var (
	errTrieRow  = errors.New("neither a table, a node, an address nor a route")
	errTrieLeaf = errors.New("not an IPv4 address")
	errNoLeaf   = errors.New("route without an address")
)

// fibTrieDecoder finds the local addresses in /proc/<pid>/net/fib_trie (net/ipv4/fib_trie.c, fib_trie_seq_show).
// A local address is followed by a /32 route of type LOCAL, scope host:
//
//	|-- 192.0.2.2
//	   /32 host LOCAL
//
// The kernel prints each table that has routes. Main and Local are one table until a policy rule separates them;
// until then both show the same routes.
type fibTrieDecoder struct {
	addLocal func(netip.Addr) error
	leaf     netip.Addr // the address of the routes that follow; invalid where no route may follow
}

func (d *fibTrieDecoder) decode(row []byte) error {
	fields := splitFields(row)
	if len(fields) >= 3 && fields[0][0] == '/' {
		return d.decodeRoute(fields)
	}
	d.leaf = netip.Addr{}
	switch {
	case len(fields) == 2 && string(fields[0]) == "|--":
		return d.decodeLeaf(fields[1])
	case len(fields) > 0 && string(fields[0]) == "+--", bytes.HasSuffix(row, []byte(":")):
		return nil
	}
	return errTrieRow
}

func (d *fibTrieDecoder) decodeLeaf(field []byte) error {
	addr, err := netip.ParseAddr(string(field))
	if err != nil || !addr.Is4() {
		return errTrieLeaf
	}
	d.leaf = addr
	return nil
}

func (d *fibTrieDecoder) decodeRoute(fields [][]byte) error {
	if !d.leaf.IsValid() {
		return errNoLeaf
	}
	isLocal := string(fields[0]) == "/32" && string(fields[1]) == "host" && string(fields[2]) == "LOCAL"
	if !isLocal || d.leaf.IsLoopback() {
		return nil
	}
	return d.addLocal(d.leaf)
}
