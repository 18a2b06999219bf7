package sockdiag

import (
	"encoding/binary"
	"errors"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// struct rtgenmsg of include/uapi/linux/rtnetlink.h, padded to 4 bytes: u8 family. Attributes follow.
const rtgenmsgSize = 4

var errNoNSID = errors.New("the network namespace has no nsid")

// nsidOf returns the number of a network namespace in Outpost's own (network_namespaces(7)). netns is a file such as /proc/<pid>/ns/net; nil
// means Outpost's own. The number stays the same while that namespace exists. It needs no capability.
func nsidOf(netns *os.File) (int32, error) {
	if netns == nil {
		return socket.OwnNamespace, nil
	}
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	request := netlink.NewAttributeEncoder()
	request.Uint32(unix.NETNSA_FD, uint32(netns.Fd())) //nolint:gosec // descriptors are small
	attributes, err := request.Encode()
	if err != nil {
		return 0, err
	}
	answers, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETNSID, Flags: netlink.Request},
		Data:   append(make([]byte, rtgenmsgSize), attributes...),
	})
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		if answer.Header.Type == unix.RTM_NEWNSID && len(answer.Data) >= rtgenmsgSize {
			return decodeNSID(answer.Data[rtgenmsgSize:])
		}
	}
	return 0, errNoNSID
}

// decodeNSID returns the NETNSA_NSID of attributes. It is an int32 in the machine's byte order, and negative if none is assigned.
func decodeNSID(attributes []byte) (int32, error) {
	decoder, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return 0, err
	}
	const size = 4
	for decoder.Next() {
		if data := decoder.Bytes(); decoder.Type() == unix.NETNSA_NSID && len(data) == size {
			if nsid := int32(binary.NativeEndian.Uint32(data)); nsid >= 0 { //nolint:gosec // the kernel's int
				return nsid, nil
			}
		}
	}
	return 0, errors.Join(errNoNSID, decoder.Err())
}
