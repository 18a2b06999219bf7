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

// trieWalk finds the local addresses in /proc/<pid>/net/fib_trie (net/ipv4/fib_trie.c, fib_trie_seq_show).
// Each is a route of 32 bits to the host itself, and stands below its address:
//
//	|-- 192.0.2.2
//	   /32 host LOCAL
//
// The kernel prints each table that has routes. Main and Local are one until a policy rule parts them, and then
// show the same routes.
type trieWalk struct {
	local func(netip.Addr) error
	leaf  netip.Addr // invalid where no route may follow
}

func (t *trieWalk) decode(row []byte) error {
	fields := splitFields(row)
	if len(fields) >= 3 && fields[0][0] == '/' {
		return t.decodeRoute(fields)
	}
	t.leaf = netip.Addr{}
	switch {
	case len(fields) == 2 && string(fields[0]) == "|--":
		return t.decodeLeaf(fields[1])
	case len(fields) > 0 && string(fields[0]) == "+--", bytes.HasSuffix(row, []byte(":")):
		return nil
	}
	return errTrieRow
}

func (t *trieWalk) decodeLeaf(field []byte) error {
	addr, err := netip.ParseAddr(string(field))
	if err != nil || !addr.Is4() {
		return errTrieLeaf
	}
	t.leaf = addr
	return nil
}

func (t *trieWalk) decodeRoute(fields [][]byte) error {
	if !t.leaf.IsValid() {
		return errNoLeaf
	}
	local := string(fields[0]) == "/32" && string(fields[1]) == "host" && string(fields[2]) == "LOCAL"
	if !local || t.leaf.IsLoopback() {
		return nil
	}
	return t.local(t.leaf)
}
