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
	isV2       bool // the cgroup file system has the IDs of the sockets' cgroups
	mu         sync.Mutex
	containers map[uint64]string        // the ID of the container by cgroup; empty for a cgroup of no container
	unlisted   map[string]unlistedState // of the containers that were not in a list, by ID
}

// unlistedState is what the engine says of a container that it does not list.
type unlistedState int

const (
	notAsked unlistedState = iota
	foreign                // the engine does not know it
	starting               // the engine knows it, and lists it soon
)

// find returns the container of each cgroup that made one of the sockets. It walks through the cgroups only if it does not know one of
// them, and forgets those that no socket has any more.
func (c *cgroupCache) find(mount string, sockets []socket.Socket) map[uint64]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var walked map[uint64]string
	found, unlisted := make(map[uint64]string), make(map[string]unlistedState)
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
		if state := c.unlisted[id]; state != notAsked {
			unlisted[id] = state
		}
	}
	if len(found) > 0 { // else the sockets were read without their cgroups
		c.containers, c.unlisted = found, unlisted
	}
	return found
}

// ask returns what the engine says of a container that is not listed, and whether that is new. It asks once for each container. A
// container is foreign as long as the engine cannot answer.
func (c *cgroupCache) ask(id string, inspect func() error) (state unlistedState, isNew bool) {
	c.mu.Lock()
	state = c.unlisted[id]
	c.mu.Unlock()
	if state != notAsked {
		return state, false
	}
	switch err := inspect(); {
	case err == nil:
		state = starting
	case !errors.Is(err, container.ErrNotFound):
		return foreign, false
	default:
		state = foreign
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unlisted[id] = state
	return state, true
}

// dropUnlisted removes the sockets of some containers from those of the host's network namespace: of containers that the engine has but
// does not list, and of those that ended meanwhile. An engine lists a container some time after its first process has started. The cgroups
// of the sockets show the container. Without cgroups these sockets seem to be the host's. outdated reports that another pass would show
// more.
func (p *pass) dropUnlisted(ctx context.Context, host *HostNetNS, targets []*target) (outdated bool) {
	if host == nil || !p.cgroups.isV2 {
		return false
	}
	stays := make(map[string]bool, len(targets)) // by container
	for _, t := range targets {
		stays[t.Container.ID] = !t.exited
	}
	containers := p.cgroups.find(p.CgroupFS, host.Sockets)
	drops := false
	for _, id := range containers {
		if id == "" {
			continue
		}
		if _, decided := stays[id]; !decided {
			state, isNew := p.cgroups.ask(id, func() error {
				_, err := p.inspectWith(ctx, id, p.inventory.Refresh)
				return err
			})
			stays[id] = state == foreign
			outdated = outdated || isNew && state == starting
		}
		drops = drops || !stays[id]
	}
	if drops {
		host.Sockets = slices.DeleteFunc(host.Sockets, func(s socket.Socket) bool {
			id := containers[s.CgroupID]
			return id != "" && !stays[id]
		})
	}
	return outdated
}
