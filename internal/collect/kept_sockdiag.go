package collect

import (
	"context"
	"errors"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/socket"
)

// queryKept is querySockets with the counters and the netlink socket that are kept of a process. It returns false if it has no
// answer: querySockets then opens others, and explains what fails.
func (p *pass) queryKept(ctx context.Context, process *hostproc.Process, quota *socket.Quota) (sockets []socket.Socket, err error, ok bool) { //nolint:revive // ok qualifies err
	ok = p.kept.withKept(process, func(k *keptProcess) bool {
		sockets, err = p.queryKeptLocked(ctx, k, quota)
		if err != nil {
			k.closeConn()
		}
		isAnswer := err == nil || errors.Is(err, sockdiag.ErrQuota) || errors.Is(err, sockdiag.ErrTooMany)
		// What is open shows the sockets of a namespace without processes too.
		return isAnswer && process.Revalidate() == nil
	})
	if !ok {
		quota.Release()
		return nil, nil, false
	}
	return sockets, err, true
}

var errNotKept = errors.New("no netlink socket is kept")

func (p *pass) queryKeptLocked(ctx context.Context, k *keptProcess, quota *socket.Quota) ([]socket.Socket, error) {
	count, known := k.counters.CountSockets()
	if known && count == 0 {
		return nil, nil
	}
	if !k.openConn(p.kept, k.process.NetNSID() == p.ownNetNS()) {
		return nil, errNotKept
	}
	if known {
		listeners, err := k.conn.Listeners(ctx, quota)
		if err != nil {
			return listeners, err
		}
		if again, known := k.counters.RecountSockets(); known && len(listeners) == count && again == count {
			return listeners, nil
		}
	}
	return k.conn.All(ctx, p.withTCPInfo, quota)
}
