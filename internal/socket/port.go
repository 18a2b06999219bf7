package socket

import (
	"cmp"
	"strconv"
)

// Port is a port of one protocol: the protocol in the upper 16 bits, the number in the lower ones. Maps hash one number fast.
type Port uint32

// NewPort returns the port with a number.
func NewPort(number uint16, protocol Protocol) Port { return Port(protocol)<<16 | Port(number) }

// Number returns the port's number.
func (p Port) Number() uint16 { return uint16(p & 0xffff) }

// Protocol returns the port's protocol.
func (p Port) Protocol() Protocol { return Protocol(p >> 16) } //nolint:gosec // NewPort set it

// Compare orders ports by number, then by protocol.
func (p Port) Compare(other Port) int {
	return cmp.Or(cmp.Compare(p.Number(), other.Number()), cmp.Compare(p, other))
}

// String returns the number, with the protocol unless that is TCP, such as 53/udp.
func (p Port) String() string {
	return strconv.Itoa(int(p.Number())) + p.Protocol().Suffix()
}
