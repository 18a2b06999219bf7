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

	words "github.com/PabloL007/outpost/internal/container"
)

// changes are the actions after which the list of containers, or what inspect says of one, is another. The engine
// filters by them: it reports events of every exec and health check too.
var changes = []events.Action{
	events.ActionStart, events.ActionDie, events.ActionDestroy, events.ActionRename, events.ActionUpdate, events.ActionPause,
	events.ActionUnPause, events.ActionConnect, events.ActionDisconnect,
}

// Follow hands each change of a container to changed, from those after since on, as far as the engine still knows
// them, until ctx or the stream ends. It calls started as soon as the engine has agreed to report. The API's version is
// settled anew: an engine that was replaced ended the stream before.
func (e *Engine) Follow(ctx context.Context, since time.Time, started func(), changed func(words.Event)) error {
	if err := e.renew(); err != nil {
		return err
	}
	// Whether a stream is refused the client does not tell in time; a request for what is past by any clock does.
	asking, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if _, err := e.EventsBetween(asking, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
		return err
	}
	return e.events(ctx, events.ListOptions{Since: stamp(since)}, started, changed)
}

// Past returns the changes of containers between two moments that are past, by the engine's clock. It knows no more
// than the last 256 events of all kinds (moby daemon/events/events.go).
func (e *Engine) EventsBetween(ctx context.Context, since, until time.Time) ([]words.Event, error) {
	var past []words.Event
	err := e.events(ctx, events.ListOptions{Since: stamp(since), Until: stamp(until)}, func() {}, func(event words.Event) { past = append(past, event) })
	if errors.Is(err, io.EOF) && !errors.Is(err, words.ErrUnreachable) { // and not of a connection that was broken off
		err = nil
	}
	return past, err
}

func (e *Engine) events(ctx context.Context, options events.ListOptions, started func(), changed func(words.Event)) error {
	c, err := e.client(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options.Filters = filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("type", string(events.NetworkEventType)))
	for _, action := range changes {
		options.Filters.Add("event", string(action))
	}
	e.called(kindEvents)
	messages, failed := c.Events(ctx, options)
	select {
	case err := <-failed: // before anything was agreed to
		return translate("events", err)
	default:
		started()
	}
	for {
		select {
		case message := <-messages:
			changed(eventOf(message))
		case err := <-failed:
			return translate("events", err)
		}
	}
}

func eventOf(message events.Message) words.Event {
	attributes := message.Actor.Attributes
	if message.Type == events.NetworkEventType {
		return words.Event{ID: attributes["container"]}
	}
	event := words.Event{ID: message.Actor.ID}
	for _, name := range []string{attributes["name"], attributes["oldName"]} {
		if name != "" {
			event.Names = append(event.Names, strings.TrimPrefix(name, "/"))
		}
	}
	return event
}

// stamp writes a moment as the API takes it: seconds and nanoseconds since 1970.
func stamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
