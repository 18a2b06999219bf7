// Package sockdiagtest prepares network namespaces for tests.
package sockdiagtest

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// OpenNetNS opens the network namespace of a process until the test ends.
func OpenNetNS(t testing.TB, pid int) *os.File {
	t.Helper()
	netns, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "ns", "net"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netns.Close() })
	return netns
}

// AssignNSID gives a network namespace a number in the test's own, as the kernel does for a namespace with a veth. It requires
// CAP_NET_ADMIN.
func AssignNSID(t testing.TB, netns *os.File) {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	attributes := netlink.NewAttributeEncoder()
	attributes.Uint32(unix.NETNSA_FD, uint32(netns.Fd())) //nolint:gosec // descriptors are small
	attributes.Int32(unix.NETNSA_NSID, -1)                // the next free one
	data, err := attributes.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_NEWNSID, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(make([]byte, 4), data...), // struct rtgenmsg
	}); err != nil {
		t.Fatal(err)
	}
}

// In calls do on a thread in a network namespace, in which loopback is up.
func In(t testing.TB, netns *os.File, do func()) {
	t.Helper()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = own.Close() }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setns(int(netns.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err) // other tests would run in that namespace
		}
	}()
	if err := upLoopback(); err != nil {
		t.Fatal(err)
	}
	do()
}

func upLoopback() error {
	descriptor, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(descriptor) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(descriptor, unix.SIOCSIFFLAGS, request)
}
