package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"

	"github.com/PabloL007/outpost/internal/socket"
)

// Attributes of a message (include/uapi/linux/netfilter/nfnetlink_conntrack.h). Numbers are big-endian.
const (
	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaStatus     = 3
	ctaProtoInfo  = 4
	ctaZone       = 18

	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaTupleZone  = 3

	ctaIPv4Source      = 1
	ctaIPv4Destination = 2
	ctaIPv6Source      = 3
	ctaIPv6Destination = 4

	ctaProtoNumber          = 1
	ctaProtoSourcePort      = 2
	ctaProtoDestinationPort = 3

	ctaProtoInfoTCP      = 1
	ctaProtoInfoTCPState = 1
)

const (
	protocolTCP = 6
	protocolUDP = 17

	// statusSeenReply is IPS_SEEN_REPLY (include/uapi/linux/netfilter/nf_conntrack_common.h).
	statusSeenReply = 1 << 1

	// finWait and closed are the first and the last state after a FIN or RST (include/uapi/linux/netfilter/nf_conntrack_tcp.h).
	finWait, closed = 4, 8

	// messageHeader is the size of struct nfgenmsg, which begins each message (include/uapi/linux/netfilter/nfnetlink.h).
	messageHeader = 4
)

var (
	errShort  = errors.New("shorter than its header")
	errLength = errors.New("an address of a wrong length")
)

// decoded is a message in parts.
type decoded struct {
	directions [2]decodedTuple
	status     uint32
	state      uint8
	otherZone  bool
}

type decodedTuple struct {
	source, destination         netip.Addr
	sourcePort, destinationPort uint16
	protocol                    uint8
}

// decodeMessage returns the flow of a message of a dump (net/netfilter/nf_conntrack_netlink.c, ctnetlink_fill_info). skip is true for
// other protocols than TCP and UDP, and for other zones than the default one.
func decodeMessage(message []byte) (flow Flow, skip bool, err error) {
	if len(message) < messageHeader {
		return flow, false, errShort
	}
	attributes, err := netlink.NewAttributeDecoder(message[messageHeader:])
	if err != nil {
		return flow, false, err
	}
	attributes.ByteOrder = binary.BigEndian
	var d decoded
	if err := d.decode(attributes); err != nil {
		return flow, false, err
	}
	original, reply := &d.directions[0], &d.directions[1]
	switch {
	case d.otherZone:
		return flow, true, nil
	case original.protocol == protocolUDP:
		flow.Protocol = socket.UDP
	case original.protocol != protocolTCP:
		return flow, true, nil
	}
	if !original.isComplete() || !reply.isComplete() {
		return flow, false, errNoTuple
	}
	flow.Original, flow.Reply = original.tuple(), reply.tuple()
	flow.Replied = d.status&statusSeenReply != 0
	flow.Closing = d.state >= finWait && d.state <= closed
	return flow, false, nil
}

func (d *decoded) decode(attributes *netlink.AttributeDecoder) error {
	for attributes.Next() {
		switch attributes.Type() {
		case ctaTupleOrig:
			attributes.Nested(func(a *netlink.AttributeDecoder) error { return d.decodeTuple(&d.directions[0], a) })
		case ctaTupleReply:
			attributes.Nested(func(a *netlink.AttributeDecoder) error { return d.decodeTuple(&d.directions[1], a) })
		case ctaStatus:
			d.status = attributes.Uint32()
		case ctaZone:
			d.otherZone = d.otherZone || attributes.Uint16() != 0
		case ctaProtoInfo:
			attributes.Nested(d.decodeProtoInfo)
		}
	}
	return attributes.Err()
}

func (d *decoded) decodeProtoInfo(attributes *netlink.AttributeDecoder) error {
	for attributes.Next() {
		if attributes.Type() != ctaProtoInfoTCP {
			continue
		}
		attributes.Nested(func(tcp *netlink.AttributeDecoder) error {
			for tcp.Next() {
				if tcp.Type() == ctaProtoInfoTCPState {
					d.state = tcp.Uint8()
				}
			}
			return nil
		})
	}
	return nil
}

func (d *decoded) decodeTuple(t *decodedTuple, attributes *netlink.AttributeDecoder) error {
	for attributes.Next() {
		switch attributes.Type() {
		case ctaTupleIP:
			attributes.Nested(t.decodeAddrs)
		case ctaTupleProto:
			attributes.Nested(t.decodePorts)
		case ctaTupleZone:
			d.otherZone = d.otherZone || attributes.Uint16() != 0
		}
	}
	return nil
}

func (t *decodedTuple) decodeAddrs(attributes *netlink.AttributeDecoder) error {
	for attributes.Next() {
		addr, ok := netip.AddrFromSlice(attributes.Bytes())
		if !ok {
			return fmt.Errorf("attribute %d: %w", attributes.Type(), errLength)
		}
		switch attributes.Type() {
		case ctaIPv4Source, ctaIPv6Source:
			t.source = addr.Unmap()
		case ctaIPv4Destination, ctaIPv6Destination:
			t.destination = addr.Unmap()
		}
	}
	return nil
}

func (t *decodedTuple) decodePorts(attributes *netlink.AttributeDecoder) error {
	for attributes.Next() {
		switch attributes.Type() {
		case ctaProtoNumber:
			t.protocol = attributes.Uint8()
		case ctaProtoSourcePort:
			t.sourcePort = attributes.Uint16()
		case ctaProtoDestinationPort:
			t.destinationPort = attributes.Uint16()
		}
	}
	return nil
}

func (t *decodedTuple) isComplete() bool {
	return t.source.IsValid() && t.destination.IsValid() && t.source.Is4() == t.destination.Is4()
}

func (t *decodedTuple) tuple() Tuple {
	return Tuple{netip.AddrPortFrom(t.source, t.sourcePort), netip.AddrPortFrom(t.destination, t.destinationPort)}
}
