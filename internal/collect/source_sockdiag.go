package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/socket"
)

// sockdiagSource dumps the sockets of a network namespace by inet_diag netlink.
type sockdiagSource struct{}

func (sockdiagSource) Method() Method { return Sockdiag }

func (s sockdiagSource) Read(ctx context.Context, p *pass, targets []*target) (tables, error) {
	return readThroughProcess(ctx, p, s, targets)
}

// ReadProcess enters the process's network namespace, unless it is Outpost's own, and dumps its sockets.
func (sockdiagSource) ReadProcess(ctx context.Context, p *pass, process *hostproc.Process, quota *socket.Quota) (tables, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	if read, err, ok := p.queryKept(ctx, process, quota); ok {
		return read, err
	}
	var netns *os.File
	if process.NetNSID() != p.ownNetNS() {
		var err error
		netns, err = process.OpenNetNS()
		if errors.Is(err, fs.ErrPermission) {
			return tables{}, p.missingCapability("to enter its network namespace", err, hostproc.SysPtrace, hostproc.SysAdmin)
		}
		if err != nil { // The error names a process, so it differs each time. The operation is a stable reason.
			return tables{}, fmt.Errorf("entering its network namespace: %w", err)
		}
		defer func() { _ = netns.Close() }()
	}
	read, err := p.querySockets(ctx, process, netns, quota)
	switch {
	case errors.Is(err, unix.EPERM):
		return tables{}, p.missingCapability("to enter its network namespace", err, hostproc.SysAdmin)
	case errors.Is(err, sockdiag.ErrUnsupported):
		return tables{}, &reasonError{hostWide: true, Problem: Problem{Reason: sockdiag.ErrUnsupported.Error(), Detail: err.Error()}}
	}
	return read, err
}

// toTables returns the tables that a dump filled up to a limit, or the dump's error.
func toTables(sockets []socket.Socket, quota *socket.Quota, err error) (tables, error) {
	switch {
	case errors.Is(err, sockdiag.ErrQuota):
		return tables{sockets: sockets, quota: quota}, nil // the pass reports it
	case errors.Is(err, sockdiag.ErrTooMany):
		return tables{sockets: sockets, quota: quota, problems: []Problem{{Reason: "the network namespace has " + sockdiag.ErrTooMany.Error()}}}, nil
	}
	return tables{sockets: sockets, quota: quota}, err
}

// querySockets queries the TCP sockets and then those of UDP, as far as the kernel's counters do not prove that there are none.
func (p *pass) querySockets(ctx context.Context, process *hostproc.Process, netns *os.File, quota *socket.Quota) (read tables, err error) {
	read.quota = quota
	counts := process.CountSockets()
	hasNoTCP := counts.TCPKnown && counts.TCP == 0
	if hasNoTCP && counts.UDP.None() {
		return read, nil
	}
	conn, err := sockdiag.Open(ctx, netns)
	defer func() { _ = conn.Close() }()
	if err != nil && !hasNoTCP {
		return tables{}, err
	}
	conn.SetQuota(quota)
	if !hasNoTCP {
		sockets, err := p.queryTCP(conn, process, counts)
		if read, err = toTables(sockets, quota, err); err != nil {
			return read, err
		}
	}
	read.addUDP(p.readUDP(ctx, process, counts.UDP, quota, conn.UDP))
	return read, nil
}

// queryTCP queries the listeners first. It queries all sockets unless the kernel's counters prove that there are only
// listeners. A full dump walks the hash table of all namespaces, which takes about 1000 times as long. The sockets are
// counted before and after, so that a listener that opens or closes meanwhile cannot hide a connection.
func (p *pass) queryTCP(conn *sockdiag.Conn, process *hostproc.Process, counts hostproc.SocketCounts) ([]socket.Socket, error) {
	if counts.TCPKnown {
		listeners, err := conn.Listeners()
		if err != nil {
			return nil, err
		}
		if again := process.RecountSockets(); again.TCPKnown && len(listeners) == counts.TCP && again.TCP == counts.TCP {
			return listeners, nil
		}
	}
	return conn.All(p.withTCPInfo)
}

// missingCapability returns the error of an operation for which Outpost lacks rights.
func (p *pass) missingCapability(purpose string, err error, needed ...hostproc.Capability) error {
	return &reasonError{hostWide: true, Problem: Problem{Reason: p.capabilities().ExplainDenial(purpose, needed...), Detail: err.Error()}}
}
