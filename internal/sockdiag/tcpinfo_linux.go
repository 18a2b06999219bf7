package sockdiag

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// Offsets in struct tcp_info of include/uapi/linux/tcp.h, in bytes. Numbers are in the machine's byte order.
const (
	infoRTT           = unsafe.Offsetof(unix.TCPInfo{}.Rtt)            // u32, microseconds
	infoLastSent      = unsafe.Offsetof(unix.TCPInfo{}.Last_data_sent) // u32, milliseconds ago
	infoLastReceived  = unsafe.Offsetof(unix.TCPInfo{}.Last_data_recv) // u32, milliseconds ago
	infoBytesAcked    = unsafe.Offsetof(unix.TCPInfo{}.Bytes_acked)    // u64, with the SYN of the end that dialled
	infoBytesReceived = unsafe.Offsetof(unix.TCPInfo{}.Bytes_received) // u64
	infoBytesSent     = unsafe.Offsetof(unix.TCPInfo{}.Bytes_sent)     // u64, since Linux 4.19, with retransmissions
	infoBytesRetrans  = unsafe.Offsetof(unix.TCPInfo{}.Bytes_retrans)  // u64, since Linux 4.19

	// minInfoSize is the size of the shortest struct tcp_info that contains all of these fields.
	minInfoSize = int(infoBytesRetrans) + 8
)

// decodeTCPInfo decodes a struct tcp_info. The struct grows from kernel to kernel. The result is nil if the kernel is
// older than one of the fields.
func decodeTCPInfo(info []byte) *socket.TCPInfo {
	if len(info) < minInfoSize {
		return nil
	}
	return &socket.TCPInfo{
		RTT:      time.Duration(binary.NativeEndian.Uint32(info[infoRTT:])) * time.Microsecond,
		Idle:     decodeIdle(info),
		Sent:     binary.NativeEndian.Uint64(info[infoBytesSent:]) - binary.NativeEndian.Uint64(info[infoBytesRetrans:]),
		Received: binary.NativeEndian.Uint64(info[infoBytesReceived:]),
	}
}

// decodeIdle returns the time since data last passed. The kernel sets both times when the connection is established
// (net/ipv4/tcp_input.c, tcp_finish_connect; net/ipv4/tcp_minisocks.c, tcp_create_openreq_child).
func decodeIdle(info []byte) time.Duration {
	sent, received := binary.NativeEndian.Uint32(info[infoLastSent:]), binary.NativeEndian.Uint32(info[infoLastReceived:])
	return time.Duration(min(sent, received)) * time.Millisecond
}

// decodeDialledBy returns the end that dialled a connection without unacknowledged data. The end that dialled has one more byte
// acknowledged than sent: its SYN (net/ipv4/tcp_input.c, tcp_snd_una_update). sent has no retransmissions.
func decodeDialledBy(info []byte, sent uint64) socket.End {
	switch binary.NativeEndian.Uint64(info[infoBytesAcked:]) - sent {
	case 0:
		return socket.RemoteEnd
	case 1:
		return socket.LocalEnd
	}
	return socket.UnknownEnd
}
