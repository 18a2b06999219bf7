package daemon

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// journal writes to the log what changes from one collection to the next: nothing is repeated at each poll.
type journal struct {
	log zerolog.Logger

	mu         sync.Mutex
	engineDown bool
	incomplete map[string]string // container ID → the reasons that were logged
}

func newJournal(log zerolog.Logger) *journal {
	return &journal{log: log, incomplete: make(map[string]string)}
}

// engine notes whether the engine answered.
func (j *journal) engine(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch down := err != nil; {
	case down && !j.engineDown:
		j.log.Error().Err(err).Msg("The container engine does not answer; trying again at each request")
	case !down && j.engineDown:
		j.log.Info().Msg("The container engine answers again")
	}
	j.engineDown = err != nil
}

// containers notes the outcome of a collection.
func (j *journal) containers(containers []snapshot.Container, took time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	incomplete := make(map[string]string)
	for _, c := range containers {
		j.debug(c)
		reasons := reasonsOf(c.Problems)
		switch reasons {
		case j.incomplete[c.ID]: // nothing new
		case "":
			j.log.Info().Str("container", c.ID).Str("name", c.Name).Msg("The container is read completely again")
		default:
			j.log.Warn().Str("container", c.ID).Str("name", c.Name).
				Str("reason", joined(c.Problems)).Msg(messageOf(c))
		}
		if reasons != "" {
			incomplete[c.ID] = reasons
		}
	}
	j.incomplete = incomplete
	j.log.Debug().Int("containers", len(containers)).Int("incomplete", len(incomplete)).
		Dur("took_ms", took).Msg("Collected")
}

// messageOf keeps the original Outpost's words for what existing alerts may look for.
func messageOf(c snapshot.Container) string {
	if c.OwnersUnknown {
		return fmt.Sprintf("Unable to obtain inodes for the container's (%s) main process. Some connections will be omitted to preserve accuracy", c.ID)
	}
	return "The container could not be read completely"
}

func (j *journal) debug(c snapshot.Container) {
	j.log.Debug().Str("container", c.ID).Str("name", c.Name).
		Str("network", string(c.Network)).
		Int("listening", len(c.Listening)).
		Int("established", len(c.Established)).
		Int("left_out_loopback", c.LeftOut.Loopback).
		Int("left_out_unpublished", c.LeftOut.Unpublished).
		Int("left_out_other_state", c.LeftOut.OtherState).
		Int("left_out_owner_unknown", c.LeftOut.OwnerUnknown).
		Str("problems", joined(c.Problems)).
		Msg("Read")
}

// reasonsOf returns what stays the same as long as the same is wrong.
func reasonsOf(problems []collect.Problem) string {
	reasons := make([]string, len(problems))
	for i, p := range problems {
		reasons[i] = p.Reason
	}
	return strings.Join(reasons, "; ")
}

func joined(problems []collect.Problem) string {
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.String()
	}
	return strings.Join(texts, "; ")
}
