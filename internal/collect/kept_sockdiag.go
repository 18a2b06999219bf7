package collect

import (
	"context"
	"errors"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/socket"
)

// queryCheaply returns the sockets of a process if that needs no full dump: nothing has changed since the last dump, or there are only
// listeners. It uses the counters and the netlink socket that are kept. It returns false otherwise.
func (p *pass) queryCheaply(ctx context.Context, process *hostproc.Process, quota *socket.Quota) (sockets []socket.Socket, ok bool) {
	ok = p.kept.withKept(process, func(k *keptProcess) bool {
		seen := p.lookAt(k)
		if seen.unchanged && (!p.withTCPInfo || !k.settled.hasConnections) {
			if sockets, ok = k.settled.reuse(quota); ok {
				return true
			}
		}
		if seen.unchanged && k.settled.hasConnections {
			return false
		}
		if sockets, ok = p.dumpListeners(ctx, k, quota); ok {
			p.settle(k, seen, sockets, len(sockets))
		}
		return ok && k.isOfProcess()
	})
	if !ok {
		quota.Release()
		return nil, false
	}
	return sockets, true
}

// queryKept returns all sockets of a process through what is kept of it. It returns false if it has no answer: querySockets then opens
// other files, and explains what fails.
func (p *pass) queryKept(ctx context.Context, process *hostproc.Process, quota *socket.Quota) (sockets []socket.Socket, err error, ok bool) { //nolint:revive // ok qualifies err
	ok = p.kept.withKept(process, func(k *keptProcess) bool {
		seen := p.lookAt(k)
		count, known := k.counters.CountSockets()
		if !p.openConn(k) {
			return false
		}
		if sockets, err = k.conn.All(ctx, p.withTCPInfo, quota); err != nil || !known {
			count = unknownCount
		}
		p.settle(k, seen, sockets, count)
		if err != nil {
			k.closeConn()
		}
		hasSockets := err == nil || errors.Is(err, sockdiag.ErrQuota) || errors.Is(err, sockdiag.ErrTooMany)
		return hasSockets && k.isOfProcess()
	})
	if !ok {
		quota.Release()
		return nil, nil, false
	}
	return sockets, err, true
}

// dumpListeners returns the listeners. It returns false unless the kernel's counters prove that there are no other sockets.
func (p *pass) dumpListeners(ctx context.Context, k *keptProcess, quota *socket.Quota) (listeners []socket.Socket, ok bool) {
	if !p.openConn(k) {
		return nil, false
	}
	count, known := k.counters.CountSockets()
	if !known || count == 0 {
		return nil, known
	}
	listeners, err := k.conn.Listeners(ctx, quota)
	if err != nil {
		k.closeConn()
		return nil, false
	}
	again, known := k.counters.RecountSockets()
	return listeners, known && len(listeners) == count && again == count
}

func (p *pass) openConn(k *keptProcess) bool { return k.openConn(k.process.NetNSID() == p.ownNetNS()) }

// sight is what shows changes in a network namespace before its sockets are dumped.
type sight struct {
	ends      uint64 // of EndsIn
	heard     bool
	opens     procnet.Opens
	unchanged bool // since the last dump
}

// lookAt asks for the ends first: a socket that ends later is not in the number.
func (p *pass) lookAt(k *keptProcess) (seen sight) {
	if seen.ends, seen.heard = p.endsIn(k); !seen.heard {
		return seen
	}
	if k.settled == nil || k.settled.hasConnections {
		var err error
		if seen.opens, err = k.counters.Opens(); err != nil {
			return sight{}
		}
	}
	seen.unchanged = k.settled.isCurrent(seen, k.counters)
	return seen
}

// endsIn returns the EndsIn of the process's network namespace.
func (p *pass) endsIn(k *keptProcess) (ends uint64, heard bool) {
	endsIn := p.kept.endsIn.Load()
	if endsIn == nil || !p.openConn(k) {
		return 0, false
	}
	nsid, ok := k.conn.NSID()
	if !ok {
		return 0, false
	}
	return (*endsIn)(nsid)
}

// unknownCount is no number of sockets.
const unknownCount = -1

// settle keeps a dump for the next readings, as far as it stays true. count is how many sockets the kernel counted before the dump.
func (p *pass) settle(k *keptProcess, seen sight, sockets []socket.Socket, count int) {
	if !seen.heard || count == unknownCount {
		k.settle(nil)
		return
	}
	if seen.unchanged && !k.settled.equals(sockets) {
		if ends, _ := p.endsIn(k); ends == seen.ends { // else the event came after the change
			p.Differed()
		}
	}
	k.settle(newSettled(sockets, count, seen, k.counters))
}
