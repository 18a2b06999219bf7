package collect

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/sockdiag"
)

// filesPerKept is how many descriptors a kept process takes at most: its directory, its counters and its netlink socket.
const filesPerKept = 1 + hostproc.FilesPerCounters + 1

// keptProcesses are the processes of containers that stay open between collections. Beyond its limit, and for processes in use, a pass
// opens its own. It is safe for concurrent use.
type keptProcesses struct {
	// following means that the caller reports when a container ends. Without that nothing is kept that keeps a network namespace
	// alive.
	following  atomic.Bool
	opened     atomic.Int64 // counters and sockets, for tests
	endsIn     atomic.Pointer[EndsIn]
	settled    atomic.Int64 // sockets in memory
	maxSettled int64

	mu     sync.Mutex
	limit  int // of processes
	closed bool
	byID   map[string]*keptProcess            // by ID of the container
	inUse  map[*hostproc.Process]*keptProcess // by a pass
}

// keptProcess is the first process of a container.
type keptProcess struct {
	store     *keptProcesses
	id        string
	pid       int
	startedAt time.Time
	process   *hostproc.Process
	ended     atomic.Bool // the container has ended, or may have

	mu       sync.Mutex // of what follows
	counters *hostproc.Counters
	conn     *sockdiag.Kept
	failed   bool     // counters or conn can never be opened
	settled  *settled // nil if the next reading must dump the sockets
}

// newKeptProcesses returns an empty store of a collector that may hold maxSockets sockets; 0 means any number.
func newKeptProcesses(maxSockets int) *keptProcesses {
	most := maxAllSettled
	if maxSockets > 0 {
		const part = 16
		most = min(most, maxSockets/part)
	}
	return &keptProcesses{
		maxSettled: int64(most),
		limit:      maxOpenFiles() / 2 / filesPerKept, // half is for everything else
		byID:       make(map[string]*keptProcess), inUse: make(map[*hostproc.Process]*keptProcess),
	}
}

// take returns the open process of c, or nil. The caller must give it back.
func (k *keptProcesses) take(c container.Container) *hostproc.Process {
	k.mu.Lock()
	kept := k.byID[c.ID]
	if kept == nil || k.inUse[kept.process] != nil {
		k.mu.Unlock()
		return nil
	}
	k.inUse[kept.process] = kept
	k.mu.Unlock()
	if kept.pid == c.PID && kept.startedAt.Equal(c.StartedAt) && kept.process.Revalidate() == nil {
		return kept.process
	}
	k.drop(c.ID)
	_ = k.giveBack(kept.process)
	return nil
}

// add keeps a process of c that is in use from now on. It does nothing if another one is kept, or at the limit.
func (k *keptProcesses) add(c container.Container, process *hostproc.Process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.byID[c.ID] != nil || len(k.byID) >= k.limit {
		return
	}
	kept := &keptProcess{store: k, id: c.ID, pid: c.PID, startedAt: c.StartedAt, process: process}
	k.byID[c.ID], k.inUse[process] = kept, kept
}

// giveBack ends the use of a process. It closes the process unless it is kept.
func (k *keptProcesses) giveBack(process *hostproc.Process) error {
	k.mu.Lock()
	kept := k.inUse[process]
	delete(k.inUse, process)
	stays := kept != nil && k.byID[kept.id] == kept
	k.mu.Unlock()
	if stays {
		return nil
	}
	if kept != nil {
		kept.release()
	}
	return process.Close()
}

// drop closes what is kept of a container. What a reading uses is closed after it; a process in use is closed when it is given back.
func (k *keptProcesses) drop(id string) {
	k.mu.Lock()
	kept := k.byID[id]
	delete(k.byID, id)
	used := kept != nil && k.inUse[kept.process] != nil
	k.mu.Unlock()
	if kept == nil {
		return
	}
	kept.release()
	if !used {
		_ = kept.process.Close()
	}
}

// dropIf closes what is kept of containers that match.
func (k *keptProcesses) dropIf(match func(id string) bool) {
	k.mu.Lock()
	var ids []string
	for id := range k.byID {
		if match(id) {
			ids = append(ids, id)
		}
	}
	k.mu.Unlock()
	for _, id := range ids {
		k.drop(id)
	}
}

// retain drops all containers that are not listed.
func (k *keptProcesses) retain(listed map[string]bool) {
	k.dropIf(func(id string) bool { return !listed[id] })
}

func (k *keptProcesses) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.dropIf(func(string) bool { return true })
}

// setFollowing sets following. Containers may have ended while it was false.
func (k *keptProcesses) setFollowing(following bool) {
	k.following.Store(following)
	if !following {
		k.dropIf(func(string) bool { return true })
	}
}

// withKept calls read with what is kept of a process in use, and returns its answer. It returns false if nothing may be kept.
func (k *keptProcesses) withKept(process *hostproc.Process, read func(*keptProcess) bool) bool {
	k.mu.Lock()
	kept := k.inUse[process]
	k.mu.Unlock()
	if kept == nil || !k.following.Load() {
		return false
	}
	kept.mu.Lock()
	ok := !kept.ended.Load() && kept.openCounters() && read(kept)
	kept.mu.Unlock()
	if kept.ended.Load() {
		kept.release()
	}
	return ok
}

// release closes what keeps the network namespace alive, now or at the end of the reading that uses it.
func (p *keptProcess) release() {
	p.ended.Store(true)
	if !p.mu.TryLock() {
		return // withKept releases it
	}
	defer p.mu.Unlock()
	if p.counters != nil {
		p.counters.Close()
		p.counters = nil
	}
	p.closeConn()
	p.settle(nil)
}

// isOfProcess reports whether the open files are of the process's network namespace: they show the sockets of a namespace without processes
// too. If not, none of them stays open.
func (p *keptProcess) isOfProcess() bool {
	if p.process.Revalidate() != nil {
		p.ended.Store(true) // withKept releases it
		return false
	}
	return true
}

// isLasting reports whether opening a file again would fail as well. Without descriptors it fails for a while.
func isLasting(err error) bool {
	return err != nil && !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE)
}

// openCounters reports whether the counters are open. The caller holds p.mu.
func (p *keptProcess) openCounters() bool {
	if p.counters == nil && !p.failed {
		var err error
		p.counters, err = p.process.OpenCounters()
		p.failed = isLasting(err)
		p.store.opened.Add(1)
	}
	return p.counters != nil
}

// openConn reports whether the netlink socket is open. own means that the process is in Outpost's own network namespace. The caller
// holds p.mu.
func (p *keptProcess) openConn(own bool) bool {
	if p.conn == nil && !p.failed {
		var err error
		p.conn, err = keepConn(p.process, own)
		p.failed = isLasting(err)
		p.store.opened.Add(1)
	}
	return p.conn != nil
}

func keepConn(process *hostproc.Process, own bool) (*sockdiag.Kept, error) {
	var netns *os.File
	if !own {
		var err error
		if netns, err = process.OpenNetNS(); err != nil {
			return nil, err
		}
		defer func() { _ = netns.Close() }()
	}
	return sockdiag.Keep(netns)
}

// closeConn closes the netlink socket. The caller holds p.mu.
func (p *keptProcess) closeConn() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

// settle keeps a dump instead of the one before. It keeps none if it is nil or takes too much memory. The caller holds p.mu.
func (p *keptProcess) settle(dump *settled) {
	if p.settled != nil {
		p.store.settled.Add(-int64(len(p.settled.sockets)))
	} else if dump != nil {
		dump.reuses = p.pid % maxReuses // else the dumps of all containers would be proven at once
	}
	p.settled = nil
	if dump == nil || len(dump.sockets) > maxSettled {
		return
	}
	n := int64(len(dump.sockets))
	if p.store.settled.Add(n) > p.store.maxSettled {
		p.store.settled.Add(-n)
		return
	}
	p.settled = dump
}
