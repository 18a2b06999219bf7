package engine

import (
	"context"
	"strings"

	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/PabloL007/outpost/internal/container"
)

// Containers lists the running containers, including paused and restarting ones, in the engine's order.
func (e *Engine) Containers(ctx context.Context) ([]container.Summary, error) {
	c, err := e.client(ctx)
	if err != nil {
		return nil, err
	}
	list, err := e.listLive(ctx, c)
	if err != nil {
		return nil, wrapError(listOperation, err)
	}
	summaries := make([]container.Summary, len(list))
	for i, c := range list {
		summaries[i] = toSummary(c)
	}
	return summaries, nil
}

// listLive lists the containers in the states that Docker lists by default. Podman lists running ones only unless a filter names
// the states, and rejects a filter by the state "restarting", which it does not have.
func (e *Engine) listLive(ctx context.Context, c *client.Client) ([]dockercontainer.Summary, error) {
	if !e.rejectsRestarting.Load() {
		list, err := e.listStates(ctx, c, dockercontainer.StateRunning, dockercontainer.StatePaused, dockercontainer.StateRestarting)
		if err == nil || !strings.Contains(err.Error(), dockercontainer.StateRestarting) {
			return list, err
		}
		e.rejectsRestarting.Store(true)
	}
	return e.listStates(ctx, c, dockercontainer.StateRunning, dockercontainer.StatePaused)
}

func (e *Engine) listStates(ctx context.Context, c *client.Client, states ...string) ([]dockercontainer.Summary, error) {
	named := filters.NewArgs()
	for _, state := range states {
		named.Add("status", state)
	}
	e.observe(kindList)
	return c.ContainerList(ctx, dockercontainer.ListOptions{Filters: named})
}
