package collect

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/hostproc"
)

// scanInterval is how long the result of a scan for other network namespaces is used, unless a container starts. A scan opens every
// process of every container.
const scanInterval = 10 * time.Second

// netnsScan finds processes of containers in network namespaces that no container has as its own, such as those of Docker in Docker.
// Collectors that share it share its result.
type netnsScan struct {
	mu      sync.Mutex
	at      time.Time
	targets string                    // the containers that were scanned
	counts  map[string]otherProcesses // by container ID
}

// otherProcesses counts processes with sockets that are not read.
type otherProcesses struct{ processes, namespaces int }

// reportOtherNetNS adds a problem to each container with sockets in a network namespace that is not read. It needs the host's /proc.
func (p *pass) reportOtherNetNS(ctx context.Context, targets []*target) {
	if !p.usesProcesses() {
		return
	}
	counts := p.scan.get(targets, func() map[string]otherProcesses { return p.countOtherProcesses(ctx, targets) })
	for _, t := range targets {
		if n, ok := counts[t.Container.ID]; ok && t.process.visible() {
			t.addProblem(Problem{
				Reason: "some of its processes are in another network namespace, which is not read",
				Detail: fmt.Sprintf("processes: %d, network namespaces: %d", n.processes, n.namespaces),
			})
		}
	}
}

// get returns the last result, or that of a new scan.
func (s *netnsScan) get(targets []*target, count func() map[string]otherProcesses) map[string]otherProcesses {
	var names strings.Builder
	for _, t := range targets {
		_, _ = fmt.Fprintln(&names, t.Container.ID, t.Container.PID, t.process.visible())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil || s.targets != names.String() || time.Since(s.at) > scanInterval {
		s.counts, s.targets, s.at = count(), names.String(), time.Now() // nil if it failed
	}
	return s.counts
}

func (p *pass) countOtherProcesses(ctx context.Context, targets []*target) map[string]otherProcesses {
	counts := make(map[string]otherProcesses)
	pids, err := p.pids(ctx)
	if err != nil {
		return nil // without the processes nothing is known
	}
	read := make(map[hostproc.NetNSID]bool)
	for _, t := range targets {
		if t.process.visible() {
			read[t.process.process.NetNSID()] = true
		}
	}
	for _, t := range targets {
		if !t.process.visible() {
			continue
		}
		if n := p.countOutside(t, pids[t.Container.ID], read); n.processes > 0 {
			counts[t.Container.ID] = n
		}
	}
	return counts
}

// countOutside counts the processes of pids with sockets outside the network namespaces in read.
func (p *pass) countOutside(t *target, pids []int, read map[hostproc.NetNSID]bool) (count otherProcesses) {
	hasSockets := make(map[hostproc.NetNSID]bool)
	for _, pid := range pids {
		process, err := p.openPID(pid, t)
		if err != nil {
			continue // it has exited
		}
		netns := process.NetNSID()
		if _, counted := hasSockets[netns]; !counted && !read[netns] {
			counts := process.CountSockets()
			hasSockets[netns] = counts.TCP > 0 || !counts.TCPKnown
			if hasSockets[netns] {
				count.namespaces++
			}
		}
		if hasSockets[netns] {
			count.processes++
		}
		_ = process.Close()
	}
	return count
}
