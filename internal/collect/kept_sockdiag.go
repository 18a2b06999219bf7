package collect

import (
	"context"
	"errors"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/socket"
)

// queryCheaply returns the sockets of a process if that needs no full dump of TCP: nothing has changed since the last dump, or there are only
// listeners. It uses the counters and the netlink socket that are kept. It returns false otherwise.
func (p *pass) queryCheaply(ctx context.Context, process *hostproc.Process, quota *socket.Quota) (read tables, ok bool) {
	ok = p.kept.withKept(process, func(k *keptProcess) bool {
		read = tables{quota: quota}
		seen := p.lookAt(k)
		if seen.unchanged && (!p.withTCPInfo || !k.settled.hasConnections) {
			if read.sockets, ok = k.settled.reuse(quota); ok {
				return true
			}
		}
		if seen.unchanged && k.settled.hasConnections {
			return false
		}
		var counts hostproc.SocketCounts
		if read.sockets, counts, ok = p.dumpListeners(ctx, k, quota); ok {
			p.addKeptUDP(ctx, k, seen, &read, counts)
		}
		return ok && k.isOfProcess()
	})
	if !ok {
		quota.Release()
		return tables{}, false
	}
	return read, true
}

// queryKept returns all sockets of a process through what is kept of it. It returns false if it has no answer: querySockets then opens
// other files, and explains what fails.
func (p *pass) queryKept(ctx context.Context, process *hostproc.Process, quota *socket.Quota) (read tables, err error, ok bool) { //nolint:revive // ok qualifies err
	ok = p.kept.withKept(process, func(k *keptProcess) bool {
		seen := p.lookAt(k)
		counts := k.counters.CountSockets()
		if !p.openConn(k) {
			return false
		}
		sockets, dumpErr := k.conn.All(ctx, p.withTCPInfo, quota)
		if dumpErr != nil {
			counts.TCPKnown = false
			k.settle(nil)
			k.closeConn()
		}
		if read, err = toTables(sockets, quota, dumpErr); err != nil {
			return false
		}
		p.addKeptUDP(ctx, k, seen, &read, counts)
		return k.isOfProcess()
	})
	if !ok {
		quota.Release()
		return tables{}, nil, false
	}
	return read, err, true
}

// addKeptUDP adds the UDP sockets to a dump of TCP, and keeps both for the next readings. counts are from before the dump.
func (p *pass) addKeptUDP(ctx context.Context, k *keptProcess, seen sight, read *tables, counts hostproc.SocketCounts) {
	udp := p.readUDP(ctx, k.process, counts.UDP, read.quota, func(family sockdiag.Family) ([]socket.Socket, error) {
		if !p.openConn(k) {
			return nil, errNoKeptConn
		}
		sockets, err := k.conn.UDP(ctx, family, read.quota)
		if err != nil && !errors.Is(err, sockdiag.ErrNoUDP) {
			k.closeConn()
		}
		return sockets, err
	})
	read.addUDP(udp)
	counts.UDP.Known = counts.UDP.Known && udp.isHeard
	p.settle(k, seen, read.sockets, counts)
}

var errNoKeptConn = errors.New("the netlink socket cannot be opened")

// dumpListeners returns the TCP listeners, and the counts from before. It returns false unless the kernel's counters prove that there are no
// other TCP sockets.
func (p *pass) dumpListeners(ctx context.Context, k *keptProcess, quota *socket.Quota) (listeners []socket.Socket, counts hostproc.SocketCounts, ok bool) {
	if !p.openConn(k) {
		return nil, counts, false
	}
	counts = k.counters.CountSockets()
	if !counts.TCPKnown || counts.TCP == 0 {
		return nil, counts, counts.TCPKnown
	}
	listeners, err := k.conn.Listeners(ctx, quota)
	if err != nil {
		k.closeConn()
		return nil, counts, false
	}
	again := k.counters.RecountSockets()
	return listeners, counts, again.TCPKnown && len(listeners) == counts.TCP && again.TCP == counts.TCP
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

// settle keeps a dump for the next readings, as far as it stays true. counts are from before the dump.
func (p *pass) settle(k *keptProcess, seen sight, sockets []socket.Socket, counts hostproc.SocketCounts) {
	if !seen.heard || !counts.TCPKnown || !counts.UDP.Known {
		k.settle(nil)
		return
	}
	if seen.unchanged && !k.settled.equals(sockets) {
		if ends, _ := p.endsIn(k); ends == seen.ends { // else the event came after the change
			p.Differed()
		}
	}
	k.settle(newSettled(sockets, counts, seen, k.counters))
}
