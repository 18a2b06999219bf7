package procnet

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
)

const (
	// maxLocalAddresses bounds the addresses of one namespace.
	maxLocalAddresses = 1000
	// maxLocalRows bounds each file. fib_trie prints a router's full BGP table, which has some three million rows.
	maxLocalRows = 1 << 22
)

// DecodeLocalAddresses returns the addresses of a network namespace except loopback ones: IPv4 before IPv6, ascending, each once,
// up to 1,000. It includes IPv6 link-local addresses, and those that duplicate address detection has not yet accepted. It
// reads fib_trie and if_inet6 of /proc/<pid>/net; a reader is nil if the file does not exist. Together with an error it returns
// what it could decode.
func DecodeLocalAddresses(fibTrie, ifInet6 io.Reader) ([]netip.Addr, error) {
	found := make(localAddresses)
	err := errors.Join(
		decodeRows("if_inet6", ifInet6, maxLocalRows, found.decodeInet6),
		decodeRows("fib_trie", fibTrie, maxLocalRows, (&fibTrieDecoder{addLocal: found.add}).decode),
	)
	return found.sorted(), err
}

type localAddresses map[netip.Addr]struct{}

// add ignores addresses beyond the limit.
func (l localAddresses) add(addr netip.Addr) error {
	if len(l) < maxLocalAddresses {
		l[addr] = struct{}{}
	}
	return nil
}

func (l localAddresses) decodeInet6(row []byte) error {
	parsed, err := parseInet6Entry(row)
	if err != nil || parsed.scope == scopeHost || parsed.flags&addrDADFailed != 0 {
		return err
	}
	return l.add(parsed.addr)
}

// sorted returns nil if there are none.
func (l localAddresses) sorted() []netip.Addr {
	if len(l) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Keys(l), netip.Addr.Compare)
}

// addressRows decodes the rows of if_inet6 and fib_trie in a stream of other rows.
type addressRows struct {
	found localAddresses
	trie  fibTrieDecoder
	begun bool // a row of either file was found
}

func newAddressRows() *addressRows {
	r := &addressRows{found: make(localAddresses)}
	r.trie.addLocal = r.found.add
	return r
}

func (r *addressRows) reset() {
	clear(r.found)
	r.trie.leaf, r.begun = netip.Addr{}, false
}

// decode reports whether row is a valid row of either file.
func (r *addressRows) decode(row []byte) bool {
	decode := r.found.decodeInet6
	if isTrieRow(row) {
		decode = r.trie.decode
	}
	if decode(row) != nil {
		return false
	}
	r.begun = true
	return true
}

// isTrieRow reports whether a row looks like one of fib_trie: a table, a node, an address or a route.
func isTrieRow(row []byte) bool {
	switch start := bytes.TrimLeft(row, " "); {
	case bytes.HasPrefix(start, []byte("+-- ")), bytes.HasPrefix(start, []byte("|-- ")), bytes.HasPrefix(start, []byte("/")):
		return true
	case bytes.HasPrefix(row, []byte("Id ")):
		return bytes.HasSuffix(row, []byte(":"))
	}
	return string(row) == "Main:" || string(row) == "Local:"
}
