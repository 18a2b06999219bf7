package procnet

import (
	"encoding/hex"
	"errors"
	"net/netip"
)

// The scopes of an address (include/net/ipv6.h) at which others do not reach it, and the flags
// (include/uapi/linux/if_addr.h) of one that is not, or not yet, known to be unique on its link.
const (
	scopeHost = 0x10
	scopeLink = 0x20

	addrDADFailed = 0x08
	addrTentative = 0x40
)

var (
	errInet6Fields  = errors.New("not six fields")
	errInet6Address = errors.New("address is not 32 hexadecimal digits")
	errInet6Number  = errors.New("scope or flags are not hexadecimal digits")
)

// inet6Rows finds the addresses in /proc/<pid>/net/if_inet6 (net/ipv6/addrconf.c, if6_seq_show): address,
// interface's index, length of the prefix, scope, flags, all hexadecimal, and the interface's name, for example
//
//	fd000000000000000000000000000002 04 40 00 82     eth0
type inet6Rows struct {
	own func(addr netip.Addr, name string) error
}

func (r inet6Rows) decode(row []byte) error {
	fields := splitFields(row)
	if len(fields) != 6 {
		return errInet6Fields
	}
	var b [16]byte
	if len(fields[0]) != hex.EncodedLen(len(b)) {
		return errInet6Address
	}
	if _, err := hex.Decode(b[:], fields[0]); err != nil {
		return errInet6Address
	}
	scope, ok1 := parseHexField(fields[3])
	flags, ok2 := parseHexField(fields[4])
	if !ok1 || !ok2 {
		return errInet6Number
	}
	if len(fields[5]) > maxInterfaceName {
		return errInterface
	}
	if scope == scopeHost || scope == scopeLink || flags&(addrDADFailed|addrTentative) != 0 {
		return nil
	}
	return r.own(netip.AddrFrom16(b), string(fields[5]))
}
