package procnet

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"
)

// Flags of a route (include/uapi/linux/route.h).
const (
	routeUp      = 0x0001
	routeGateway = 0x0002
	routeReject  = 0x0200
)

var (
	errRouteFields = errors.New("fewer than eight fields")
	errRouteWord   = errors.New("destination, gateway or mask is not eight hexadecimal digits")
	errRouteFlags  = errors.New("flags are not up to eight hexadecimal digits")
	errRoutePrefix = errors.New("destination and mask are not a prefix")
)

// onLinkRoutes are the networks that an interface reaches without a gateway. They come from /proc/<pid>/net/route
// (net/ipv4/fib_trie.c, fib_route_seq_show), which prints the main table in rows such as
//
//	docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
//
// Destination, gateway and mask are printed as native-endian integers.
type onLinkRoutes struct {
	words      wordOrder
	interfaces interfaceNames[netip.Prefix]
	defaults   map[string]bool // the interfaces of default routes, with a gateway or without
}

// interfaceFor returns the interface of the longest on-link route that contains addr.
func (r onLinkRoutes) interfaceFor(addr netip.Addr) string {
	for length := addr.BitLen(); length > 0; length-- {
		if name, ok := r.interfaces[netip.PrefixFrom(addr, length).Masked()]; ok {
			return name
		}
	}
	return ""
}

func (r onLinkRoutes) decode(row []byte) error {
	fields := splitFields(row)
	if len(fields) < 8 {
		return errRouteFields
	}
	if string(fields[0]) == "Iface" && string(fields[1]) == "Destination" {
		return nil
	}
	name := string(fields[0])
	if len(name) > maxInterfaceName {
		return errInterface
	}
	prefix, hasGateway, err := r.decodeWords(fields)
	if err != nil {
		return err
	}
	flags, ok := parseHexField(fields[3])
	if !ok {
		return errRouteFlags
	}
	// A route that drops packets has no interface, which the kernel prints as an asterisk.
	if flags&(routeUp|routeReject) != routeUp || name == "*" {
		return nil
	}
	if prefix.Bits() == 0 { // It contains every address, so it says nothing about one.
		if len(r.defaults) < maxAddresses {
			r.defaults[name] = true
		}
		return nil
	}
	if hasGateway || flags&routeGateway != 0 {
		return nil
	}
	return r.interfaces.add(prefix, name)
}

func (r onLinkRoutes) decodeWords(fields [][]byte) (prefix netip.Prefix, hasGateway bool, err error) {
	destination, ok1 := r.decodeWord(fields[1])
	gateway, ok2 := r.decodeWord(fields[2])
	mask, ok3 := r.decodeWord(fields[7])
	if !ok1 || !ok2 || !ok3 {
		return netip.Prefix{}, false, errRouteWord
	}
	length, ok := maskLength(mask)
	prefix = netip.PrefixFrom(destination, length)
	if !ok || prefix != prefix.Masked() {
		return netip.Prefix{}, false, errRoutePrefix
	}
	return prefix, !gateway.IsUnspecified(), nil
}

func (r onLinkRoutes) decodeWord(field []byte) (netip.Addr, bool) {
	const digits = 8
	word, ok := parseHexField(field)
	var b [4]byte
	r.words.put(b[:], word)
	return netip.AddrFrom4(b), ok && len(field) == digits
}

// maskLength returns the number of leading ones in mask, and whether only zeros follow them.
func maskLength(mask netip.Addr) (int, bool) {
	b := mask.As4()
	word := binary.BigEndian.Uint32(b[:])
	ones := bits.LeadingZeros32(^word)
	return ones, word<<ones == 0
}
