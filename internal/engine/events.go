package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/PabloL007/outpost/internal/container"
)

// changeActions are the actions that change the list of containers or networks, or the result of inspect. The engine filters by
// them, because it also reports events of every exec. Docker reports a health check only if its result changes. Podman reports each
// check, with an action that this list does not match.
var changeActions = []events.Action{
	events.ActionStart, events.ActionDie, events.ActionDestroy, events.ActionRename, events.ActionUpdate, events.ActionPause,
	events.ActionUnPause, events.ActionConnect, events.ActionDisconnect, events.ActionCreate, events.ActionRemove,
	events.ActionHealthStatusHealthy, events.ActionHealthStatusUnhealthy,
}

// Follow calls changed for each change of a container, beginning with those after since that the engine remembers. It
// calls started once the engine has accepted the request. It returns when ctx or the stream ends. It negotiates the API
// version again, because a replaced engine ends the previous stream.
func (e *Engine) Follow(ctx context.Context, since time.Time, started func(), changed func(container.Event)) error {
	if err := e.reconnect(); err != nil {
		return err
	}
	// Docker's client reports late that a stream was rejected. A request for past events fails at once. Its period is
	// past by any clock.
	checkCtx, cancel := context.WithTimeout(ctx, negotiateTimeout)
	defer cancel()
	if _, err := e.EventsBetween(checkCtx, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
		return err
	}
	return e.streamEvents(ctx, events.ListOptions{Since: formatTime(since)}, started, changed)
}

// EventsBetween returns the changes of containers between two past moments of the engine's clock. The engine remembers
// only the last 256 events of all kinds (moby daemon/events/events.go).
func (e *Engine) EventsBetween(ctx context.Context, since, until time.Time) ([]container.Event, error) {
	var past []container.Event
	options := events.ListOptions{Since: formatTime(since), Until: formatTime(until)}
	err := e.streamEvents(ctx, options, func() {}, func(event container.Event) { past = append(past, event) })
	if errors.Is(err, io.EOF) && !errors.Is(err, container.ErrUnreachable) { // not EOF of a broken connection
		err = nil
	}
	return past, err
}

func (e *Engine) streamEvents(ctx context.Context, options events.ListOptions, started func(), changed func(container.Event)) error {
	c, err := e.client(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options.Filters = filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("type", string(events.NetworkEventType)))
	for _, action := range changeActions {
		options.Filters.Add("event", string(action))
	}
	e.observe(kindEvents)
	messages, failed := c.Events(ctx, options)
	select {
	case err := <-failed: // the request itself failed
		return wrapError("events", err)
	default:
		started()
	}
	for {
		select {
		case message := <-messages:
			changed(toEvent(message))
		case err := <-failed:
			return wrapError("events", err)
		}
	}
}

func toEvent(message events.Message) container.Event {
	attributes := message.Actor.Attributes
	if message.Type == events.NetworkEventType {
		return container.Event{ID: attributes["container"], Network: true}
	}
	event := container.Event{ID: message.Actor.ID, Health: strings.HasPrefix(string(message.Action), string(events.ActionHealthStatus))}
	for _, name := range []string{attributes["name"], attributes["oldName"]} {
		if name != "" {
			event.Names = append(event.Names, strings.TrimPrefix(name, "/"))
		}
	}
	return event
}

// formatTime formats a time as the API expects it: seconds and nanoseconds since 1970.
func formatTime(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
