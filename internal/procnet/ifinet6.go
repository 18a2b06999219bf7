package procnet

import (
	"encoding/hex"
	"errors"
	"net/netip"
)

const (
	// Scopes of an address that is valid only on one host or one link (include/net/ipv6.h).
	scopeHost = 0x10
	scopeLink = 0x20

	// Flags of an address that is not, or not yet, known to be unique on its link (include/uapi/linux/if_addr.h).
	addrDADFailed = 0x08
	addrTentative = 0x40
)

var (
	errInet6Fields  = errors.New("not six fields")
	errInet6Address = errors.New("address is not 32 hexadecimal digits")
	errInet6Number  = errors.New("scope or flags are not hexadecimal digits")
)

// inet6Decoder finds the addresses in /proc/<pid>/net/if_inet6 (net/ipv6/addrconf.c, if6_seq_show). The fields are
// address, interface index, prefix length, scope and flags, all hexadecimal, and the interface's name, for example
//
//	fd000000000000000000000000000002 04 40 00 82     eth0
type inet6Decoder struct {
	add func(addr netip.Addr, interfaceName string) error
}

func (d inet6Decoder) decode(row []byte) error {
	parsed, err := parseInet6Entry(row)
	if err != nil {
		return err
	}
	if parsed.scope == scopeHost || parsed.scope == scopeLink || parsed.flags&(addrDADFailed|addrTentative) != 0 {
		return nil
	}
	return d.add(parsed.addr, parsed.interfaceName)
}

type inet6Entry struct {
	addr          netip.Addr
	scope, flags  uint32
	interfaceName string
}

func parseInet6Entry(row []byte) (inet6Entry, error) {
	fields := splitFields(row)
	if len(fields) != 6 {
		return inet6Entry{}, errInet6Fields
	}
	var b [16]byte
	if len(fields[0]) != hex.EncodedLen(len(b)) {
		return inet6Entry{}, errInet6Address
	}
	if _, err := hex.Decode(b[:], fields[0]); err != nil {
		return inet6Entry{}, errInet6Address
	}
	scope, ok1 := parseHexField(fields[3])
	flags, ok2 := parseHexField(fields[4])
	if !ok1 || !ok2 {
		return inet6Entry{}, errInet6Number
	}
	if len(fields[5]) > maxInterfaceName {
		return inet6Entry{}, errInterface
	}
	return inet6Entry{addr: netip.AddrFrom16(b), scope: scope, flags: flags, interfaceName: string(fields[5])}, nil
}
