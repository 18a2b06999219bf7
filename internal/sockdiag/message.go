package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/PabloL007/outpost/internal/socket"
)

// getSock is TCPDIAG_GETSOCK of include/uapi/linux/inet_diag.h. It is older than SOCK_DIAG_BY_FAMILY and dumps both
// address families in one walk (inet_diag_dump_compat). SOCK_DIAG_BY_FAMILY takes one family at a time.
const getSock = 18

// sockDiagByFamily is SOCK_DIAG_BY_FAMILY of include/uapi/linux/sock_diag.h. It is the type of the answers to both requests, too.
const sockDiagByFamily = 20

// struct inet_diag_req: 4 bytes family, src_len, dst_len, ext; 48 bytes id; 4 bytes states; 4 bytes dbs.
const (
	requestSize   = 60
	requestExt    = 3
	requestStates = 52
)

// struct inet_diag_req_v2: u8 family, u8 protocol, u8 ext, 1 byte of padding; u32 states; 48 bytes id.
const (
	request2Size     = 56
	request2Protocol = 1
	request2States   = 4
)

// Address families as Linux numbers them (include/linux/socket.h).
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// Family is an address family, numbered as by Linux. IPv6 includes the dual-stack sockets.
type Family byte

// The address families.
const (
	IPv4 Family = familyIPv4
	IPv6 Family = familyIPv6
)

// protocolUDP is IPPROTO_UDP of include/uapi/linux/in.h.
const protocolUDP = 17

// Attributes of include/uapi/linux/inet_diag.h.
const (
	attributeInfo   = 2  // INET_DIAG_INFO
	attributeCgroup = 21 // INET_DIAG_CGROUP_ID, since Linux 5.9, sent without a request
)

// newRequest returns a message that requests a dump of the sockets in states, one bit for each.
func newRequest(states uint32, withTCPInfo bool) netlink.Message {
	data := make([]byte, requestSize)
	data[0] = familyIPv4 // the kernel ignores it: the message's type selects both families
	if withTCPInfo {
		data[requestExt] = 1 << (attributeInfo - 1)
	}
	binary.NativeEndian.PutUint32(data[requestStates:], states)
	return netlink.Message{Header: netlink.Header{Type: getSock, Flags: netlink.Request | netlink.Dump}, Data: data}
}

// newUDPRequest returns a message that requests a dump of the UDP sockets of a family. They are in two states: connected ones in
// ESTABLISHED, all others in CLOSE.
func newUDPRequest(family Family) netlink.Message {
	data := make([]byte, request2Size)
	data[0], data[request2Protocol] = byte(family), protocolUDP
	binary.NativeEndian.PutUint32(data[request2States:], 1<<socket.Established|1<<socket.Close)
	return netlink.Message{Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request | netlink.Dump}, Data: data}
}

// struct inet_diag_msg: offsets in bytes. Ports are in network byte order, all other numbers in the machine's.
const (
	messageFamily       = 0
	messageState        = 1
	messageRetransmit   = 3 // how often the kernel has repeated the oldest segment without an answer
	messageLocalPort    = 4
	messageRemotePort   = 6
	messageLocal        = 8  // 16 bytes; IPv4 uses the first 4
	messageRemote       = 24 // like messageLocal
	messageCookie       = 44
	messageExpires      = 52 // of the timer, in milliseconds
	messageReceiveQueue = 56 // bytes that the process has not read
	messageSendQueue    = 60 // bytes that are not sent or not acknowledged
	messageInode        = 68
	messageSize         = 72
)

var (
	errShort    = errors.New("shorter than struct inet_diag_msg")
	errUDPState = errors.New("UDP socket in a state of TCP")
)

// decode decodes one socket of a protocol: a struct inet_diag_msg and the attributes after it. The cookie is unique to the socket
// (net/core/sock_diag.c).
func decode(data []byte, protocol socket.Protocol) (sock socket.Socket, cookie uint64, err error) {
	if sock, cookie, err = decodeEnds(data); err != nil {
		return socket.Socket{}, 0, err
	}
	sock.Inode = uint64(binary.NativeEndian.Uint32(data[messageInode:]))
	sock.State, sock.Protocol = socket.State(data[messageState]), protocol
	if protocol == socket.UDP && sock.State != socket.Established && sock.State != socket.Close {
		return socket.Socket{}, 0, fmt.Errorf("%w: %s", errUDPState, sock.State)
	}
	switch sock.State { //nolint:exhaustive // the others have no such field
	case socket.TimeWait:
		sock.Remaining = time.Duration(binary.NativeEndian.Uint32(data[messageExpires:])) * time.Millisecond
	case socket.SynSent:
		sock.Retransmits = data[messageRetransmit]
	}
	allAcknowledged := sock.State == socket.Established && binary.NativeEndian.Uint32(data[messageSendQueue:]) == 0
	if err := decodeAttributes(data[messageSize:], &sock, allAcknowledged); err != nil {
		return socket.Socket{}, 0, err
	}
	return sock, cookie, nil
}

// decodeEnds decodes the endpoints and the cookie of a struct inet_diag_msg.
func decodeEnds(data []byte) (sock socket.Socket, cookie uint64, err error) {
	if len(data) < messageSize {
		return socket.Socket{}, 0, fmt.Errorf("message of %d bytes: %w", len(data), errShort)
	}
	local, remote := data[messageLocal:messageLocal+16], data[messageRemote:messageRemote+16]
	switch family := data[messageFamily]; family {
	case familyIPv4:
		local, remote = local[:4], remote[:4]
	case familyIPv6:
	default:
		return socket.Socket{}, 0, fmt.Errorf("message of unknown address family %d", family)
	}
	sock.Local, sock.Remote = toAddrPort(local, data[messageLocalPort:]), toAddrPort(remote, data[messageRemotePort:])
	return sock, binary.NativeEndian.Uint64(data[messageCookie:]), nil
}

// toAddrPort converts an address of 4 or 16 bytes and a port, both in network byte order.
func toAddrPort(addr, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(addr) // 4 and 16 bytes are always valid
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// decodeAttributes decodes the attributes of sock. allAcknowledged means that it is established and that the peer has
// acknowledged everything.
func decodeAttributes(data []byte, sock *socket.Socket, allAcknowledged bool) error {
	if len(data) == 0 {
		return nil
	}
	attributes, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	for attributes.Next() {
		switch value := attributes.Bytes(); attributes.Type() {
		case attributeCgroup:
			sock.CgroupID = attributes.Uint64()
		case attributeInfo:
			sock.TCPInfo = decodeTCPInfo(value)
			if sock.TCPInfo != nil && allAcknowledged {
				sock.TCPInfo.DialledBy = decodeDialledBy(value, sock.TCPInfo.Sent)
			}
		}
	}
	if err := attributes.Err(); err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	return nil
}
