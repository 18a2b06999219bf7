package collect

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/socket"
)

// cgroupCache knows which containers made the sockets of the host's network namespace. Collectors that share it share its answers.
type cgroupCache struct {
	mu         sync.Mutex
	containers map[uint64]string // the ID of the container by cgroup; empty for a cgroup of no container
	foreign    map[string]bool   // the containers that the engine does not know
}

// find returns the container of each cgroup that made one of the sockets. It walks through the cgroups only if it does not know one of
// them, and forgets those that no socket has any more.
func (c *cgroupCache) find(mount string, sockets []socket.Socket) map[uint64]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var walked map[uint64]string
	found := make(map[uint64]string)
	foreign := make(map[string]bool)
	for _, s := range sockets {
		if _, done := found[s.CgroupID]; done || s.CgroupID == 0 {
			continue
		}
		id, known := c.containers[s.CgroupID]
		if !known {
			if walked == nil {
				walked = hostproc.ContainersByCgroup(mount)
			}
			id = walked[s.CgroupID]
		}
		found[s.CgroupID] = id
		if c.foreign[id] {
			foreign[id] = true
		}
	}
	c.containers, c.foreign = found, foreign
	return found
}

// isForeign reports whether the engine does not know a container. It calls ask, which asks the engine, until this is so.
func (c *cgroupCache) isForeign(id string, ask func() error) bool {
	c.mu.Lock()
	foreign := c.foreign[id]
	c.mu.Unlock()
	if !foreign && errors.Is(ask(), container.ErrNotFound) {
		c.mu.Lock()
		defer c.mu.Unlock()
		foreign, c.foreign[id] = true, true
	}
	return foreign
}

// dropUnlisted removes the sockets of containers from those of the host's network namespace if the engine has the containers but does not
// list them. An engine lists a container some time after its first process has started. The cgroups of the sockets show the container.
// Without cgroups these sockets seem to be the host's.
func (p *pass) dropUnlisted(ctx context.Context, host *HostNetNS, listed []container.Summary) (dropped bool) {
	if host == nil {
		return false
	}
	ofContainers := make(map[string]bool, len(listed)) // whether their sockets stay
	for _, c := range listed {
		ofContainers[c.ID] = true
	}
	containers := p.cgroups.find(p.CgroupFS, host.Sockets)
	for _, id := range containers {
		if _, decided := ofContainers[id]; decided || id == "" {
			continue
		}
		ofContainers[id] = p.cgroups.isForeign(id, func() error {
			_, err := p.inspectWith(ctx, id, p.inventory.Refresh)
			return err
		})
		dropped = dropped || !ofContainers[id]
	}
	if dropped {
		host.Sockets = slices.DeleteFunc(host.Sockets, func(s socket.Socket) bool {
			id := containers[s.CgroupID]
			return id != "" && !ofContainers[id]
		})
	}
	return dropped
}
