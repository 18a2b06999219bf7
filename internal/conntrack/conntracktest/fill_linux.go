// Package conntracktest prepares connection tracking tables for tests.
package conntracktest

import (
	"os"
	"os/exec"
	"testing"

	"github.com/mdlayher/netlink"
	nfct "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
	"github.com/PabloL007/outpost/internal/socket"
)

// Timeout of the flows in seconds, and enum tcp_conntrack's TCP_CONNTRACK_ESTABLISHED and TCP_CONNTRACK_TIME_WAIT
// (include/uapi/linux/netfilter/nf_conntrack_tcp.h).
const (
	timeout     = 3600
	established = 3
	timeWait    = 7
)

// Start starts a process in a network namespace of its own until the test ends, and returns its ID. It skips the test without root.
func Start(t testing.TB) (pid int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), "sleep", "1000")
	child.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := child.Start(); err != nil {
		t.Skipf("cannot create a network namespace: %v", err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	return child.Process.Pid
}

// Fill adds flows to the table of the network namespace of a process. It skips the test if the kernel has no such table.
func Fill(t testing.TB, pid int, flows ...conntrack.Flow) *os.File {
	t.Helper()
	netns := sockdiagtest.OpenNetNS(t, pid)
	conn, err := nfct.Dial(&netlink.Config{NetNS: int(netns.Fd())})
	if err != nil {
		t.Skipf("no connection tracking: %v", err)
	}
	defer func() { _ = conn.Close() }()
	for i, f := range flows {
		if err := conn.Create(toKernel(f)); err != nil {
			if i == 0 {
				t.Skipf("cannot add to the table: %v", err)
			}
			t.Fatal(err)
		}
	}
	return netns
}

func toKernel(f conntrack.Flow) nfct.Flow {
	kernel := nfct.Flow{Timeout: timeout, TupleOrig: toTuple(f.Protocol, f.Original), TupleReply: toTuple(f.Protocol, f.Reply)}
	kernel.Status = nfct.StatusConfirmed
	if f.Replied {
		kernel.Status |= nfct.StatusSeenReply | nfct.StatusAssured
	}
	if f.Protocol == socket.TCP {
		kernel.ProtoInfo.TCP = &nfct.ProtoInfoTCP{State: established}
		if f.Closing {
			kernel.ProtoInfo.TCP.State = timeWait
		}
	}
	return kernel
}

func toTuple(protocol socket.Protocol, t conntrack.Tuple) nfct.Tuple {
	number := uint8(unix.IPPROTO_TCP)
	if protocol == socket.UDP {
		number = unix.IPPROTO_UDP
	}
	return nfct.Tuple{
		IP:    nfct.IPTuple{SourceAddress: t.Source.Addr(), DestinationAddress: t.Destination.Addr()},
		Proto: nfct.ProtoTuple{Protocol: number, SourcePort: t.Source.Port(), DestinationPort: t.Destination.Port()},
	}
}
