package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// Offsets in struct tcp_info that only destroy events use.
const (
	infoTotalRetrans = unsafe.Offsetof(unix.TCPInfo{}.Total_retrans) // u32, segments
	infoSegsIn       = unsafe.Offsetof(unix.TCPInfo{}.Segs_in)       // u32
)

// attributeProtocol is INET_DIAG_PROTOCOL of include/uapi/linux/inet_diag.h, one byte.
const attributeProtocol = 10

// errUnboundUDP marks the end of a UDP socket without a port. Such a socket is in no table. Programs open them to configure interfaces.
var errUnboundUDP = errors.New("the UDP socket has no port")

// errNoConnection marks the end of a socket that was no connection: a listener or an unused socket.
var errNoConnection = errors.New("the socket was no connection")

// decodeEnded decodes a destroy event: a struct inet_diag_msg and its attributes (net/core/sock_diag.c,
// sock_diag_broadcast_destroy_work; net/ipv4/tcp_diag.c). It sets neither the namespace nor the time. It returns errNoConnection for
// TCP sockets that were none, and for other protocols, and errUnboundUDP. Of UDP it decodes the ends and the cookie alone.
//
// The bytes received include the FIN of the other end if it has arrived. One unread byte is that FIN, received after the socket was closed.
// An end that accepted has usually read the FIN before it closed. Otherwise the FIN has usually not arrived yet.
func decodeEnded(data []byte) (ended socket.Ended, err error) {
	sock, cookie, err := decodeEnds(data)
	if err != nil {
		return socket.Ended{}, err
	}
	ended = socket.Ended{Local: sock.Local, Remote: sock.Remote, Cookie: cookie}
	unread := binary.NativeEndian.Uint32(data[messageReceiveQueue:])
	protocol, info := byte(0), []byte(nil)
	err = eachAttribute(data[messageSize:], func(kind uint16, value []byte) {
		switch {
		case kind == attributeProtocol && len(value) > 0:
			protocol = value[0]
		case kind == attributeInfo:
			info = value
		}
	})
	switch {
	case err != nil:
		return socket.Ended{}, err
	case ended.Local.Port() == 0 && protocol == protocolUDP:
		return socket.Ended{}, errUnboundUDP
	case ended.Local.Port() == 0:
		return socket.Ended{}, errNoConnection
	case protocol == protocolUDP:
		ended.Protocol = socket.UDP
		return ended, nil
	case protocol != unix.IPPROTO_TCP || ended.Remote.Addr().IsUnspecified():
		return socket.Ended{}, errNoConnection
	case ended.Remote.Port() == 0 || ended.Local.Addr().IsUnspecified():
		ended.Outcome = socket.Aborted
		return ended, nil
	case len(info) < minInfoSize:
		return socket.Ended{}, fmt.Errorf("tcp_info of %d bytes: %w", len(info), errShort)
	}
	decodeEndedInfo(info, &ended)
	if ended.Received > 0 && (unread == 1 || ended.DialledBy == socket.UnknownEnd) {
		ended.Received-- // the FIN of the other end
	}
	return ended, nil
}

// decodeEndedInfo decodes the struct tcp_info of an event. Both ends have one more byte acknowledged than sent for a FIN, and the
// end that dialled has one more for its SYN.
func decodeEndedInfo(info []byte, ended *socket.Ended) {
	acked := binary.NativeEndian.Uint64(info[infoBytesAcked:])
	ended.Sent = binary.NativeEndian.Uint64(info[infoBytesSent:]) - binary.NativeEndian.Uint64(info[infoBytesRetrans:])
	ended.Received = binary.NativeEndian.Uint64(info[infoBytesReceived:])
	ended.Retransmits = binary.NativeEndian.Uint32(info[infoTotalRetrans:])
	ended.RTT = time.Duration(binary.NativeEndian.Uint32(info[infoRTT:])) * time.Microsecond
	switch control := acked - ended.Sent; {
	case ended.RTT == 0 && acked == 0 && ended.Sent == 0 && ended.Received == 0:
		ended.DialledBy, ended.Outcome = socket.LocalEnd, socket.Unanswered
		if binary.NativeEndian.Uint32(info[infoSegsIn:]) > 0 {
			ended.Outcome = socket.Refused
		}
	case control == 2: //nolint:mnd // SYN and FIN
		ended.DialledBy = socket.LocalEnd
	case control == 0:
		ended.DialledBy = socket.RemoteEnd
	}
}

// eachAttribute calls do with each attribute of data. Attributes are struct nlattr: u16 length with the header, u16 type, both in the
// machine's byte order, and a value. They begin at multiples of 4 bytes. An event is decoded on a path that must keep up with the
// kernel, so it is decoded without allocations.
func eachAttribute(data []byte, do func(kind uint16, value []byte)) error {
	const header = 4
	for len(data) >= header {
		length, kind := int(binary.NativeEndian.Uint16(data)), binary.NativeEndian.Uint16(data[2:])
		if length < header || length > len(data) {
			return fmt.Errorf("attribute %d of %d bytes in the last %d: %w", kind, length, len(data), errShort)
		}
		do(kind&^uint16(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), data[header:length])
		data = data[min((length+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(data)):]
	}
	return nil
}
